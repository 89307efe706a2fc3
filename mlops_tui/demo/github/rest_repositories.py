"""REST: accounts, quota, repositories, branches, commits, checks, releases, environments."""

from datetime import UTC, datetime

from mlops_tui.demo.github.http import ApiError, Call, Reply, json_reply, list_reply
from mlops_tui.demo.github.model import Check, Commit, Job, Repository
from mlops_tui.demo.github.world import NotFoundError

_ACCOUNTS_SINCE = datetime(2020, 1, 1, tzinfo=UTC)


def user(call: Call) -> Reply:
    payload = call.payloads.viewer(call.user, _ACCOUNTS_SINCE)
    # A classic token says what it may do; a fine-grained one does not.
    return json_reply(payload, headers={"x-oauth-scopes": "repo, workflow"} if call.token.kind == "full" else {})


def rate_limit(call: Call) -> Reply:
    resources = {}
    for resource in ("core", "search", "graphql"):
        meter = call.store.meter(call.secret, resource)
        resources[resource] = {
            "limit": meter.limit,
            "used": meter.used,
            "remaining": meter.remaining,
            "reset": int(meter.reset.timestamp()),
        }
    return json_reply({"resources": resources, "rate": resources["core"]}, cost=0)


def repository(call: Call) -> Reply:
    return json_reply(call.payloads.repository(call.repository))


def branches(call: Call) -> Reply:
    repo = call.repository
    names = sorted(repo.branches)
    if "protected" in call.query:
        wanted = call.query["protected"] == "true"
        names = [name for name in names if (name == repo.default_branch) is wanted]
    return list_reply(call, [call.payloads.branch(repo, name, whole=False) for name in names])


def branch(call: Call) -> Reply:
    name = call.params["branch"]
    if name not in call.repository.branches:
        raise ApiError(404, "Branch not found")
    return json_reply(call.payloads.branch(call.repository, name, whole=True))


def commits(call: Call) -> Reply:
    repo = call.repository
    head = call.store.resolve(call.repo, call.query.get("sha", repo.default_branch))
    found = _history(repo, head)
    if author := call.query.get("author"):
        found = [commit for commit in found if commit.author.login == author]
    if since := call.query.get("since"):
        found = [commit for commit in found if commit.date >= moment(since)]
    if until := call.query.get("until"):
        found = [commit for commit in found if commit.date <= moment(until)]
    return list_reply(call, [call.payloads.commit(commit) for commit in found])


def commit(call: Call) -> Reply:
    return json_reply(call.payloads.commit(_commit(call)))


def check_runs(call: Call) -> Reply:
    repo, sha = call.repository, _commit(call).sha
    found = checks_of(repo, sha, every_attempt=call.query.get("filter") == "all")
    for key in ("status", "name"):
        asked = call.query.get("check_name" if key == "name" else key)
        if asked is not None:
            found = [check for check in found if getattr(check, key) == asked]
    return list_reply(call, [call.payloads.check(repo, check) for check in found], "check_runs")


def check_run(call: Call) -> Reply:
    number = call.number("check_run_id")
    if number in call.repository.jobs:
        return json_reply(call.payloads.check(call.repository, call.repository.jobs[number]))
    for checks in call.repository.checks.values():
        for check in checks.values():
            if check.id == number:
                return json_reply(call.payloads.check(call.repository, check))
    raise NotFoundError(f"no check run {number}")


def status(call: Call) -> Reply:
    repo, sha = call.repository, _commit(call).sha
    found = list(repo.statuses.get(sha, {}).values())
    states = {entry.state for entry in found}
    url = f"{call.payloads.repository_url(repo)}/commits/{sha}"
    state = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    return json_reply(
        {
            "state": state,
            "sha": sha,
            "total_count": len(found),
            "statuses": [call.payloads.status(repo, entry) for entry in found],
            "repository": call.payloads.nested_repository(repo)[0],
            "commit_url": url,
            "url": f"{url}/status",
        }
    )


def pulls_of_commit(call: Call) -> Reply:
    sha = call.store.resolve(call.repo, call.params["commit_sha"]).sha
    pulls = [pull for pull in call.repository.pulls.values() if sha in pull.commits or sha == pull.merge_sha]
    return list_reply(call, [call.payloads.pull(pull) for pull in pulls])


def releases(call: Call) -> Reply:
    return list_reply(call, [call.payloads.release(call.repository, entry) for entry in call.repository.releases])


def latest_release(call: Call) -> Reply:
    for release in call.repository.releases:
        if not (release.draft or release.prerelease):
            return json_reply(call.payloads.release(call.repository, release))
    raise NotFoundError("no release")


def release_of_tag(call: Call) -> Reply:
    for release in call.repository.releases:
        if release.tag == call.params["tag"]:
            return json_reply(call.payloads.release(call.repository, release))
    raise NotFoundError("no release with this tag")


def tags(call: Call) -> Reply:
    repo = call.repository
    return list_reply(call, [call.payloads.tag(repo, name, sha) for name, sha in reversed(repo.tags.items())])


def environments(call: Call) -> Reply:
    found = call.repository.environments.values()
    return list_reply(call, [call.payloads.environment(call.repository, entry) for entry in found], "environments")


def environment(call: Call) -> Reply:
    found = call.repository.environments.get(call.params["environment_name"])
    if found is None:
        raise NotFoundError("no such environment")
    return json_reply(call.payloads.environment(call.repository, found))


def set_status(call: Call) -> Reply:
    state = call.text("state", "Status")
    if state not in ("error", "failure", "pending", "success"):
        raise ApiError(422, "Validation Failed", errors=[{"resource": "Status", "field": "state", "code": "invalid"}])
    sha = call.store.resolve(call.repo, call.params["sha"]).sha
    context = str(call.fields.get("context", "default"))
    call.store.set_status(
        call.repo,
        sha,
        context,
        state,  # type: ignore[arg-type]
        description=call.fields.get("description"),
        target_url=call.fields.get("target_url"),
        author=call.token.login,
    )
    entry = call.repository.statuses[sha][context]
    payload = call.payloads.status(call.repository, entry) | {"creator": call.payloads.user(entry.creator)}
    return json_reply(payload, 201, headers={"location": payload["url"]})


def checks_of(repo: Repository, sha: str, *, every_attempt: bool = False) -> list[Check | Job]:
    """Return the check runs of a commit: the jobs of its runs, then those that others made."""
    found: list[Check | Job] = []
    for run in repo.runs_of_sha.get(sha, ()):
        for attempt in run.attempts if every_attempt else (run.latest,):
            found.extend(attempt.jobs)
    found.extend(repo.checks.get(sha, {}).values())
    return found


def moment(text: str) -> datetime:
    """Return an ISO 8601 time or date of a query.

    Raises:
        ApiError: 422, it is none.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(422, f"Invalid date: {text[:40]}") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _commit(call: Call) -> Commit:
    try:
        return call.store.resolve(call.repo, call.params["ref"])
    except NotFoundError:
        raise ApiError(422, f"No commit found for SHA: {call.params['ref']}") from None


def _history(repo: Repository, head: Commit) -> list[Commit]:
    """Return a commit and its ancestors, newest first."""
    seen: dict[str, Commit] = {}
    waiting = [head.sha]
    while waiting:
        sha = waiting.pop()
        if sha not in seen and sha in repo.commits:
            seen[sha] = repo.commits[sha]
            waiting.extend(repo.commits[sha].parents)
    order = {sha: place for place, sha in enumerate(repo.commits)}
    return sorted(seen.values(), key=lambda c: (c.date, order[c.sha]), reverse=True)
