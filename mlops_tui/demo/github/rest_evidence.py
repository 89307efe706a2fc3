"""REST: the logs, artifacts, annotations and times of runs."""

from mlops_tui.demo.github.actions import ConflictError
from mlops_tui.demo.github.blobs import BlobKind, signed
from mlops_tui.demo.github.evidence import annotations_of
from mlops_tui.demo.github.http import ApiError, Call, Reply, json_reply, list_reply, page_of
from mlops_tui.demo.github.logs import has_log
from mlops_tui.demo.github.model import Artifact, Attempt, Run
from mlops_tui.demo.github.world import NotFoundError


def job_logs(call: Call) -> Reply:
    job = call.repository.jobs.get(call.number("job_id"))
    if job is None or not has_log(job):
        raise NotFoundError("no such log")
    return _redirect(call, "job-logs", job.id)


def run_logs(call: Call) -> Reply:
    run = _run(call)
    return _attempt_logs(call, run, run.latest)


def attempt_logs(call: Call) -> Reply:
    run, number = _run(call), call.number("attempt_number")
    if not 1 <= number <= len(run.attempts):
        raise NotFoundError("no such attempt")
    return _attempt_logs(call, run, run.attempts[number - 1])


def delete_logs(call: Call) -> Reply:
    try:
        call.store.delete_logs(call.repo, call.number("run_id"))
    except ConflictError as error:
        raise ApiError(403, str(error)) from None
    return Reply(status=204)


def delete_run(call: Call) -> Reply:
    try:
        call.store.delete_run(call.repo, call.number("run_id"))
    except ConflictError as error:
        raise ApiError(403, str(error)) from None
    return Reply(status=204)


def usage(call: Call) -> Reply:
    return json_reply(call.payloads.usage(_run(call).latest))


def artifacts(call: Call) -> Reply:
    return _artifacts(call, call.repository.artifacts)


def artifacts_of_run(call: Call) -> Reply:
    return _artifacts(call, _run(call).artifacts, oldest_first=call.query.get("direction") == "asc")


def artifact(call: Call) -> Reply:
    return json_reply(call.payloads.artifact(_artifact(call), call.store.clock.now()))


def artifact_archive(call: Call) -> Reply:
    found = _artifact(call)
    if call.params["archive_format"] != "zip":
        raise NotFoundError("artifacts are zip files")
    if found.expires_at <= call.store.clock.now():
        raise ApiError(410, "Artifact has expired")
    return _redirect(call, "artifacts", found.id)


def delete_artifact(call: Call) -> Reply:
    call.store.delete_artifact(call.repo, _artifact(call).id)
    return Reply(status=204)


def annotations(call: Call) -> Reply:
    number, repository = call.number("check_run_id"), call.repository
    job = repository.jobs.get(number)
    if job is not None:
        return list_reply(call, [call.payloads.annotation(job, entry) for entry in annotations_of(job)])
    if not any(check.id == number for checks in repository.checks.values() for check in checks.values()):
        raise NotFoundError(f"no check run {number}")
    return list_reply(call, [])


def _artifacts(call: Call, found: dict[int, Artifact], *, oldest_first: bool = False) -> Reply:
    name, now = call.query.get("name"), call.store.clock.now()
    chosen = [entry for entry in found.values() if name is None or entry.name == name]
    if not oldest_first:
        chosen.reverse()
    page = page_of(call, len(chosen))
    payloads = [call.payloads.artifact(entry, now) for entry in chosen[page.start : page.stop]]
    return json_reply({"total_count": len(chosen), "artifacts": payloads}, headers=page.headers)


def _attempt_logs(call: Call, run: Run, attempt: Attempt) -> Reply:
    if not any(has_log(job) for job in attempt.jobs):
        raise NotFoundError("no such logs")
    return _redirect(call, "run-logs", run.id, attempt.number)


def _redirect(call: Call, kind: BlobKind, number: int, attempt: int = 0) -> Reply:
    address = signed(call.store, call.payloads.web, kind, call.repository.full_name, number, attempt)
    return Reply(status=302, headers={"location": address, "content-type": "text/html;charset=utf-8"})


def _run(call: Call) -> Run:
    return call.store.run(call.repo, call.number("run_id"))


def _artifact(call: Call) -> Artifact:
    return call.store.artifact(call.repo, call.number("artifact_id"))
