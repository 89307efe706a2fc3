"""A scripted engine, and rows of the same cast as in the screens' design."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from mlops_tui.domain.base import Attention, Detail, DetailField, DetailSection, Mark, RowRef
from mlops_tui.domain.describe import describe, title_of
from mlops_tui.domain.errors import EngineError
from mlops_tui.domain.model import VersionRow
from mlops_tui.domain.operation import (
    Change,
    Choice,
    Concern,
    Confirmation,
    Demand,
    FieldKind,
    GateResult,
    OperationRow,
    OperationState,
    Plan,
    PlanField,
    PlanRequest,
    judge_operation,
)
from mlops_tui.domain.pull import ChecklistItem, Checks, Mergeable, PullRow, Review
from mlops_tui.domain.rollout import Condition, RolloutPhase, RolloutRow
from mlops_tui.domain.rows import Row
from mlops_tui.domain.state import Probe, Quota, SourceKind, SourceState, SourceStatus
from mlops_tui.domain.workflow import RunRow
from mlops_tui.engine.messages import EnvironmentScope, Scope, Update
from tests.support.clock import START

NOW = START
SHA = "4f1c9d2b7a6e58c3d0f19e2a4b7c6d8e5f3a1b2c"


def ago(**span: float) -> datetime:
    """Return the moment `span` before `NOW`."""
    return NOW - timedelta(**span)


def run(number: int, **values: Any) -> RunRow:
    """Return a workflow run; everything has a likely value."""
    defaults: dict[str, Any] = {
        "key": f"github:run:{number}", "source": "github", "mark": Mark.OK, "attention": Attention.OK,
        "url": f"https://github.com/acme/fraud/actions/runs/{number}", "updated_at": ago(minutes=number),
        "repository": "acme/fraud", "run_id": 90_000 + number, "run_number": number, "attempt": 1,
        "workflow": "ML CI Pipeline", "title": "Bigger embedding for fraud", "branch": "main", "event": "push",
        "head_sha": SHA, "status": "completed", "conclusion": "success", "actor": "mira",
        "started_at": ago(minutes=number + 6, seconds=12), "finished_at": ago(minutes=number),
    }  # fmt: skip
    return RunRow(**(defaults | values))


def version(model: str, number: int, **values: Any) -> VersionRow:
    """Return a model version."""
    defaults: dict[str, Any] = {
        "key": f"mlflow:version:{model}/{number}", "source": "mlflow", "mark": Mark.NONE, "attention": Attention.OK,
        "url": f"http://mlflow.acme.example/#/models/{model}/versions/{number}", "updated_at": ago(days=9),
        "registry": "mlflow", "model": model, "version": number, "stage": None, "aliases": (), "status": "READY",
        "run_id": "4be1d0c29c", "run_status": "FINISHED", "git_commit": SHA, "created_at": ago(days=9, hours=1),
    }  # fmt: skip
    return VersionRow(**(defaults | values))


def rollout(name: str, **values: Any) -> RolloutRow:
    """Return a deployment."""
    namespace = values.get("namespace", "ml")
    defaults: dict[str, Any] = {
        "key": f"kubernetes:rollout:{namespace}/{name}", "source": "kubernetes:prod-eu", "mark": Mark.OK,
        "attention": Attention.OK, "updated_at": ago(days=2), "environment": "production", "context": "prod-eu",
        "namespace": "ml", "name": name, "uid": "7d3c", "generation": 9, "resource_version": "100",
        "phase": RolloutPhase.COMPLETE, "message": f'deployment "{name}" successfully rolled out', "paused": False,
        "desired": 4, "total": 4, "updated": 4, "ready": 4, "available": 4,
        "images": (f"registry.acme.example/{name}:v7-77bd1c0",), "revision": 9, "labels": {"app": name},
        "created_at": ago(days=200),
    }  # fmt: skip
    return RolloutRow(**(defaults | values))


def pull(number: int, title: str, **values: Any) -> PullRow:
    """Return an open pull request."""
    done, items = values.pop("done", 9), values.pop("items", 9)
    checklist = tuple(
        ChecklistItem(section="General" if place < 3 else "Model changes", text=f"Item {place + 1}", done=place < done)
        for place in range(items)
    )
    defaults: dict[str, Any] = {
        "key": f"github:pull:{number}", "source": "github", "mark": Mark.OK, "attention": Attention.OK,
        "url": f"https://github.com/acme/fraud/pull/{number}", "updated_at": ago(hours=3),
        "repository": "acme/fraud", "number": number, "title": title, "author": "mira", "draft": False,
        "head_sha": SHA, "head_branch": "feat/bigger-net", "base_branch": "main", "labels": ("model",),
        "checklist": checklist, "checks": Checks.PASSED, "checks_passed": 14, "review": Review.APPROVED,
        "approvals": 2, "mergeable": Mergeable.YES, "created_at": ago(days=2),
    }  # fmt: skip
    return PullRow(**(defaults | values))


def cast() -> tuple[Row, ...]:
    """Return the rows of the screens' design."""
    return (*_runs(), *_versions(), *_rollouts(), *_pulls())


