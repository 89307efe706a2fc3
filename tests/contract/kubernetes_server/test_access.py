"""Who gets in: tokens, roles, and nobody in particular."""

import pytest

from tests.contract.kubernetes_server.harness import Api, deployment


@pytest.mark.parametrize("path", ["/version", "/healthz", "/livez", "/readyz"])
async def test_health_and_version_are_for_all(api: Api, path: str) -> None:
    assert (await api.anonymous.get(path)).status_code == 200
    refused = await api.anonymous.delete(path)
    assert (refused.status_code, refused.json()["message"]) == (
        403,
        f'forbidden: User "system:anonymous" cannot delete path "{path}"',
    )


@pytest.mark.parametrize("path", ["/api", "/apis", "/apis/apps/v1", "/api/v1", "/openapi/v3", "/nowhere"])
async def test_without_a_token_nothing_else_is_shown(api: Api, path: str) -> None:
    refused = await api.anonymous.get(path)
    assert (refused.status_code, refused.json()["message"]) == (
        403,
        f'forbidden: User "system:anonymous" cannot get path "{path}"',
    )


async def test_without_a_token_no_resource_is_touched(api: Api) -> None:
    where = f'in API group "apps" in the namespace "{api.namespace}"'
    refused = await api.anonymous.get(api.deployments)
    assert (refused.status_code, refused.json()["message"]) == (
        403,
        f'deployments.apps is forbidden: User "system:anonymous" cannot list resource "deployments" {where}',
    )
    refused = await api.anonymous.post(api.deployments, json=deployment("fraud"))
    assert refused.status_code == 403
    review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    refused = await api.anonymous.post(review, json={"spec": {}})
    assert (refused.status_code, refused.json()["details"]) == (
        403,
        {"group": "authorization.k8s.io", "kind": "selfsubjectaccessreviews"},
    )


@pytest.mark.parametrize("path", ["/version", "/api", "/api/v1/pods"])
async def test_a_token_that_nobody_was_given(api: Api, path: str) -> None:
    refused = await api.anonymous.get(path, headers={"Authorization": "Bearer wrong"})
    assert (refused.status_code, refused.json()["reason"]) == (401, "Unauthorized")


async def test_who_may_read_looks_around(api: Api) -> None:
    for path in ("/api", "/apis", "/apis/apps/v1", "/version"):
        assert (await api.oncall.get(path)).status_code == 200
    assert (await api.oncall.get("/nowhere")).status_code in (403, 404)
