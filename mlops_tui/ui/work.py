"""What the viewer remembers of operations: what runs, texts that were begun, where nothing may be changed."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from mlops_tui.ui.faces import Trouble

if TYPE_CHECKING:
    from mlops_tui.domain.operation import OperationRow, PlanRequest
    from mlops_tui.engine.mirror import Changes

Subject = tuple[str, str, str]
"""Verb, target and environment: what a draft is about."""


class Listener(Protocol):
    """A screen above the dashboard that shows something of the board."""

    def board_changed(self, changes: "Changes") -> None:
        """Take in what changed."""

    def trouble_changed(self, trouble: Trouble | None) -> None:
        """Take in what is wrong with the engine; `None` if nothing is any more."""

    def watches(self, operation: str) -> bool:
        """Whether the end of the operation with this key is told here."""


class Work:
    """Operations as this viewer knows them."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.read_only: set[str] = set()
        """Environments that were found to be read-only."""
        self._drafts: dict[Subject, dict[str, str]] = {}
        self._subjects: dict[str, Subject] = {}
        self._operations: dict[str, OperationRow] = {}

    @property
    def running(self) -> list["OperationRow"]:
        """The operations that have not ended, the one begun first at the front."""
        under_way = (row for row in self._operations.values() if not row.state.ended)
        return sorted(under_way, key=lambda row: row.started_at)

    def known(self, key: str) -> "OperationRow | None":
        """Return an operation as it was last heard of."""
        return self._operations.get(key)

    def take(self, upserted: Mapping[str, "OperationRow"], removed: Iterable[str]) -> list["OperationRow"]:
        """Take in operations that changed, and return those that were under way and have ended."""
        ended = []
        for key, row in upserted.items():
            known = self._operations.get(key)
            if row.state.ended:
                subject = self._subjects.pop(key, None)
                if subject is not None and row.state == "done":
                    self._drafts.pop(subject, None)
                if known is not None and not known.state.ended:
                    ended.append(row)
            self._operations[key] = row
        for key in removed:
            self._operations.pop(key, None)
        return ended

    # Drafts

    def draft(self, request: "PlanRequest") -> dict[str, str]:
        """Return the texts that were begun for this target, by the names of their fields."""
        return dict(self._drafts.get(_subject(request), {}))

    def keep_draft(self, request: "PlanRequest", name: str, text: str) -> None:
        """Keep a text until an operation has carried it out; an empty one is forgotten."""
        texts = self._drafts.setdefault(_subject(request), {})
        texts.pop(name, None)
        if text.strip():
            texts[name] = text
        if not texts:
            del self._drafts[_subject(request)]

    def sent(self, request: "PlanRequest", operation: "OperationRow") -> None:
        """Note with which operation a target's draft is on its way."""
        self._subjects[operation.key] = _subject(request)
        known = self._operations.get(operation.key)
        # The end may have overtaken the answer to the question.
        self.take({operation.key: known or operation}, ())


def _subject(request: "PlanRequest") -> Subject:
    return (request.verb, request.target, request.environment)
