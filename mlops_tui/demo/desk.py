"""Keeps an eye on the registry: what somebody moved there by hand is to be delivered."""

import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Final

from mlops_tui.demo.registry import InUse, Registry, RegistryError
from mlops_tui.demo.story import MODELS, Model
from mlops_tui.domain.clock import Clock

LOOK_SECONDS: Final = 10.0

_logger = logging.getLogger(__name__)


class Desk:
    """Notices when a champion, or the version in Production, was moved by others than the pipelines."""

    def __init__(self, clock: Clock, registry: Registry, moved: Callable[[Model, int, int | None], None]) -> None:
        """Call `moved` with the model, its version now and the one before."""
        self._clock = clock
        self._registry = registry
        self._moved = moved
        self._known: dict[str, InUse] = {}
        self._moves: defaultdict[str, int] = defaultdict(int)
        self._moving: defaultdict[str, int] = defaultdict(int)

    @contextlib.asynccontextmanager
    async def moving(self, model: Model) -> AsyncIterator[None]:
        """Hold while the world itself moves a model's versions."""
        self._moving[model.name] += 1
        try:
            yield
        finally:
            with contextlib.suppress(RegistryError):
                self._known[model.name] = await self._registry.in_use(model)
            self._moves[model.name] += 1
            self._moving[model.name] -= 1

    async def run(self) -> None:
        """Look every ten seconds until cancelled."""
        while True:
            for model in MODELS:
                try:
                    await self._look(model)
                except RegistryError as error:
                    _logger.warning("%s: %s", type(error).__name__, error)
            await self._clock.sleep(LOOK_SECONDS)

    async def _look(self, model: Model) -> None:
        moves = self._moves[model.name]
        now = await self._registry.in_use(model)
        if self._moving[model.name] or moves != self._moves[model.name]:
            return
        before = self._known.get(model.name)
        self._known[model.name] = now
        if before is None or now == before:
            return
        version = now.champion if now.champion != before.champion else now.production
        if version is not None:
            self._moved(model, version, before.champion or before.production)
