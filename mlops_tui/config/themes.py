"""Theme files: the only place where colours are named."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from mlops_tui.config.paths import user_config

COLORS = (
    "background", "surface", "panel", "foreground", "muted", "faint", "accent", "frame", "frame-focus",
    "cursor", "cursor-idle", "production", "production-text", "environment", "environment-text", "read-only",
    "read-only-text",
)  # fmt: skip
"""What `[colors]` has to name."""
MARKS = ("ok", "running", "waiting", "warn", "bad", "unknown", "paused", "stale", "none")
"""What `[marks]` has to name: a colour for every status."""
_HEX = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class ThemeFile:
    """A theme as its file says it."""

    name: str
    dark: bool
    colors: Mapping[str, str]
    marks: Mapping[str, str]


class BadTheme(ValueError):
    """A theme file is wrong; the message names file and key."""


def theme_folders() -> tuple[Path, ...]:
    """Return where themes are looked for, the user's own folder first."""
    packaged = Path(str(resources.files("mlops_tui"))) / "themes"
    if not packaged.is_dir():
        packaged = Path(__file__).resolve().parents[2] / "themes"
    return (user_config().parent / "themes", packaged)


def read_themes(folders: Iterable[Path]) -> tuple[dict[str, ThemeFile], list[str]]:
    """Return the themes by name, and one line for each file that is wrong. An earlier folder's theme wins."""
    themes: dict[str, ThemeFile] = {}
    problems: list[str] = []
    for folder in folders:
        for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
            try:
                theme = read_theme(path)
            except BadTheme as error:
                problems.append(str(error))
            else:
                themes.setdefault(theme.name, theme)
    return themes, problems


def read_theme(path: Path) -> ThemeFile:
    """Read one file. Raises `BadTheme`."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadTheme(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadTheme(f"{path}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise BadTheme(f"{path}: is not TOML: {error}") from None
    _check_keys(path, "", data, ("name", "dark", "colors", "marks"))
    if not isinstance(data["name"], str) or not data["name"]:
        raise BadTheme(f"{path}: name must be a text")
    if not isinstance(data["dark"], bool):
        raise BadTheme(f"{path}: dark must be true or false")
    return ThemeFile(
        data["name"], data["dark"], _colors(path, data, "colors", COLORS), _colors(path, data, "marks", MARKS)
    )


def _colors(path: Path, data: Mapping[str, Any], table: str, names: tuple[str, ...]) -> dict[str, str]:
    values = data[table]
    if not isinstance(values, dict):
        raise BadTheme(f"{path}: {table} must be a table")
    _check_keys(path, f"{table}.", values, names)
    for name, value in values.items():
        if not isinstance(value, str) or not _HEX.fullmatch(value):
            raise BadTheme(f'{path}: {table}.{name} must be a colour such as "#1a2b3c", not {value!r}')
    return values


def _check_keys(path: Path, prefix: str, values: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for key in values:
        if key not in names:
            near = next(iter(difflib.get_close_matches(key, names, n=1, cutoff=0.5)), "")
            hint = f"; did you mean {prefix}{near}?" if near else ""
            raise BadTheme(f"{path}: unknown key {prefix}{key}{hint}")
    missing = [name for name in names if name not in values]
    if missing:
        raise BadTheme(f"{path}: {prefix}{missing[0]} is missing")
