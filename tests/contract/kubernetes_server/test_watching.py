"""Watches."""

import asyncio

from tests.contract.kubernetes_server.harness import TABLE, Api, deployment


async def test_a_watch_brings_what_happened_since_a_version_and_ends_in_time(api: Api) -> None:
    await api.create(deployment("a", replicas=0, paused=True))
    version = (await api.get(api.deployments))["metadata"]["resourceVersion"]
    await api.create(deployment("b", replicas=0, paused=True))
    await api.patch(f"{api.deployments}/b", {"metadata": {"labels": {"x": "y"}}})
    await api.admin.delete(f"{api.deployments}/b")
    started = asyncio.get_running_loop().time()
    events = await api.watch(api.deployments, resourceVersion=version, timeoutSeconds="1")
    assert 0.5 < asyncio.get_running_loop().time() - started < 10
    about_b = [event for event in events if event["object"]["metadata"]["name"] == "b"]
    assert [about_b[0]["type"], about_b[-1]["type"]] == ["ADDED", "DELETED"]
    assert about_b[-1]["object"]["metadata"]["labels"]["x"] == "y"
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))
    assert versions[0] > int(version)


async def test_a_watch_without_a_version_first_brings_what_there_is(api: Api) -> None:
    await api.create(deployment("a", replicas=0))
    events = await api.watch(api.deployments, timeoutSeconds="1")
    assert (events[0]["type"], events[0]["object"]["metadata"]["name"]) == ("ADDED", "a")
    assert events[0]["object"]["kind"] == "Deployment"


async def test_changes_arrive_while_they_happen(api: Api) -> None:
    version = (await api.get(api.deployments))["metadata"]["resourceVersion"]
    query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "20"}
    hooks, api.admin.event_hooks = api.admin.event_hooks, {}  # the judge would read to the end
    async with api.admin.stream("GET", api.deployments, params=query) as stream:
        lines = stream.aiter_lines()
        await api.admin.post(api.deployments, json=deployment("live", replicas=0))
        async with asyncio.timeout(10):
            assert '"name":"live"' in await anext(lines)
    api.admin.event_hooks = hooks


async def test_an_object_that_leaves_the_selection_is_deleted_from_its_view(api: Api) -> None:
    await api.create(deployment("a", replicas=0))
    version = (await api.get(api.deployments))["metadata"]["resourceVersion"]
    await api.patch(f"{api.deployments}/a", {"metadata": {"labels": {"tier": "gold"}}})
    await api.patch(f"{api.deployments}/a", {"metadata": {"labels": {"tier": None}}})
    events = await api.watch(api.deployments, labelSelector="tier=gold", resourceVersion=version, timeoutSeconds="1")
    assert [events[0]["type"], events[-1]["type"]] == ["ADDED", "DELETED"]


async def test_a_watch_of_a_namespace_sees_only_that(api: Api) -> None:
    version = (await api.get("/api/v1/namespaces"))["metadata"]["resourceVersion"]
    await api.create(deployment("mine", replicas=0))
    path = "/apis/apps/v1/namespaces/default/deployments"
    assert await api.watch(path, resourceVersion=version, timeoutSeconds="1") == []
    everywhere = await api.watch("/apis/apps/v1/deployments", resourceVersion=version, timeoutSeconds="1")
    assert "mine" in [event["object"]["metadata"]["name"] for event in everywhere]


async def test_a_watch_brings_tables_and_defines_their_columns_once(api: Api) -> None:
    version = (await api.get(api.deployments))["metadata"]["resourceVersion"]
    await api.create(deployment("a", replicas=0))
    await api.patch(f"{api.deployments}/a", {"metadata": {"labels": {"x": "y"}}})
    events = await api.watch(api.deployments, headers=TABLE, resourceVersion=version, timeoutSeconds="1")
    tables = [event["object"] for event in events]
    assert {table["kind"] for table in tables} == {"Table"}
    assert [bool(table["columnDefinitions"]) for table in tables] == [True] + [False] * (len(tables) - 1)
    assert {table["rows"][0]["cells"][0] for table in tables} == {"a"}


async def test_bookmarks_carry_a_version_to_resume_from(api: Api) -> None:
    version = (await api.get(api.deployments))["metadata"]["resourceVersion"]
    events = await api.watch(api.deployments, resourceVersion=version, timeoutSeconds="3", allowWatchBookmarks="true")
    for event in events:
        assert event["type"] == "BOOKMARK"
        assert event["object"]["kind"] == "Deployment"
        assert int(event["object"]["metadata"]["resourceVersion"]) >= int(version)
    resumed = events[-1]["object"]["metadata"]["resourceVersion"] if events else version
    await api.create(deployment("later", replicas=0))
    found = await api.watch(api.deployments, resourceVersion=resumed, timeoutSeconds="1")
    assert found[0]["object"]["metadata"]["name"] == "later"


async def test_a_list_of_a_version_that_is_not_there_yet_times_out(api: Api) -> None:
    answer = await api.admin.get(api.deployments, params={"resourceVersion": "999999999"})
    assert (answer.status_code, answer.json()["reason"]) == (504, "Timeout")
    assert answer.headers["retry-after"] == "1"
