"""The checklist parser, against examples, hostile texts and a CommonMark parser."""

import random
import re
import time

import pytest
from markdown_it import MarkdownIt

from mlops_tui.domain.checklist import ITEM_LIMIT, is_checklist_comment, join_checklists, parse_checklist
from mlops_tui.domain.pull import ChecklistItem

COMMENT = """## PR Checklist

### Model changes
- [x] Performance validated
- [ ] Backward compatibility checked

### General
- [X] Tests pass locally
"""


def _items(markdown: str) -> list[tuple[str, bool]]:
    return [(item.text, item.done) for item in parse_checklist(markdown)]


def test_items_stand_under_the_nearest_heading() -> None:
    assert parse_checklist(COMMENT) == (
        ChecklistItem(section="Model changes", text="Performance validated", done=True),
        ChecklistItem(section="Model changes", text="Backward compatibility checked", done=False),
        ChecklistItem(section="General", text="Tests pass locally", done=True),
    )


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("- [ ] a\n* [x] b\n+ [X] c\n1. [x] d\n2) [ ] e", [("a", 0), ("b", 1), ("c", 1), ("d", 1), ("e", 0)]),
        ("1. [ ] a\n2. [x] b\n3. [ ] c", [("a", 0), ("b", 1), ("c", 0)]),
        ("- [ ] a\n  - [x] b\n    1. [ ] c\n- [ ] d", [("a", 0), ("b", 1), ("c", 0), ("d", 0)]),
        ("- plain\n  - [x] nested under a plain item", [("nested under a plain item", 1)]),
        ("> - [x] quoted", [("quoted", 1)]),
        ("- [ ] first line\n  and second\nand a lazy third", [("first line and second and a lazy third", 0)]),
        ("Text\n- [ ] ends the paragraph", [("ends the paragraph", 0)]),
        ("- [ ] a\r\n- [x] b\r\n", [("a", 0), ("b", 1)]),
        ("- [ ] ```not a fence``` [x]", [("```not a fence``` [x]", 0)]),
        ("<details>\n\n- [x] inside details\n\n</details>", [("inside details", 1)]),
        ("- [ ] a\n\n\n- [x] b", [("a", 0), ("b", 1)]),
        ("-   [x] wide", [("wide", 1)]),
        ("- - [x] twice", [("twice", 1)]),
    ],
)
def test_what_is_an_item(markdown: str, expected: list[tuple[str, int]]) -> None:
    assert _items(markdown) == [(text, bool(done)) for text, done in expected]


@pytest.mark.parametrize(
    "markdown",
    [
        "```\n- [ ] in a fence\n```",
        "~~~~ text\n- [ ] in a fence\n~~~\n- [x] still\n~~~~",
        "```\n- [ ] a fence that is never closed",
        "- item\n  ```\n  - [ ] fence inside an item\n  ```",
        "Text\n\n    - [ ] indented code",
        "-     [ ] indented code inside an item",
        "<!--\n- [ ] an instruction of the template\n-->",
        "<!-- - [ ] on one line -->",
        "<details>\n- [ ] HTML until a blank line\n</details>",
        "[ ] no list",
        "- [] no space",
        "- [y] another letter",
        "- [ ]",
        "- [ ]no gap",
        "- text [ ] in the middle",
        "- first\n  [ ] second line of a paragraph",
        "- `[ ] code span`",
        r"- \[ ] escaped",
        "",
    ],
)
def test_what_is_not(markdown: str) -> None:
    assert parse_checklist(markdown) == ()


def test_a_fence_ends_with_the_item_that_it_is_in() -> None:
    assert _items("- a\n  ```\n  code\n- [x] b") == [("b", True)]


def test_setext_and_closed_headings_are_sections() -> None:
    items = parse_checklist("Data\n====\n- [ ] a\n\n## General ##\n- [ ] b\n")
    assert [item.section for item in items] == ["Data", "General"]


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        (COMMENT, True),
        ("<!-- bot:checklist -->\n# PR checklist:\n- [ ] a", True),
        ("##   PR Checklist   ##\r\n- [ ] a", True),
        ("Look at this:\n## PR Checklist\n- [x] a", False),
        ("## PR Checklist of mine\n- [x] a", False),
        ("##PR Checklist", False),
        ("", False),
    ],
)
def test_which_comments_are_checklists(comment: str, expected: bool) -> None:
    assert is_checklist_comment(comment) is expected


