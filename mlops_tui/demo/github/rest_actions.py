"""REST: workflows, runs, jobs, waiting deployments."""

from collections.abc import Callable
from datetime import datetime, timedelta

from mlops_tui.demo.github.actions import ConflictError
from mlops_tui.demo.github.http import (
    SEARCH_LIMIT,
    ApiError,
    Call,
    Reply,
    fragments_reply,
    json_reply,
    list_reply,
    page_of,
)
from mlops_tui.demo.github.model import Job, Run, StoreEvent
from mlops_tui.demo.github.rest_repositories import moment
from mlops_tui.demo.github.world import NotFoundError

_DATE = len("2026-01-01")
_FILTERS: dict[str, Callable[[Run], object]] = {
    "branch": lambda run: run.branch,
    "event": lambda run: run.event,
    "head_sha": lambda run: run.head_sha,
    "actor": lambda run: run.actor.login,
    "check_suite_id": lambda run: str(run.check_suite_id),
}


def workflows(call: Call) -> Reply:
    repo = call.repository
    return list_reply(call, [call.payloads.workflow(repo, entry) for entry in repo.workflows.values()], "workflows")


def workflow(call: Call) -> Reply:
    return json_reply(call.payloads.workflow(call.repository, call.store.workflow(call.repo, _workflow_key(call))))


def runs(call: Call) -> Reply:
    return _runs(call, call.repository.timeline)


def runs_of_workflow(call: Call) -> Reply:
    kind = call.store.workflow(call.repo, _workflow_key(call))
    return _runs(call, [entry for entry in call.repository.timeline if entry.workflow is kind])


def run(call: Call) -> Reply:
    found = _run(call)
    return fragment_reply(call, found)


def fragment_reply(call: Call, found: Run) -> Reply:
    fragment = call.payloads.run_fragments([found], with_pulls=_with_pulls(call))[0]
    return Reply(body=fragment.body, digest=fragment.digest)


def attempt(call: Call) -> Reply:
    found, number = _run(call), call.number("attempt_number")
    if not 1 <= number <= len(found.attempts):
        raise NotFoundError("no such attempt")
    return json_reply(call.payloads.run(found, found.attempts[number - 1], with_pulls=_with_pulls(call)))


def jobs(call: Call) -> Reply:
    found = _run(call)
    every = call.query.get("filter") == "all"
    attempts = found.attempts if every else [found.latest]
    return _jobs(call, [job for entry in attempts for job in entry.jobs])


def jobs_of_attempt(call: Call) -> Reply:
    found, number = _run(call), call.number("attempt_number")
    if not 1 <= number <= len(found.attempts):
        raise NotFoundError("no such attempt")
    return _jobs(call, found.attempts[number - 1].jobs)


def job(call: Call) -> Reply:
    return json_reply(call.payloads.job(_job(call)))


def approvals(call: Call) -> Reply:
    found = _run(call)
    return json_reply([call.payloads.approval(found, entry) for entry in found.approvals])


def pending_deployments(call: Call) -> Reply:
    found = _run(call)
    may_write = call.token.may("deployments", "write")
    return json_reply(
        [call.payloads.pending_deployment(found, name, call.user, may_write=may_write) for name in found.pending]
    )


def review_pending_deployments(call: Call) -> Reply:
    found = _run(call)
    state, comment = call.text("state", "Deployment"), call.text("comment", "Deployment")
    if state not in ("approved", "rejected"):
        raise ApiError(422, "Invalid request.\n\nstate is not included in the list")
    ids = call.fields.get("environment_ids")
    environments = found.repository.environments
    names = [name for name in found.pending if isinstance(ids, list) and environments[name].id in ids]
    if not names:
        raise ApiError(422, "No pending deployment requests to approve or reject")
    for name in names:
        reviewers = environments[name].reviewers
        if reviewers and call.user not in reviewers:
            raise ApiError(422, "There were one or more errors: you are not a reviewer of this environment")
    payload = []
    for name in names:
        payload.append(call.payloads.deployment(found.repository.deployments[found.pending[name]]))
        call.store.review_deployment(call.repo, found.id, name, state, call.token.login, comment)  # type: ignore[arg-type]
        call.store.announce(StoreEvent(state, found.repository.full_name, found.id, call.token.login, name))
    return json_reply(payload)


def cancel(call: Call) -> Reply:
    found = _run(call)
    call.store.cancel(call.repo, found.id)
    _announce(call, "cancel", found)
    return json_reply({}, 202)


