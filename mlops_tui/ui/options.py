"""What the screen is started with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol


class Now(Protocol):
    """The part of a clock that a screen needs."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""


class WallClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class UiOptions:
    """How the screen looks and what its keys are.

    Attributes:
        theme: A theme's name.
        ascii: Whether to keep to ASCII.
        keys: The user's own keys, by action id.
        read_only: Whether nothing may be changed from here.
        version: The program's version, for the help.
        clock: The time for ages and for the header.
        theme_folders: Where theme files are; the user's folder and the shipped ones where `None`.
    """

    theme: str = "midnight"
    ascii: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = False
    version: str = ""
    clock: Now = field(default_factory=WallClock)
    theme_folders: tuple[Path, ...] | None = None