def test_the_newest_checklist_comment_counts_beside_the_body() -> None:
    older = "## PR Checklist\n- [ ] old"
    items = join_checklists("- [x] body", [older, COMMENT, "- [ ] mere talk"])
    assert [item.text for item in items] == [
        "body",
        "Performance validated",
        "Backward compatibility checked",
        "Tests pass locally",
    ]


def test_hostile_texts_are_cleaned_and_bounded() -> None:
    (item,) = parse_checklist("# \x1b[31mred\x1b[0m\n- [x] \u202eevil\x07 [/bold] " + "y" * 10_000)
    assert item.section == "red"
    assert item.text.startswith("evil [/bold] yyy")
    assert len(item.text) <= 500
    assert len(parse_checklist("- [ ] a\n" * 9_000)) == ITEM_LIMIT


@pytest.mark.parametrize(
    "unit",
    [
        "> ",
        "- ",
        "#",
        "# ",
        " ",
        "`",
        "<!--",
        "[ ]",
        "- [ ] a\n",
        "1. ",
        "-\n",
        "> -\n",
        "* ",
        "\t",
        "<a ",
        "# # ",
        "\n",
    ],
)
def test_the_cost_grows_with_the_text_alone(unit: str) -> None:
    text = (unit * (65_536 // len(unit) + 1))[:65_536]
    started = time.process_time()
    parse_checklist(text)
    parse_checklist(text + "x\n- [ ] a")
    is_checklist_comment(text)
    assert time.process_time() - started < 2


_TOKEN_TASK = re.compile(r"\[([ xX])\][ \t]+(?=\S)")


def _reference(markdown: str) -> list[tuple[str, bool]]:
    """The items by a full CommonMark parser: paragraphs that begin a list item and carry a task's mark."""
    found, tokens = [], MarkdownIt("commonmark").parse(markdown)
    for before, opening, inline in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (before.type, opening.type, inline.type) == ("list_item_open", "paragraph_open", "inline"):
            task = _TOKEN_TASK.match(inline.content)
            if task:
                lines = inline.content[task.end() :].split("\n")
                found.append((" ".join(line.strip() for line in lines), task[1] != " "))
    return found


_PIECES = (
    "- [ ] a b", "* [x] c", "+ [X] d", "1. [ ] e", "2. [x] f", "3) [ ] g", "- h", "> - [x] i", "> [ ] j", "plain",
    "- [ ]k", "## Heading", "```", "~~~", "````", "<!--", "-->", "<!-- x -->", "<details>", "</details>", "***",
    "- - [x] l", "", "", "", "    - [ ] m", "- [ ] n `[x]`", "> ```", "> - [ ] o", "<b>", "<div>text</div>",
    "1) [x] p", "-    [ ] q",
)  # fmt: skip


def _document(chance: random.Random) -> str:
    lines: list[str] = []
    for _ in range(chance.randint(1, 12)):
        # Four columns and more only after a blank line: elsewhere CommonMark continues the paragraph, and markdown-it
        # does not always.
        indents = (0, 0, 1, 2, 3) if lines and lines[-1].strip() else (0, 0, 2, 4, 6)
        lines.append(" " * chance.choice(indents) + chance.choice(_PIECES))
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(40))
def test_agrees_with_a_commonmark_parser_on_generated_lists(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        markdown = _document(chance)
        assert _items(markdown) == _reference(markdown), markdown


@pytest.mark.parametrize("seed", range(20))
def test_every_generated_item_is_found_in_its_section(seed: int) -> None:
    chance = random.Random(seed)
    lines, expected, depth = [], [], 0
    for section in range(chance.randint(1, 6)):
        lines += [f"{'#' * chance.randint(1, 6)} Section {section}", ""]
        depth = 0
        for number in range(chance.randint(0, 8)):
            done = chance.random() < 0.5
            mark = chance.choice("xX") if done else " "
            lines.append(f"{'  ' * depth}- [{mark}] item {section}.{number}")
            expected.append(ChecklistItem(section=f"Section {section}", text=f"item {section}.{number}", done=done))
            depth = chance.randint(0, depth + 1)
        lines += ["", chance.choice(["```\n- [ ] no\n```", "some text", "<!-- - [ ] no -->"]), ""]
    assert parse_checklist("\n".join(lines)) == tuple(expected)
