"""The screen's rules that need no screen: ages, columns, filters, keys, themes, faces, descriptions."""

import importlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.ages import age, duration, one_unit, retell, stamp
from mlops_tui.config.keymap import ACTIONS, read_keymap
from mlops_tui.config.themes import BadTheme, read_theme, read_themes, theme_folders
from mlops_tui.domain.base import Attention, DetailField, DetailSection, Mark, RowKind
from mlops_tui.domain.describe import describe, join, title_of
from mlops_tui.domain.errors import ConfigError
from mlops_tui.domain.model import VersionRow
from mlops_tui.domain.pull import Checks
from mlops_tui.domain.state import Permission, Problem, SourceKind, SourceState, SourceStatus
from mlops_tui.ui.faces import About, Trouble, face, freshness
from mlops_tui.ui.filtering import parse_filter
from mlops_tui.ui.glyphs import MARKS, Glyphs
from mlops_tui.ui.panes.kind import PaneKind, searchable_fields
from mlops_tui.ui.panes.models import Models, change_cell, figure
from mlops_tui.ui.panes.pulls import Pulls
from mlops_tui.ui.panes.rollouts import Rollouts, image_tag
from mlops_tui.ui.panes.workflows import Workflows
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

    def passes(text: str) -> bool:
        return parse_filter(text, fields).matches(lambda: "ml ci pipeline feat/bigger-net failure", lambda: fields)

    assert passes("PIPE branch:bigger is:bad")
    assert not passes("pipe branch:main")
    assert not passes("pipe ranker")
    assert not passes("is:ad"), "a state is known by how it begins"
    assert not parse_filter("branch:", fields), "a key without a value yet hides nothing"
    assert parse_filter("v12-4f:x", fields).words == ("v12-4f:x",), "what cannot be a key is a word"


def test_an_unknown_filter_key_is_named_with_its_nearest() -> None:
    found = parse_filter("brnch:x", ("branch", "repo"))
    assert found.problem == 'no key "brnch:" here, did you mean branch:?'
    assert not found
    assert parse_filter("zzz:x", ("branch", "repo")).problem.endswith("there are branch repo")


def test_a_filter_that_grew_narrows_and_another_does_not() -> None:
    def narrows(text: str, other: str) -> bool:
        return parse_filter(text, ("is",)).narrows(parse_filter(other, ("is",)))

    assert narrows("main", "mai")
    assert narrows("main is:bad", "main")
    assert narrows("is:bad", "is:b")
    assert not narrows("mai", "main")
    assert not narrows("main", "is:bad")
    assert not narrows("is:bad", "is:ad")


