"""The source on a real MLflow server: rows, what changes do to them, and what reading costs."""

import itertools
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from mlops_tui.config.settings import ModelSettings
from mlops_tui.domain.base import Attention, Mark, RowKind, RowRef
from mlops_tui.domain.errors import Unavailable
from mlops_tui.domain.model import VersionRow
from mlops_tui.domain.state import SourceStatus
from mlops_tui.sources.base import Delta
from mlops_tui.sources.mlflow import MlflowSource, MlflowTarget
from mlops_tui.sources.mlflow.sdk import load_sdk
from tests.support.clock import ManualClock
from tests.support.mlflow_server import Relay, in_thread, relay_to

SWEEP = 61.0
_numbers = itertools.count(1)


class Seeder:
    """Writes into the registry as a training pipeline and an operator do."""

    def __init__(self, uri: str) -> None:
        self.client: Any = load_sdk()(tracking_uri=uri, registry_uri=uri)
        self.experiment = self.client.create_experiment(f"experiment-{next(_numbers)}")

    def model(self, stem: str = "model") -> str:
        """Create a registered model with a name of its own."""
        name = f"{stem}-{next(_numbers)}"
        self.client.create_registered_model(name)
        return name

    def run(self, *, finished: bool = True, **metrics: float) -> str:
        """Create a run with the tags of a git checkout."""
        tags = {"mlflow.source.git.commit": "4f1c9d2aa", "mlflow.user": "ada", "mlflow.source.name": "train.py"}
        run_id = str(self.client.create_run(self.experiment, tags=tags, run_name="nightly").info.run_id)
        for name, value in metrics.items():
            self.client.log_metric(run_id, name, value)
        if finished:
            self.client.set_terminated(run_id)
        return run_id

    def version(self, model: str, run_id: str | None = None, **tags: str) -> int:
        """Register a version."""
        made = self.client.create_model_version(
            model, f"s3://models/{model}", run_id, tags=tags, description="from a test", await_creation_for=0
        )
        return int(made.version)

    def stage(self, model: str, version: int, stage: str) -> None:
        """Move a version to a stage, without the SDK's warning that stages are deprecated."""
        store = self.client._get_registry_client().store
        store.transition_model_version_stage(model, str(version), stage, False)


class Board:
    """Applies deltas as the engine's board does."""

    def __init__(self) -> None:
        self.rows: dict[str, VersionRow] = {}
        self.deltas: list[Delta] = []

    def __call__(self, delta: Delta) -> None:
        if delta.complete:
            self.rows.clear()
        for key in delta.removals:
            del self.rows[key]
        for row in delta.upserts:
            assert isinstance(row, VersionRow)
            self.rows[row.key] = row
        self.deltas.append(delta)

    def version(self, model: str, version: int) -> VersionRow:
        """Return a row."""
        return self.rows[f"mlflow/{model}/{version}"]

    def versions(self, model: str) -> list[int]:
        """Return the numbers of a model's versions."""
        return sorted(row.version for key, row in self.rows.items() if key.startswith(f"mlflow/{model}/"))


class World:
    """A source on a relay before the real server."""

    def __init__(self, seed: Seeder, relay: Relay) -> None:
        self.seed = seed
        self.relay = relay
        self.clock = ManualClock()
        self.board = Board()
        self.source = MlflowSource(self.target(), self.clock)

    def target(self, **changes: Any) -> MlflowTarget:
        """Return a target that reads through the relay."""
        return MlflowTarget(source_id="mlflow", tracking_uri=self.relay.uri, environments=("production",), **changes)

    async def cycle(self, after: float = 10.0) -> list[str]:
        """Let time pass, run a cycle, and return the requests that it made."""
        await self.clock.advance(after)
        self.relay.requests.clear()
        await self.source.cycle(self.board)
        return [request.partition("?")[0].rpartition("/mlflow/")[2] for request in self.relay.requests]

    async def do(self, call: Callable[[], Any]) -> Any:
        """Change the registry."""
        return await in_thread(call)


@pytest.fixture
async def world(mlflow_server: str) -> AsyncIterator[World]:
    seed = await in_thread(lambda: Seeder(mlflow_server))
    async with relay_to(mlflow_server) as relay:
        world = World(seed, relay)
        yield world
        await world.source.close()


