"""From a row to the dialog that changes it: what is locked and why, the menu, the plan, the word at the end."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from textual.notifications import SeverityLevel
from textual.screen import Screen

from mlops_tui.config.keymap import ACTIONS, PANES, Action, Keymap
from mlops_tui.ui.asks import ask_name, asks_for, forbidden, request_for
from mlops_tui.ui.faces import Trouble
from mlops_tui.ui.feed import Feed
from mlops_tui.ui.glyphs import Glyphs
from mlops_tui.ui.work import Work

if TYPE_CHECKING:
    from mlops_tui.domain.operation import OperationRow, PlanRequest
    from mlops_tui.domain.rows import Row
    from mlops_tui.engine.messages import EnvironmentScope, Scope

_OPENERS: Mapping[str, Action] = {ask_name(action): action for action in ACTIONS if ask_name(action)}
"""The actions that open a plan, by what they ask for."""
_SEVERITIES: Mapping[str, SeverityLevel] = {"ok": "information", "info": "warning"}


class Operating:
    """What the dashboard's keys for changing something do.

    Args:
        screen: The dashboard, above which dialogs open.
        read_only: Whether the viewer was started to change nothing.
    """

    def __init__(
        self,
        screen: Screen[None],
        feed: Feed,
        keymap: Keymap,
        glyphs: Glyphs,
        now: Callable[[], datetime],
        *,
        read_only: bool,
    ) -> None:
        self._screen, self._feed, self._keymap, self._glyphs, self._now = screen, feed, keymap, glyphs, now
        self._read_only = read_only
        self.work = Work()
        self.trouble: Trouble | None = None

    @property
    def _scope(self) -> "Scope | None":
        return self._feed.mirror.scope if self._feed.mirror else None

    @staticmethod
    def fits(name: object, row: "Row | None") -> bool:
        """Say whether an action is for rows of this kind."""
        action = _OPENERS.get(str(name))
        return row is not None and action is not None and PANES.get(row.kind) is action.place

    def read_only_reason(self, row: "Row | None") -> str:
        """Return why nothing may be changed, whatever it is; empty if it may."""
        if self._read_only or (self._scope is not None and self._scope.read_only):
            return "this is read-only: start without --read-only to change something"
        environment = getattr(row, "environment", "")
        if environment in self.work.read_only:
            return f"{environment} is read-only: environments.{environment}.read_only says so"
        return ""

    def locked(self, name: str, row: "Row") -> str:
        """Return why something cannot be done with a row; empty if nothing is known to speak against it."""
        mirror = self._feed.mirror
        source = mirror.sources.get(row.source) if mirror else None
        return self.read_only_reason(row) or forbidden(name, row, source)

    def operate(self, name: str, row: "Row") -> None:
        """Open the plan of an operation on a row, or say why there is none."""
        if reason := self.locked(name, row):
            self._warn(reason)
            return
        request, label = request_for(name, row), _OPENERS[name].label
        environments = self._scope.environments if self._scope else ()
        if row.kind == "version" and len(environments) > 1:
            self._ask_where(request, label, environments)
        else:
            self.open_plan(request, label)

    def _ask_where(self, request: "PlanRequest", label: str, environments: Sequence["EnvironmentScope"]) -> None:
        """Let one environment be chosen, since a version may serve in any of them, and open its plan."""
        from mlops_tui.ui.screens.menu import Item, MenuScreen

        items = [
            Item(
                one.name,
                one.name.upper() if one.protected else one.name,
                f"{one.name} is read-only" if one.name in self.work.read_only else ", ".join(one.places),
                locked=one.name in self.work.read_only,
            )
            for one in environments
        ]

        def choose(name: str | None) -> None:
            if name:
                self.open_plan(request.model_copy(update={"environment": name}), label)

        title = f"{label.removesuffix('…').capitalize()} {request.target} where?"
        self._screen.app.push_screen(MenuScreen(title, items, self._glyphs), choose)

    def open_plan(self, request: "PlanRequest", label: str) -> None:
        """Open the plan of a request, unless nothing may be changed here."""
        # Neither the domain nor the editor's widget is wanted before the first frame.
        from mlops_tui.ui.screens.plan import PlanScreen

        if reason := self.read_only_reason(None):
            self._warn(reason)
            return
        environments = self._scope.environments if self._scope else ()
        dialog = PlanScreen(
            request,
            f"{label[:1].upper()}{label[1:]}",
            self._feed,
            self.work,
            self._keymap,
            self._glyphs,
            self._now,
            protected=any(one.protected for one in environments if one.name == request.environment),
            trouble=self.trouble,
        )
        self._screen.app.push_screen(dialog)

    def menu(self, row: "Row") -> None:
        """Show what can be done with a row, and do what is chosen of it: with that row, wherever the cursor is then."""
        from mlops_tui.domain.describe import title_of
        from mlops_tui.ui.screens.menu import Item, MenuScreen

        if reason := self.read_only_reason(row):
            self._warn(reason)
            return
        items = []
        for action in asks_for(row):
            name = ask_name(action)
            why_not = self.locked(name, row)
            items.append(
                Item(name, action.label, why_not or action.help, self._keymap.shown(action.id), locked=bool(why_not))
            )

        def choose(name: str | None) -> None:
            if name:
                self.operate(name, row)

        self._screen.app.push_screen(MenuScreen(title_of(row), items, self._glyphs), choose)

    def show_operations(self) -> None:
        """Show what is being done, and was."""
        from mlops_tui.ui.screens.operations import OperationsScreen

        screen = OperationsScreen(
            self._feed,
            self.work,
            self._keymap,
            self._glyphs,
            self._now,
            self.open_plan,
            trouble=self.trouble,
            read_only=self._read_only,
        )
        self._screen.app.push_screen(screen)

    def tell_end(self, row: "OperationRow") -> None:
        """Say how an operation ended, and what to do next, unless a screen that shows it says so."""
        if any(listener.watches(row.key) for listener in self.work.listeners):
            return
        undo = f"{self._keymap.shown('operations')} shows it, and undoes it" if row.undo is not None else ""
        said = (row.outcome if row.outcome != row.title else "", row.next or undo)
        self._screen.app.notify(
            self._glyphs.plain("\n".join(filter(None, said)) or row.title),
            title=self._glyphs.plain(f"{self._glyphs.mark(row.mark)} {row.state}: {row.title}"),
            severity=_SEVERITIES.get(row.attention, "error"),
            markup=False,
            timeout=10,
        )

    def _warn(self, reason: str) -> None:
        self._screen.app.notify(self._glyphs.plain(reason), severity="warning", markup=False, timeout=5)
