"""What keys do: one registry, from which bindings, footer, help, palette and the manual follow."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Place(StrEnum):
    """Where a key works."""

    APP = "anywhere"
    BOARD = "board"
    WORKFLOWS = "workflows"
    MODELS = "models"
    ROLLOUTS = "rollouts"
    PULLS = "pull requests"
    LIST = "list"
    DETAIL = "detail"
    OPERATIONS = "operations"
    PLAN = "plan"


PANES = {
    "run": Place.WORKFLOWS, "version": Place.MODELS, "rollout": Place.ROLLOUTS, "pull": Place.PULLS,
}  # fmt: skip
"""The places of panes by the kind of their rows: one key may do one thing in each."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a key does.

    Attributes:
        id: Its name in `[ui.keys]`.
        keys: The default keys, comma separated.
        label: One or two words, for the footer and the palette.
        help: A sentence without a full stop.
        command: The action that the screen runs.
        footer: Its place among what the footer shows, smallest first; 0 keeps it out.
        writes: Whether it leads to a change of something; such an action opens a plan and does nothing by itself.
    """

    id: str
    keys: str
    label: str
    help: str
    place: Place
    command: str
    footer: int = 0
    writes: bool = False


def _write(id: str, keys: str, label: str, help: str, place: Place, ask: str, footer: int = 0) -> Action:
    return Action(id, keys, label, help, place, f"operate('{ask}')", footer, writes=True)


ACTIONS: tuple[Action, ...] = (
    Action("row.open", "enter", "open", "Open the row's details", Place.LIST, "open", 1),
    _write(
        "rollout.rollback", "b", "roll back…", "Plan to go back to an earlier revision", Place.ROLLOUTS, "rollback", 1
    ),
    _write("rollout.scale", "s", "scale…", "Plan another number of replicas", Place.ROLLOUTS, "scale", 1),
    _write("rollout.restart", "R", "restart…", "Plan to replace every pod by a new one", Place.ROLLOUTS, "restart", 1),
    _write(
        "rollout.traffic", "t", "traffic…", "Plan to move traffic: canary, blue-green", Place.ROLLOUTS, "traffic", 1
    ),
    _write("rollout.pause", "", "pause…", "Plan to pause the rollout", Place.ROLLOUTS, "pause"),
    _write("rollout.resume", "", "resume…", "Plan to resume a paused rollout", Place.ROLLOUTS, "resume"),
    _write(
        "rollout.release",
        "",
        "roll back release…",
        "Plan to roll back model and deployment together",
        Place.ROLLOUTS,
        "rollback-release",
    ),
    _write("version.promote", "p", "promote…", "Plan to promote the version", Place.MODELS, "promote", 1),
    _write(
        "version.restore", "b", "roll back…", "Plan to approve an earlier version again", Place.MODELS, "restore", 1
    ),
    _write("version.archive", "", "archive…", "Plan to archive the version", Place.MODELS, "archive"),
    _write("pull.comment", "c", "comment…", "Write a comment", Place.PULLS, "comment", 1),
    _write("pull.tick", "", "tick…", "Plan to tick or untick an item of the checklist", Place.PULLS, "tick"),
    _write("pull.checklist", "", "checklist…", "Plan to post the checklist for what changed", Place.PULLS, "checklist"),
    _write("pull.review", "", "review…", "Plan to approve or to request changes", Place.PULLS, "review"),
    _write("run.approve", "", "approve…", "Plan to approve what the run waits for", Place.WORKFLOWS, "approve"),
    _write("run.reject", "", "reject…", "Plan to reject what the run waits for", Place.WORKFLOWS, "reject"),
    _write(
        "run.rerun_failed", "", "rerun failed…", "Plan to run the failed jobs again", Place.WORKFLOWS, "rerun-failed"
    ),
    _write("run.rerun", "", "rerun…", "Plan to run all jobs again", Place.WORKFLOWS, "rerun"),
    _write("run.rerun_job", "", "rerun job…", "Plan to run one job again", Place.WORKFLOWS, "rerun-job"),
    _write("run.cancel", "", "cancel…", "Plan to cancel the run", Place.WORKFLOWS, "cancel"),
    _write("run.dispatch", "", "dispatch…", "Plan to start the workflow by hand", Place.WORKFLOWS, "dispatch"),
    Action(
        "run.actions",
        "x",
        "rerun, cancel…",
        "What can be done with the run",
        Place.WORKFLOWS,
        "run_actions",
        1,
        writes=True,
    ),
    Action("row.actions", "a", "actions…", "What can be done with the row", Place.BOARD, "actions", 7, writes=True),
    Action("operations", "@", "operations", "What is being done, and was", Place.BOARD, "operations", 8),
    Action("list.filter", "/", "filter", "Filter the pane by words or key:value", Place.BOARD, "filter", 2),
    Action(
        "list.attention", "!", "attention", "Show only what needs attention, or all again", Place.BOARD, "attention", 3
    ),
    Action("pane.zoom", "f", "zoom", "Give the whole screen to one pane, or back", Place.BOARD, "zoom", 4),
    Action("row.browser", "o", "browser", "Open the row in the browser", Place.BOARD, "browser", 5),
    Action("row.copy_id", "y", "copy id", "Copy the row's id", Place.BOARD, "copy_id", 6),
    Action("row.copy_url", "Y", "copy URL", "Copy the row's URL", Place.BOARD, "copy_url"),
    Action("pane.refresh", "r", "refresh", "Read the pane's sources again now", Place.BOARD, "refresh", 9),
    Action("all.refresh", "ctrl+r", "refresh all", "Read every source again now", Place.BOARD, "refresh_all"),
    Action("list.down", "j,down", "down", "Next row", Place.LIST, "move(1)"),
    Action("list.up", "k,up", "up", "Previous row", Place.LIST, "move(-1)"),
    Action("list.top", "g,home", "top", "First row", Place.LIST, "top"),
    Action("list.bottom", "G,end", "bottom", "Last row", Place.LIST, "bottom"),
    Action("list.page_down", "ctrl+d,pagedown", "page down", "Half a page down", Place.LIST, "page(1)"),
    Action("list.page_up", "ctrl+u,pageup", "page up", "Half a page up", Place.LIST, "page(-1)"),
    Action("pane.next", "tab", "next pane", "Next pane", Place.BOARD, "next_pane(1)"),
    Action("pane.previous", "shift+tab", "previous pane", "Previous pane", Place.BOARD, "next_pane(-1)"),
    Action("pane.workflows", "2", "Workflows", "Go to Workflows", Place.BOARD, "pane('run')"),
    Action("pane.models", "3", "Models", "Go to Models", Place.BOARD, "pane('version')"),
    Action("pane.rollouts", "4", "Rollouts", "Go to Rollouts", Place.BOARD, "pane('rollout')"),
    Action("pane.pulls", "5", "Pull requests", "Go to Pull requests", Place.BOARD, "pane('pull')"),
    Action("detail.next", "]", "next part", "Next part of the details", Place.DETAIL, "part(1)", 1),
    Action("detail.previous", "[", "previous part", "Previous part of the details", Place.DETAIL, "part(-1)", 2),
    Action("detail.down", "j,down", "down", "Scroll down", Place.DETAIL, "line(1)"),
    Action("detail.up", "k,up", "up", "Scroll up", Place.DETAIL, "line(-1)"),
    Action("detail.top", "g,home", "top", "To the start", Place.DETAIL, "top"),
    Action("detail.bottom", "G,end", "bottom", "To the end", Place.DETAIL, "bottom"),
    Action("detail.page_down", "ctrl+d,pagedown", "page down", "Half a page down", Place.DETAIL, "page(1)"),
    Action("detail.page_up", "ctrl+u,pageup", "page up", "Half a page up", Place.DETAIL, "page(-1)"),
    Action("operations.undo", "u", "undo…", "Plan to undo the operation", Place.OPERATIONS, "undo", 1, writes=True),
    Action("plan.confirm", "y,ctrl+s", "yes", "Do it; ctrl+s from within a text too", Place.PLAN, "confirm", 1),
    Action("plan.more", "plus", "more", "One more, in a number", Place.PLAN, "step(1)"),
    Action("plan.less", "minus", "less", "One less, in a number", Place.PLAN, "step(-1)"),
    Action("plan.again", "r", "plan again", "Look at the world and plan again", Place.PLAN, "again", 2),
    Action("plan.copy", "c", "copy command", "Copy the equivalent command", Place.PLAN, "copy", 3),
    Action(
        "plan.preview",
        "ctrl+t",
        "preview",
        "Show the text as it will look, or as it is written",
        Place.PLAN,
        "preview",
        4,
    ),
    Action("plan.leave", "escape", "no", "Do nothing; what runs goes on", Place.PLAN, "leave", 5),
    Action("back", "escape", "back", "One step back: details, filter, attention, zoom", Place.BOARD, "back"),
    Action("palette", ":,ctrl+p", "command", "Everything that can be done, by name", Place.APP, "command_palette", 10),
    Action("help", "?", "help", "Keys, signs and filters", Place.APP, "help", 11),
    Action("quit", "q,ctrl+q", "quit", "Leave", Place.APP, "quit", 12),
)
"""Every action, in the order in which the help shows them."""

_NAMES = {
    "?": "question_mark", "!": "exclamation_mark", "/": "slash", ":": "colon", "[": "left_square_bracket",
    "]": "right_square_bracket", "@": "at", "#": "number_sign", "$": "dollar_sign", "%": "percent_sign",
    "^": "circumflex_accent", "&": "ampersand", "*": "asterisk", "(": "left_parenthesis", ")": "right_parenthesis",
    "-": "minus", "_": "underscore", "=": "equals_sign", "+": "plus", "{": "left_curly_bracket",
    "}": "right_curly_bracket", "|": "vertical_line", "\\": "backslash", ";": "semicolon", "'": "apostrophe",
    '"': "quotation_mark", "<": "less_than_sign", ">": "greater_than_sign", ".": "full_stop", "`": "grave_accent",
    "~": "tilde", " ": "space",
}  # fmt: skip
_SIGNS = {name: sign for sign, name in _NAMES.items() if sign != " "} | {"comma": ","}
_SPECIAL = {
    "enter", "escape", "tab", "space", "up", "down", "left", "right", "home", "end", "pageup", "pagedown", "insert",
    "delete", "backspace", *(f"f{number}" for number in range(1, 25)),
}  # fmt: skip
_MODIFIERS = ("ctrl", "alt", "shift", "meta", "super", "hyper")
_SHOWN = {"escape": "esc", "pageup": "pgup", "pagedown": "pgdn", "up": "↑", "down": "↓", "left": "←", "right": "→"}
# What a terminal sends for these is the other key.
_SAME = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+h": "backspace", "ctrl+left_square_bracket": "escape"}


@dataclass(frozen=True, slots=True)
class Keymap:
    """The actions with the keys that are in force."""

    keys: Mapping[str, tuple[str, ...]]
    """Normalized keys by the action's id."""
    overridden: frozenset[str] = frozenset()
    """Ids whose keys are the user's own."""

    def shown(self, action: str, *, every: bool = False) -> str:
        """Return an action's first key, or all of them, as a person reads it; empty where it has none."""
        shown = [show_key(key) for key in self.keys[action]]
        return " ".join(shown) if every else next(iter(shown), "")

    def overrides(self) -> dict[str, str]:
        """Return the user's own keys, comma separated, by the action's id."""
        return {action: ",".join(self.keys[action]) for action in sorted(self.overridden)}


