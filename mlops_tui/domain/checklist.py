"""Markdown task lists, read as GitHub reads them.

What looks like an item is one only where markdown says so: not in a code block, not in an HTML comment (which is
where pull request templates keep their instructions), not in the middle of a paragraph. So this follows CommonMark's
block structure, line by line, in time that grows with the text alone.
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from mlops_tui.domain.pull import ChecklistItem

ITEM_LIMIT = 300
"""Items kept of one text: more than anybody ticks, less than 64 KiB can hold."""
_DEPTH_LIMIT = 40
"""Nested quotes and lists that are followed; deeper ones are text."""

_BULLET = re.compile(r"([-+*]|\d{1,9}[.)])(?= |$)")
_TASK = re.compile(r"\[([ xX])\]\s+(?=\S)")
_HEADING = re.compile(r"#{1,6}(?= |$)")
_FENCE = re.compile(r"(`{3,})[^`]*$|(~{3,})")
_RULE = re.compile(r"([-_*])(?: *\1){2,} *$")
_SETEXT = re.compile(r"(?:=+|-+) *$")
_HTML_BLOCKS = tuple(
    (re.compile(start, re.IGNORECASE), re.compile(end, re.IGNORECASE))
    for start, end in (
        (r"<(?:script|pre|style|textarea)(?:\s|>|$)", r"</(?:script|pre|style|textarea)>"),
        (r"<!--", r"-->"),
        (r"<\?", r"\?>"),
        (r"<!\[CDATA\[", r"\]\]>"),
        (r"<![a-z]", r">"),
        (
            r"</?(?:address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir"
            r"|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr|html|iframe|legend"
            r"|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|search|section|summary|table|tbody"
            r"|td|tfoot|th|thead|title|tr|track|ul)(?:\s|/?>|$)",
            r"^\s*$",
        ),
        (r"(?:<[a-z][a-z0-9-]*(?:\s[^<>]*)?>|</[a-z][a-z0-9-]*\s*>)$", r"^\s*$"),
    )
)
"""How each kind of HTML block begins and ends; the last kind cannot interrupt a paragraph."""
_TITLE = "pr checklist"
TRUSTED: Final = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
"""What GitHub calls those to whom a repository belongs in some way."""
SECTIONS: Final = (
    (
        "Model changes",
        ("src/model*", "models/*"),
        ("Model performance validated", "Backward compatibility checked", "Model size acceptable"),
    ),
    ("Data changes", ("*.dvc",), ("Data quality validated", "DVC push completed", "Data documentation updated")),
    ("General", ("*",), ("Tests pass locally", "Code review completed")),
)
"""The sections of a pull request's checklist: title, the changed files that ask for it, items."""
_QUOTE = -1
"""Marks a quote among the containers; a list item is marked by the columns that its content is indented by."""


def parse_checklist(markdown: str) -> tuple[ChecklistItem, ...]:
    """Return the items of all task lists in `markdown`, each under the nearest heading above it."""
    return _Reader().read(markdown)


def set_item(markdown: str, index: int, *, done: bool) -> str:
    """Return `markdown` with one item of its task lists ticked or open, and not another character changed.

    Args:
        index: Of the item among those that `parse_checklist` returns.

    Raises:
        IndexError: There is no such item.
    """
    reader = _Reader()
    reader.read(markdown)
    parts = re.split(r"(\r\n?|\n)", markdown)
    place = 2 * reader.lines[index]
    line = parts[place]
    # Before the box there is nothing but what opens quotes and list items, and none of that has a bracket.
    box = line.index("[")
    parts[place] = f"{line[:box]}[{'x' if done else ' '}]{line[box + 3 :]}"
    return "".join(parts)


