"""Textual's bindings and keymap, made from the registry of actions."""

from collections.abc import Collection

from textual.binding import Binding, BindingType

from mlops_tui.config.keymap import ACTIONS, Keymap, Place

_NO_KEY = "unbound"
"""Stands for no key at all: Textual would take an empty text for "as it was"."""


def bindings(place: Place, only: Collection[str] = ()) -> list[BindingType]:
    """Return the bindings of the actions that belong to `place`, or of some of them by id, with their default keys."""
    return [
        Binding(action.keys or _NO_KEY, action.command, action.label, show=False, tooltip=action.help, id=action.id)
        for action in ACTIONS
        if action.place is place and (not only or action.id in only)
    ]


def textual_keymap(keymap: Keymap) -> dict[str, str]:
    """Return the user's own keys as Textual takes them."""
    return {action: keys or _NO_KEY for action, keys in keymap.overrides().items()}