async def test_a_version_is_shown_with_stage_aliases_tags_and_run(world: World) -> None:
    def build() -> str:
        model = world.seed.model("fraud")
        world.seed.version(model, world.seed.run(accuracy=0.929))
        world.seed.version(model, world.seed.run(accuracy=0.941, loss=0.2), team="risk")
        world.seed.stage(model, 1, "Archived")
        world.seed.stage(model, 2, "Production")
        world.seed.client.set_registered_model_alias(model, "champion", "2")
        return model

    model = await world.do(build)
    await world.cycle()
    row = world.board.version(model, 2)
    assert (row.stage, row.aliases, row.status, row.run_status) == ("Production", ("champion",), "READY", "FINISHED")
    assert (row.tags, row.description, row.git_commit) == ({"team": "risk"}, "from a test", "4f1c9d2aa")
    assert row.metrics == {"accuracy": 0.941, "loss": 0.2}
    assert (row.metric, row.champion_version) == ("accuracy", 1)
    assert row.metric_change == pytest.approx(0.012)
    assert row.url == f"{world.relay.uri}/#/models/{model}/versions/2"
    assert (row.mark, row.attention, row.reason) == (Mark.OK, Attention.OK, "")
    assert row.artifact_uri == f"s3://models/{model}"
    assert row.created_at is not None
    assert row.updated_at is not None
    assert row.updated_at >= row.created_at


async def test_the_stage_board_comes_first_and_the_last_delta_is_complete(world: World) -> None:
    model = await world.do(world.seed.model)
    await world.do(lambda: world.seed.version(model, world.seed.run(accuracy=0.9)))
    await world.cycle()
    first, *_, last = world.board.deltas
    early = {row.key: row for row in first.upserts}[f"mlflow/{model}/1"]
    assert early.attention is Attention.UNKNOWN
    assert [delta.complete for delta in world.board.deltas].count(True) == 1
    assert last.complete
    assert last.identity == "anonymous"
    assert all(permission.allowed for permission in last.permissions or ())
    assert world.board.version(model, 1).metrics == {"accuracy": 0.9}


async def test_a_steady_cycle_is_two_requests_and_says_nothing(world: World) -> None:
    model = await world.do(world.seed.model)
    await world.do(lambda: world.seed.version(model, world.seed.run()))
    await world.cycle()
    requests = await world.cycle()
    assert sorted(requests) == ["model-versions/search", "registered-models/search"]
    assert world.board.deltas[-1] == Delta(problems=())


async def test_reading_three_hundred_versions_takes_no_call_for_each(world: World) -> None:
    def build() -> list[str]:
        models = [world.seed.model("bulk") for _ in range(10)]
        runs = [world.seed.run(finished=False) for _ in range(60)]
        for number in range(300):
            world.seed.version(models[number % 10], runs[number % 60])
        return models

    models = await world.do(build)
    requests = await world.cycle()
    assert sum(len(world.board.versions(model)) for model in models) == 300
    assert len({row.run_id for row in world.board.rows.values() if row.run_status and "/bulk-" in row.key}) == 60
    # Two probes, one page each of models, versions and experiments, a batch of runs; and once more for runs of other
    # tests that are nowhere.
    assert len(requests) <= 8
    await world.do(lambda: world.seed.version(models[0], None))
    assert len(await world.cycle()) <= 7
    await world.do(lambda: [world.seed.client.delete_registered_model(model) for model in models])


async def test_changes_that_touch_a_timestamp_are_seen_by_the_next_cycle(world: World) -> None:
    seed = world.seed
    model = await world.do(seed.model)
    await world.do(lambda: [seed.version(model, seed.run(accuracy=value)) for value in (0.9, 0.91)])
    await world.cycle()

    await world.do(lambda: seed.version(model, seed.run(accuracy=0.95)))
    requests = await world.cycle()
    assert world.board.version(model, 3).metrics == {"accuracy": 0.95}
    assert len(requests) <= 6

    await world.do(lambda: seed.stage(model, 3, "Production"))
    await world.cycle()
    assert world.board.version(model, 3).stage == "Production"
    assert world.board.version(model, 2).champion_version == 3

    await world.do(lambda: seed.stage(model, 2, "Production"))
    await world.cycle()
    assert {world.board.version(model, number).reason for number in (2, 3)} == {"two versions in Production: 2, 3"}

    await world.do(lambda: seed.client.update_model_version(model, "1", "now described"))
    await world.cycle()
    assert world.board.version(model, 1).description == "now described"

    await world.do(lambda: seed.client.delete_model_version(model, "2"))
    await world.cycle()
    assert world.board.versions(model) == [1, 3]
    assert world.board.deltas[-1].removals == (f"mlflow/{model}/2",)
    assert world.board.version(model, 3).attention is Attention.OK

    await world.do(lambda: seed.client.rename_registered_model(model, f"{model}-renamed"))
    await world.cycle(SWEEP)
    assert world.board.versions(model) == []
    assert world.board.versions(f"{model}-renamed") == [1, 3]


