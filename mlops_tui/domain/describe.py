"""What a row tells about itself, in the order in which a person reads it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from mlops_tui.ages import ago, duration, retell
from mlops_tui.domain.base import Attention, DetailField, DetailSection, Mark
from mlops_tui.domain.model import VersionRow
from mlops_tui.domain.operation import OperationRow
from mlops_tui.domain.pull import ChecklistItem, Checks, Mergeable, PullRow, Review
from mlops_tui.domain.rollout import RolloutRow
from mlops_tui.domain.rows import Row
from mlops_tui.domain.workflow import RunRow

_CAUSES = ("Pods", "Jobs", "Checks")
"""Fetched sections in which the cause of a row's trouble is found."""
_TROUBLE = {Mark.BAD: 0, Mark.WAITING: 1}
"""Marks that come first in such a section."""
_NOT_RUN = ("skipped", "neutral", "cancelled")
"""States of a job or a check that say that it has neither passed nor failed."""
_ONLY_FETCHED = ("Newest", "By", "Logged model")
"""What a registry says of a version that the row has no field for."""
_ATTENTION = {Attention.BAD: Mark.BAD, Attention.WARN: Mark.WARN, Attention.UNKNOWN: Mark.UNKNOWN}


def title_of(row: Row) -> str:
    """Return what a person calls the row."""
    match row:
        case RunRow():
            return f"{row.workflow} #{row.run_number}"
        case VersionRow():
            return f"{row.model} v{row.version}"
        case RolloutRow():
            return f"{row.namespace}/{row.name}"
        case PullRow():
            return f"#{row.number} {row.title}"
        case OperationRow():
            return row.title


def describe(row: Row, now: datetime) -> tuple[DetailSection, ...]:
    """Return everything that the row holds, without what is empty.

    Args:
        row: Any row.
        now: What ages are counted from.
    """
    match row:
        case RunRow():
            sections = _run(row, now)
        case VersionRow():
            sections = _version(row, now)
        case RolloutRow():
            sections = _rollout(row, now)
        case PullRow():
            sections = _pull(row, now)
        case OperationRow():
            sections = _operation(row, now)
    return tuple(section for section in sections if section.fields or section.text)


def _operation(row: OperationRow, now: datetime) -> list[DetailSection]:
    facts = {
        "State": row.state.value,
        "Target": row.name,
        "Environment": row.environment,
        "By": row.by,
        "Reason": row.reason_given,
        "Step": f"{row.step} ({row.done}/{row.of})" if row.step else "",
        "Outcome": row.outcome,
        "Next": row.next,
        "Started": ago(row.started_at, now),
        "Ended": ago(row.ended_at, now) if row.ended_at else "",
        "Id": row.id,
    }
    fields = tuple(
        DetailField(label=label, value=value, mark=row.mark if label == "State" else Mark.NONE)
        for label, value in facts.items()
        if value
    )
    return [
        DetailSection(title="Operation", fields=fields),
        DetailSection(title="Progress", text="\n".join(row.progress)),
    ]


def join(row: Row, answer: Iterable[DetailSection], now: datetime) -> tuple[DetailSection, ...]:
    """Return what the row tells and what was fetched about it, each fact once.

    What the row holds keeps its place and its layout. Fetched sections follow, but for one that tells of trouble: it
    comes second, the worst first in it, so that the cause is in sight.

    Args:
        row: The row as it is now.
        answer: The engine's: the row's own sections as they were then, and after them what it fetched.
        now: What ages are counted from.
    """
    own = describe(row, now)
    # The last of a title was fetched, if any was.
    fetched = {section.title: _shown(section, now) for section in answer}
    if isinstance(row, VersionRow):
        own = tuple(_enriched(section, row, fetched) for section in own)
        fetched.pop("Run", None)
    titles = {section.title for section in own}
    more = [
        section
        for title, section in fetched.items()
        if title not in titles and not title.startswith("Checklist") and (section.fields or section.text)
    ]
    causes = [section for section in more if section.title in _CAUSES and _has_trouble(section)]
    return (*own[:1], *map(_worst_first, causes), *own[1:], *(section for section in more if section not in causes))


def _shown(section: DetailSection, now: datetime) -> DetailSection:
    fields = (
        DetailField(
            label=retell(field.label, now),
            value=retell(field.value, now),
            mark=Mark.NONE if field.mark is Mark.OK and is_not_run(field.value) else field.mark,
        )
        for field in section.fields
        if field.label or field.value
    )
    return section.model_copy(update={"fields": tuple(fields)})


