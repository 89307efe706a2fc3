"""What may leave while nothing may be changed, and what is known of what left."""

import pytest

from mlops_tui.domain.errors import Refused
from mlops_tui.sources.mlflow.passage import Passage

READS = [
    ("GET", "/api/2.0/mlflow/registered-models/search?max_results=1"),
    ("GET", "/api/2.0/mlflow/artifacts/list?run_id=1"),
    ("GET", "/version"),
    ("POST", "/api/2.0/mlflow/runs/search"),
    ("POST", "/api/2.0/mlflow/experiments/search"),
    ("POST", "/api/3.0/mlflow/logged-models/search"),
]
WRITES = [
    ("POST", "/api/2.0/mlflow/registered-models/alias"),
    ("POST", "/api/2.0/mlflow/model-versions/transition-stage"),
    ("DELETE", "/api/2.0/mlflow/registered-models/alias"),
    ("PATCH", "/api/2.0/mlflow/registered-models/update"),
    ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/model"),
    ("POST", "/api/2.0/mlflow/runs/search/../create"),
    ("POST", "/other/api/2.0/mlflow/runs/search"),
]


@pytest.mark.parametrize("prefix", ["", "/ml", "/ml/flow/"])
@pytest.mark.parametrize("request_", [*READS, *WRITES])
def test_only_reads_pass_where_nothing_may_be_changed(prefix: str, request_: tuple[str, str]) -> None:
    method, path = request_
    base = f"https://ada:secret@registry{prefix}"
    url = f"https://registry{prefix.rstrip('/')}{path}"
    locked, free = Passage(base, read_only=True), Passage(base, read_only=False)
    free.pass_(method, url)
    if request_ in READS:
        locked.pass_(method, url)
        assert not free.sent
        return
    with pytest.raises(Refused, match="the registry is read-only"):
        locked.pass_(method, url)
    assert free.sent
    assert not locked.sent


def test_the_status_is_that_of_the_last_request() -> None:
    passage = Passage("http://registry", read_only=False)
    passage.pass_("GET", "http://registry/api")
    passage.status = 200
    passage.pass_("POST", "http://registry/api")
    assert passage.status is None


@pytest.mark.parametrize("base", ["sqlite:///mlflow.db", "http://[nonsense", "", "gopher://x/y"])
def test_an_address_that_is_none_has_no_prefix(base: str) -> None:
    Passage(base, read_only=True).pass_("POST", "http://registry/api/2.0/mlflow/runs/search")