def show_key(key: str) -> str:
    """Return a normalized key as a person reads it: `question_mark` is `?`, `escape` is `esc`."""
    *modifiers, base = key.split("+")
    return "+".join([*modifiers, _SIGNS.get(base) or _SHOWN.get(base, base)])


def read_keymap(overrides: Mapping[str, str], actions: Iterable[Action] = ACTIONS) -> Keymap:
    """Return the keys in force.

    Args:
        overrides: Keys, comma separated, by action id; an empty text takes an action's keys away.
        actions: The registry.

    Raises:
        ConfigError: An id is unknown, a key is not one, or two actions would share a key in one place.
    """
    # The error's module brings pydantic along, which must not come before the first frame.
    known = {action.id: action for action in actions}
    for name in overrides:
        if name not in known:
            near = next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.5)), "")
            raise _error(f"ui.keys: unknown action {name}" + (f"; did you mean {near}?" if near else ""))
    keys = {
        action.id: tuple(_normalize(action.id, key) for key in _split(overrides.get(action.id, action.keys)))
        for action in known.values()
    }
    _refuse_clashes(keys, known, overrides)
    return Keymap(keys, frozenset(overrides))


def _error(message: str) -> Exception:
    from mlops_tui.domain.errors import ConfigError

    return ConfigError(message, "mlops-tui config keys lists what keys can do")


