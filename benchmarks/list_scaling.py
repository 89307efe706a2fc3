"""How the list's cost grows with its rows: painting and a key at 20,000 rows against 100, and a filter typed there.

A ratio near 1 says that the cost follows what is in sight. A filter has to look at every row: what counts is for how
long it keeps everything else waiting, and when its rows are there. Run: `python -m benchmarks.list_scaling`.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from textual.app import App, ComposeResult

from mlops_tui.config.keymap import read_keymap
from mlops_tui.domain.base import Attention, Mark
from mlops_tui.domain.workflow import RunRow
from mlops_tui.ui.glyphs import Glyphs
from mlops_tui.ui.panes.pane import Pane
from mlops_tui.ui.panes.workflows import Workflows
from mlops_tui.ui.widgets.columns import Column
from mlops_tui.ui.widgets.list import Cell, Entry, RowList

FEW, MANY = 100, 20_000
SIZE = (150, 45)
NOW = datetime(2026, 11, 20, 14, 2, 11, tzinfo=UTC)
ROUNDS = 40
"""Measurements of each kind; their median counts."""
TYPED = ("f", "fa", "fai", "fail", "fail m", "fail", "", "is:bad", "is:bad m")
"""What stands in the filter's line after each key."""
HELD_LIMIT = 0.1
"""Seconds from which on a key that keeps everything else waiting is felt, and the exit code is 1."""
LIMIT = 2.0
"""The ratio from which on the exit code is 1: twice the work is no longer "what is in sight"."""

COLUMNS = (
    Column("mark", 1),
    Column("name", 14, grow=3, gap=1),
    Column("branch", 12, grow=3, keep="end"),
    Column("state", 12, grow=4),
    Column("age", 4, right=True),
)


def cells(number: int) -> Mapping[str, Cell]:
    """Return the cells of a row."""
    return {
        "mark": Cell("✖" if number % 20 == 0 else "✔", "bad" if number % 20 == 0 else "ok"),
        "name": Cell(f"ML CI Pipeline #{number}", "name"),
        "branch": Cell(f"feat/branch-with-a-long-name-{number}", "dim"),
        "state": Cell("model-training-test failed" if number % 20 == 0 else "success", "dim"),
        "age": Cell(f"{number % 60}m", "faint"),
    }


class ListApp(App[None]):
    """A screen with one list on it."""

    CSS = "RowList { height: 1fr; }"

    def __init__(self, count: int) -> None:
        super().__init__()
        self.rows: RowList[int] = RowList(COLUMNS, cells, Glyphs())
        self.count = count

    def compose(self) -> ComposeResult:
        """Show the list."""
        yield self.rows

    def on_mount(self) -> None:
        """Fill it."""
        self.rows.focus()
        self.rows.apply([Entry((number,), f"row:{number:06}", number) for number in range(self.count)])


async def measure(count: int) -> tuple[float, float, float]:
    """Return the median seconds of a full paint, of a key, and of an update of ten rows, in a list of `count`."""
    paints, keys, updates = [], [], []
    app = ListApp(count)
    async with app.run_test(size=SIZE) as pilot:
        rows = app.rows
        rows.select(f"row:{count // 2:06}")
        await pilot.pause()
        for step in range(ROUNDS):
            start = time.perf_counter()
            for line in range(rows.size.height):
                rows.render_line(line)
            paints.append(time.perf_counter() - start)

            start = time.perf_counter()
            rows.action_move(1 if step % 2 else -1)
            for line in range(rows.size.height):
                rows.render_line(line)
            keys.append(time.perf_counter() - start)

            changed = [count // 2 + offset for offset in range(10)]
            start = time.perf_counter()
            rows.apply([Entry((number + 0.5 * (step % 2),), f"row:{number:06}", number) for number in changed])
            updates.append(time.perf_counter() - start)
    return statistics.median(paints), statistics.median(keys), statistics.median(updates)


class PaneApp(App[None]):
    """A screen with one pane of workflow runs on it."""

    CSS = "RowList { height: 1fr; }"

    def __init__(self, count: int) -> None:
        super().__init__()
        self.pane = Pane(Workflows(), Glyphs(), read_keymap({}), lambda: NOW)
        self.count = count

    def compose(self) -> ComposeResult:
        """Show the pane."""
        yield self.pane

    def on_mount(self) -> None:
        """Fill it."""
        self.pane.take({row.key: row for row in runs(self.count)}, ())


def runs(count: int) -> Iterable[RunRow]:
    """Return workflow runs, a twentieth of them failed."""
    for number in range(count):
        bad = number % 20 == 0
        yield RunRow(
            key=f"run:{number}", source="github", mark=Mark.BAD if bad else Mark.OK,
            attention=Attention.BAD if bad else Attention.OK, reason="failed" if bad else "",
            updated_at=NOW - timedelta(seconds=number), repository="acme/fraud", run_id=number, run_number=number,
            attempt=1, workflow="ML CI Pipeline", title="Bigger embedding for fraud", branch=f"feat/branch-{number}",
            event="push", head_sha="4f1c9d2b7a6e58c3", status="completed", conclusion="failure" if bad else "success",
            actor="mira", started_at=NOW - timedelta(seconds=number + 600), finished_at=NOW - timedelta(seconds=number),
        )  # fmt: skip


async def measure_filter(count: int) -> Sequence[tuple[str, float, float]]:
    """Return, for each of `TYPED`, the longest time in seconds that the loop was held, and the time to the result."""
    app = PaneApp(count)
    found = []
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(0.5)
        for text in TYPED:
            start = last = time.perf_counter()
            held = 0.0
            app.pane.set_filter(text)
            while True:
                await asyncio.sleep(0)
                now = time.perf_counter()
                held, last = max(held, now - last), now
                if app.pane.is_filtered:
                    break
            found.append((text, held, last - start))
    return found


def main() -> int:
    """Measure, print, and say whether the cost follows the visible rows."""
    few, many = asyncio.run(measure(FEW)), asyncio.run(measure(MANY))
    worst = 0.0
    for name, small, large in zip(("paint", "key", "update of 10 rows"), few, many, strict=True):
        ratio = large / small
        worst = max(worst, ratio)
        few_ms, many_ms = f"{small * 1000:.2f} ms", f"{large * 1000:.2f} ms"
        print(f"{name:<18} {FEW} rows {few_ms:>9}   {MANY} rows {many_ms:>9}   ratio {ratio:.2f}")
    worst_held = 0.0
    for text, held, took in asyncio.run(measure_filter(MANY)):
        worst_held = max(worst_held, held)
        print(f"filter {text!r:<11} {MANY} rows   held {held * 1000:>6.1f} ms   result after {took * 1000:>6.1f} ms")
    return int(worst > LIMIT or worst_held > HELD_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
