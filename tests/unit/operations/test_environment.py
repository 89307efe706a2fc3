"""The environment whose rules hold is that of the target, whatever the caller says."""

import pytest

from mlops_tui.config.settings import Settings
from mlops_tui.domain.clock import SystemClock
from mlops_tui.domain.errors import ConfigError
from mlops_tui.domain.operation import PlanRequest
from mlops_tui.operations.base import Place, environment_of
from mlops_tui.operations.journal import Journal
from tests.support.painting import NoSystems

SETTINGS = Settings.model_validate(
    {
        "environments": {
            "production": {"context": "eu", "namespaces": ["ml"], "protected": True},
            "staging": {"context": "eu", "namespaces": ["ml-staging"]},
            "elsewhere": {"context": "us", "namespaces": ["ml"]},
            "rest": {"context": "eu", "namespaces": ["*"]},
            "own": {"context": "us"},
        }
    }
)


def chosen(journal: Journal, environment: str, namespace: str, only: tuple[str, ...] = ()) -> str:
    environments = {name: SETTINGS.environments[name] for name in only or SETTINGS.environments}
    place = Place(SystemClock(), NoSystems(), SETTINGS, environments, journal)
    request = PlanRequest(verb="scale", target=f"{namespace}/api", environment=environment)
    return environment_of(request, place, namespace)


@pytest.mark.parametrize(
    ("environment", "namespace", "found"),
    [
        ("production", "ml", "production"),
        ("elsewhere", "ml", "elsewhere"),
        ("", "ml-staging", "staging"),
        ("rest", "monitoring", "rest"),
        ("own", "team", "own"),
    ],
)
def test_a_namespace_belongs_to_its_environment(journal: Journal, environment: str, namespace: str, found: str) -> None:
    assert chosen(journal, environment, namespace) == found


@pytest.mark.parametrize(
    ("environment", "namespace", "only"),
    [
        ("staging", "ml", ()),
        ("staging", "ml", ("staging",)),
        ("production", "team", ()),
        ("rest", "ml", ()),
        ("own", "ml", ()),
    ],
)
def test_the_rules_of_one_environment_are_not_got_round_by_naming_another(
    journal: Journal, environment: str, namespace: str, only: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError, match=f"namespace {namespace} is not in {environment}"):
        chosen(journal, environment, namespace, only)


def test_where_several_fit_one_has_to_be_named(journal: Journal) -> None:
    with pytest.raises(ConfigError, match="which environment") as caught:
        chosen(journal, "", "ml")
    assert caught.value.hint == "--env with one of: production, elsewhere"
