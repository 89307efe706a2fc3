"""The text format that Prometheus scrapes."""

from collections.abc import Iterable

from mlops_tui.demo.prometheus.families import Family
from mlops_tui.demo.prometheus.storage import NAME, SampleStore, Series
from mlops_tui.demo.prometheus.values import render

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def expose(store: SampleStore, families: Iterable[Family]) -> str:
    """Return the latest sample of every series of `families` that has not ended.

    The labels that a scrape gave are part of it: whoever scrapes it in turn sets `honor_labels`.
    """
    lines = []
    for family in families:
        lines += [f"# HELP {family.name} {_escape(family.help)}", f"# TYPE {family.name} {family.type}"]
        for name in family.sample_names:
            lines += [_line(series) for series in store.select((), name) if series.is_active]
    return "\n".join(lines) + "\n"


def _line(series: Series) -> str:
    labels = ",".join(f'{name}="{_quote(value)}"' for name, value in series.labels if name != NAME)
    return f"{series.lookup[NAME]}{{{labels}}} {render(series.values[-1])}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quote(text: str) -> str:
    return _escape(text).replace('"', '\\"')
