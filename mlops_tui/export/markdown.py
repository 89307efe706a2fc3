"""The snapshot as Markdown, for people and pull requests."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from mlops_tui.domain.base import BaseRow, Mark
from mlops_tui.domain.model import VersionRow
from mlops_tui.domain.pull import Checks, PullRow, Review
from mlops_tui.domain.rollout import RolloutRow
from mlops_tui.domain.state import SourceState
from mlops_tui.domain.workflow import RunRow
from mlops_tui.export.document import SnapshotDocument

RowT = TypeVar("RowT", bound=BaseRow)
Columns = Sequence[tuple[str, Callable[[RowT], str]]]
"""Title and Markdown of each column."""

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#@&])")


def escape(text: str) -> str:
    """Return `text` so that Markdown shows it as it is: no markup, no mention, no table cell of its own."""
    # A zero-width space after @ keeps GitHub from notifying people named in a title.
    return _SPECIAL.sub(lambda found: "@\u200b" if found[1] == "@" else "\\" + found[1], text)


def code(text: str) -> str:
    """Return `text` as code, to be copied as it is: no character is added; empty text is `–`."""
    return f"`{text.replace('`', '').replace('|', chr(92) + '|')}`" if text else "–"


def utc(moment: datetime | None) -> str:
    """Return a time as `2026-11-20 14:02Z`, or `–`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%MZ}" if moment else "–"


def to_markdown(document: SnapshotDocument) -> str:
    """Return the document as Markdown, ending in a newline."""
    names = ", ".join(f"{e.name} (protected)" if e.protected else e.name for e in document.environments)
    parts = [
        "# ML release snapshot",
        "",
        f"Taken {document.taken_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}. Environments: {escape(names)}.",
        "",
        *_sources(document.sources),
        *_table("Rollouts", document.rollouts, _ROLLOUTS),
        *_table("Model versions", [row for row in document.versions if _current(row)], _VERSIONS, document.versions),
        *_table("Workflow runs", document.runs, _RUNS),
        *_table("Pull requests", document.pulls, _PULLS),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _sources(states: Iterable[SourceState]) -> list[str]:
    lines = ["| source | status | answered | note |", "|---|---|---|---|"]
    for state in states:
        notes = [f"{state.error}{f' ({state.hint})' if state.hint else ''}"] if state.error else []
        notes += [f"{problem.scope}: {problem.message}" for problem in state.problems]
        where = f"{state.source} ({state.label})" if state.label and state.label != state.source else state.source
        cells = (where, state.status.value, utc(state.fetched_at), "; ".join(notes))
        lines.append("| " + " | ".join(escape(cell) for cell in cells) + " |")
    return [*lines, ""]


def _table(title: str, rows: Sequence[RowT], columns: Columns[RowT], every: Sequence[BaseRow] = ()) -> list[str]:
    count = f"{len(rows)} of {len(every)}" if len(every) > len(rows) else f"{len(rows)}"
    head = [f"## {title} ({count})", ""]
    if not rows:
        return [*head, "None.", ""]
    body = [
        "| " + " | ".join(cell(row) for _, cell in columns) + " |"
        for row in sorted(rows, key=lambda row: (row.attention.rank, row.key))
    ]
    return [
        *head,
        "| " + " | ".join(name for name, _ in columns) + " |",
        "|" + "---|" * len(columns),
        *body,
        "",
    ]


def _current(row: VersionRow) -> bool:
    """Whether a version is in use or wants attention: the rest of a long history would bury them."""
    return row.is_serving_candidate or row.attention.rank < 3


def _status(row: BaseRow) -> str:
    word = "–" if row.mark is Mark.NONE else row.mark.value
    return escape(f"{word}: {row.reason}") if row.reason else word


def _change(row: VersionRow) -> str:
    if not row.metric or row.metric not in row.metrics:
        return "–"
    change = f" ({row.metric_change:+.4g})" if row.metric_change is not None else ""
    return escape(f"{row.metric} {row.metrics[row.metric]:.4g}{change}")


def _checks(row: PullRow) -> str:
    if row.checks in (Checks.NONE, Checks.DENIED):
        return "none" if row.checks is Checks.NONE else "may not be read"
    return f"{row.checks.value} ({row.checks_passed} ok, {row.checks_failed} failed, {row.checks_pending} pending)"


_ROLLOUTS: Columns[RolloutRow] = (
    ("rollout", lambda row: escape(f"{row.namespace}/{row.name}")),
    ("environment", lambda row: escape(row.environment)),
    ("status", _status),
    ("ready", lambda row: f"{row.ready}/{row.desired}"),
    ("revision", lambda row: str(row.revision or "–")),
    ("image", lambda row: ", ".join(code(image) for image in row.images)),
    ("changed", lambda row: utc(row.updated_at)),
)
_VERSIONS: Columns[VersionRow] = (
    ("model", lambda row: escape(row.model)),
    ("version", lambda row: f"v{row.version}"),
    ("stage", lambda row: escape(row.stage or "–")),
    ("aliases", lambda row: escape(", ".join(row.aliases)) or "–"),
    ("metric", _change),
    ("commit", lambda row: code(row.git_commit[:7])),
    ("status", _status),
    ("changed", lambda row: utc(row.updated_at)),
)
_RUNS: Columns[RunRow] = (
    ("workflow", lambda row: escape(f"{row.workflow} #{row.run_number}")),
    ("repository", lambda row: escape(row.repository)),
    ("branch", lambda row: code(row.branch)),
    ("commit", lambda row: code(row.head_sha[:7])),
    ("status", _status),
    ("attempt", lambda row: str(row.attempt)),
    ("by", lambda row: escape(row.actor)),
    ("started", lambda row: utc(row.started_at)),
)
_PULLS: Columns[PullRow] = (
    ("pull request", lambda row: escape(f"{row.repository}#{row.number}")),
    ("title", lambda row: escape(row.title)),
    ("checklist", lambda row: f"{row.checklist_done}/{len(row.checklist)}" if row.checklist else "–"),
    ("checks", _checks),
    ("review", lambda row: row.review.value if row.review is not Review.NONE else "–"),
    ("status", _status),
    ("changed", lambda row: utc(row.updated_at)),
)