def checklist_for(paths: Iterable[str]) -> str:
    """Return the checklist comment for a pull request that changes these files, nothing ticked."""
    changed = tuple(paths)
    lines = ["## PR Checklist"]
    for title, patterns, items in SECTIONS:
        if title == "General" or any(fnmatchcase(path, pattern) for path in changed for pattern in patterns):
            lines += ["", f"### {title}", *(f"- [ ] {item}" for item in items)]
    return "\n".join(lines) + "\n"


def may_hold_checklist(association: str, *, bot: bool, author: bool) -> bool:
    """Whether a comment's checklist may count: anybody may comment, and must not tick a release's checklist by it.

    Args:
        association: What its author is to the repository, in GitHub's words.
        bot: Whether an app wrote it.
        author: Whether the pull request's own author wrote it.
    """
    return association in TRUSTED or bot or author


def is_checklist_comment(markdown: str) -> bool:
    """Whether `markdown` is a comment headed `## PR Checklist`: nothing but HTML comments may stand above it."""
    text = re.sub(r"<!--.*?-->", "", markdown[:4_000], flags=re.DOTALL).strip()
    first = text.partition("\n")[0]
    return bool(_HEADING.match(first)) and _heading_text(first).rstrip(" :").casefold() == _TITLE


def join_checklists(body: str, comments: Iterable[str]) -> tuple[ChecklistItem, ...]:
    """Return the items of a pull request's body, then those of the newest comment headed `## PR Checklist`.

    Args:
        body: The pull request's own text.
        comments: Comments, oldest first.
    """
    newest = next((text for text in reversed(tuple(comments)) if is_checklist_comment(text)), "")
    return (parse_checklist(body) + parse_checklist(newest))[:ITEM_LIMIT]


