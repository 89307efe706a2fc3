"""Where nothing may be changed nothing but reads arrives, whatever verb, rule or guard has failed before."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mlops_tui.domain.errors import Refused
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations.systems import ForgeSystem
from mlops_tui.sources.github.client import GitHubClient
from tests.contract.github_operations.conftest import REPO, Bench, MakeBench, World

WRITES: tuple[Callable[[ForgeSystem], Awaitable[object]], ...] = (
    lambda forge: forge.comment(REPO, 1, "text"),
    lambda forge: forge.edit_comment(REPO, 1, "text"),
    lambda forge: forge.edit_pull(REPO, 1, "text"),
    lambda forge: forge.review(REPO, 1, event="APPROVE", body="", commit="0" * 40),
    lambda forge: forge.rerun(REPO, 1),
    lambda forge: forge.rerun(REPO, 1, failed_only=True),
    lambda forge: forge.rerun(REPO, 1, job=1),
    lambda forge: forge.cancel(REPO, 1),
    lambda forge: forge.dispatch(REPO, "cd.yml", "main", {}),
    lambda forge: forge.decide(REPO, 1, [1], approve=True, comment=""),
)


@pytest.fixture(params=["everything", "the repository"])
def locked(make: MakeBench, request: pytest.FixtureRequest) -> Bench:
    """A bench whose guard knows of nothing: the transport alone refuses."""
    everything = request.param == "everything"
    return make(read_only=True) if everything else make(read_only_repositories=("Acme/Fraud",))


async def test_every_verb_is_refused_before_a_byte_leaves(locked: Bench, world: World) -> None:
    world.fail()
    waiting, world.run = world.run, world.start()
    world.wait_for_production()
    asked = [
        ("comment", locked.pull, {"body": "hello"}),
        ("tick", locked.pull, {}),
        ("checklist", locked.pull, {}),
        ("review", locked.pull, {}),
        ("rerun", f"{REPO}/runs/{waiting}", {}),
        ("cancel", locked.run, {}),
        ("dispatch", locked.run, {}),
        ("approve", locked.run, {}),
    ]
    for verb, target, parameters in asked:
        row = await locked.carry_out(verb, target, **parameters)
        assert (row.state, row.exit_code) == (OperationState.REFUSED, 5), verb
        assert "is read-only" in row.outcome
    assert locked.judged.exchanges
    assert locked.writes() == []


@pytest.mark.parametrize("write", WRITES)
async def test_every_write_is_refused(locked: Bench, write: Callable[[ForgeSystem], Awaitable[object]]) -> None:
    with pytest.raises(Refused):
        await write(locked.source.actor)
    assert locked.judged.exchanges == []


async def test_no_generated_request_gets_through(make: MakeBench) -> None:
    locked = make(read_only=True)
    await locked.plan("comment", locked.pull)
    session = await locked.source._open()
    chance, before = random.Random(7), len(locked.judged.exchanges)
    parts = ("repos", "acme", "fraud", "..", "%2e%2e", "issues", "1", "comments", "graphql", "api", "v3", "", "user")
    bodies: tuple[Any, ...] = (
        {"query": "mutation { a }"},
        {"query": "# query\nmutation x { a }"},
        {},
        None,
        {"query": 1},
        {"body": "x"},
    )

    def send_all(client: GitHubClient) -> None:
        for _ in range(10_000):
            path = "/" + "/".join(chance.choice(parts) for _ in range(chance.randint(1, 9)))
            method = chance.choice(("POST", "PUT", "PATCH", "DELETE"))
            with pytest.raises(Refused):
                client.write(method, path, chance.choice(bodies))

    await locked.source._job(session.client, send_all)
    assert locked.judged.exchanges[before:] == []


async def test_other_repositories_may_be_changed(make: MakeBench, world: World) -> None:
    bench = make(read_only_repositories=("acme/other",))
    assert (await bench.carry_out("comment", bench.pull, body="hello")).state is OperationState.DONE
    assert len(world.comments) == 1
