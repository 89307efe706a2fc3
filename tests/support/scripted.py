"""A source that does what a test says, and an engine's process on top of it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from mlops_tui.domain.base import Attention, DetailField, DetailSection, Mark, RowRef
from mlops_tui.domain.errors import SourceError
from mlops_tui.domain.rollout import RolloutPhase, RolloutRow
from mlops_tui.domain.state import Probe, SourceKind, SourceStatus
from mlops_tui.engine.messages import EnvironmentScope, Scope
from mlops_tui.sources.base import Cadence, Delta, SourceInfo
from tests.support.clock import START

SCOPE = Scope(environments=(EnvironmentScope(name="production", protected=True),), read_only=False)


def rollout(name: str, *, source: str = "scripted", ready: int = 1, age: float = 60.0) -> RolloutRow:
    """Return a rollout that is complete."""
    return RolloutRow(
        key=f"{source}/ml/{name}",
        source=source,
        mark=Mark.OK,
        attention=Attention.OK,
        environment="production",
        context="test",
        namespace="ml",
        name=name,
        uid=f"uid-{name}",
        generation=1,
        resource_version="1",
        phase=RolloutPhase.COMPLETE,
        message=f'deployment "{name}" successfully rolled out',
        paused=False,
        desired=ready,
        total=ready,
        updated=ready,
        ready=ready,
        available=ready,
        images=(f"registry.example/{name}:v1-abcdef0",),
        revision=1,
        created_at=START - timedelta(days=1),
        updated_at=START - timedelta(seconds=age),
    )


class ScriptedSource:
    """A source whose every cycle is a step: a list of deltas to publish, or an error to raise.

    Without a step it publishes `size` rows whose `ready` is the number of the cycle, so that a refresh is seen.
    """

    def __init__(self, name: str = "scripted", *, size: int = 3, streaming: bool = False) -> None:
        self.info = SourceInfo(name, SourceKind.KUBERNETES, "test", ("production",))
        self.cadence = Cadence(active=10.0, idle=60.0)
        self.size = size
        self.streaming = streaming
        self.steps: list[SourceError | Exception | list[Delta]] = []
        self.cycles = 0
        self.forgotten = 0
        self.running = 0
        self.most_running = 0
        self.closed = False
        self.hold: asyncio.Event | None = None

    async def cycle(self, publish: Callable[[Delta], None]) -> None:
        self.cycles += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(0)
            step = self.steps.pop(0) if self.steps else [self._default()]
            if isinstance(step, Exception):
                raise step
            for delta in step:
                publish(delta)
            if self.hold is not None:
                await self.hold.wait()
            if self.streaming:
                await asyncio.Event().wait()
        finally:
            self.running -= 1

    def _default(self) -> Delta:
        rows = [rollout(f"model-{i:05}", source=self.info.id, ready=self.cycles) for i in range(self.size)]
        return Delta(upserts=rows, complete=True, streaming=self.streaming or None)

    def forget(self) -> None:
        self.forgotten += 1

    async def detail(self, ref: RowRef) -> tuple[DetailSection, ...]:
        return (DetailSection(title="Fetched", fields=(DetailField(label="key", value=ref.key),)),)

    async def probe(self) -> Probe:
        return Probe(source=self.info.id, kind=self.info.kind, label=self.info.label, status=SourceStatus.LIVE)

    async def close(self) -> None:
        self.closed = True