async def test_changes_that_touch_no_timestamp_are_seen_by_the_sweep(world: World) -> None:
    seed, client = world.seed, world.seed.client
    model = await world.do(seed.model)
    other = await world.do(seed.model)
    await world.do(lambda: [seed.version(name, seed.run(accuracy=0.9)) for name in (model, model, other)])
    await world.cycle()

    await world.do(lambda: client.set_registered_model_alias(model, "champion", "1"))
    await world.do(lambda: client.set_model_version_tag(model, "1", "approved_by", "ada"))
    await world.do(lambda: client.delete_registered_model(other))
    await world.cycle(SWEEP)
    assert world.board.version(model, 1).aliases == ("champion",)
    assert world.board.version(model, 1).tags == {"approved_by": "ada"}
    assert world.board.versions(other) == []

    await world.do(lambda: client.set_registered_model_alias(model, "champion", "2"))
    await world.cycle(SWEEP)
    assert [world.board.version(model, number).aliases for number in (1, 2)] == [(), ("champion",)]

    await world.do(lambda: client.delete_registered_model_alias(model, "champion"))
    await world.cycle(SWEEP)
    assert world.board.version(model, 2).aliases == ()


async def test_metrics_of_a_run_that_goes_on_are_followed_until_it_ends(world: World) -> None:
    seed = world.seed
    model = await world.do(seed.model)
    run_id = await world.do(lambda: seed.run(finished=False, accuracy=0.5))
    await world.do(lambda: seed.version(model, run_id))
    await world.cycle()
    assert world.board.version(model, 1).mark is Mark.RUNNING

    await world.do(lambda: seed.client.log_metric(run_id, "accuracy", 0.75))
    requests = await world.cycle()
    assert sorted(requests) == ["model-versions/search", "registered-models/search", "runs/search"]
    assert world.board.version(model, 1).metrics == {"accuracy": 0.75}

    await world.do(lambda: seed.client.set_terminated(run_id, "FAILED"))
    await world.cycle()
    assert world.board.version(model, 1).run_status == "FAILED"
    assert len(await world.cycle()) == 2


async def test_a_deleted_run_and_one_in_a_new_experiment(world: World) -> None:
    seed = world.seed
    model = await world.do(seed.model)
    gone = await world.do(lambda: seed.run(accuracy=0.5))
    await world.do(lambda: seed.version(model, gone))
    await world.do(lambda: seed.client.delete_run(gone))
    await world.cycle()
    # A deleted run can be restored, and its model may serve all the same.
    assert world.board.version(model, 1).metrics == {"accuracy": 0.5}

    seed.experiment = await world.do(lambda: seed.client.create_experiment(f"late-{next(_numbers)}"))
    await world.do(lambda: seed.version(model, seed.run(accuracy=0.6)))
    await world.do(lambda: seed.version(model, "a-run-of-another-server"))
    await world.cycle()
    assert world.board.version(model, 2).metrics == {"accuracy": 0.6}
    assert world.board.version(model, 3).run_status == ""
    assert len(await world.cycle()) == 2


async def test_a_killed_server_is_unavailable_at_once_and_comes_back(world: World) -> None:
    model = await world.do(world.seed.model)
    await world.do(lambda: world.seed.version(model))
    await world.cycle()
    rows = dict(world.board.rows)
    await world.relay.refuse()
    started = time.monotonic()
    with pytest.raises(Unavailable, match="connection refused") as caught:
        await world.cycle()
    assert str(world.relay.port) in caught.value.message
    assert time.monotonic() - started < 5
    assert world.board.rows == rows
    await world.relay.listen()
    await world.do(lambda: world.seed.stage(model, 1, "Staging"))
    await world.cycle()
    assert world.board.version(model, 1).stage == "Staging"


