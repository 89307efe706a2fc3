"""HTML by construction: what is not made here is text, and is escaped."""

import base64
import hashlib
import html
import re
from collections.abc import Iterable
from typing import Final

_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_ADDRESS: Final = re.compile(r"(?:https?:/)?/[^/\\]|#|/$")

STYLE: Final = """
:root { color-scheme: light dark; --line: light-dark(#d0d7de, #30363d); --soft: light-dark(#59636e, #9198a1);
  --ok: light-dark(#1a7f37, #3fb950); --bad: light-dark(#d1242f, #f85149); --wait: light-dark(#9a6700, #d29922); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
a { color: light-dark(#0969da, #4493f8); text-decoration: none; }
a:hover, a:focus { text-decoration: underline; }
nav { display: flex; flex-wrap: wrap; gap: 1.25rem; padding-bottom: .75rem; border-bottom: 1px solid var(--line); }
h1 { font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { font-weight: 400; color: var(--soft); white-space: nowrap; }
pre { border: 1px solid var(--line); border-radius: 6px; padding: .75rem; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; font: 13px/1.45 ui-monospace, monospace; }
summary { cursor: pointer; padding: .25rem 0; }
small { color: var(--soft); }
.ok { color: var(--ok); } .bad { color: var(--bad); } .wait { color: var(--wait); }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""What keeps a page from doing anything but being read."""


class Markup(str):
    """HTML that may stand as it is."""

    __slots__ = ()


Part = Markup | str | int | None | Iterable["Part"]


def tag(name: str, *parts: Part, kind: str = "", link: str = "") -> Markup:
    """Return an element.

    Args:
        parts: Its content; all that is no markup is escaped.
        kind: Its class.
        link: Where it leads; what is no address on the web is left out.
    """
    given = [("class", kind), ("href", link if _ADDRESS.match(link) else "")]
    attributes = "".join(f' {key}="{html.escape(value)}"' for key, value in given if value)
    return Markup(f"<{name}{attributes}>{_join(parts)}</{name}>")


def document(title: str, *parts: Part) -> bytes:
    """Return a whole page."""
    head = tag("head", Markup('<meta charset="utf-8">'), _viewport(), tag("title", title), _style())
    return f'<!DOCTYPE html>\n<html lang="en">{head}{tag("body", *parts)}</html>\n'.encode()


def table(rows: Iterable[tuple[Part, ...]]) -> Markup:
    """Return rows whose first cells are their headings."""
    return tag("table", [tag("tr", tag("th", first), [tag("td", cell) for cell in rest]) for first, *rest in rows])


def _join(part: Part) -> str:
    if part is None:
        return ""
    if isinstance(part, Markup):
        return part
    if isinstance(part, str | int):
        return html.escape(_UNPRINTABLE.sub("", str(part)))
    return "".join(map(_join, part))


def _viewport() -> Markup:
    return Markup('<meta name="viewport" content="width=device-width, initial-scale=1">')


def _style() -> Markup:
    return Markup(f"<style>{STYLE}</style>")
