"""Text from outside, made safe to show.

Titles, branch names, tags and messages are written by strangers. Whatever reaches a row has lost its terminal
escapes, control characters and bidirectional marks, and has a bounded length, so that no pane, log or export has to
think about it again.
"""

import re
import unicodedata
from typing import Annotated

from pydantic import BeforeValidator

LINE_LIMIT = 500
"""Characters kept of a one-line text: more than any screen is wide, less than a title meant to hurt."""
BLOCK_LIMIT = 65_536
"""Characters kept of a text of several lines: GitHub's own limit for a body."""

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC … BEL or ST: titles, clipboard, links
    r"|\x1b[PX^_].*?(?:\x1b\\|$)"  # DCS, SOS, PM, APC
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|\x1b[ -/]*[0-~]?",  # the two-byte rest
    re.DOTALL,
)
_BIDI = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_LINE_BREAKS = re.compile(r"\r\n?|\u2028|\u2029|\x85|\x0b|\x0c")


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn") or character == "\u200d"


def clean_block(value: object, limit: int = BLOCK_LIMIT) -> str:
    """Return text of several lines without escapes, control characters or direction marks.

    Args:
        value: Any value; `None` becomes the empty string.
        limit: The most characters to keep; a longer text ends in `…`.
    """
    if value is None:
        return ""
    text = str(value)
    # Cut before the work, not after: the cost of a hostile text is bounded too.
    text = text[: 4 * limit]
    if not (text.isascii() and text.isprintable()):
        text = _LINE_BREAKS.sub("\n", text)
        text = _ESCAPES.sub("", text).translate(_BIDI).expandtabs(4)
        text = "".join(c for c in text if c == "\n" or _printable(c))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clean_line(value: object, limit: int = LINE_LIMIT) -> str:
    """Return `value` as one safe line: white space folded, nothing invisible, at most `limit` characters."""
    if isinstance(value, str) and len(value) <= limit and value.isascii() and value.isprintable():
        return value.strip()
    line = " ".join(clean_block(value, 4 * limit).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


Line = Annotated[str, BeforeValidator(clean_line)]
"""A field that holds one safe line, whatever it is given."""
Block = Annotated[str, BeforeValidator(clean_block)]
"""A field that holds safe text of several lines."""
