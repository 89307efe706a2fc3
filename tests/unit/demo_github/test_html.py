"""HTML by construction."""

import pytest

from mlops_tui.demo.github.html import document, table, tag


def test_what_is_no_markup_is_text() -> None:
    assert tag("p", "<b>&\"'", tag("b", 3), None, ["x", [tag("i", "y")]]) == (
        "<p>&lt;b&gt;&amp;&quot;&#x27;<b>3</b>x<i>y</i></p>"
    )
    assert table([("a", "<")]) == "<table><tr><th>a</th><td>&lt;</td></tr></table>"


def test_attributes_are_text_too() -> None:
    assert tag("a", "x", kind='"><', link='/a"b') == '<a class="&quot;&gt;&lt;" href="/a&quot;b">x</a>'


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//evil.test", "/\\evil.test", " /x", ""])
def test_a_link_leads_to_the_web_or_nowhere(link: str) -> None:
    assert tag("a", "x", link=link) == "<a>x</a>"


def test_control_characters_and_lone_surrogates_are_left_out() -> None:
    page = document("a\x1b[31m\x00\ud800\x85b", "tab\tand\nline").decode()
    assert "<title>a[31mb</title>" in page
    assert "tab\tand\nline" in page