def is_not_run(value: str) -> bool:
    """Whether a field's value says that something has neither passed nor failed."""
    return value.startswith(_NOT_RUN)


def _has_trouble(section: DetailSection) -> bool:
    found = {field.mark for field in section.fields}
    return Mark.BAD in found or (section.title == "Pods" and Mark.WAITING in found)


def _worst_first(section: DetailSection) -> DetailSection:
    fields = sorted(section.fields, key=lambda field: _TROUBLE.get(field.mark, len(_TROUBLE)))
    return section.model_copy(update={"fields": tuple(fields)})


def _enriched(section: DetailSection, row: VersionRow, fetched: Mapping[str, DetailSection]) -> DetailSection:
    """Return a section of a version with what was fetched in its place, or added to it."""
    match section.title:
        case "Version" if "Version" in fetched:
            more = [field for field in fetched["Version"].fields if field.label in _ONLY_FETCHED]
            fields = (*section.fields, *map(_lowered, more))
        case "Metrics" if "Metrics" in fetched:
            fields = tuple(sorted(fetched["Metrics"].fields, key=lambda field: field.label != row.metric))
        case "Source run" if "Run" in fetched:
            fields = tuple(map(_lowered, fetched["Run"].fields))
        case _:
            return section
    return section.model_copy(update={"fields": fields})


def _lowered(field: DetailField) -> DetailField:
    return field.model_copy(update={"label": field.label[:1].lower() + field.label[1:]})


def _section(title: str, fields: Iterable[DetailField | None], text: str = "") -> DetailSection:
    return DetailSection(title=title, fields=tuple(field for field in fields if field and field.value), text=text)


def _field(label: str, value: object, mark: Mark = Mark.NONE) -> DetailField | None:
    return None if value is None else DetailField(label=label, value=str(value), mark=mark)


def _when(label: str, moment: datetime | None, now: datetime) -> DetailField | None:
    return None if moment is None else _field(label, ago(moment, now))


def _why(row: Row) -> DetailField | None:
    return _field("why", row.reason, _ATTENTION.get(row.attention, Mark.NONE)) if row.reason else None


def _run(row: RunRow, now: datetime) -> list[DetailSection]:
    took = None if row.started_at is None else duration(((row.finished_at or now) - row.started_at).total_seconds())
    return [
        _section(
            "Run",
            [
                _field("state", (row.conclusion or row.status).replace("_", " "), row.mark),
                _why(row),
                _field("waits for", row.waiting_for, Mark.WAITING) if row.waiting_for else None,
                _field("title", row.title),
                _field("branch", row.branch),
                _field("commit", row.head_sha),
                _field("pull request", " ".join(f"#{number}" for number in row.pull_numbers)),
                _field("attempt", row.attempt if row.attempt > 1 else None),
                _when("started", row.started_at, now),
                _when("finished", row.finished_at, now),
                _field("took" if row.finished_at else "running for", took),
            ],
        ),
        _section(
            "Origin",
            [
                _field("repository", row.repository),
                _field("workflow", row.workflow),
                _field("event", row.event),
                _field("actor", row.actor),
                _field("run id", row.run_id),
                _field("page", row.url),
            ],
        ),
    ]


def _version(row: VersionRow, now: datetime) -> list[DetailSection]:
    compared = None
    if row.metric_change is not None and row.champion_version is not None:
        rival = f"v{row.champion_version}"
        leads = row.champion_version < row.version and ("champion" in row.aliases or row.stage == "Production")
        compared = _field(
            f"vs {rival} before it" if leads else f"vs champion {rival}", f"{row.metric} {row.metric_change:+.4g}"
        )
    version = _section(
        "Version",
        [
            _field("state", row.status, row.mark),
            _why(row),
            _field("stage", row.stage),
            _field("aliases", ", ".join(row.aliases)),
            compared,
            _field("registry", row.registry),
            _when("created", row.created_at, now),
            _when("changed", row.updated_at, now),
            _field("address", f"models:/{row.model}/{row.version}"),
            _field("artifact", row.artifact_uri),
            _field("page", row.url),
        ],
    )
    run = _section(
        "Source run",
        [_field("run", row.run_id), _field("state", row.run_status), _field("commit", row.git_commit)],
    )
    # The metric that decides comes first.
    names = sorted(row.metrics, key=lambda name: (name != row.metric, name))
    metrics = _section("Metrics", [_field(name, f"{row.metrics[name]:.6g}") for name in names])
    tags = _section("Tags", [_field(name, value) for name, value in sorted(row.tags.items())])
    return [version, run, metrics, tags, _section("Description", (), row.description)]


