"""Reading changes with few searches, against a registry that lives in memory."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest

from mlops_tui.domain.errors import Denied, Unavailable
from mlops_tui.sources.mlflow.facts import ModelFacts, Page, RunFacts, VersionFacts, to_time
from mlops_tui.sources.mlflow.mirror import Mirror
from mlops_tui.sources.mlflow.reader import NAMES_LENGTH, Reader

T = TypeVar("T")


def version(model: str, number: int, updated: int = 0, **fields: Any) -> VersionFacts:
    """Return a version that changed at `updated`."""
    values: dict[str, Any] = {
        "stage": None, "status": "READY", "status_message": "", "description": "", "tags": {}, "run_id": "",
        "source": "", "user": "", "created": updated, **fields,
    }  # fmt: skip
    return VersionFacts(model=model, version=number, updated=updated, **values)


class MemoryRegistry:
    """Answers as the SDK's reads do, in pages, and counts the calls."""

    def __init__(self, size: int = 0) -> None:
        self.stored: dict[tuple[str, int], VersionFacts] = {}
        self.aliases: dict[str, dict[str, int]] = {}
        self.stored_runs: dict[str, RunFacts] = {}
        self.known_experiments = ["0"]
        self.calls: list[str] = []
        self.on_page: Callable[[], None] = lambda: None
        self.page_size = 1000
        for number in range(size):
            self.put(version(f"model-{number // 20:04}", number % 20 + 1, number + 1))

    def put(self, facts: VersionFacts) -> None:
        """Store a version."""
        self.stored[facts.model, facts.version] = facts
        self.aliases.setdefault(facts.model, {})

    def models(self, token: str = "", size: int = 100, *, newest_first: bool = False) -> Page[ModelFacts]:
        self.calls.append("models")
        updated = dict.fromkeys(self.aliases, 0)
        for facts in self.stored.values():
            updated[facts.model] = max(updated[facts.model], facts.updated)
        models = [ModelFacts(name, dict(self.aliases[name]), (), at) for name, at in updated.items()]
        return self._page(sorted(models, key=lambda m: (-m.updated if newest_first else 0, m.name)), token, size)

    def versions(
        self, token: str = "", size: int = 0, *, newest_first: bool = False, condition: str = ""
    ) -> Page[VersionFacts]:
        self.calls.append(f"versions {condition}".strip())
        assert len(condition) < 2 * NAMES_LENGTH
        found = [v for v in self.stored.values() if not condition or f"'{v.model}'" in condition]
        found.sort(key=lambda v: (-v.updated if newest_first else 0, v.model, v.version))
        page = self._page(found, token, size or self.page_size)
        self.on_page()
        return page

    def experiments(self, token: str = "") -> Page[str]:
        self.calls.append("experiments")
        return Page(list(self.known_experiments))

    def runs(self, run_ids: Sequence[str], experiments: Sequence[str]) -> list[RunFacts]:
        self.calls.append("runs")
        assert len(run_ids) <= 200
        return [self.stored_runs[each] for each in run_ids if each in self.stored_runs]

    def _page(self, items: list[T], token: str, size: int) -> Page[T]:
        start = int(token or 0)
        return Page(items[start : start + size], str(start + size) if start + size < len(items) else "")


class Setting:
    """A reader on a memory registry."""

    def __init__(self, size: int = 0) -> None:
        self.registry = MemoryRegistry(size)
        self.mirror = Mirror()

        async def call(function: Callable[[], T]) -> T:
            return function()

        self.reader = Reader(self.registry, self.mirror, call)  # type: ignore[arg-type]

    async def sweep(self) -> None:
        """Read everything."""
        self.mirror.heads = await self.reader.heads()
        await self.reader.sweep_models()
        await self.reader.sweep_versions()
        self.registry.calls.clear()
        self.mirror.dirty.clear()

    async def follow(self) -> list[str]:
        """Read what changed, and return the calls that took."""
        heads = await self.reader.heads()
        self.registry.calls.clear()
        await self.reader.follow(heads)
        self.mirror.heads = heads
        return list(self.registry.calls)

    @property
    def known(self) -> set[tuple[str, int]]:
        """The versions in the mirror."""
        return {(name, number) for name, siblings in self.mirror.versions.items() for number in siblings}