def rerun(call: Call) -> Reply:
    return _rerun(call, _run(call))


def rerun_failed(call: Call) -> Reply:
    return _rerun(call, _run(call), failed_only=True)


def rerun_job(call: Call) -> Reply:
    found = _job(call)
    return _rerun(call, found.run, job_id=found.id)


def dispatch(call: Call) -> Reply:
    kind = call.store.workflow(call.repo, _workflow_key(call))
    ref, inputs = call.text("ref", "Workflow"), call.fields.get("inputs") or {}
    if not isinstance(inputs, dict):
        raise ApiError(422, "Invalid request.\n\nFor 'properties/inputs', inputs is not an object.")
    try:
        run_id = call.store.dispatch(call.repo, kind.id, ref, call.token.login, inputs=inputs)
    except NotFoundError:
        raise ApiError(422, f"No ref found for: {ref[:100]}") from None
    except ConflictError as error:
        raise ApiError(422, str(error)) from None
    found = call.store.run(call.repo, run_id)
    _announce(call, "dispatch", found, kind.name)
    if not call.fields.get("return_run_details"):
        return Reply(status=204)
    url = f"{call.payloads.repository_url(call.repository)}/actions/runs/{run_id}"
    page = call.payloads.page(call.repository, "actions", "runs", run_id)
    return json_reply({"workflow_run_id": run_id, "run_url": url, "html_url": page})


def _rerun(call: Call, found: Run, *, failed_only: bool = False, job_id: int | None = None) -> Reply:
    try:
        call.store.rerun(call.repo, found.id, actor=call.token.login, failed_only=failed_only, job_id=job_id)
    except ConflictError as error:
        raise ApiError(403, str(error)) from None
    _announce(call, "rerun", found)
    return json_reply({}, 201)


def _announce(call: Call, action: str, found: Run, detail: str = "") -> None:
    call.store.announce(StoreEvent(action, found.repository.full_name, found.id, call.token.login, detail))


def _runs(call: Call, timeline: list[Run]) -> Reply:
    """Return a page of runs, newest first, of those that pass the query's filters."""
    found = timeline
    filtered = False
    for name, value in _FILTERS.items():
        if name in call.query:
            filtered, asked = True, call.query[name]
            found = [entry for entry in found if value(entry) == asked]
    if "status" in call.query:
        filtered, asked = True, call.query["status"]
        found = [entry for entry in found if asked in (entry.latest.status, entry.latest.conclusion)]
    if "created" in call.query:
        filtered = True
        since, until = _span(call.query["created"])
        found = [e for e in found if (not since or e.created_at >= since) and (not until or e.created_at < until)]
    total = len(found)
    reachable = min(total, SEARCH_LIMIT) if filtered else total
    page = page_of(call, reachable)
    start, stop = total - min(page.stop, reachable), total - min(page.start, reachable)
    fragments = call.payloads.run_fragments(reversed(found[start:stop]), with_pulls=_with_pulls(call))
    return fragments_reply(fragments, total, page.headers, "workflow_runs")


def _span(text: str) -> tuple[datetime | None, datetime | None]:
    """Return the times from which and before which a search's `created` holds."""
    for sign, place, inclusive in ((">=", 0, True), ("<=", 1, True), (">", 0, False), ("<", 1, False)):
        if text.startswith(sign):
            edge, after = _edge(text.removeprefix(sign))
            # "From" includes the edge's second or day; "until" means before its end.
            limit = edge if inclusive is (place == 0) else after
            return (limit, None) if place == 0 else (None, limit)
    first, dots, last = text.partition("..")
    if not dots:
        return _edge(text)
    return (None if first == "*" else _edge(first)[0]), (None if last == "*" else _edge(last)[1])


def _edge(text: str) -> tuple[datetime, datetime]:
    """Return the begin of the second or day that a search names, and its end."""
    begin = moment(text)
    return begin, begin + (timedelta(days=1) if len(text) == _DATE else timedelta(seconds=1))


def _jobs(call: Call, found: list[Job]) -> Reply:
    return list_reply(call, [call.payloads.job(entry) for entry in found], "jobs")


def _run(call: Call) -> Run:
    return call.store.run(call.repo, call.number("run_id"))


def _job(call: Call) -> Job:
    found = call.repository.jobs.get(call.number("job_id"))
    if found is None:
        raise NotFoundError("no such job")
    return found


def _workflow_key(call: Call) -> str:
    return str(call.params["workflow_id"])


def _with_pulls(call: Call) -> bool:
    return call.query.get("exclude_pull_requests") != "true"
