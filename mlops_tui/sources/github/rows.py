"""GitHub's answers as rows. Pure; raises `KeyError`, `TypeError` or `ValueError` for what is not such an answer."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mlops_tui.domain.checklist import join_checklists, may_hold_checklist
from mlops_tui.domain.pull import (
    Checks,
    Mergeable,
    PullRow,
    Review,
    judge_check,
    judge_checks,
    judge_pull,
)
from mlops_tui.domain.text import clean_line
from mlops_tui.domain.workflow import RunRow, judge_run

_REVIEWS = {
    "APPROVED": Review.APPROVED,
    "CHANGES_REQUESTED": Review.CHANGES_REQUESTED,
    "REVIEW_REQUIRED": Review.REQUIRED,
}
_MERGEABLE = {"MERGEABLE": Mergeable.YES, "CONFLICTING": Mergeable.CONFLICTING}
_VERDICTS = frozenset({"APPROVED", "CHANGES_REQUESTED", "DISMISSED"})
_WORST_FIRST = (Checks.FAILED, Checks.PENDING, Checks.PASSED, Checks.NONE)
_ROLLUP = {"FAILURE": Checks.FAILED, "ERROR": Checks.FAILED, "PENDING": Checks.PENDING, "EXPECTED": Checks.PENDING}


@dataclass(frozen=True, slots=True)
class PullHead:
    """What the list of pull requests says of one: enough to know whether to ask for the rest."""

    number: int
    node_id: str
    head_sha: str
    updated_at: str


def run_rows(source: str, repository: str, data: Mapping[str, Any]) -> tuple[RunRow, ...]:
    """Return the runs of one page of a repository's workflow runs."""
    return tuple(_run_row(source, repository, run) for run in data["workflow_runs"])


def _run_row(source: str, repository: str, run: Mapping[str, Any]) -> RunRow:
    status, conclusion = run["status"] or "", run["conclusion"] or ""
    mark, attention, reason = judge_run(status, conclusion)
    return RunRow(
        key=f"{source}/{repository}/run/{run['id']}",
        source=source,
        mark=mark,
        attention=attention,
        reason=reason,
        url=web_url(run.get("html_url")),
        updated_at=run["updated_at"],
        repository=repository,
        run_id=run["id"],
        run_number=run["run_number"],
        attempt=run.get("run_attempt") or 1,
        workflow=run.get("name") or run.get("path") or "",
        title=run.get("display_title") or "",
        branch=run["head_branch"] or "",
        event=run["event"],
        head_sha=clean_line(run["head_sha"]),
        status=clean_line(status),
        conclusion=clean_line(conclusion),
        actor=_login(run.get("triggering_actor") or run.get("actor")),
        started_at=run.get("run_started_at") or run["created_at"],
        finished_at=run["updated_at"] if status == "completed" else None,
        pull_numbers=tuple(pull["number"] for pull in run.get("pull_requests") or ()),
    )


def awaiting(run: RunRow, environments: Iterable[str]) -> RunRow:
    """Return a waiting run with the environments whose approval it waits for."""
    names = clean_line(", ".join(environments))
    mark, attention, reason = judge_run(run.status, run.conclusion, names)
    update = {"waiting_for": names, "mark": mark, "attention": attention, "reason": clean_line(reason)}
    return run.model_copy(update=update)


def environment_names(data: Any) -> tuple[str, ...]:
    """Return the environments of a run's pending deployments."""
    return tuple(clean_line(pending["environment"]["name"]) for pending in data)


def pull_heads(data: Any) -> tuple[PullHead, ...]:
    """Return what one page of open pull requests says."""
    return tuple(
        PullHead(
            number=int(pull["number"]),
            node_id=str(pull["node_id"]),
            head_sha=str(pull["head"]["sha"]),
            updated_at=str(pull["updated_at"]),
        )
        for pull in data
    )


