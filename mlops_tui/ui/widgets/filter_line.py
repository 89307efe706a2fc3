"""The line in which a pane's filter is typed."""

from collections.abc import Iterable

from textual.widgets import Input


class FilterLine(Input):
    """One line without a frame."""

    def __init__(self, text: str, keys: Iterable[str]) -> None:
        hint = "words or " + " ".join(f"{key}:" for key in keys)
        super().__init__(text, placeholder=hint, compact=True, select_on_focus=False)