async def test_a_large_registry_is_read_in_pages() -> None:
    setting = Setting(20_000)
    await setting.reader.sweep_models()
    await setting.reader.sweep_versions()
    assert setting.known == set(setting.registry.stored)
    assert (setting.registry.calls.count("models"), setting.registry.calls.count("versions")) == (10, 20)


async def test_a_change_is_read_alone() -> None:
    setting = Setting(2_000)
    await setting.sweep()
    setting.registry.put(version("model-0003", 21, 5_000))
    assert await setting.follow() == ["versions", "models", "versions name IN ('model-0003')"]
    assert ("model-0003", 21) in setting.known
    assert setting.mirror.dirty == {"model-0003"}


async def test_many_changes_are_paged_down_to_the_watermark() -> None:
    setting = Setting(2_000)
    await setting.sweep()
    for number in range(150):
        setting.registry.put(version(f"model-{number % 90:04}", 30 + number, 5_000 + number))
    calls = await setting.follow()
    assert setting.known == set(setting.registry.stored)
    assert len(calls) <= 6


async def test_more_changed_models_than_it_pays_to_name_are_read_with_all() -> None:
    setting = Setting(4_000)
    await setting.sweep()
    for number in range(150):
        setting.registry.put(version(f"model-{number:04}", 1, 5_000 + number, description="x"))
    calls = await setting.follow()
    assert not [call for call in calls if "IN" in call]
    assert setting.known == set(setting.registry.stored)


async def test_a_registry_that_was_empty_and_becomes_so_again() -> None:
    setting = Setting()
    await setting.sweep()
    setting.registry.put(version("a", 1, 5))
    await setting.follow()
    assert setting.known == {("a", 1)}
    setting.registry.stored.clear()
    setting.registry.aliases.clear()
    await setting.follow()
    assert setting.known == set()


async def test_the_newest_model_is_missed_when_it_is_deleted() -> None:
    setting = Setting(40)
    await setting.sweep()
    for key in [key for key in setting.registry.stored if key[0] == "model-0001"]:
        del setting.registry.stored[key]
    del setting.registry.aliases["model-0001"]
    await setting.follow()
    assert {name for name, _ in setting.known} == {"model-0000"}
    assert setting.mirror.dirty == {"model-0001"}


async def test_a_sweep_that_the_registry_moves_under_loses_nothing() -> None:
    setting = Setting(60)
    setting.registry.page_size = 20
    await setting.sweep()

    def delete_one() -> None:
        setting.registry.stored.pop(("model-0000", 5), None)

    setting.registry.on_page = delete_one
    await setting.reader.sweep_versions()
    # What was deleted after its page had been read is found by what it changed; nothing else may be gone.
    assert setting.known - set(setting.registry.stored) == {("model-0000", 5)}
    assert set(setting.registry.stored) <= setting.known


async def test_a_sweep_finds_what_is_gone_and_what_has_new_tags() -> None:
    setting = Setting(40)
    await setting.sweep()
    del setting.registry.stored["model-0001", 3]
    setting.registry.put(version("model-0000", 2, 2, tags={"approved": "yes"}))
    await setting.reader.sweep_versions()
    assert setting.known == set(setting.registry.stored)
    assert setting.mirror.dirty == {"model-0000", "model-0001"}
    assert setting.registry.calls == ["versions", "versions name IN ('model-0001')"]


async def test_an_alias_of_an_unknown_version_has_its_model_read() -> None:
    setting = Setting(20)
    await setting.sweep()
    setting.registry.stored["model-0000", 21] = version("model-0000", 21, 1)
    setting.registry.aliases["model-0000"] = {"champion": 21}
    await setting.reader.sweep_models()
    assert setting.mirror.stale == {"model-0000"}
    await setting.reader.reread_stale()
    assert ("model-0000", 21) in setting.known
    assert setting.mirror.stale == set()
    assert setting.mirror.view("model-0000").aliases == {21: ("champion",)}


async def test_long_names_are_asked_for_in_several_conditions() -> None:
    setting = Setting()
    names = {f"{number:03}-{'n' * 250}" for number in range(40)}
    for name in names:
        setting.registry.put(version(name, 1))
    setting.mirror.stale = set(names)
    await setting.reader.reread_stale()
    assert setting.known == {(name, 1) for name in names}
    assert 3 < len(setting.registry.calls) < 8


