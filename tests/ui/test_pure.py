"""The screen's rules that need no screen: ages, columns, filters, keys, themes, faces, descriptions."""

import importlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.ages import age, duration, one_unit, stamp
from mlops_tui.config.keymap import ACTIONS, read_keymap
from mlops_tui.config.themes import BadTheme, read_theme, read_themes, theme_folders
from mlops_tui.domain.base import Attention, Mark, RowKind
from mlops_tui.domain.describe import describe, title_of
from mlops_tui.domain.errors import ConfigError
from mlops_tui.domain.pull import Checks
from mlops_tui.domain.state import Permission, Problem, SourceKind, SourceState, SourceStatus
from mlops_tui.ui.faces import About, Trouble, face, freshness
from mlops_tui.ui.filtering import parse_filter
from mlops_tui.ui.glyphs import MARKS, Glyphs
from mlops_tui.ui.panes.models import figure
from mlops_tui.ui.panes.rollouts import image_tag
from mlops_tui.ui.widgets.columns import Column, fit, lay_out
from tests.support.fake_engine import NOW, ago, cast, pull, rollout, run, states, version


@pytest.mark.parametrize(
    ("seconds", "unit", "whole"),
    [
        (-5, "0s", "0s"), (0, "0s", "0s"), (59.9, "59s", "59s"), (60, "1m", "1m00s"), (372, "6m", "6m12s"),
        (3599, "59m", "59m59s"), (10_920, "3h", "3h02m"), (86_400, "1d", "1d00h"), (20 * 86_400, "20d", "20d00h"),
    ],
)  # fmt: skip
def test_spans(seconds: float, unit: str, whole: str) -> None:
    assert (one_unit(seconds), duration(seconds)) == (unit, whole)
    assert age(NOW - timedelta(seconds=seconds), NOW) == unit


def test_stamps_are_utc_and_name_another_year() -> None:
    assert stamp(NOW, NOW) == "20 Nov 14:02Z"
    assert stamp(NOW - timedelta(days=365), NOW) == "20 Nov 2025 14:02Z"


@pytest.mark.parametrize(
    ("text", "keep", "right", "shown"),
    [
        ("main", "start", False, "main    "),
        ("12", "start", True, "      12"),
        ("feature/one", "start", False, "feature…"),
        ("feature/one", "end", False, "…ure/one"),
        ("feature/one", "middle", False, "fea…/one"),
        ("大橋さん", "start", False, "大橋さん"),
        ("大橋さんと", "start", False, "大橋さ… "),
        ("大橋さんと", "end", False, "…さんと "),
    ],
)
def test_a_text_fills_its_column_exactly(text: str, keep: str, right: bool, shown: str) -> None:
    from rich.cells import cell_len

    found = fit(text, 8, keep, right)
    assert cell_len(found) == 8
    assert found == shown


def test_columns_give_way_by_rank_and_share_what_is_left() -> None:
    columns = (
        Column("mark", 1),
        Column("name", 10, grow=1, most=14, gap=1),
        Column("branch", 8, grow=3, rank=2),
        Column("age", 4, rank=5, right=True),
        Column("luxury", 6, rank=9, since=60),
    )
    assert lay_out(columns, 30) == (1, 11, 9, 4, 0)
    assert lay_out(columns, 24) == (1, 11, 9, 0, 0)
    assert lay_out(columns, 14) == (1, 12, 0, 0, 0)
    assert lay_out(columns, 60)[4] == 6
    assert lay_out(columns, -1) == (1, 10, 0, 0, 0), "a list without room is clipped, not broken"
    for width in range(12, 120):
        widths = lay_out(columns, width)
        gaps = sum(column.gap for column, room in zip(columns, widths, strict=True) if room) - 2
        assert sum(widths) + gaps <= width


def test_filters_need_every_word_and_every_field() -> None:
    fields = {"branch": ("feat/bigger-net",), "is": ("bad", "bad")}
    text = "ml ci pipeline feat/bigger-net failure"
    assert parse_filter("PIPE branch:bigger is:bad", fields).matches(text, fields)
    assert not parse_filter("pipe branch:main", fields).matches(text, fields)
    assert not parse_filter("pipe ranker", fields).matches(text, fields)
    assert not parse_filter("branch:", fields), "a key without a value yet hides nothing"
    assert parse_filter("v12-4f:x", fields).words == ("v12-4f:x",), "what cannot be a key is a word"


def test_an_unknown_filter_key_is_named_with_its_nearest() -> None:
    found = parse_filter("brnch:x", ("branch", "repo"))
    assert found.problem == 'no key "brnch:" here, did you mean branch:?'
    assert not found
    assert parse_filter("zzz:x", ("branch", "repo")).problem.endswith("there are branch repo")


# Keys


def test_the_default_keys_are_free_of_clashes_and_have_ids_of_their_own() -> None:
    keymap = read_keymap({})
    assert len({action.id for action in ACTIONS}) == len(ACTIONS) == len(keymap.keys)
    used = {key for keys in keymap.keys.values() for key in keys}
    assert not used & {"ctrl+k", "delete", "backspace"}
    assert keymap.shown("help") == "?"
    assert keymap.shown("back") == "esc"


