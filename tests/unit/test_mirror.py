"""The viewer's copy of the board."""

from typing import Any

from mlops_tui.domain.base import Attention, Mark, RowKind
from mlops_tui.engine.messages import Update
from mlops_tui.engine.mirror import Changes, Mirror
from tests.support.fake_engine import SCOPE, pull, rollout, run, states


def update(sequence: int = 1, **values: Any) -> Update:
    return Update(sequence=sequence, **values)


def test_says_which_rows_are_new_changed_and_gone() -> None:
    mirror = Mirror()
    first, second = run(1), run(2)
    assert set(mirror.apply(update(upserts=(first, second))).upserted[RowKind.RUN]) == {first.key, second.key}

    failed = run(2, mark=Mark.BAD, attention=Attention.BAD)
    changes = mirror.apply(update(upserts=(first, failed), removals=("nobody",)))
    assert changes.upserted[RowKind.RUN] == {failed.key: failed}
    assert not any(changes.removed.values())

    changes = mirror.apply(update(removals=(first.key,)))
    assert changes.removed[RowKind.RUN] == {first.key}
    assert set(mirror.rows) == {second.key}


def test_an_update_without_news_changes_nothing() -> None:
    mirror = Mirror()
    whole = update(upserts=(run(1),), sources=states(), scope=SCOPE)
    assert mirror.apply(whole)
    assert not mirror.apply(whole)


def test_what_a_complete_source_did_not_send_again_is_gone() -> None:
    mirror = Mirror()
    mirror.apply(update(upserts=(run(1), run(2), rollout("churn"))))
    began = mirror.apply(update(begins=("github",), upserts=(run(2), run(3))))
    assert not any(began.removed.values()), "rows stay while the source is being read"

    ended = mirror.apply(update(completes=("github",)))
    assert ended.removed[RowKind.RUN] == {run(1).key}
    assert set(mirror.rows) == {run(2).key, run(3).key, rollout("churn").key}


def test_begin_and_completion_in_one_update() -> None:
    mirror = Mirror()
    mirror.apply(update(upserts=(run(1), pull(482, "Bigger"))))
    changes = mirror.apply(update(begins=("github",), upserts=(run(1),), completes=("github",)))
    assert changes.removed[RowKind.PULL] == {pull(482, "Bigger").key}
    assert not changes.upserted[RowKind.RUN]


def test_a_source_that_begins_again_counts_from_its_last_beginning() -> None:
    mirror = Mirror()
    mirror.apply(update(begins=("github",), upserts=(run(1),)))
    mirror.apply(update(begins=("github",), upserts=(run(2),)))
    mirror.apply(update(completes=("github",)))
    assert set(mirror.rows) == {run(2).key}


def test_a_completion_without_a_beginning_removes_nothing() -> None:
    mirror = Mirror()
    mirror.apply(update(upserts=(run(1),)))
    assert not mirror.apply(update(completes=("github",)))
    assert set(mirror.rows) == {run(1).key}


def test_a_row_that_moves_to_another_source_is_not_taken_away_by_the_old_one() -> None:
    mirror = Mirror()
    mirror.apply(update(upserts=(run(1),)))
    mirror.apply(update(begins=("github",), upserts=(run(1, source="enterprise"),)))
    mirror.apply(update(completes=("github",)))
    assert set(mirror.rows) == {run(1).key}


def test_changes_merge_in_the_order_in_which_they_happened() -> None:
    mirror = Mirror()
    mirror.apply(update(upserts=(run(1),)))
    gone = mirror.apply(update(removals=(run(1).key,)))
    back = mirror.apply(update(upserts=(run(1),), sources=states()))
    merged = Changes()
    merged.merge(gone)
    assert merged.removed[RowKind.RUN] == {run(1).key}
    merged.merge(back)
    assert merged.removed[RowKind.RUN] == set()
    assert set(merged.upserted[RowKind.RUN]) == {run(1).key}
    assert merged.sources
    merged.merge(mirror.apply(update(removals=(run(1).key,))))
    assert merged.upserted[RowKind.RUN] == {}
    assert merged.removed[RowKind.RUN] == {run(1).key}


def test_a_source_that_a_new_engine_does_not_have_goes_with_its_rows() -> None:
    mirror = Mirror()
    mirror.apply(update(scope=SCOPE, sources=states()))
    mirror.apply(update(upserts=(run(1), rollout("churn"))))
    others = tuple(state for state in states() if state.source != run(1).source)
    changes = mirror.apply(update(scope=SCOPE, sources=others))
    assert changes.removed[RowKind.RUN] == {run(1).key}
    assert set(mirror.rows) == {rollout("churn").key}
    assert run(1).source not in mirror.sources