async def test_what_was_read_before_a_failure_is_shown_and_completed_later(world: World) -> None:
    model = await world.do(world.seed.model)
    await world.do(lambda: world.seed.version(model, world.seed.run(accuracy=0.5)))
    world.relay.broken = "runs/search"
    with pytest.raises(Unavailable, match="connection broke"):
        await world.cycle()
    assert world.board.version(model, 1).metrics == {}
    assert not any(delta.complete for delta in world.board.deltas)
    world.relay.broken = ""
    await world.cycle()
    assert world.board.deltas[-1].complete
    assert world.board.version(model, 1).metrics == {"accuracy": 0.5}


async def test_versions_are_shown_though_their_runs_are_out_of_reach(world: World) -> None:
    model = await world.do(world.seed.model)
    await world.do(lambda: world.seed.version(model, world.seed.run(accuracy=0.5)))
    target = MlflowTarget(source_id="mlflow", tracking_uri="http://127.0.0.1:1", registry_uri=world.relay.uri)
    source = MlflowSource(target, world.clock)
    board = Board()
    await source.cycle(board)
    assert board.version(model, 1).run_status == ""
    [problem] = board.deltas[-1].problems or ()
    assert (problem.scope, problem.status) == ("runs at 127.0.0.1:1", SourceStatus.UNREACHABLE)
    assert problem.rows == (RowKind.VERSION,)
    assert {p.name: p.allowed for p in board.deltas[-1].permissions or ()} == {"read models": True, "read runs": False}
    detail = await source.detail(RowRef(kind=RowKind.VERSION, key=f"mlflow/{model}/1"))
    assert [section.title for section in detail] == ["Version", "Run"]
    await source.close()


async def test_forgetting_reads_everything_and_never_shows_less_meanwhile(world: World) -> None:
    model = await world.do(world.seed.model)
    run_id = await world.do(lambda: world.seed.run(accuracy=0.5))
    await world.do(lambda: world.seed.version(model, run_id))
    await world.cycle()
    await world.do(lambda: world.seed.client.log_metric(run_id, "accuracy", 0.6))
    world.source.forget()
    world.board.deltas.clear()
    await world.cycle()
    assert [delta.complete for delta in world.board.deltas] == [True]
    assert world.board.version(model, 1).metrics == {"accuracy": 0.6}


async def test_hostile_names_and_texts_are_harmless(world: World) -> None:
    name = f'it\'s "odd" \\ [red]x \x1b[31m {next(_numbers)}'
    value = "\x1b]0;owned\x07 [/b] \u202egnp.exe " + "x" * 3000

    def build() -> None:
        world.seed.client.create_registered_model(name)
        run_id = world.seed.run()
        world.seed.client.set_tag(run_id, "mlflow.source.git.commit", "\x1b[2Jabc")
        world.seed.client.log_metric(run_id, "nan", float("nan"))
        world.seed.client.log_metric(run_id, "inf", float("inf"))
        world.seed.version(name, run_id, note=value)
        world.seed.client.update_model_version(name, "1", value + "\nsecond line")

    await world.do(build)
    await world.cycle()
    row = world.board.version(name, 1)
    assert row.model.startswith('it\'s "odd" \\ [red]x')
    assert row.git_commit == "abc"
    assert "nan" not in row.metrics
    for text in (row.model, row.tags["note"], row.description, row.url):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert len(row.tags["note"]) <= 500
    assert VersionRow.model_validate_json(row.model_dump_json()) == row
    await world.do(lambda: world.seed.version(name))
    await world.cycle()
    assert world.board.versions(name) == [1, 2]
    sections = await world.source.detail(RowRef(kind=RowKind.VERSION, key=row.key))
    assert "\x1b" not in repr(sections)
    assert "nan" in repr(sections)
    await world.do(lambda: world.seed.client.delete_registered_model(name))


async def test_prompts_are_no_models(world: World) -> None:
    name = f"prompt-{next(_numbers)}"
    await world.do(lambda: world.seed.client.register_prompt(name, "Say {{word}}."))
    await world.cycle()
    assert world.board.versions(name) == []


