"""REST: accounts, quota, repositories, branches, commits and their checks."""

from datetime import UTC, datetime

from mlops_tui.demo.github.contents import history, touches
from mlops_tui.demo.github.http import ApiError, Call, Reply, json_reply, list_reply, page_of
from mlops_tui.demo.github.model import Check, Commit, Job, Repository
from mlops_tui.demo.github.payloads import git_person
from mlops_tui.demo.github.world import NotFoundError

_ACCOUNTS_SINCE = datetime(2020, 1, 1, tzinfo=UTC)


def user(call: Call) -> Reply:
    return json_reply(call.payloads.viewer(call.user, _ACCOUNTS_SINCE))


def rate_limit(call: Call) -> Reply:
    resources = {}
    for resource in ("core", "search", "graphql"):
        meter = call.store.limits.meter(call.secret, resource)
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
    repo, query = call.repository, call.query
    found = history(repo, call.store.resolve(call.repo, query.get("sha") or repo.default_branch))
    for name in ("author", "committer"):
        if name in query:
            found = [commit for commit in found if query[name] in _names_of(commit)]
    if path := query.get("path"):
        found = [commit for commit in found if touches(commit, path)]
    if since := query.get("since"):
        found = [commit for commit in found if commit.date >= moment(since)]
    if until := query.get("until"):
        found = [commit for commit in found if commit.date <= moment(until)]
    page = page_of(call, len(found))
    payloads = [call.payloads.commit(commit) for commit in found[page.start : page.stop]]
    return json_reply(payloads, headers=page.headers)


def commit(call: Call) -> Reply:
    return json_reply(call.payloads.whole_commit(_commit(call)))


def _names_of(commit: Commit) -> tuple[str, str]:
    return commit.author.login, git_person(commit.author)["email"]


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


def statuses(call: Call) -> Reply:
    repo, sha = call.repository, _commit(call).sha
    found = sorted(repo.statuses.get(sha, {}).values(), key=lambda entry: entry.id, reverse=True)
    return list_reply(
        call, [call.payloads.status(repo, entry) | {"creator": call.payloads.user(entry.creator)} for entry in found]
    )


def pulls_of_commit(call: Call) -> Reply:
    sha = call.store.resolve(call.repo, call.params["commit_sha"]).sha
    pulls = [pull for pull in call.repository.pulls.values() if sha in pull.commits or sha == pull.merge_sha]
    return list_reply(call, [call.payloads.pull(pull) for pull in pulls])


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
