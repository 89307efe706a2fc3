import random
import time
import unicodedata

import pytest

from mlops_tui.domain.text import BLOCK_LIMIT, LINE_LIMIT, clean_block, clean_line


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("plain", "plain"),
        ("  spaces\tand\nlines  ", "spaces and lines"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;2;0\x1b\\after", "after"),
        ("\x9b31mred", "red"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("a\u2066b\u2069c\u200ed", "abcd"),
        ("bell\x07 back\x08space nul\x00", "bell backspace nul"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("[red]markup[/] is kept as it is", "[red]markup[/] is kept as it is"),
        ("naïve – ✔ 模型 👩\u200d🔬", "naïve – ✔ 模型 👩\u200d🔬"),
        (None, ""),
        (12, "12"),
    ],
)
def test_a_line_is_safe_to_show(text: object, clean: str) -> None:
    assert clean_line(text) == clean


def test_a_block_keeps_its_lines() -> None:
    assert clean_block("a\r\nb\rc\u2028d\te\x1b[1m") == "a\nb\nc\nd   e"


def test_length_is_bounded() -> None:
    assert len(clean_line("x" * 10_000)) == LINE_LIMIT
    assert clean_line("x" * 10_000).endswith("…")
    assert len(clean_block("é\n" * BLOCK_LIMIT)) == BLOCK_LIMIT


def test_nothing_invisible_is_left_of_any_text() -> None:
    chance = random.Random(11)
    alphabet = [*"\x1b[]0;m\x07\\P^_\x9b\u202e\u2066\x00\r\n\t aé模", "\ud800", "\U000e0001"]
    for _ in range(3000):
        text = "".join(chance.choice(alphabet) for _ in range(chance.randrange(40)))
        line = clean_line(text)
        assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs") for c in line), ascii(text)
        assert clean_line(line) == line, ascii(text)


def test_a_text_meant_to_hurt_is_cut_before_it_is_worked_on() -> None:
    began = time.process_time()
    clean_line("\x1b]" * 5_000_000)
    clean_block("\x1bP" * 5_000_000)
    assert time.process_time() - began < 5
