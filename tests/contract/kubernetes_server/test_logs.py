"""Pod logs: what may be asked for. What is in them is a kubelet's, which the real control plane here has none of."""

import pytest

from tests.contract.kubernetes_server.harness import Api


@pytest.fixture
async def path(api: Api) -> str:
    """The log of a pod."""
    manifest = {"metadata": {"name": "alone"}, "spec": {"containers": [{"name": "main", "image": "slow:1"}]}}
    assert (await api.admin.post(api.pods, json=manifest)).status_code == 201
    return f"{api.pods}/alone/log"


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        ({"tailLines": "-1"}, "tailLines", "Invalid value: -1: must be greater than or equal to 0"),
        ({"sinceSeconds": "0"}, "sinceSeconds", "Invalid value: 0: must be greater than 0"),
        ({"limitBytes": "0"}, "limitBytes", "Invalid value: 0: must be greater than 0"),
        (
            {"sinceSeconds": "1", "sinceTime": "2026-01-01T00:00:00Z"},
            "[]",
            "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
    ],
)
async def test_options_that_break_a_rule(api: Api, path: str, query: dict[str, str], field: str, rule: str) -> None:
    refused = await api.oncall.get(path, params=query)
    assert (refused.status_code, refused.json()["message"]) == (
        422,
        f'PodLogOptions "alone" is invalid: {field}: {rule}',
    )
    assert refused.json()["details"]["kind"] == "PodLogOptions"


@pytest.mark.parametrize("query", [{"sinceTime": "yesterday"}, {"sinceSeconds": "x"}, {"container": "other"}])
async def test_options_that_cannot_be_read(api: Api, path: str, query: dict[str, str]) -> None:
    refused = await api.oncall.get(path, params=query)
    assert (refused.status_code, refused.json()["reason"]) == (400, "BadRequest")


async def test_one_of_several_containers_has_to_be_named(api: Api) -> None:
    containers = [{"name": name, "image": "slow:1"} for name in ("main", "side")]
    await api.admin.post(api.pods, json={"metadata": {"name": "pair"}, "spec": {"containers": containers}})
    refused = await api.oncall.get(f"{api.pods}/pair/log")
    assert (refused.status_code, refused.json()["message"]) == (
        400,
        "a container name must be specified for pod pair, choose one of: [main side]",
    )