async def test_names_that_a_condition_cannot_hold_are_read_with_all() -> None:
    setting = Setting(20)
    setting.registry.put(version("it's", 1))
    setting.mirror.stale = {"it's"}
    await setting.reader.reread_stale()
    assert setting.registry.calls == ["versions"]
    assert ("it's", 1) in setting.known


async def test_prompts_are_left_out() -> None:
    setting = Setting()
    setting.registry.put(version("p", 1, tags={"mlflow.prompt.is_prompt": "true"}))
    await setting.sweep()
    assert setting.known == set()


async def test_runs_are_read_in_batches_once_and_unfinished_ones_again() -> None:
    setting = Setting()
    for number in range(450):
        run_id = f"run-{number}"
        setting.registry.put(version("m", number + 1, run_id=run_id))
        status = "FINISHED" if number else "RUNNING"
        setting.registry.stored_runs[run_id] = RunFacts(run_id, status, "", {"accuracy": 0.5})
    await setting.sweep()
    await setting.reader.runs(all_unfinished=False)
    assert setting.registry.calls == ["experiments", "runs", "runs", "runs"]
    setting.registry.calls.clear()
    setting.registry.stored_runs["run-0"] = RunFacts("run-0", "FINISHED", "", {"accuracy": 0.7})
    await setting.reader.runs(all_unfinished=False)
    assert setting.registry.calls == ["runs"]
    assert setting.mirror.runs["run-0"].metrics == {"accuracy": 0.7}
    setting.registry.calls.clear()
    await setting.reader.runs(all_unfinished=True)
    assert setting.registry.calls == []


async def test_of_many_unfinished_runs_those_of_the_newest_versions_are_followed() -> None:
    setting = Setting()
    for number in range(300):
        setting.registry.put(version("m", number + 1, number, run_id=f"run-{number}"))
        setting.registry.stored_runs[f"run-{number}"] = RunFacts(f"run-{number}", "RUNNING", "", {})
    await setting.sweep()
    await setting.reader.runs(all_unfinished=False)
    setting.registry.calls.clear()
    await setting.reader.runs(all_unfinished=False)
    assert setting.registry.calls == ["runs"]
    assert setting.mirror.unfinished_runs()[0] == "run-299"
    setting.registry.calls.clear()
    await setting.reader.runs(all_unfinished=True)
    assert setting.registry.calls == ["runs", "runs"]


async def test_a_run_that_is_nowhere_is_looked_for_once() -> None:
    setting = Setting()
    setting.registry.put(version("m", 1, run_id="gone"))
    setting.registry.put(version("m", 2, run_id="it's odd"))
    await setting.sweep()
    await setting.reader.runs(all_unfinished=False)
    assert setting.registry.calls == ["experiments", "runs", "experiments", "runs"]
    setting.registry.calls.clear()
    await setting.reader.runs(all_unfinished=True)
    assert setting.registry.calls == []


@pytest.mark.parametrize("error", [Unavailable("down"), Denied("no")])
async def test_a_failure_leaves_what_was_known(error: Exception) -> None:
    setting = Setting(40)
    await setting.sweep()
    before = setting.known
    setting.registry.stored.clear()

    def fail() -> None:
        raise error

    setting.registry.on_page = fail
    with pytest.raises(type(error)):
        await setting.reader.sweep_versions()
    assert setting.known == before


async def test_a_deletion_is_seen_though_the_first_try_to_read_it_failed() -> None:
    setting = Setting(40)
    await setting.sweep()
    del setting.registry.stored["model-0000", 5]
    setting.registry.put(version("model-0000", 6, 5_000))
    pages = 0

    def fail_once() -> None:
        nonlocal pages
        pages += 1
        if pages == 3:
            raise Unavailable("down")

    setting.registry.on_page = fail_once
    with pytest.raises(Unavailable):
        await setting.follow()
    assert ("model-0000", 5) in setting.known
    await setting.follow()
    assert setting.known == set(setting.registry.stored)


def test_times_that_no_calendar_holds_are_none() -> None:
    assert [to_time(value) for value in (0, -1, 10**18)] == [None, None, None]
    moment = to_time(1_795_220_064_764)
    assert moment is not None
    assert moment.utcoffset() is not None