def _rollout(row: RolloutRow, now: datetime) -> list[DetailSection]:
    ready = Mark.OK if row.ready >= row.desired else Mark.BAD if row.mark is Mark.BAD else Mark.WARN
    rollout = _section(
        "Rollout",
        [
            _field("state", f"{row.phase}{', paused' if row.paused else ''}", row.mark),
            _why(row),
            _field("message", row.message),
            _field("ready", f"{row.ready} of {row.desired}", ready),
            _field("pods", f"{row.updated} updated, {row.available} available, {row.total} in all"),
            _field("revision", row.revision),
            _field("change cause", row.change_cause),
            *(_field("image" if number == 0 else "", image) for number, image in enumerate(row.images)),
            _when("changed", row.updated_at, now),
        ],
    )
    deployment = _section(
        "Deployment",
        [
            _field("environment", row.environment),
            _field("context", row.context),
            _field("namespace", row.namespace),
            _when("created", row.created_at, now),
            _field("uid", row.uid),
            _field("page", row.url),
        ],
    )
    conditions = _section(
        "Conditions",
        [
            _field(
                condition.type,
                ", ".join(filter(None, (condition.status, condition.reason, condition.message))),
                Mark.OK if (condition.status == "True") != (condition.type == "ReplicaFailure") else Mark.BAD,
            )
            for condition in row.conditions
        ],
    )
    labels = _section("Labels", [_field(name, value) for name, value in sorted(row.labels.items())])
    return [rollout, conditions, deployment, labels]


_CHECKS = {Checks.PASSED: Mark.OK, Checks.FAILED: Mark.BAD, Checks.PENDING: Mark.RUNNING, Checks.DENIED: Mark.UNKNOWN}
_REVIEW = {Review.APPROVED: Mark.OK, Review.CHANGES_REQUESTED: Mark.WARN, Review.REQUIRED: Mark.WAITING}
_MERGEABLE = {Mergeable.YES: Mark.OK, Mergeable.CONFLICTING: Mark.BAD, Mergeable.UNKNOWN: Mark.UNKNOWN}


def _pull(row: PullRow, now: datetime) -> list[DetailSection]:
    done = f"{row.checklist_done}/{len(row.checklist)} done" if row.checklist else ""
    pull = _section(
        "Pull request",
        [
            _field("state", "draft" if row.draft else "open", row.mark),
            _why(row),
            _field("checks", _checks(row), _CHECKS.get(row.checks, Mark.NONE)),
            _field("review", _review(row), _REVIEW.get(row.review, Mark.NONE)),
            _field("checklist", done, Mark.OK if row.checklist_done == len(row.checklist) else Mark.WAITING),
            _field("merge", row.mergeable, _MERGEABLE[row.mergeable]),
            _field("repository", row.repository),
            _field("author", row.author),
            _field("branch", f"{row.head_branch} → {row.base_branch}"),
            _field("commit", row.head_sha),
            _field("labels", ", ".join(row.labels)),
            _when("opened", row.created_at, now),
            _when("changed", row.updated_at, now),
            _field("page", row.url),
        ],
    )
    return [pull, *_checklist(row)]


def _checks(row: PullRow) -> str:
    if row.checks is Checks.DENIED:
        return "the token may not read them"
    counts = [(row.checks_failed, "failed"), (row.checks_pending, "pending"), (row.checks_passed, "passed")]
    return ", ".join(f"{count} {word}" for count, word in counts if count) or row.checks


def _review(row: PullRow) -> str:
    return f"{row.review}, {row.approvals} approved" if row.approvals else row.review


def _checklist(row: PullRow) -> Sequence[DetailSection]:
    by_section: dict[str, list[ChecklistItem]] = {}
    for item in row.checklist:
        by_section.setdefault(item.section, []).append(item)
    return [_items(title, items, alone=len(by_section) == 1) for title, items in by_section.items()]


def _items(title: str, items: Sequence[ChecklistItem], *, alone: bool) -> DetailSection:
    # The only section has the total, which is told already.
    count = "" if alone else f" {sum(item.done for item in items)}/{len(items)}"
    states = {True: ("done", Mark.OK), False: ("open", Mark.WAITING)}
    fields = [DetailField(label=states[item.done][0], value=item.text, mark=states[item.done][1]) for item in items]
    return _section(f"Checklist{f': {title}' if title else ''}{count}", fields)