class _Reader:
    def __init__(self) -> None:
        self._section = ""
        self._items: list[ChecklistItem] = []
        self.lines: list[int] = []
        """On which line of the text each item's box is, the first being 0."""
        self._number = 0
        self._task_line = 0
        self._containers: list[int] = []
        self._fence = ""
        self._html_end: re.Pattern[str] | None = None
        self._paragraph: list[str] | None = None
        """The lines of the open paragraph."""
        self._task: bool | None = None
        """Whether the open paragraph is a task and, if so, whether it is done."""
        self._fresh_item = False
        """Whether a list item has just begun, so that a task may stand here."""

    def read(self, markdown: str) -> tuple[ChecklistItem, ...]:
        for self._number, raw in enumerate(re.split(r"\r\n?|\n", markdown)):
            self._line(raw.expandtabs(4))
            if len(self._items) >= ITEM_LIMIT:
                break
        self._close_paragraph()
        return tuple(self._items[:ITEM_LIMIT])

    def _line(self, line: str) -> None:
        matched, rest = self._match_containers(line)
        inside = matched == len(self._containers)
        if self._fence and inside:
            self._fence_line(rest)
            return
        if self._html_end and inside:
            self._html_line(rest)
            return
        if not inside:
            if self._paragraph is not None and self._continues(rest):
                self._paragraph.append(rest.strip())
                return
            self._leave(matched)
        self._blocks(rest)

    def _match_containers(self, line: str) -> tuple[int, str]:
        """Return how many open containers the line is in, and what is left of it inside them."""
        for index, container in enumerate(self._containers):
            indent = _indent(line)
            if container == _QUOTE:
                if indent > 3 or not line.startswith(">", indent):
                    return index, line
                line = line[indent + 1 :].removeprefix(" ")
            elif indent == len(line):
                line = ""
            elif indent >= container:
                line = line[container:]
            else:
                return index, line
        return len(self._containers), line

    def _continues(self, rest: str) -> bool:
        """Whether a line outside the open paragraph's containers is nevertheless its next line."""
        text = rest.strip()
        if not text or _indent(rest) > 3:
            return bool(text)
        # Here any list item ends the paragraph: it is a sibling of one that the paragraph is in.
        return not (self._starts_block(text) or _BULLET.match(text))

    def _starts_block(self, text: str) -> bool:
        """Whether `text` ends a paragraph by starting something else."""
        if text.startswith(">") or _HEADING.match(text) or _FENCE.match(text) or _RULE.match(text):
            return True
        bullet = _BULLET.match(text)
        if bullet and text[bullet.end() :].strip():
            return bullet[1][:-1] in ("", "1")
        return any(start.match(text) for start, _ in _HTML_BLOCKS[:-1])

    def _leave(self, depth: int) -> None:
        self._close_paragraph()
        self._fence, self._html_end = "", None
        del self._containers[depth:]

    def _blocks(self, rest: str) -> None:
        """Open the containers that begin on this line, then read what is in them."""
        while True:
            indent, text = _indent(rest), rest.strip()
            if not text:
                self._close_paragraph()
                self._fresh_item = False
                return
            if self._paragraph is None and indent > 3:
                self._fresh_item = False
                return
            if self._paragraph is not None and (indent > 3 or not self._interrupts(text)):
                self._paragraph.append(text)
                return
            opened = self._open_container(rest, indent)
            if opened is None:
                self._leaf(text, indent)
                return
            rest = opened

    def _interrupts(self, text: str) -> bool:
        return bool(_SETEXT.match(text)) or self._starts_block(text)

    def _open_container(self, rest: str, indent: int) -> str | None:
        """Open the quote or list item that `rest` begins with and return what is in it; `None` if there is none."""
        if len(self._containers) >= _DEPTH_LIMIT:
            return None
        if rest.startswith(">", indent):
            self._close_paragraph()
            self._fresh_item = False
            self._containers.append(_QUOTE)
            return rest[indent + 1 :].removeprefix(" ")
        bullet = _BULLET.match(rest, indent)
        text = rest[indent:]
        if bullet is None or _RULE.match(text) or (self._paragraph is not None and _SETEXT.match(text)):
            return None
        self._close_paragraph()
        content = rest[bullet.end() :]
        gap = _indent(content)
        width = gap if 1 <= gap <= 4 and content.strip() else 1
        self._containers.append(bullet.end() + width)
        self._fresh_item = True
        return content[width:]

    def _leaf(self, text: str, indent: int) -> None:
        fresh, self._fresh_item = self._fresh_item, False
        if self._paragraph is not None and _SETEXT.match(text):
            if self._task is None:
                self._section = " ".join(self._paragraph)
            self._close_paragraph()
            return
        heading, fence = _HEADING.match(text), _FENCE.match(text)
        html = next((end for start, end in _HTML_BLOCKS if start.match(text)), None)
        if not (heading or fence or html or _RULE.match(text)):
            task = _TASK.match(text) if fresh else None
            self._paragraph = [text[task.end() :] if task else text]
            self._task = task[1] in "xX" if task else None
            self._task_line = self._number
            return
        self._close_paragraph()
        if heading:
            self._section = _heading_text(text)
        elif fence:
            self._fence = fence[1] or fence[2]
        elif html:
            self._html_end = html
            self._html_line(text.partition("<!--")[2] if text.startswith("<!--") else text)

    def _fence_line(self, rest: str) -> None:
        closing = rest.strip()
        if _indent(rest) <= 3 and len(closing) >= len(self._fence) and not closing.strip(self._fence[0]):
            self._fence = ""

    def _html_line(self, rest: str) -> None:
        if self._html_end and self._html_end.search(rest):
            self._html_end = None

    def _close_paragraph(self) -> None:
        if self._task is not None and self._paragraph:
            text = " ".join(self._paragraph)
            self._items.append(ChecklistItem(section=self._section, text=text, done=self._task))
            self.lines.append(self._task_line)
        self._paragraph, self._task = None, None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _heading_text(line: str) -> str:
    text = line.lstrip("#").strip()
    closed = text.rstrip("#")
    return closed.rstrip() if closed != text and (not closed or closed.endswith(" ")) else text
