"""What is fetched of one run or pull request when somebody opens it, as sections. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from mlops_tui.domain.base import DetailField, DetailSection, Mark
from mlops_tui.domain.pull import ChecklistItem, Checks, PullRow, judge_check
from mlops_tui.domain.workflow import RunRow, judge_run
from mlops_tui.sources.github.rows import context_state, nodes, rollup_of

_CHECK_MARKS = {Checks.PASSED: Mark.OK, Checks.FAILED: Mark.BAD, Checks.PENDING: Mark.RUNNING}
_CHECK_ORDER = [Checks.FAILED, Checks.PENDING, Checks.PASSED]
_REVIEW_MARKS = {"APPROVED": Mark.OK, "CHANGES_REQUESTED": Mark.WARN}
_FAILED = frozenset({"failure", "timed_out", "startup_failure"})


def run_facts(run: RunRow, now: datetime) -> DetailSection:
    """Return the facts of a run that a list has no room for."""
    facts = {
        "Workflow": f"{run.workflow} #{run.run_number}",
        "Title": run.title,
        "State": run.conclusion or run.status,
        "Waits for": run.waiting_for,
        "Attempt": str(run.attempt) if run.attempt > 1 else "",
        "Event": run.event,
        "Branch": run.branch,
        "Commit": run.head_sha,
        "Actor": run.actor,
        "Started": _time(run.started_at),
        "Finished": _time(run.finished_at),
        "Duration": _between(run.started_at, run.finished_at or now),
        "Pull requests": ", ".join(f"#{number}" for number in run.pull_numbers),
    }
    return DetailSection(
        title="Run",
        fields=tuple(
            DetailField(label=label, value=value, mark=run.mark if label == "State" else Mark.NONE)
            for label, value in facts.items()
            if value
        ),
    )


def jobs_section(jobs: Iterable[Mapping[str, Any]], now: datetime) -> DetailSection:
    """Return a run's jobs in their own order: state, duration, and the steps that failed."""
    return DetailSection(title="Jobs", fields=tuple(_job_field(job, now) for job in jobs))


def _job_field(job: Mapping[str, Any], now: datetime) -> DetailField:
    status, conclusion = job["status"], job["conclusion"] or ""
    started, finished = _parsed(job.get("started_at")), _parsed(job.get("completed_at"))
    running = status == "in_progress"
    duration = _between(started, finished or (now if running else None)) if conclusion != "skipped" else ""
    failed = [step["name"] for step in job.get("steps") or () if step.get("conclusion") in _FAILED]
    parts = [conclusion or status, duration, f"failed step: {', '.join(failed)}" if failed else ""]
    return DetailField(
        label=job["name"], value=" · ".join(part for part in parts if part), mark=judge_run(status, conclusion)[0]
    )


def checklist_sections(pull: PullRow) -> tuple[DetailSection, ...]:
    """Return the checklist, a section of the screen for each of its own."""
    sections: dict[str, list[ChecklistItem]] = {}
    for item in pull.checklist:
        sections.setdefault(item.section, []).append(item)
    return tuple(
        DetailSection(
            title=f"Checklist: {name}" if name else "Checklist",
            fields=tuple(
                DetailField(
                    label=item.text, value="done" if item.done else "open", mark=Mark.OK if item.done else Mark.NONE
                )
                for item in items
            ),
        )
        for name, items in sections.items()
    )


def checks_section(pull: Mapping[str, Any], *, denied: bool) -> DetailSection:
    """Return the checks of the last commit, failed ones first."""
    if denied:
        missing = DetailField(label="checks", value="no permission to read them (checks: read)", mark=Mark.UNKNOWN)
        return DetailSection(title="Checks", fields=(missing,))
    rollup = rollup_of(pull)
    if rollup is None:
        return DetailSection(title="Checks", fields=(DetailField(label="checks", value="none"),))
    judged = [(name, state, judge_check(state)) for name, state in map(context_state, nodes(rollup["contexts"]))]
    judged.sort(key=lambda check: _CHECK_ORDER.index(check[2]))
    fields = [
        DetailField(label=name, value=state.lower().replace("_", " "), mark=_CHECK_MARKS[verdict])
        for name, state, verdict in judged
    ]
    more = rollup["contexts"]["totalCount"] - len(judged)
    if more > 0:
        fields.append(DetailField(label="…", value=f"{more} more"))
    return DetailSection(title="Checks", fields=tuple(fields))


def reviews_section(pull: Mapping[str, Any]) -> DetailSection:
    """Return the reviews, newest first, then those who are still asked for one."""
    fields = [
        DetailField(
            label=(review["author"] or {}).get("login") or "somebody who is gone",
            value=" · ".join(
                part
                for part in (review["state"].lower().replace("_", " "), _time(_parsed(review["submittedAt"])))
                if part
            ),
            mark=_REVIEW_MARKS.get(review["state"], Mark.NONE),
        )
        for review in reversed(nodes(pull["reviews"]))
    ]
    for request in nodes(pull["reviewRequests"]):
        reviewer = request["requestedReviewer"] or {}
        name = reviewer.get("login") or reviewer.get("slug") or "somebody"
        fields.append(DetailField(label=name, value="asked for a review", mark=Mark.WAITING))
    return DetailSection(title="Reviews", fields=tuple(fields) or (DetailField(label="reviews", value="none yet"),))


def _parsed(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def _time(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else ""


def _between(start: datetime | None, end: datetime | None) -> str:
    """Return a duration as people write it: `45s`, `2m 31s`, `1h 04m`; empty where either end is missing."""
    if start is None or end is None:
        return ""
    seconds = max(0, int((end - start) / timedelta(seconds=1)))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3_600:
        return f"{seconds // 60}m {seconds % 60:02}s"
    return f"{seconds // 3_600}h {seconds % 3_600 // 60:02}m"
