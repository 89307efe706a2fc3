"""A verb without a system: it paints a bike shed. For what holds for every verb, and for the wire."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from mlops_tui.config.settings import EnvironmentSettings, Settings
from mlops_tui.domain.base import RowKind
from mlops_tui.domain.clock import Clock, SystemClock
from mlops_tui.domain.operation import GateResult, PlanRequest
from mlops_tui.operations.base import Draft, Execution, Parameter, Place, Step, Verb
from mlops_tui.operations.desk import Desk, Tell
from mlops_tui.operations.journal import Journal, Record


class NoSystems:
    """Systems that nobody asks for."""

    def cluster(self, environment: str) -> Any:
        raise AssertionError(environment)

    registry = cluster

    def forge(self) -> Any:
        raise AssertionError


class Paint(Verb):
    """What its steps do is up to the test."""

    name = "paint"
    kind = RowKind.ROLLOUT
    target = "SHED"
    summary = "Paint a bike shed"
    parameters = (Parameter("colour", "which colour"),)

    def __init__(self) -> None:
        self.shed = "green"
        self.steps: tuple[Step, ...] | None = None
        self.gates: tuple[GateResult, ...] = ()
        self.planned = 0

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        self.planned += 1
        colour = self.parameter(request, "colour") or "red"

        async def act(execution: Execution) -> None:
            self.shed = colour

        async def verify(execution: Execution) -> str:
            return f"the shed is {self.shed}"

        return Draft(
            title=f"Paint {request.target} {colour}",
            name=request.target,
            environment=request.environment,
            steps=(Step("paint", act, verify=verify),) if self.steps is None else self.steps,
            gates=self.gates,
            idle=f"it is {colour}" if self.shed == colour else "",
            undo=PlanRequest(verb="paint", target=request.target, parameters={"colour": self.shed}),
            facts={"colour": colour},
        )


async def nobody(record: Record) -> None:
    """Tell nobody."""


def paint_place(
    journal: Path,
    clock: Clock | None = None,
    environments: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    read_only: bool = False,
) -> Place:
    """Return a place with these environments and `home`, which has no rules."""
    named = {
        name: EnvironmentSettings.model_validate(settings)
        for name, settings in {"home": {}, **(environments or {})}.items()
    }
    return Place(clock or SystemClock(), NoSystems(), Settings(), named, Journal(journal), read_only)


def paint_desk(
    journal: Path, tell: Tell, notify: Callable[[Record], Awaitable[None]] = nobody, verb: Verb | None = None
) -> Desk:
    """Return a desk that paints."""
    return Desk(paint_place(journal), [verb or Paint()], tell=tell, notify=notify)
