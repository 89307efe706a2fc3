"""The first line: where we are, whether it is production, and how well the sources are."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from textual.content import Content
from textual.style import Style
from textual.widget import Widget

from mlops_tui.ui.faces import Trouble, source_word
from mlops_tui.ui.glyphs import MARKS, Glyphs

if TYPE_CHECKING:
    from mlops_tui.domain.state import SourceState
    from mlops_tui.engine.messages import Scope

_SHORT = {"kubernetes": "kube"}
_LEVELS = 8
"""Steps from everything to what must never be missing."""


class Header(Widget):
    """One line that gives up the least important part first where the room is short.

    Args:
        glyphs: The signs to draw with.
        read_only: Whether the viewer itself was started to change nothing.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"header--{mark}" for mark in MARKS), "header--name", "header--dim", "header--faint",
        "header--production", "header--environment", "header--read-only",
    }  # fmt: skip

    def __init__(self, glyphs: Glyphs, read_only: bool) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._read_only = read_only
        self._scope: Scope | None = None
        self._sources: tuple[SourceState, ...] = ()
        self._trouble: Trouble | None = None
        self._now: datetime | None = None
        self._operations = 0

    def show(
        self,
        scope: "Scope | None",
        sources: Iterable["SourceState"],
        trouble: Trouble | None,
        now: datetime,
        running: int = 0,
    ) -> None:
        """Take in what there is to show, and draw it.

        Args:
            running: Operations that have not ended.
        """
        # Operations are no system whose health could be told.
        systems = tuple(state for state in sources if state.kind != "operations")
        self._scope, self._sources, self._trouble, self._now, self._operations = scope, systems, trouble, now, running
        self.refresh()

    def render(self) -> Content:
        """Return the fullest line that fits."""
        width = self.size.width
        for level in range(_LEVELS):
            left, right = self._left(level), self._right(level)
            space = width - left.cell_length - right.cell_length
            if space >= 1:
                return Content.assemble(left, " " * space, right)
        return left.truncate(width)

    def _look(self, name: str) -> Style:
        return self.get_visual_style(f"header--{name}")

    def _text(self, text: str, look: str = "") -> Content:
        text = self._glyphs.plain(text)
        return Content.assemble((text, self._look(look))) if look else Content(text)

    def _left(self, level: int) -> Content:
        parts = [self._text("mlops-tui", "name")] if level < 6 else []
        environments = self._scope.environments if self._scope else ()
        for environment in sorted(environments, key=lambda found: not found.protected):
            if environment.protected:
                parts.append(self._text(f" {environment.name.upper()} ", "production"))
            elif level < 7:
                parts.append(self._text(f" {environment.name} ", "environment"))
        places = [place for environment in environments for place in environment.places]
        if places and level < 2:
            shown = places if level == 0 else places[:1]
            more = f" +{len(places) - len(shown)}" if len(places) > len(shown) else ""
            parts.append(self._text("  ".join(shown) + more, "dim"))
        if self._read_only or (self._scope is not None and self._scope.read_only):
            parts.append(self._text(" READ-ONLY ", "read-only"))
        return Content(" ") + Content("  ").join(parts)

    def _right(self, level: int) -> Content:
        parts: list[Content] = []
        if self._trouble is not None:
            parts.append(self._text(f"{self._glyphs.mark('bad')} engine", "bad"))
        if self._operations:
            word = f" operation{'s' if self._operations > 1 else ''}" if level < 4 else ""
            parts.append(self._text(f"{self._glyphs.mark('running')} {self._operations}{word}", "running"))
        dots = list(self._dots(ages=level < 4, names=level < 7))
        parts.extend(dots if level < 7 else [Content(" ").join(dots)] if dots else [])
        quotas = [state.quota.remaining for state in self._sources if state.quota is not None]
        if quotas and level < 5:
            quota = f"{min(quotas):,}"
            parts.append(self._text(f"quota {quota}" if level < 3 else quota, "dim"))
        if self._now is not None:
            now = self._now.astimezone(UTC)
            parts.append(self._text(f"{now:%H:%M:%SZ}" if level < 6 else f"{now:%H:%MZ}", "dim"))
        return Content("   " if level < 3 else "  ").join(parts) + Content(" ")

    def _dots(self, ages: bool, names: bool) -> Iterable[Content]:
        """Yield one dot a source."""
        assert self._now is not None or not self._sources
        kinds = [state.kind for state in self._sources]
        for state in self._sources:
            several = kinds.count(state.kind) > 1
            name = state.label if several and state.label else _SHORT.get(state.kind, str(state.kind))
            status, (mark, word) = source_word(state, self._now or datetime.now(UTC))
            if self._trouble is not None and mark == "ok":
                mark = "stale"
            sign = self._text(self._glyphs.mark(mark), mark)
            shown = [self._text(name, "dim")] if names else []
            shown.append(sign)
            if ages and word and not (status == "denied" and not names):
                shown.append(self._text(word, "faint" if mark == "ok" else mark))
            yield Content(" ").join(shown)
