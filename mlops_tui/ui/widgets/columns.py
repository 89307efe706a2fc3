"""Columns of a list: how wide, on which side, and which end of a text survives."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rich.cells import cell_len, chop_cells, get_character_cell_size

ELLIPSIS = "…"
_HINT = re.compile(r"\([^()]{1,24}\)")
_NO_BREAK = "\u00a0"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Unique in its list.
        width: The least width, in cells.
        grow: Its share of what is left over; 0 keeps it at `width`.
        most: The width at which it stops to grow; 0 is without end.
        right: Whether it is right-aligned, as figures are.
        keep: Which end of a text that is too long is kept: the one that tells things apart.
        rank: How dear it is: where the room is short, the highest goes first; 0 always stays.
        since: The width of the list from which on it is shown: a luxury that others do not have to make room for.
        gap: Blank cells before it, unless it is the first.
    """

    name: str
    width: int
    grow: int = 0
    most: int = 0
    right: bool = False
    keep: Literal["start", "end", "middle"] = "start"
    rank: int = 0
    since: int = 0
    gap: int = 2


@lru_cache(maxsize=128)
def lay_out(columns: tuple[Column, ...], width: int) -> tuple[int, ...]:
    """Return each column's width, 0 for those without room, so that all of them with their gaps fit `width` cells.

    The result depends on the width alone, never on the rows, so that data that arrives moves no column.
    """
    shown = [column for column in columns if max(0, width) >= column.since]
    while len(shown) > 1 and _needed(shown) > width:
        dearest = max(shown, key=lambda column: column.rank)
        if dearest.rank == 0:
            break
        shown.remove(dearest)
    widths = {column.name: column.width for column in shown}
    spare = width - _needed(shown)
    growing = [column for column in shown if column.grow]
    while spare > 0 and growing:
        share = sum(column.grow for column in growing)
        given = 0
        for column in growing:
            room = column.most - widths[column.name] if column.most else spare
            more = min(room, max(1, spare * column.grow // share), spare - given)
            widths[column.name] += more
            given += more
        spare -= given
        growing = [column for column in growing if not column.most or widths[column.name] < column.most]
    return tuple(widths.get(column.name, 0) for column in columns)


def _needed(columns: Sequence[Column]) -> int:
    return sum(column.width + column.gap for column in columns) - columns[0].gap


def fit(text: str, width: int, keep: str = "start", right: bool = False, ellipsis: str = ELLIPSIS) -> str:
    """Return `text` in exactly `width` cells: padded on the other side, or shortened with an ellipsis."""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        text = shorten(text, width, keep, ellipsis)
        length = cell_len(text)
    padding = " " * (width - length)
    return padding + text if right else text + padding


def shorten(text: str, width: int, keep: str = "start", ellipsis: str = ELLIPSIS) -> str:
    """Return `text` in at most `width` cells, keeping its start, its end or both."""
    if width < 1:
        return ""
    if cell_len(text) <= width:
        return text
    room = width - 1
    if keep == "end":
        return ellipsis + _take(text[::-1], room)[::-1]
    if keep == "middle":
        head = _take(text, room // 2)
        return head + ellipsis + _take(text[::-1], room - cell_len(head))[::-1]
    return _take(text, room).rstrip() + ellipsis


def _take(text: Sequence[str], width: int) -> str:
    """Return as many characters from the start of `text` as fit `width` cells."""
    taken: list[str] = []
    for character in text:
        width -= get_character_cell_size(character)
        if width < 0:
            break
        taken.append(character)
    return "".join(taken)


def wrap(text: str, width: int) -> list[str]:
    """Return `text` in lines of at most `width` cells, broken at spaces where there are any.

    A short hint in brackets, such as `(r now)`, stays in one piece, and lines keep the indent of the first.
    """
    if cell_len(text) <= width:
        return [text]
    indent = " " * min(len(text) - len(text.lstrip(" ")), width // 2)
    text = _HINT.sub(lambda hint: hint.group().replace(" ", _NO_BREAK), text)
    lines = textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True)
    # Wide characters count double on the screen but once in `textwrap`.
    parts = [part for line in lines for part in (chop_cells(line, width) if cell_len(line) > width else [line])]
    return [part.replace(_NO_BREAK, " ") for part in parts]
