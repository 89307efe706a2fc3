"""Prometheus' query API over samples in memory.

`SampleStore` holds what was scraped, `create_app` answers PromQL about it over HTTP, and exposes the latest values for
a real Prometheus to scrape.
"""

from mlops_tui.demo.prometheus.app import Source, create_app
from mlops_tui.demo.prometheus.families import Family
from mlops_tui.demo.prometheus.storage import STALE, SampleStore, labels_of

__all__ = ["STALE", "Family", "SampleStore", "Source", "create_app", "labels_of"]