def _split(keys: str) -> list[str]:
    return [key.strip() or key for key in keys.split(",") if key.strip() or key == " "]


def _normalize(action: str, key: str) -> str:
    *modifiers, base = ["+"] if key == "+" else key.split("+")
    base = _NAMES.get(base, base)
    modifiers = [modifier.lower() for modifier in modifiers]
    is_key = (len(base) == 1 and base.isalnum()) or base.lower() in _SPECIAL or base in _SIGNS
    if not is_key or any(modifier not in _MODIFIERS for modifier in modifiers):
        raise _error(f'ui.keys: "{key}" for {action} is not a key')
    base = base if len(base) == 1 else base.lower()
    whole = "+".join([*(modifier for modifier in _MODIFIERS if modifier in modifiers), base])
    return _SAME.get(whole, whole)


def _refuse_clashes(
    keys: Mapping[str, tuple[str, ...]], known: Mapping[str, Action], overrides: Mapping[str, str]
) -> None:
    holders: dict[str, list[Action]] = {}
    for name, action in known.items():
        for key in keys[name]:
            for other in holders.get(key, []):
                if _overlap(action.place, other.place):
                    # The user's own comes first in the message: it is the one to change.
                    first, second = (name, other.id) if name in overrides else (other.id, name)
                    raise _error(f"ui.keys: {show_key(key)} for {first} is already {second}")
            holders.setdefault(key, []).append(action)


def _overlap(one: Place, other: Place) -> bool:
    """Say whether two places share their keys: panes do not with each other, nor does a dialog with what it hides."""
    if one is other:
        return True
    both, panes = {one, other}, set(PANES.values())
    if Place.PLAN in both or both == {Place.LIST, Place.DETAIL} or both <= panes:
        return False
    return not (Place.OPERATIONS in both and both & panes)