def test_keys_can_be_swapped_moved_and_taken_away() -> None:
    keymap = read_keymap({"pane.zoom": "r", "pane.refresh": "F5, f", "row.browser": ""})
    assert keymap.keys["pane.zoom"] == ("r",)
    assert keymap.keys["pane.refresh"] == ("f5", "f")
    assert keymap.shown("row.browser") == ""


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"pane.refrsh": "r"}, "ui.keys: unknown action pane.refrsh; did you mean pane.refresh?"),
        ({"pane.zoom": "r"}, "ui.keys: r for pane.zoom is already pane.refresh"),
        ({"pane.zoom": "?"}, "ui.keys: ? for pane.zoom is already help"),
        ({"pane.zoom": "question_mark"}, "ui.keys: ? for pane.zoom is already help"),
        ({"pane.zoom": "ctrl+m"}, "ui.keys: enter for pane.zoom is already row.open"),
        ({"list.down": "x", "pane.zoom": "x"}, "ui.keys: x for list.down is already pane.zoom"),
        ({"pane.zoom": "contrl+x"}, 'ui.keys: "contrl+x" for pane.zoom is not a key'),
        ({"pane.zoom": "zoom"}, 'ui.keys: "zoom" for pane.zoom is not a key'),
    ],
)
def test_wrong_keys_are_refused_in_one_line(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as found:
        read_keymap(overrides)
    assert found.value.message == message


def test_a_list_and_the_details_may_share_a_key() -> None:
    assert read_keymap({"detail.next": "x", "list.down": "x"}).keys["list.down"] == ("x",)


# Themes


def test_the_shipped_themes_are_whole() -> None:
    themes, problems = read_themes(theme_folders()[1:])
    assert {"midnight", "daylight"} <= set(themes)
    assert problems == []
    assert themes["midnight"].dark
    assert not themes["daylight"].dark


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"#10141c"', '"navy"'), "colors.background must be a colour such as \"#1a2b3c\", not 'navy'"),
        (("accent =", "acent ="), "unknown key colors.acent; did you mean colors.accent?"),
        (('bad = "#ff7b80"', ""), "marks.bad is missing"),
        (("dark = true", 'dark = "yes"'), "dark must be true or false"),
        (("dark = true", "dark true"), "is not TOML"),
    ],
)
def test_a_wrong_theme_file_is_named_with_its_key(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    good = (theme_folders()[1] / "midnight.toml").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(good.replace(*change))
    with pytest.raises(BadTheme) as found:
        read_theme(path)
    assert message in str(found.value)
    assert str(path) in str(found.value)


def test_an_earlier_folder_wins(tmp_path: Path) -> None:
    good = (theme_folders()[1] / "midnight.toml").read_text()
    (tmp_path / "mine.toml").write_text(good.replace("dark = true", "dark = false"))
    themes, _ = read_themes([tmp_path, theme_folders()[1]])
    assert not themes["midnight"].dark


# Signs


def test_every_sign_is_one_cell_and_has_its_own_ascii_twin() -> None:
    from rich.cells import cell_len

    for glyphs in (Glyphs(), Glyphs(ascii=True)):
        signs = [glyphs.mark(mark) for mark in MARKS]
        assert len(set(signs)) == len(MARKS)
        assert all(cell_len(sign) == 1 for sign in signs)
    assert all(Glyphs(ascii=True).mark(mark).isascii() for mark in MARKS)
    assert Glyphs(ascii=True).plain("☑ 7/9 → 大") == "# 7/9 > ?"
    assert set(MARKS) == {mark.value for mark in Mark}


# Faces


def about(*sources: SourceState, **values: Any) -> About:
    defaults: dict[str, Any] = {
        "kind": RowKind.RUN, "connected": True, "total": 0, "shown": 0, "empty": "no workflow runs",
        "setup": "add [github]",
    }  # fmt: skip
    return About(sources=sources, **(defaults | values))


def github(status: SourceStatus, **values: Any) -> SourceState:
    return SourceState(source="github", kind=SourceKind.GITHUB, label="api.github.com", status=status, **values)


@pytest.mark.parametrize(
    ("given", "mark", "text"),
    [
        (about(connected=False), "running", "connecting …"),
        (about(github(SourceStatus.CONNECTING)), "running", "connecting to api.github.com …"),
        (about(github(SourceStatus.LIVE)), "none", "no workflow runs in api.github.com"),
        (about(), "none", "off: add [github]  (mlops-tui config path)"),
        (
            about(github(SourceStatus.OFF, hint="set GITHUB_TOKEN")),
            "none", "off: set GITHUB_TOKEN  (mlops-tui config path)",
        ),
        (
            about(github(SourceStatus.STALE, fetched_at=ago(minutes=2), error="HTTP 502", retry_at=ago(seconds=-14))),
            "stale", "2m old: HTTP 502, again in 14s (r now)",
        ),
        (
            about(github(SourceStatus.UNREACHABLE, error="no route to host", retry_at=NOW)),
            "bad", "no route to host, trying again (r now)",
        ),
        (
            about(github(SourceStatus.DENIED, permissions=(Permission(name="checks: read", allowed=False),))),
            "bad", "denied: missing checks: read (r now)",
        ),
        (
            about(github(SourceStatus.DENIED, error='token lacks "checks: read"', hint="renew it")),
            "bad", 'denied: token lacks "checks: read". renew it (r now)',
        ),
        (
            about(github(SourceStatus.LIMITED, retry_at=ago(minutes=-12))),
            "paused", "quota used up until 20 Nov 14:14Z, again in 12m",
        ),
        (
            about(github(SourceStatus.LIVE), total=9, shown=2, filter="main"),
            "none", 'Filter "main" hides 7 (esc clears)',
        ),
        (
            about(github(SourceStatus.LIVE), total=9, shown=2, attention_only=True),
            "none", "attention only hides 7 (! shows all)",
        ),
        (
            about(github(SourceStatus.LIVE), total=9, shown=0, attention_only=True),
            "ok", "nothing here needs attention; 9 hidden (! shows all)",
        ),
        (
            about(github(SourceStatus.LIVE), trouble=Trouble("it ended", ago(seconds=-3))),
            "bad", "engine: it ended, again in 3s",
        ),
    ],
)  # fmt: skip
def test_each_face_says_what_to_do_next(given: About, mark: str, text: str) -> None:
    first = face(given, NOW)[0]
    assert (first.mark, first.text) == (mark, text)


def test_all_is_well_without_a_word() -> None:
    assert face(about(github(SourceStatus.LIVE), total=3, shown=3), NOW) == []


def test_only_problems_of_the_panes_own_rows_are_told() -> None:
    problem = Problem(
        scope="acme/ranker", message="not found", hint="check the name", status=SourceStatus.DENIED, rows=(RowKind.RUN,)
    )
    state = github(SourceStatus.LIVE, problems=(problem,))
    assert [say.text for say in face(about(state, total=1, shown=1), NOW)] == [
        "acme/ranker: denied: not found. check the name"
    ]
    assert face(about(state, total=1, shown=1, kind=RowKind.PULL), NOW) == []


def test_the_worst_source_speaks_for_the_panes_freshness() -> None:
    live, old = (
        github(SourceStatus.LIVE, fetched_at=ago(seconds=4)),
        github(SourceStatus.STALE, fetched_at=ago(hours=1)),
    )
    assert freshness([live], True, NOW).text == "4s"
    assert freshness([live, old], True, NOW) == ("stale", "1h")
    assert freshness(states()[2:], True, NOW).text == "live"


# Rows


@pytest.mark.parametrize(
    ("images", "tag"),
    [
        ((), ""),
        (("registry:5000/acme/fraud:v12-4f1c9d2",), "v12-4f1c9d2"),
        (("registry:5000/acme/fraud",), "fraud"),
        (("acme/ocr@sha256:9f3c2ab4d5e6f708",), "9f3c2ab4d5e6"),
        (("a:1", "b:2"), "1 +1"),
    ],
)
def test_the_part_of_an_image_that_tells_releases_apart(images: tuple[str, ...], tag: str) -> None:
    assert image_tag(images) == tag


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.9412, "0.941"), (0, "0.000"), (312.44, "312.4"), (12345.6, "12346"), (0.00001, "1e-05"), (float("nan"), "nan")],
)
def test_figures_stay_short(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_every_row_of_the_cast_describes_itself() -> None:
    for row in cast():
        sections = describe(row, NOW)
        assert title_of(row)
        assert sections[0].fields[0].label == "state"
        assert all(field.value for section in sections for field in section.fields)
        if row.reason:
            assert any(field.label == "why" and field.value == row.reason for field in sections[0].fields)


def test_descriptions_name_what_is_particular() -> None:
    def value(row: Any, label: str) -> str:
        return next(field.value for section in describe(row, NOW) for field in section.fields if field.label == label)

    assert value(run(4), "took") == "6m12s"
    assert value(run(4, finished_at=None), "running for") == "10m12s"
    compared = version("ranker", 3, metric="ndcg", metrics={"ndcg": 0.6}, metric_change=-0.01, champion_version=2)
    assert value(compared, "compared") == "ndcg -0.01 against v2"
    assert value(rollout("churn", ready=3), "ready") == "3 of 4"
    assert value(pull(1, "x", checks=Checks.DENIED), "checks") == "the token may not read them"
    titles = [section.title for section in describe(pull(1, "x", done=7), NOW)]
    assert titles == ["Pull request", "Checklist 7/9: General", "Checklist 7/9: Model changes"]
    bad = run(5, mark=Mark.BAD, attention=Attention.BAD, reason="lint failed")
    why = next(field for field in describe(bad, NOW)[0].fields if field.label == "why")
    assert why.mark is Mark.BAD


def test_no_colour_is_named_outside_the_theme_files() -> None:
    import re

    root = Path(str(importlib.import_module("mlops_tui.ui").__file__)).parent
    for path in [*root.rglob("*.py"), *root.rglob("*.tcss")]:
        assert not re.search(r"#[0-9a-fA-F]{6}\b|\brgb\(", path.read_text()), path