def _runs() -> tuple[RunRow, ...]:
    return (
        run(4, mark=Mark.BAD, attention=Attention.BAD, conclusion="failure", branch="feat/bigger-net",
            reason="model-training-test failed", event="pull_request", pull_numbers=(482,)),
        run(18, mark=Mark.WAITING, attention=Attention.WARN, workflow="ML CD Pipeline", status="waiting", conclusion="",
            waiting_for="production", finished_at=None, started_at=ago(minutes=18)),
        run(2, mark=Mark.RUNNING, attention=Attention.INFO, status="in_progress", conclusion="", finished_at=None,
            started_at=ago(minutes=1, seconds=40), reason="unit-tests 3/5", head_sha="81aa03e" + SHA[7:]),
        run(31, workflow="PR Quality Checks", branch="feat/bigger-net", event="pull_request",
            started_at=ago(minutes=31, seconds=31), actor="jonas"),
        run(45, workflow="ML CD Pipeline", title="Ranker v31", started_at=ago(hours=3, minutes=47)),
        run(52, title="Pin numpy", branch="chore/pin-numpy-below-the-next-major-release", actor="release-bot"),
        run(70, workflow="Auto Rollback on Failure", title="Watch fraud-api", event="workflow_run"),
    )  # fmt: skip


def _versions() -> tuple[VersionRow, ...]:
    def scored(model: str, number: int, metric: str, value: float, change: float | None, **more: Any) -> VersionRow:
        return version(
            model, number, metric=metric, metrics={metric: value, "loss": 0.21}, metric_change=change, **more
        )

    return (
        scored("fraud-detector", 12, "accuracy", 0.941, 0.012, stage="Production", aliases=("champion",),
               updated_at=ago(hours=2), mark=Mark.OK, champion_version=11, tags={"owner": "risk"},
               description="Trained on the November snapshot."),
        scored("fraud-detector", 13, "accuracy", 0.938, -0.003, stage="Staging", aliases=("challenger",),
               updated_at=ago(minutes=25), champion_version=12),
        scored("fraud-detector", 11, "accuracy", 0.929, None, stage="Archived"),
        scored("ranker", 31, "ndcg", 0.612, 0.004, stage="Production", aliases=("champion",), mark=Mark.OK,
               updated_at=ago(days=1)),
        scored("ranker", 30, "ndcg", 0.608, None, stage="Archived", updated_at=ago(days=12)),
        version("vision-ocr", 3, aliases=("champion",), mark=Mark.WARN, attention=Attention.WARN,
                reason="its run has no metric cer", updated_at=ago(days=3)),
        scored("churn", 7, "auc", 0.874, 0.01, stage="Production", aliases=("champion",), mark=Mark.OK,
               updated_at=ago(days=2)),
    )  # fmt: skip


