"""What a verb is made of: it plans against the world as it is, and its plan is a row of steps under preconditions."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from mlops_tui.config.settings import EnvironmentSettings, Settings
from mlops_tui.domain.base import RowKind
from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import ConfigError, MlopsTuiError
from mlops_tui.domain.operation import Change, Concern, FieldKind, GateResult, PlanField, PlanRequest
from mlops_tui.operations.journal import Journal, Record
from mlops_tui.operations.systems import ClusterSystem, ForgeSystem, RegistrySystem

ALL_NAMESPACES = "*"
"""Stands in an environment's namespaces for all that no other environment names."""


class Systems(Protocol):
    """The systems of the environments; a name that is not known raises `ConfigError`."""

    def cluster(self, environment: str) -> ClusterSystem:
        """Return the cluster of an environment."""

    def registry(self, environment: str) -> RegistrySystem:
        """Return the registry of an environment; of the only one where the name is empty."""

    def forge(self) -> ForgeSystem:
        """Return GitHub."""


@dataclass(frozen=True, slots=True)
class Place:
    """All that a verb may look at while it plans.

    Attributes:
        environments: Those that were chosen, by name.
        read_only: Whether nothing may be changed, in any environment.
    """

    clock: Clock
    systems: Systems
    settings: Settings
    environments: Mapping[str, EnvironmentSettings]
    journal: Journal
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a verb is told besides its target; the command line's arguments follow from it.

    Attributes:
        positional: Whether the command line takes it after the target, without a name.
        required: Whether there is no plan without it: the screen then asks for it first.
    """

    name: str
    help: str
    kind: FieldKind = FieldKind.LINE
    positional: bool = False
    required: bool = False


class Execution(Protocol):
    """What a step is given while it runs."""

    @property
    def operation(self) -> str:
        """The operation's id: it is in every mark that the operation leaves in the systems."""

    @property
    def by(self) -> str:
        """Who confirmed, as the journal has it."""

    @property
    def reason(self) -> str:
        """The reason given; empty where there is none."""

    @property
    def patience(self) -> float:
        """Seconds that verification may take."""

    @property
    def clock(self) -> Clock:
        """The time."""

    def say(self, line: str) -> None:
        """Show a line of progress; the same line twice in a row is shown once."""

    def count(self, done: int, of: int) -> None:
        """Show how much is done."""


class NotVerified(MlopsTuiError):
    """The write was accepted, but its effect did not come, or came differently."""


async def _cannot_tell() -> bool | None:
    return None


@dataclass(frozen=True, slots=True)
class Step:
    """One write.

    Attributes:
        title: What it does, for the plan and for progress: `set alias champion to v12`.
        act: Sends the write, once, under its precondition. Raises `SourceError`s.
        happened: Asked after `OutcomeUnknown`: whether the write took effect; `None` where nobody can tell.
        verify: Waits until the effect is real and returns it as a sentence. Raises `NotVerified`.
    """

    title: str
    act: Callable[[Execution], Awaitable[None]]
    happened: Callable[[], Awaitable[bool | None]] = _cannot_tell
    verify: Callable[[Execution], Awaitable[str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A plan as a verb makes it; the guard adds what the rules of the place ask for.

    Attributes: as those of `Plan`, and
        patience: Seconds that verification may take before it gives up, loudly.
        lock: The namespace whose release lock the operation takes; empty for one that needs none.
        facts: What the journal keeps of it beyond the changes: versions, revisions, images, shas.
    """

    title: str
    name: str
    steps: tuple[Step, ...]
    environment: str = ""
    fields: tuple[PlanField, ...] = ()
    changes: tuple[Change, ...] = ()
    gates: tuple[GateResult, ...] = ()
    warnings: tuple[Concern, ...] = ()
    refusals: tuple[Concern, ...] = ()
    idle: str = ""
    command: str = ""
    preview: str = ""
    undo: PlanRequest | None = None
    patience: float = 300.0
    lock: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


class Verb(ABC):
    """One thing that can be done to one kind of row.

    Attributes:
        name: On the command line, in the journal and in `PlanRequest.verb`.
        kind: The rows that it is for.
        target: What its target looks like, for help: `NAMESPACE/NAME`.
        address: How the command line's arguments make the target: `{model}@{version}`.
        summary: One sentence, for help and palette.
    """

    name: ClassVar[str]
    kind: ClassVar[RowKind]
    target: ClassVar[str]
    address: ClassVar[str] = "{target}"
    summary: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    @abstractmethod
    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        """Look at the world and say what the request would do to it.

        Raises:
            ConfigError: The target or a parameter is not of its form; the message names both.
            SourceError: A system does not say what is needed for a plan.
        """

    async def happened(self, record: Record, place: Place) -> bool | None:
        """Look whether an operation that was begun and never ended took effect; `None` where nobody can tell.

        What would have nothing to do if it were planned again has happened.
        """
        draft = await self.plan(record.request, place)
        return bool(draft.idle)

    def parameter(self, request: PlanRequest, name: str) -> str:
        """Return a parameter's value, empty where it was not given. Raises `ConfigError` for one that is required."""
        known = next(parameter for parameter in self.parameters if parameter.name == name)
        value = request.parameters.get(name, "").strip()
        if known.required and not value:
            raise ConfigError(f"{self.name} {request.target}: {name} is missing", known.help)
        return value


def environment_of(request: PlanRequest, place: Place, namespace: str = "") -> str:
    """Return the environment that a request is about.

    Args:
        namespace: Tells the environment by itself where only one has it.

    Raises:
        ConfigError: It is not known, or there are several and none is named.
    """
    if request.environment:
        if request.environment not in place.environments:
            raise ConfigError(
                f"there is no environment {request.environment}", f"there are: {', '.join(place.environments)}"
            )
        _refuse_another_s(request, place, namespace)
        return request.environment
    fitting = [
        name for name, settings in place.environments.items() if not namespace or namespace in settings.namespaces
    ]
    if len(fitting) != 1:
        fitting = fitting or list(place.environments)
        raise ConfigError(f"{request.target}: which environment?", f"--env with one of: {', '.join(fitting)}")
    return fitting[0]


def _refuse_another_s(request: PlanRequest, place: Place, namespace: str) -> None:
    """Raise `ConfigError` where a namespace is not the named environment's: its rules are not those that hold there."""
    own = place.environments[request.environment]
    if not namespace or namespace in own.namespaces:
        return
    owners = [
        name
        for name, settings in place.settings.environments.items()
        if namespace in settings.namespaces and settings.context == own.context
    ]
    if owners or (own.namespaces and ALL_NAMESPACES not in own.namespaces):
        has = ", ".join(own.namespaces) or "the context's own"
        hint = f"--env {owners[0]}" if owners else f"the namespaces of {request.environment}: {has}"
        raise ConfigError(f"{request.target}: namespace {namespace} is not in {request.environment}", hint)
