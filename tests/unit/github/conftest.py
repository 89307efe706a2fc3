"""A fake GitHub, and a source that reads it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from mlops_tui.domain.rows import Row
from mlops_tui.sources.base import Delta
from mlops_tui.sources.github import GitHubSource
from tests.support.clock import ManualClock
from tests.unit.github.fake import REPOSITORY, TOKEN, FakeGitHub, pull, run, serving, target


class Reader:
    """A source with what it has published so far, put together as a board would."""

    def __init__(self, source: GitHubSource, clock: ManualClock) -> None:
        self.source = source
        self.clock = clock
        self.rows: dict[str, Row] = {}
        self.deltas: list[Delta] = []

    async def cycle(self) -> list[Delta]:
        """Run one cycle and return what it published; the rows are in `rows`, even if it raises."""
        self.deltas = []
        await self.source.cycle(self._take)
        return self.deltas

    def _take(self, delta: Delta) -> None:
        self.deltas.append(delta)
        if delta.complete:
            self.rows.clear()
        for key in delta.removals:
            del self.rows[key]
        self.rows.update((row.key, row) for row in delta.upserts)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    monkeypatch.setenv("TEST_TOKEN", TOKEN)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(FakeGitHub(runs={REPOSITORY: [run(2), run(1)]}, pulls={REPOSITORY: [pull(7)]})) as server:
        yield server
    assert server.failures == []


@pytest.fixture
async def reader(fake: FakeGitHub) -> AsyncIterator[Reader]:
    clock = ManualClock()
    source = GitHubSource(target(fake.base_url), clock)
    yield Reader(source, clock)
    await source.close()