def _rollouts() -> tuple[RolloutRow, ...]:
    return (
        rollout("fraud-api", mark=Mark.BAD, attention=Attention.BAD, phase=RolloutPhase.FAILED,
                reason="progress deadline exceeded", desired=6, total=7, updated=4, ready=3, available=3, revision=14,
                images=("registry.acme.example/fraud:v12-4f1c9d2",), updated_at=ago(minutes=10),
                message='deployment "fraud-api" exceeded its progress deadline',
                conditions=(Condition(type="Progressing", status="False", reason="ProgressDeadlineExceeded"),),
                url="https://kube.acme.example/ml/fraud-api"),
        rollout("ranker", mark=Mark.RUNNING, attention=Attention.INFO, phase=RolloutPhase.UPDATING, desired=6, total=7,
                updated=5, ready=6, available=6, revision=41, reason="5 of 6 updated", updated_at=ago(minutes=4),
                images=("registry.acme.example/ranker:v31-81aa03e",)),
        rollout("churn"),
        rollout("vision-ocr", mark=Mark.PAUSED, attention=Attention.INFO, paused=True, reason="paused", revision=3,
                images=("registry.acme.example/ocr@sha256:9f3c2ab4d5e6f708",), desired=2, total=2, ready=2),
    )  # fmt: skip


def _pulls() -> tuple[PullRow, ...]:
    return (
        pull(482, "Bigger embedding for fraud", done=7, mark=Mark.WAITING, attention=Attention.WARN,
             reason="waits for a review", review=Review.REQUIRED, approvals=1, updated_at=ago(minutes=25)),
        pull(485, "New features from DVC", done=3, mark=Mark.BAD, attention=Attention.BAD, reason="2 checks failed",
             checks=Checks.FAILED, checks_failed=2, review=Review.NONE, approvals=0, author="jonas",
             updated_at=ago(minutes=4), head_branch="data/q4-features"),
        pull(479, "Ranker v31", updated_at=ago(days=1)),
        pull(490, "Try a smaller tokenizer [wip] [/x]", draft=True, items=0, mark=Mark.NONE, checks=Checks.PENDING,
             review=Review.NONE, approvals=0, attention=Attention.INFO, author="大橋", updated_at=ago(hours=5)),
    )  # fmt: skip


def states(**changes: SourceState) -> tuple[SourceState, ...]:
    """Return live sources; `github`, `mlflow` and `kubernetes` may be replaced."""
    live = {
        "github": SourceState(
            source="github", kind=SourceKind.GITHUB, label="api.github.com", status=SourceStatus.LIVE,
            fetched_at=ago(seconds=4), quota=Quota(remaining=4812, limit=5000), identity="mira",
        ),
        "mlflow": SourceState(
            source="mlflow", kind=SourceKind.MLFLOW, label="mlflow.acme.example", status=SourceStatus.LIVE,
            fetched_at=ago(seconds=2),
        ),
        "kubernetes": SourceState(
            source="kubernetes:prod-eu", kind=SourceKind.KUBERNETES, label="prod-eu", status=SourceStatus.LIVE,
            streaming=True, fetched_at=ago(seconds=1),
        ),
    }  # fmt: skip
    return tuple((live | changes).values())


OPERATIONS = SourceState(source="operations", kind=SourceKind.OPERATIONS, label="journal", status=SourceStatus.LIVE)


def operation(number: int, **values: Any) -> OperationRow:
    """Return an operation; everything has a likely value."""
    state = OperationState(values.get("state", OperationState.DONE))
    mark, attention = judge_operation(state)
    defaults: dict[str, Any] = {
        "key": f"operations/{number:012x}", "source": "operations", "mark": mark, "attention": attention,
        "updated_at": ago(minutes=number), "id": f"{number:012x}", "verb": "scale",
        "title": "Scale ml/churn from 4 to 6 replicas", "name": "ml/churn", "environment": "production",
        "state": state, "by": "mira", "done": 1, "of": 1, "started_at": ago(minutes=number, seconds=42),
        "ended_at": ago(minutes=number) if state.ended else None,
        "outcome": "6 of 6 replicas are available" if state is OperationState.DONE else "",
        "undo": PlanRequest(verb="scale", target="ml/churn", environment="production", parameters={"replicas": "4"}),
    }  # fmt: skip
    return OperationRow(**(defaults | values))


