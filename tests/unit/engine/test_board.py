import random

from mlops_tui.domain.state import SourceKind, SourceState, SourceStatus
from mlops_tui.engine.board import Board
from mlops_tui.engine.messages import Update
from mlops_tui.sources.base import Delta
from tests.support.scripted import SCOPE, rollout

LIVE = SourceState(source="scripted", kind=SourceKind.KUBERNETES, label="test", status=SourceStatus.LIVE)


class Follower:
    """Takes updates one by one, without an event loop's help in between."""

    def __init__(self, board: Board) -> None:
        self.updates = board.updates()

    async def take(self, count: int) -> list[Update]:
        return [await anext(self.updates) for _ in range(count)]


async def test_only_what_changed_is_sent() -> None:
    board = Board(SCOPE)
    board.apply(LIVE, Delta(upserts=[rollout("a"), rollout("b"), rollout("c")], complete=True))
    follower = Follower(board)
    first = await follower.take(2)
    assert first[0].scope == SCOPE
    assert first[1].completes == ("scripted",)
    board.apply(LIVE, Delta(upserts=[rollout("a"), rollout("b", ready=9)], complete=True))
    [update] = await follower.take(1)
    assert [row.key for row in update.upserts] == ["scripted/ml/b"]
    assert update.removals == ("scripted/ml/c",)
    assert update.sequence > first[1].sequence


async def test_a_slow_viewer_gets_the_newest_of_each_row_once() -> None:
    board = Board(SCOPE)
    board.apply(LIVE, Delta(upserts=[rollout("a")], complete=True))
    follower = Follower(board)
    await follower.take(2)
    for ready in range(2, 50):
        board.apply(LIVE, Delta(upserts=[rollout("a", ready=ready), rollout(f"new-{ready}")]))
        board.apply(LIVE, Delta(removals=[f"scripted/ml/new-{ready}"]))
    [update] = await follower.take(1)
    assert [(row.key, getattr(row, "ready", None)) for row in update.upserts] == [("scripted/ml/a", 49)]
    assert len(update.removals) == 48


async def test_a_viewer_from_before_the_first_answer_is_sent_the_whole_when_it_comes() -> None:
    board = Board(SCOPE)
    board.set_state(LIVE.model_copy(update={"status": SourceStatus.CONNECTING}))
    follower = Follower(board)
    [first] = await follower.take(1)
    assert (first.begins, first.completes) == ((), ())
    board.apply(LIVE, Delta(complete=True))
    updates = await follower.take(2)
    assert updates[0].sources[0].status is SourceStatus.LIVE
    assert (updates[1].begins, updates[1].completes) == (("scripted",), ("scripted",))


async def test_any_sequence_of_deltas_leaves_every_viewer_with_the_board() -> None:
    chance = random.Random(5)
    board = Board(SCOPE)
    follower = Follower(board)
    rows: dict[str, object] = {}
    board.set_state(LIVE)
    for _ in range(300):
        names = [f"r{chance.randrange(30)}" for _ in range(chance.randrange(6))]
        upserts = [rollout(name, ready=chance.randrange(4)) for name in dict.fromkeys(names)]
        removals = [f"scripted/ml/r{chance.randrange(30)}" for _ in range(chance.randrange(3))]
        removals = [key for key in removals if key not in {row.key for row in upserts}]
        board.apply(LIVE, Delta(upserts=upserts, removals=removals, complete=chance.random() < 0.2))
        if chance.random() < 0.4:
            board.set_state(LIVE.model_copy(update={"error": str(chance.random())}))
            seen = ""
            while seen != board.state("scripted").error:
                update = await anext(follower.updates)
                rows.update((row.key, row) for row in update.upserts)
                for key in update.removals:
                    rows.pop(key, None)
                for state in update.sources:
                    seen = state.error
    board.set_state(LIVE.model_copy(update={"error": "end"}))
    board.apply(LIVE.model_copy(update={"error": "end"}), Delta(upserts=[rollout("last")]))
    while "scripted/ml/last" not in rows:
        update = await anext(follower.updates)
        rows.update((row.key, row) for row in update.upserts)
        for key in update.removals:
            rows.pop(key, None)
    assert rows == {row.key: row for row in board.rows()}
