"""Where a registry is, and that saying so gives nothing away."""

import pytest

from mlops_tui.domain.errors import NotConfigured
from mlops_tui.domain.model import Channel
from mlops_tui.sources.mlflow import MlflowTarget
from mlops_tui.sources.mlflow.address import Address, label_of, redact, resolve, shown, user_of


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://host:5000/", "http://host:5000/"),
        ("https://ada:pa@ss#wo?rd/x@host/mlflow?token=1#a", "https://host/mlflow"),
        ("https://ada@host", "https://host"),
        ("postgresql+psycopg2://ada:pw@db:5432/mlflow", "postgresql+psycopg2://db:5432/mlflow"),
        ("sqlite:////data/a@b #1.db?timeout=5", "sqlite:////data/a@b #1.db"),
        ("databricks", "databricks"),
    ],
)
def test_an_address_is_shown_without_credentials(uri: str, expected: str) -> None:
    assert shown(uri) == expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://ada:pw@host:5000/", "host:5000"),
        ("https://host/team/mlflow/", "host/team/mlflow"),
        ("sqlite:////data/mlflow.db?x=1", "mlflow.db"),
        ("databricks", "databricks"),
    ],
)
def test_the_label_is_short(uri: str, expected: str) -> None:
    assert label_of(uri) == expected


def test_the_configuration_comes_before_the_environment() -> None:
    environ = {"MLFLOW_TRACKING_URI": "http://env", "MLFLOW_REGISTRY_URI": "http://env-registry"}
    assert resolve(MlflowTarget("m"), environ) == Address("http://env", "http://env-registry")
    both = MlflowTarget("m", tracking_uri="http://file", registry_uri="http://file-registry")
    assert resolve(both, environ) == Address("http://file", "http://file-registry")
    assert resolve(MlflowTarget("m", tracking_uri="http://file"), {}) == Address("http://file", "http://file")
    assert resolve(MlflowTarget("m", registry_uri="http://only"), {}) == Address("http://only", "http://only")
    with pytest.raises(NotConfigured):
        resolve(MlflowTarget("m"), {"MLFLOW_TRACKING_URI": ""})


def test_nothing_that_is_printed_holds_a_password() -> None:
    target = MlflowTarget("m", tracking_uri="http://ada:hunter2@host")
    assert "hunter2" not in repr(target) + repr(resolve(target, {})) + str(resolve(target, {}))
    assert redact("GET http://ada:hunter2@host/x and https://b:hunter2@c", {}) == "GET http://host/x and https://c"
    assert redact("Bearer s3cret", {"MLFLOW_TRACKING_TOKEN": "s3cret"}) == "Bearer …"
    assert user_of("http://ada:hunter2@host") == "ada"
    assert user_of("http://[bad") == ""


def test_pages_are_those_of_the_server() -> None:
    address = Address("http://ada:pw@runs/", "http://models/base/")
    assert address.is_split
    assert address.ui == "http://models/base"
    assert address.run_page("1", "a/b") == "http://runs/#/experiments/1/runs/a%2Fb"
    assert Address("sqlite:///x", "sqlite:///x").run_page("1", "a") == ""


def test_channels_are_the_environments_that_have_both() -> None:
    target = MlflowTarget("m", environments=("a", "b", "c"), stages=("Staging", None, "X"), aliases=("next", "b", None))
    assert target.channels == (Channel("Staging", "next"),)