def past() -> tuple[OperationRow, ...]:
    """Return operations in every state that somebody may meet."""
    return (
        operation(1, state="verifying", title="Roll back ml/fraud-api to revision 13", name="ml/fraud-api",
                  verb="rollback", step="roll back to revision 13", done=4, of=6, limit=600.0, progress=(
                      'Waiting for deployment "fraud-api" rollout to finish: 2 out of 6 new replicas have been updated',
                      'Waiting for deployment "fraud-api" rollout to finish: 4 of 6 updated replicas are available',
                  )),
        operation(30),
        operation(95, verb="comment", title="Comment on acme/fraud#482", name="acme/fraud#482", environment="",
                  state="unknown", outcome="no answer from api.github.com; the comment was not found",
                  next="look at the row before anything is tried again", undo=None),
        operation(180, verb="promote", title="Promote fraud-detector v13 to production", name="fraud-detector",
                  state="failed", by="jonas", reason_given="hotfix for the drift alert",
                  outcome="stopped, since the world has moved: champion is v14 by now", next="plan it again"),
        operation(60 * 26, verb="restart", title="Restart ml/ranker", name="ml/ranker", undo=None,
                  outcome='deployment "ranker" successfully rolled out'),
        operation(60 * 50, verb="scale", title="Scale ml/ranker from 6 to 40 replicas", name="ml/ranker",
                  state="refused", outcome="production is frozen: november-freeze", undo=None),
    )  # fmt: skip


def plan_of(request: PlanRequest, number: int = 1, **values: Any) -> Plan:
    """Return a plan for a request; everything has a likely value."""
    defaults: dict[str, Any] = {
        "id": f"plan-{number}", "request": request, "title": f"{request.verb.capitalize()} {request.target}",
        "name": request.target, "environment": request.environment, "changes": (), "planned_at": NOW,
        "steps": (f"{request.verb} {request.target}",),
    }  # fmt: skip
    return Plan(**(defaults | values))


def scale_plan(request: PlanRequest, number: int) -> Plan:
    """Return a plan to scale `ml/churn`, from 4 replicas as they are."""
    wanted = request.parameters.get("replicas", "4")
    name = request.target.rpartition("/")[2]
    return plan_of(
        request, number,
        title=f"Scale {request.target} from 4 to {wanted} replicas",
        fields=(PlanField(name="replicas", label="Replicas", kind=FieldKind.NUMBER, value=wanted, least=0, most=100),),
        changes=(Change(what="replicas", before="4", after=wanted),),
        warnings=(Concern(
            text=f"HorizontalPodAutoscaler {name} (2 to 10) will undo this",
            hint="change its minimum instead: kubectl -n ml patch hpa " + name,
        ),),
        idle="" if wanted != "4" else "there are 4 replicas already",
        steps=(f"scale {request.target} to {wanted}",),
        command=f"kubectl -n ml scale deployment/{name} --replicas={wanted}",
        undo=request.model_copy(update={"parameters": {"replicas": "4"}}),
    )  # fmt: skip


def rollback_plan(request: PlanRequest, number: int) -> Plan:
    """Return a plan to roll back, with the revisions that there are."""
    chosen = request.parameters.get("to_revision", "13")
    revisions = (
        Choice(value="13", label="rev 13", note="fraud:v11-2b90e51   9d   promoted by release-bot"),
        Choice(value="12", label="rev 12", note="fraud:v10-77bd1c0  31d   kubectl set image"),
        Choice(value="11", label="rev 11", note="fraud:v9-19af002   60d"),
    )
    return plan_of(
        request, number,
        title=f"Roll back {request.target} to revision {chosen}", protected=True,
        fields=(
            PlanField(name="to_revision", label="Revision", kind=FieldKind.CHOICE, value=chosen, choices=revisions),
        ),
        changes=(
            Change(what="revision", before="14", after=f"15 (template of {chosen})"),
            Change(what="image", before="fraud:v12-4f1c9d2", after="fraud:v11-2b90e51"),
        ),
        warnings=(Concern(text="champion would still say v12", hint="roll back the release instead"),),
        command=f"kubectl -n ml rollout undo deployment/fraud-api --to-revision={chosen}",
        demand=Demand(typed=request.target),
    )  # fmt: skip