def test_what_is_pasted_by_mistake_is_neither_searched_for_nor_repeated() -> None:
    words = parse_filter("word " * 1000, ("is",))
    assert words.words == ("word",)
    assert "first 200 characters" in words.problem
    key = parse_filter("k" * 5000 + ":x", ("is",))
    assert len(key.problem) < 100
    assert len(parse_filter("z" * 5000, ("is",)).words[0]) == 200


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (run(1, conclusion="failure", reason="failed", mark=Mark.BAD, attention=Attention.BAD), "failure failed bad"),
        (run(1, conclusion="timed_out", reason="timed out; #2 passed", mark=Mark.BAD), "timed out timed_out"),
        (run(1, conclusion="", status="in_progress"), "in_progress in progress"),
        (rollout("x", reason="rollout stuck: quota, 3/6 ready"), "complete stuck rollout"),
        (pull(1, "x", draft=True, reason="draft: a check failed"), "draft failed mergeable"),
        (version("x", 1, reason="registration failed", status="FAILED_REGISTRATION"), "failed_registration failed"),
    ],
)
def test_states_are_found_by_the_words_on_the_row_and_by_the_systems_own(row: Any, words: str) -> None:
    kinds: dict[str, PaneKind[Any]] = {kind.kind: kind for kind in (Workflows(), Models(), Rollouts(), Pulls())}
    kind = kinds[row.kind]
    fields = searchable_fields(kind, row)
    for key in ("is", "status"):
        for word in words.split():
            if (key, word) != ("status", "bad"):
                assert parse_filter(f"{key}:{word}", kind.filter_keys).matches(str, lambda: fields), (key, word)
    assert not parse_filter("status:passed", kind.filter_keys).matches(str, lambda: fields)


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
        ({"list.down": "z", "pane.zoom": "z"}, "ui.keys: z for list.down is already pane.zoom"),
        ({"pane.zoom": "contrl+x"}, 'ui.keys: "contrl+x" for pane.zoom is not a key'),
        ({"pane.zoom": "zoom"}, 'ui.keys: "zoom" for pane.zoom is not a key'),
    ],
)
def test_wrong_keys_are_refused_in_one_line(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as found:
        read_keymap(overrides)
    assert found.value.message == message


def test_a_list_and_the_details_may_share_a_key() -> None:
    assert read_keymap({"detail.next": "z", "list.down": "z"}).keys["list.down"] == ("z",)


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
        (about(github(SourceStatus.LIVE, complete=False)), "running", "reading api.github.com …"),
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
            about(github(SourceStatus.LIVE), total=9, shown=2, filter="x" * 200),
            "none", f'Filter "{"x" * 39}…" hides 7 (esc clears)',
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


@pytest.mark.parametrize(
    ("change", "shown"),
    [(None, ""), (0.0, "±0"), (0.0009, "▲0.001"), (-0.0123, "▼0.012"), (0.00001, "▲<0.001"), (-1234.0, "▼1234")],
)
def test_changes_are_figures_for_people(change: float | None, shown: str) -> None:
    text, _ = change_cell(change)
    assert text == shown


def test_versions_stand_in_the_order_in_which_they_matter() -> None:
    rows = [
        version("m", 1, aliases=("stable",), stage="Archived"), version("m", 7, stage="Archived"), version("m", 8),
        version("m", 9, stage="Staging"), version("m", 3, stage="Production"), version("m", 6),
    ]  # fmt: skip
    group = Models().group_order(rows)
    assert [row.version for row in sorted(rows, key=lambda row: Models().order(row, group))] == [3, 1, 9, 8, 7, 6]


def test_the_history_of_all_models_comes_after_what_is_in_use_of_any() -> None:
    def rows_of(model: str) -> list[VersionRow]:
        return [
            version(model, 1, stage="Archived"), version(model, 2, aliases=("champion",)), version(model, 3),
        ]  # fmt: skip

    groups = {model: Models().group_order(rows_of(model)) for model in ("a", "b")}
    rows = sorted((*rows_of("b"), *rows_of("a")), key=lambda row: Models().order(row, groups[row.model]))
    assert [f"{row.model}{row.version}" for row in rows] == ["a2", "a3", "b2", "b3", "a1", "b1"]


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
    assert value(compared, "vs champion v2") == "ndcg -0.01"
    champion = compared.model_copy(update={"aliases": ("champion",)})
    assert value(champion, "vs v2 before it") == "ndcg -0.01"
    assert value(rollout("churn", ready=3), "ready") == "3 of 4"
    assert value(pull(1, "x", checks=Checks.DENIED), "checks") == "the token may not read them"
    assert value(pull(1, "x", done=7), "checklist") == "7/9 done"
    titles = [section.title for section in describe(pull(1, "x", done=7), NOW)]
    assert titles == ["Pull request", "Checklist: General 3/3", "Checklist: Model changes 4/6"]
    assert describe(pull(1, "x", items=3), NOW)[1].title == "Checklist: General", "the total is told already"
    bad = run(5, mark=Mark.BAD, attention=Attention.BAD, reason="lint failed")
    why = next(field for field in describe(bad, NOW)[0].fields if field.label == "why")
    assert why.mark is Mark.BAD


def section(title: str, *fields: tuple[str, str, Mark]) -> DetailSection:
    return DetailSection(title=title, fields=tuple(DetailField(label=a, value=b, mark=c) for a, b, c in fields))


def test_a_pull_request_keeps_its_shape_when_the_rest_arrives() -> None:
    row = pull(1, "x", done=7)
    before = describe(row, NOW)
    answer = [
        *describe(row.model_copy(update={"checklist": row.checklist[:-1]}), NOW),
        section("Checklist: General", ("Item 1", "done", Mark.OK)),
        section("Checks", ("lint", "success", Mark.OK), ("docs", "skipped", Mark.OK), ("e2e", "neutral", Mark.OK)),
        section("Reviews", ("mira", "approved · 2026-11-20 13:59:05 UTC", Mark.OK)),
    ]
    joined = join(row, answer, NOW)
    assert joined[: len(before)] == before
    assert [one.title for one in joined[len(before) :]] == ["Checks", "Reviews"]
    assert [field.mark for field in joined[-2].fields] == [Mark.OK, Mark.NONE, Mark.NONE]
    assert joined[-1].fields[0].value == "approved · 20 Nov 13:59Z, 3m ago"
    assert join(row, answer, NOW + timedelta(minutes=2))[-1].fields[0].value.endswith("5m ago")


def test_the_cause_comes_second_with_the_worst_first() -> None:
    row = rollout("fraud-api", mark=Mark.BAD, attention=Attention.BAD)
    pods = section(
        "Pods", ("a", "Running", Mark.OK), ("b", "Pending", Mark.WAITING), ("c", "ImagePullBackOff", Mark.BAD)
    )
    events = section("Events", ("2026-11-20 14:02:01Z", "Failed  pod/c", Mark.WARN))
    joined = join(row, (*describe(row, NOW), events, pods, section("Conditions", ("none", "", Mark.NONE))), NOW)
    assert [one.title for one in joined] == ["Rollout", "Pods", "Deployment", "Labels", "Events", "Conditions"]
    assert [field.label for field in joined[1].fields] == ["c", "b", "a"]
    assert len(joined[0].fields) < 12, "or the cause would be out of sight in half a screen"
    assert joined[4].fields[0].label == "20 Nov 14:02Z, 10s ago"
    well = section("Pods", ("a", "Running", Mark.OK))
    assert join(row, (*describe(row, NOW), well), NOW)[-1].title == "Pods"


def test_a_version_says_each_fact_once() -> None:
    row = version("ranker", 3, metric="ndcg", metrics={"auc": 0.9, "ndcg": 0.6})
    fetched = (
        section("Version", ("Status", "READY", Mark.NONE), ("Registered", "2026-11-20 14:02:01Z", Mark.NONE),
                ("By", "mira", Mark.NONE)),
        section("Run", ("Run", "4be1", Mark.NONE), ("Git branch", "main", Mark.NONE)),
        section("Metrics", ("auc", "0.9  v2 0.8  +0.1", Mark.NONE), ("ndcg", "0.6  v2 0.5  +0.1", Mark.OK)),
        section("Parameters", ("lr", "0.1", Mark.NONE)),
    )  # fmt: skip
    joined = join(row, (*describe(row, NOW), *fetched), NOW)
    assert [one.title for one in joined] == ["Version", "Source run", "Metrics", "Parameters"]
    assert [field.label for field in joined[0].fields][-1] == "by"
    assert [field.label for field in joined[1].fields] == ["run", "git branch"]
    assert [field.label for field in joined[2].fields] == ["ndcg", "auc"], "the one that decides comes first"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("started 2026-11-20 14:01:11Z", "started 20 Nov 14:01Z, 1m ago"),
        ("2026-11-20T14:01:11Z", "20 Nov 14:01Z, 1m ago"),
        ("2025-01-02 03:04:05 UTC", "2 Jan 2025 03:04Z, 687d ago"),
        ("2026-13-45 99:99:99Z", "2026-13-45 99:99:99Z"),
        ("2026-11-20 14:01:11 local", "2026-11-20 14:01:11 local"),
        ("v1.2", "v1.2"),
    ],
)
def test_moments_in_fetched_text_are_told_as_all_others(text: str, shown: str) -> None:
    assert retell(text, NOW) == shown


def test_no_colour_is_named_outside_the_theme_files() -> None:
    import re

    root = Path(str(importlib.import_module("mlops_tui.ui").__file__)).parent
    for path in [*root.rglob("*.py"), *root.rglob("*.tcss")]:
        assert not re.search(r"#[0-9a-fA-F]{6}\b|\brgb\(", path.read_text()), path
