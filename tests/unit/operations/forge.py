"""A scripted GitHub: its objects are data that a test changes, and what it was asked to change is written down."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlops_tui.config.settings import EnvironmentSettings, Settings
from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import Missing, SourceError
from mlops_tui.domain.operation import Confirmation, OperationRow, Plan, PlanRequest
from mlops_tui.domain.state import Permission
from mlops_tui.operations.base import Place, Verb
from mlops_tui.operations.desk import Desk
from mlops_tui.operations.journal import Journal, Record
from mlops_tui.operations.systems import ForgeSystem, Json
from tests.support.clock import ManualClock

REPO = "acme/fraud"
SHA = "a" * 40
BODY = "## Release\n- [ ] tests pass\n- [x] data documented\n"


def comment(number: int, body: str, login: str = "bob", **changes: Any) -> Json:
    """Return a comment as REST has it."""
    return {
        "id": number,
        "body": body,
        "user": {"login": login, "type": "User"},
        "author_association": "NONE",
        "html_url": f"https://github.com/{REPO}/pull/12#issuecomment-{number}",
    } | changes


def job(number: int, name: str, conclusion: str | None = "success") -> Json:
    """Return a job as REST has it; without a conclusion it runs."""
    return {
        "id": number,
        "name": name,
        "status": "completed" if conclusion else "in_progress",
        "conclusion": conclusion,
    }


def pending(number: int, name: str, *, ours: bool = True, timer: int = 0) -> Json:
    """Return a deployment that waits."""
    return {
        "environment": {"id": number, "name": name},
        "wait_timer": timer,
        "current_user_can_approve": ours,
        "reviewers": [{"type": "User", "reviewer": {"login": "ada"}}, {"type": "Team", "reviewer": {"slug": "ml"}}],
    }


@dataclass
class Forge:
    """Implements `ForgeSystem`.

    Attributes:
        trouble: What the next write ends in; it has happened if `happens`.
        after: Called after a write has happened.
        denied: Permissions that the token does not have.
        asked: The writes that arrived.
    """

    login: str = "ada"
    pr: Json = field(
        default_factory=lambda: {
            "number": 12,
            "title": "Bigger embedding",
            "state": "open",
            "body": BODY,
            "comments": 0,
            "user": {"login": "bob"},
            "head": {"sha": SHA},
            "updated_at": "2026-11-20T13:00:00Z",
        }
    )
    changed: list[str] = field(default_factory=lambda: ["src/model/net.py"])
    remarks: list[Json] = field(default_factory=list)
    verdicts: list[Json] = field(default_factory=list)
    a_run: Json = field(
        default_factory=lambda: {
            "id": 7,
            "name": "ML CD Pipeline",
            "run_number": 42,
            "run_attempt": 1,
            "status": "completed",
            "conclusion": "failure",
            "workflow_id": 3,
            "head_branch": "main",
            "html_url": f"https://github.com/{REPO}/actions/runs/7",
        }
    )
    its_jobs: list[Json] = field(default_factory=lambda: [job(1, "unit-tests", "failure"), job(2, "lint")])
    started: list[Json] = field(default_factory=list)
    flow: Json = field(
        default_factory=lambda: {
            "id": 3,
            "name": "ML CD Pipeline",
            "path": ".github/workflows/cd.yml",
            "state": "active",
            "inputs": {},
        }
    )
    waits: list[Json] = field(default_factory=list)
    decided: list[Json] = field(default_factory=list)
    trouble: SourceError | None = None
    happens: bool = True
    after: Callable[[], object] = lambda: None
    denied: set[str] = field(default_factory=set)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def identity(self) -> str:
        return self.login

    async def repository(self, repository: str) -> Json:
        return {"default_branch": "trunk"}

    async def may(self, repository: str, permission: str) -> Permission:
        denied = permission in self.denied
        return Permission(
            name=permission, allowed=False if denied else None, to_read=False, hint="ask" if denied else ""
        )

    async def pull(self, repository: str, number: int) -> Json:
        if (repository, number) != (REPO, 12):
            raise Missing(f"{repository}#{number}: not found")
        return dict(self.pr)

    async def files(self, repository: str, number: int) -> list[str]:
        return self.changed

    async def comments(self, repository: str, number: int, since: str = "") -> list[Json]:
        return [dict(each) for each in self.remarks]

    async def comment(self, repository: str, number: int, body: str) -> Json:
        made = comment(100 + len(self.remarks), body, self.login)
        self._write(("comment", body), lambda: self.remarks.append(made))
        return made

    async def edit_comment(self, repository: str, comment: int, body: str) -> Json:
        (found,) = [each for each in self.remarks if each["id"] == comment]
        self._write(("edit comment", comment, body), lambda: found.update(body=body))
        return found

    async def edit_pull(self, repository: str, number: int, body: str) -> Json:
        self._write(("edit", body), lambda: self.pr.update(body=body))
        return self.pr

    async def reviews(self, repository: str, number: int) -> list[Json]:
        return self.verdicts

    async def review(self, repository: str, number: int, *, event: str, body: str, commit: str) -> Json:
        state = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}[event]
        made = {
            "user": {"login": self.login},
            "state": state,
            "body": body,
            "commit_id": commit,
            "html_url": "https://r",
        }
        self._write(("review", event, commit), lambda: self.verdicts.append(made))
        return made

    async def run(self, repository: str, run: int) -> Json:
        return dict(self.a_run)

    async def jobs(self, repository: str, run: int) -> list[Json]:
        return self.its_jobs

    async def runs(self, repository: str, query: Mapping[str, str]) -> list[Json]:
        return list(self.started)

    async def rerun(self, repository: str, run: int, *, failed_only: bool = False, job: int | None = None) -> None:
        new = {"run_attempt": 2, "status": "queued", "conclusion": None, "triggering_actor": {"login": self.login}}
        self._write(("rerun", failed_only, job), lambda: self.a_run.update(new))

    async def cancel(self, repository: str, run: int) -> None:
        self._write(("cancel",), lambda: None)

    async def dispatch(self, repository: str, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        made = {
            "id": 900 + len(self.started), "workflow_id": 3, "run_number": 43, "head_branch": ref, "status": "queued",
            "html_url": "https://run",
        }  # fmt: skip
        self._write(("dispatch", workflow, ref, dict(inputs)), lambda: self.started.insert(0, made))

    async def workflow(self, repository: str, workflow: str, ref: str = "") -> Json:
        return self.flow

    async def pending(self, repository: str, run: int) -> list[Json]:
        return list(self.waits)

    async def approvals(self, repository: str, run: int) -> list[Json]:
        return self.decided

    async def decide(
        self, repository: str, run: int, environments: Sequence[int], *, approve: bool, comment: str
    ) -> None:
        def happen() -> None:
            self.decided.append({"comment": comment})
            self.waits = [
                each for each in self.waits if each["environment"]["id"] not in environments or each["wait_timer"]
            ]
            self.a_run.update(status="queued" if approve else "completed", conclusion=None if approve else "failure")

        self._write(("decide", tuple(environments), approve), happen)

    def _write(self, what: tuple[Any, ...], happen: Callable[[], object]) -> None:
        self.asked.append(what)
        trouble, self.trouble = self.trouble, None
        if trouble is None or self.happens:
            happen()
            self.after()
        if trouble is not None:
            raise trouble


class QuickClock(ManualClock):
    """A clock on which who sleeps wakes up later at once."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._elapsed += seconds
        await asyncio.sleep(0)