def promote_plan(request: PlanRequest, number: int) -> Plan:
    """Return a plan to promote into a protected, frozen environment, with a gate that failed."""
    model, _, version_ = request.target.partition("@")
    return plan_of(
        request, number,
        title=f"Promote {model} v{version_} to production", name=model, environment="production", protected=True,
        changes=(
            Change(what="alias champion", before="v12", after=f"v{version_}"),
            Change(what="stage of v" + version_, before="Staging", after="Production"),
            Change(what="stage of v12", before="Production", after="Archived"),
        ),
        gates=(
            GateResult(name="accuracy", passed=False, evidence="0.938 ≥ 0.940, champion v12 0.941"),
            GateResult(name="latency_p95_ms", passed=True, evidence="212 ≤ 500, champion v12 305"),
            GateResult(name="fairness_gap", passed=None, evidence="no such metric in run 4be1d0c29c, ≤ 0.050"),
        ),
        warnings=(Concern(text="fraud-api in production serves v12 until its image is rolled out"),),
        steps=(f"set alias champion to v{version_}", f"move v{version_} to Production", "archive v12"),
        command=f"mlflow.MlflowClient().set_registered_model_alias({model!r}, 'champion', {version_})",
        demand=Demand(
            typed=model, reason=True, override="november-freeze",
            because=(
                "a gate is not passed: accuracy, fairness_gap",
                "production is frozen until 2026-11-30 08:00 CET: november-freeze",
            ),
        ),
    )  # fmt: skip


def comment_plan(request: PlanRequest, number: int) -> Plan:
    """Return a plan to comment."""
    body = request.parameters.get("body", "")
    return plan_of(
        request, number,
        title=f"Comment on {request.target}",
        fields=(PlanField(name="body", label="Comment", kind=FieldKind.BLOCK, value=body),),
        idle="" if body.strip() else "the comment is empty",
        steps=("post the comment",),
        command=f"gh pr comment {request.target.partition('#')[2]} --repo acme/fraud --body-file -",
        preview=body,
    )  # fmt: skip


PLANS: dict[str, Callable[[PlanRequest, int], Plan]] = {
    "scale": scale_plan, "rollback": rollback_plan, "promote": promote_plan, "comment": comment_plan,
}  # fmt: skip
"""By verb; any other has a plan without fields, changes or demands."""


SCOPE = Scope(
    environments=(EnvironmentScope(name="production", protected=True, places=("prod-eu/ml",)),), read_only=False
)
ALL_SOURCES = ("github", "mlflow", "kubernetes:prod-eu")


def first_update(
    rows: Sequence[Row] | None = None, sources: Sequence[SourceState] | None = None, scope: Scope = SCOPE
) -> Update:
    """Return the whole board as the first update of an engine."""
    return Update(
        sequence=1,
        upserts=tuple(cast() if rows is None else rows),
        sources=tuple(states() if sources is None else sources),
        begins=ALL_SOURCES,
        completes=ALL_SOURCES,
        scope=scope,
    )