async def test_detail_shows_the_run_and_the_champion_beside(world: World) -> None:
    def build() -> str:
        model = world.seed.model("ranker")
        world.seed.version(model, world.seed.run(ndcg=0.60, loss=0.3))
        run_id = world.seed.run(ndcg=0.55, extra=1.0)
        world.seed.client.log_param(run_id, "depth", 6)
        world.seed.client.set_tag(run_id, "purpose", "nightly")
        world.seed.version(model, run_id, team="search")
        world.seed.client.set_registered_model_alias(model, "champion", "1")
        world.seed.client.set_registered_model_alias(model, "challenger", "2")
        return model

    model = await world.do(build)
    await world.cycle()
    row = world.board.version(model, 2)
    assert (row.attention, row.metric) == (Attention.WARN, "ndcg")
    sections = await world.source.detail(RowRef(kind=RowKind.VERSION, key=row.key))
    facts = {section.title: {f.label: f for f in section.fields} for section in sections}
    assert facts["Version"]["Aliases"].value == "challenger"
    assert facts["Version"]["Newest"].value == "yes"
    assert facts["Metrics"]["ndcg"].value == "0.55  v1 0.6  -0.05"
    assert facts["Metrics"]["ndcg"].mark is Mark.WARN
    assert facts["Metrics"]["extra"].value == "1"
    assert facts["Parameters"]["depth"].value == "6"
    assert facts["Tags"]["team"].value == "search"
    assert facts["Run tags"].keys() == {"purpose"}
    run = facts["Run"]
    assert (run["Status"].value, run["User"].value, run["Source"].value) == ("FINISHED", "ada", "train.py")
    assert (run["Git commit"].value, run["Run"].value) == ("4f1c9d2aa", row.run_id)
    assert run["Page"].value.endswith(f"/runs/{row.run_id}")
    assert await world.source.detail(RowRef(kind=RowKind.VERSION, key="mlflow/none/1")) == ()


async def test_detail_without_a_run_and_with_one_that_is_elsewhere(world: World) -> None:
    model = await world.do(world.seed.model)
    await world.do(lambda: [world.seed.version(model, run_id) for run_id in (None, "0123456789abcdef")])
    await world.cycle()
    without = await world.source.detail(RowRef(kind=RowKind.VERSION, key=f"mlflow/{model}/1"))
    assert [section.title for section in without] == ["Version"]
    elsewhere = await world.source.detail(RowRef(kind=RowKind.VERSION, key=f"mlflow/{model}/2"))
    assert "not found" in {f.label: f.value for f in elsewhere[-1].fields}["Not read"]


async def test_settings_choose_the_metric_and_its_direction(world: World) -> None:
    seed = world.seed

    def build() -> str:
        model = seed.model()
        seed.version(model, seed.run(accuracy=0.9, cost=3.0))
        seed.version(model, seed.run(accuracy=0.8, cost=2.0))
        seed.client.set_registered_model_alias(model, "best", "1")
        seed.client.set_registered_model_alias(model, "next", "2")
        return model

    model = await world.do(build)
    rule = ModelSettings(metric="cost", higher_is_better=False)
    source = MlflowSource(world.target(champion="best", models={model: rule}), world.clock)
    board = Board()
    await source.cycle(board)
    await source.close()
    row = board.version(model, 2)
    assert (row.metric, row.metric_change, row.attention) == ("cost", -1.0, Attention.OK)


async def test_probe_says_what_is_reachable(world: World) -> None:
    probe = await world.source.probe()
    assert (probe.status, probe.endpoint, probe.identity) == (SourceStatus.LIVE, world.relay.uri, "anonymous")
    assert probe.version.startswith("3.")
    assert probe.latency is not None
    assert {p.name: p.allowed for p in probe.permissions} == {"read models": True, "read runs": True}
    await world.relay.refuse()
    down = await world.source.probe()
    assert (down.status, down.permissions) == (SourceStatus.UNREACHABLE, ())
    assert "connection refused" in down.error


async def test_two_registries_side_by_side(world: World, mlflow_server: str) -> None:
    other = MlflowSource(MlflowTarget(source_id="other", tracking_uri=mlflow_server, registry="eu"), world.clock)
    model = await world.do(world.seed.model)
    await world.do(lambda: world.seed.version(model))
    board = Board()
    await other.cycle(board)
    await world.cycle()
    assert board.rows[f"other/{model}/1"].registry == "eu"
    assert board.rows[f"other/{model}/1"].url.startswith(mlflow_server)
    assert world.board.version(model, 1).url.startswith(world.relay.uri)
    await other.close()
    await other.close()
