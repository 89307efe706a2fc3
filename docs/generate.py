"""Writes the parts of the documentation that code knows best: keys, commands, settings.

    python docs/generate.py            write them
    python docs/generate.py --check    fail if a page is not up to date

A page marks such a part with `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mlops_tui.cli.main import cli
from mlops_tui.config.keymap import ACTIONS, PANES, Place, read_keymap
from mlops_tui.config.settings import Settings
from mlops_tui.demo.troubles import TROUBLES
from mlops_tui.operations.catalogue import VERBS

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/cli.md", "docs/configuration.md", "docs/demo.md", "docs/keys.md", "docs/operations.md")
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def key_table() -> str:
    """Return every action with its id and default keys."""
    keymap = read_keymap({})
    lines = []
    for place in Place:
        lines += [f"### {place.value.capitalize()}", "", "| key | does | id |", "|---|---|---|"]
        for action in ACTIONS:
            if action.place is place:
                keys = " ".join(f"`{key}`" for key in keymap.shown(action.id, every=True).split())
                lines.append(f"| {keys} | {action.help} | `{action.id}` |")
        lines.append("")
    return "\n".join(lines)


def key_summary() -> str:
    """Return the keys that a newcomer needs: those of the footer and of the panes, by what they do."""
    keymap = read_keymap({})
    elsewhere = (Place.DETAIL, Place.PLAN, Place.OPERATIONS)
    shown = [action for action in ACTIONS if action.place not in elsewhere and keymap.shown(action.id)]
    where = {place: f"{place.value.capitalize()}: " for place in PANES.values()}
    cells = [
        (
            " ".join(f"`{key}`" for key in keymap.shown(a.id, every=True).split()),
            where.get(a.place, "") + a.help[0].lower() + a.help[1:],
        )
        for a in shown
    ]
    half = (len(cells) + 1) // 2
    right = [*cells[half:], *([("", "")] * (half - len(cells[half:])))]
    rows = [f"| {a} | {b} | {c} | {d} |" for (a, b), (c, d) in zip(cells[:half], right, strict=True)]
    return "\n".join(["| key | does | key | does |", "|---|---|---|---|", *rows, ""])


def command_table() -> str:
    """Return the commands, a line each."""
    lines = ["| command | does |", "|---|---|", "| `mlops-tui` | The dashboard |"]
    for path, command in _commands(cli, ("mlops-tui",)):
        if len(path) > 1 and not isinstance(command, click.Group):
            lines.append(f"| `{' '.join(path)}` | {command.get_short_help_str(200).rstrip('.')} |")
    return "\n".join([*lines, ""])


def command_help() -> str:
    """Return the `--help` of every command."""
    parts = []
    for path, command in _commands(cli, ("mlops-tui",)):
        context = click.Context(command, info_name=" ".join(path), max_content_width=100, terminal_width=100)
        parts += [f"## {' '.join(path)}", "", "```", command.get_help(context), "```", ""]
    return "\n".join(parts)


def verbs() -> str:
    """Return every operation, with its command and what it does."""
    lines = ["| command | does |", "|---|---|"]
    for verb in VERBS:
        places = re.sub(r"[^{}]*{(\w+)}", lambda found: f" {found[1].upper()}", verb.address)
        given = "".join(f" {p.name.upper()}" for p in verb.parameters if p.positional)
        lines.append(f"| `{verb.name}{places}{given}` | {verb.summary} |")
    return "\n".join([*lines, ""])


def troubles() -> str:
    """Return what goes wrong in the embedded world, where, and what ends it."""
    lines = ["| what | where | what ends it |", "|---|---|---|"]
    for trouble in TROUBLES:
        where = f"job `{trouble.job}`, step {trouble.step}" if trouble.job else "the systems themselves"
        lines.append(f"| {trouble.name.replace('-', ' ')} | {where} | {trouble.heals} |")
    return "\n".join([*lines, ""])


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _commands(command.commands[name], (*path, name))


def setting_tables() -> str:
    """Return every key of the configuration file, table by table."""
    return "\n".join(_setting_lines(Settings, ""))


def _setting_lines(model: type[BaseModel], table: str) -> Iterator[str]:
    plain = {name: field for name, field in model.model_fields.items() if _table_in(field) is None}
    if plain:
        yield f"### {f'`[{table}]`' if table else 'Top level'}"
        yield ""
        yield "| key | type | default | meaning |"
        yield "|---|---|---|---|"
        for name, field in plain.items():
            meaning = " ".join((field.description or "").split())
            yield f"| `{name}` | {_type(field)} | {_default(field)} | {meaning} |"
        yield ""
    for name, field in model.model_fields.items():
        if (found := _table_in(field)) is not None:
            below, named = found
            yield from _setting_lines(below, ".".join(filter(None, (table, name, "NAME" if named else ""))))


def _table_in(field: FieldInfo) -> tuple[type[BaseModel], bool] | None:
    """Return the table that a field is, and whether it is one of several with names of the user's own."""
    for annotation in (field.annotation, *get_args(field.annotation)):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation, annotation is not field.annotation and "dict" in str(field.annotation)
    return None


def _type(field: FieldInfo) -> str:
    text = str(field.annotation)
    for sign, word in (
        ("dict", "table of texts"),
        ("tuple", "list of texts"),
        ("bool", "true or false"),
        ("int", "number"),
    ):
        if sign in text:
            return word
    return "text"


def _default(field: FieldInfo) -> str:
    default: Any = field.default
    if field.is_required():
        return "required"
    if default is None or default in ((), {}):
        return "–"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


PARTS: dict[str, Callable[[], str]] = {
    "keys": key_table,
    "keysummary": key_summary,
    "commands": command_table,
    "help": command_help,
    "settings": setting_tables,
    "troubles": troubles,
    "verbs": verbs,
}


def main() -> int:
    """Write or check the pages. Returns the exit code."""
    check = "--check" in sys.argv[1:]
    old = []
    for name in PAGES:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        new = _PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", text)
        if new != text:
            old.append(name)
            if not check:
                path.write_text(new, encoding="utf-8")
    if old and check:
        print(f"not up to date: {', '.join(old)}; make docs writes them", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