class FakeEngine:
    """An engine that sends what it is told to, and remembers what it was asked."""

    def __init__(self, *updates: Update) -> None:
        self._queue: asyncio.Queue[Update | Exception | None] = asyncio.Queue()
        for update in updates:
            self._queue.put_nowait(update)
        self.rows: dict[str, Row] = {row.key: row for update in updates for row in update.upserts}
        self.refreshed: list[str | None] = []
        self.attended: list[bool] = []
        self.asked: list[RowRef] = []
        self.closed = 0
        self.problem = ""
        """What `detail` says is missing, instead of its own section."""
        self.answers = asyncio.Event()
        """Cleared, it holds back the answers of `detail`."""
        self.answers.set()
        self.planned: list[PlanRequest] = []
        self.executed: list[tuple[str, Confirmation]] = []
        self.plans = dict(PLANS)
        """What is answered to plans, by verb."""
        self.refuses_plan: Exception | None = None
        self.refuses_execution: Exception | None = None
        self.plan_answers = asyncio.Event()
        """Cleared, it holds back the answers of `plan`."""
        self.plan_answers.set()
        self.execution_answers = asyncio.Event()
        """Cleared, it holds back the answers of `execute`."""
        self.execution_answers.set()
        self._made: dict[str, Plan] = {}
        self._sequence = len(updates)

    async def connect(self) -> "FakeEngine":
        """Be the `connect` of an app."""
        return self

    def send(self, *rows: Row, removals: Sequence[str] = (), sources: Sequence[SourceState] = ()) -> None:
        """Send a change of the board."""
        self._sequence += 1
        self.rows |= {row.key: row for row in rows}
        update = Update(sequence=self._sequence, upserts=rows, removals=tuple(removals), sources=tuple(sources))
        self._queue.put_nowait(update)

    def fail(self, error: Exception) -> None:
        """Let the updates end with an error."""
        self._queue.put_nowait(error)

    async def updates(self) -> AsyncGenerator[Update]:
        """Yield what was scripted and sent."""
        while (update := await self._queue.get()) is not None:
            if isinstance(update, Exception):
                raise update
            yield update

    async def detail(self, ref: RowRef) -> Detail:
        """Return the row's own sections, and one more."""
        self.asked.append(ref)
        await self.answers.wait()
        row = self.rows.get(ref.key)
        if row is None:
            raise EngineError(f"{ref.key} is not on the board")
        more = DetailSection(
            title="Jobs",
            fields=(
                DetailField(label="lint-and-format", value="success, 41s", mark=Mark.OK),
                DetailField(label="unit-tests", value="success, 2m10s", mark=Mark.OK),
                DetailField(label="deploy", value="skipped"),
                DetailField(label="model-training-test", value="failure: exit code 1 in step Train", mark=Mark.BAD),
            ),
        )
        sections = describe(row, NOW) if self.problem else (*describe(row, NOW), more)
        return Detail(ref=ref, title=title_of(row), sections=sections, problem=self.problem)

    async def plan(self, request: PlanRequest) -> Plan:
        """Return the canned plan of the verb, under an id of its own."""
        self.planned.append(request)
        await self.plan_answers.wait()
        if self.refuses_plan is not None:
            raise self.refuses_plan
        found = self.plans.get(request.verb, plan_of)(request, len(self.planned))
        self._made[found.id] = found
        return found

    async def execute(self, plan: str, confirmation: Confirmation) -> OperationRow:
        """Begin an operation that goes on with `advance`."""
        self.executed.append((plan, confirmation))
        await self.execution_answers.wait()
        if self.refuses_execution is not None:
            raise self.refuses_execution
        made = self._made[plan]
        row = operation(
            len(self.executed), state="running", verb=made.request.verb, title=made.title, name=made.name,
            environment=made.environment, done=0, of=len(made.steps), step=made.steps[0], started_at=NOW,
            target_row=made.request.row, undo=made.undo, limit=300.0, reason_given=confirmation.reason,
        )  # fmt: skip
        self.send(row)
        return row

    def advance(self, key: str, **values: Any) -> OperationRow:
        """Let an operation go on; its marks follow from its state."""
        row = self.rows[key]
        assert isinstance(row, OperationRow)
        state = OperationState(values.get("state", row.state))
        mark, attention = judge_operation(state)
        changed = row.model_copy(update={"mark": mark, "attention": attention, **values, "state": state})
        if state.ended and changed.ended_at is None:
            changed = changed.model_copy(update={"ended_at": NOW + timedelta(seconds=41)})
        self.send(changed)
        return changed

    async def refresh(self, source: str | None = None) -> None:
        """Remember it."""
        self.refreshed.append(source)

    async def attend(self, attended: bool) -> None:
        """Remember it."""
        self.attended.append(attended)

    async def probe(self) -> tuple[Probe, ...]:
        """Know nothing."""
        return ()

    async def close(self) -> None:
        """Remember it."""
        self.closed += 1


def many_rows(count: int) -> tuple[Row, ...]:
    """Return workflow runs, a twentieth of them failed."""
    return tuple(
        run(number, mark=Mark.BAD if number % 20 == 0 else Mark.OK,
            attention=Attention.BAD if number % 20 == 0 else Attention.OK, updated_at=ago(seconds=number))
        for number in range(count)
    )  # fmt: skip