def pull_row(source: str, repository: str, pull: Mapping[str, Any], *, checks_denied: bool) -> PullRow:
    """Return the row of one pull request, a node of the query `PULLS`.

    Args:
        checks_denied: Whether GitHub said that the token may not read this pull request's checks.
    """
    checks, counts = (Checks.DENIED, Counter[Checks]()) if checks_denied else _checks(pull)
    review = _REVIEWS.get(pull["reviewDecision"], Review.NONE)
    mergeable = _MERGEABLE.get(pull["mergeable"], Mergeable.UNKNOWN)
    checklist = join_checklists(pull["body"] or "", _trusted_comments(pull))
    mark, attention, reason = judge_pull(
        draft=pull["isDraft"],
        checks=checks,
        checks_failed=counts[Checks.FAILED],
        review=review,
        mergeable=mergeable,
        checklist=checklist,
        base_branch=pull["baseRefName"],
    )
    return PullRow(
        key=f"{source}/{repository}/pull/{pull['number']}",
        source=source,
        mark=mark,
        attention=attention,
        reason=reason,
        url=web_url(pull["url"]),
        updated_at=pull["updatedAt"],
        repository=repository,
        number=pull["number"],
        title=pull["title"],
        author=_login(pull["author"]),
        draft=pull["isDraft"],
        head_sha=clean_line(pull["headRefOid"]),
        head_branch=pull["headRefName"],
        base_branch=pull["baseRefName"],
        labels=tuple(label["name"] for label in nodes(pull["labels"])),
        checklist=checklist,
        checks=checks,
        checks_passed=counts[Checks.PASSED],
        checks_failed=counts[Checks.FAILED],
        checks_pending=counts[Checks.PENDING],
        review=review,
        approvals=_approvals(nodes(pull["reviews"])),
        mergeable=mergeable,
        created_at=pull["createdAt"],
    )


def rollup_of(pull: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the check rollup of a pull request's last commit; `None` where the commit has no checks."""
    commits = nodes(pull["commits"])
    return commits[-1]["commit"]["statusCheckRollup"] if commits else None


def context_state(context: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name and the state of one check run or commit status, in GitHub's own words."""
    if context["__typename"] == "StatusContext":
        return context["context"], context["state"]
    return context["name"], context["conclusion"] or context["status"]


def _checks(pull: Mapping[str, Any]) -> tuple[Checks, Counter[Checks]]:
    counts: Counter[Checks] = Counter()
    rollup = rollup_of(pull)
    if rollup is None:
        return Checks.NONE, counts
    for context in nodes(rollup["contexts"]):
        counts[judge_check(context_state(context)[1])] += 1
    counted = judge_checks(counts[Checks.PASSED], counts[Checks.FAILED], counts[Checks.PENDING])
    # GitHub's own word counts where it is worse: it knows of checks beyond the first hundred, and of required ones
    # that have not reported yet.
    return min(counted, _ROLLUP.get(rollup["state"], counted), key=_WORST_FIRST.index), counts


def _approvals(reviews: Iterable[Mapping[str, Any]]) -> int:
    """Return how many reviewers' latest verdict is an approval; a mere comment is no verdict."""
    verdicts = {_login(review["author"]): review["state"] for review in reviews if review["state"] in _VERDICTS}
    return sum(state == "APPROVED" for state in verdicts.values())


def _trusted_comments(pull: Mapping[str, Any]) -> list[str]:
    """Return the comments whose checklist may count, oldest first."""
    comments = {comment["id"]: comment for part in ("firstComments", "lastComments") for comment in nodes(pull[part])}
    author = _login(pull["author"])
    return [
        comment["body"] or ""
        for comment in comments.values()
        if may_hold_checklist(
            comment["authorAssociation"],
            bot=(comment["author"] or {}).get("__typename") == "Bot",
            author=bool(author) and _login(comment["author"]) == author,
        )
    ]


def nodes(connection: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Return the nodes of a GraphQL connection that are there: those that may not be read are null."""
    return [node for node in (connection or {}).get("nodes") or () if node is not None]


def web_url(value: object) -> str:
    """Return `value` if a browser may be sent there."""
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else ""


def _login(account: Mapping[str, Any] | None) -> str:
    return clean_line((account or {}).get("login"))