@dataclass(frozen=True)
class _Systems:
    github: ForgeSystem

    def forge(self) -> ForgeSystem:
        return self.github

    def cluster(self, environment: str) -> Any:
        raise AssertionError(environment)

    registry = cluster


class Sitting:
    """A desk with one verb at a scripted GitHub."""

    def __init__(self, verb: Verb, journal: Journal, **environments: Mapping[str, Any]) -> None:
        self.forge = Forge()
        self.clock: Clock = QuickClock()
        self.verb = verb
        self.rows: list[OperationRow] = []
        settings = Settings.model_validate({"github": {"repositories": (REPO, "acme/churn", "other/churn")}})
        named = {name: EnvironmentSettings.model_validate(each) for name, each in environments.items()}
        self.place = Place(self.clock, _Systems(self.forge), settings, named, journal)
        self.desk = Desk(self.place, [verb], tell=self.rows.append, notify=self._heard)

    async def _heard(self, record: Record) -> None:
        """Nobody is told."""

    async def plan(self, target: str = f"{REPO}#12", **parameters: str) -> Plan:
        """Plan the verb."""
        return await self.desk.plan(PlanRequest(verb=self.verb.name, target=target, parameters=parameters))

    async def end(self, plan: Plan) -> OperationRow:
        """Carry a plan out, and return the operation as it ended."""
        self.desk.execute(plan.id, Confirmation(typed=plan.demand.typed))
        async with asyncio.timeout(5):
            while self.desk.running:
                await asyncio.sleep(0)
        return self.rows[-1]

    async def carry_out(self, target: str = f"{REPO}#12", **parameters: str) -> OperationRow:
        """Plan the verb and carry it out."""
        return await self.end(await self.plan(target, **parameters))

    async def happened(self) -> bool | None:
        """Ask the verb what the next sitting asks of the last operation."""
        record = list(self.place.journal.records())[-1]
        return await self.verb.happened(record, self.place)


RUN = f"{REPO}/runs/7"


def refused(plan: Plan) -> list[str]:
    """Return what a plan's refusals say."""
    return [refusal.text for refusal in plan.refusals]
