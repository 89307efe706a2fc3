"""The signs on the screen, in common Unicode and in ASCII.

Marks are looked up by their word (`mlops_tui.domain.base.Mark` is a string), so that the first frame needs no domain.
"""

from dataclasses import dataclass

MARKS = ("ok", "running", "waiting", "warn", "bad", "unknown", "paused", "stale", "none")
"""Every mark, in the order in which a legend shows them."""

_UNICODE = dict(zip(MARKS, "✔◐●▲✖?‖◌·", strict=True))
_ASCII = dict(zip(MARKS, "+*o!x?=~.", strict=True))
_PLAIN = str.maketrans(
    {
        "✔": "+", "◐": "*", "●": "o", "▲": "^", "▼": "v", "✖": "x", "‖": "=", "◌": "~", "·": ".", "–": "-", "—": "-",
        "→": ">", "…": "~", "☑": "#", "▌": ">", "│": "|", "─": "-", "↑": "^", "↓": "v", "“": '"', "”": '"', "’": "'",
        "≥": ">", "≤": "<", "±": "=",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set of signs."""

    ascii: bool = False

    def mark(self, mark: str) -> str:
        """Return the one-cell sign of a mark."""
        return (_ASCII if self.ascii else _UNICODE).get(mark, "?")

    def plain(self, text: str) -> str:
        """Return `text` as this set can show it: unchanged, or with every other character replaced by one of ASCII."""
        if not self.ascii or text.isascii():
            return text
        return text.translate(_PLAIN).encode("ascii", "replace").decode("ascii")

    @property
    def cursor(self) -> str:
        """The sign in front of the row that the keys act on."""
        return ">" if self.ascii else "▌"

    @property
    def rule(self) -> str:
        """One cell of a horizontal frame."""
        return "-" if self.ascii else "─"

    @property
    def dot(self) -> str:
        """Between parts of one text."""
        return "|" if self.ascii else "·"
