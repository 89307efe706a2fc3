"""What of the server is its own: history that ends, bookmarks, logs, protobuf, bodies of the wrong shape."""

import asyncio
import json
from datetime import timedelta, timezone
from typing import Any

import httpx
import pytest

from mlops_tui.demo.kubernetes import ImageBehaviour, create_app
from mlops_tui.demo.kubernetes.custom import install_istio
from mlops_tui.demo.kubernetes.http.lists import SNAPSHOTS
from mlops_tui.demo.kubernetes.http.paths import Target
from mlops_tui.demo.kubernetes.http.query import Selection
from mlops_tui.demo.kubernetes.http.representation import Form
from mlops_tui.demo.kubernetes.http.tables import cells, human_duration
from mlops_tui.demo.kubernetes.http.watch import Bell, Watch
from mlops_tui.demo.kubernetes.resources import DEPLOYMENTS, PODS
from tests.support.kubernetes_schema import check_event, check_object
from tests.unit.demo_kubernetes.worlds import World, image_patch, manifest

PATH = "/apis/apps/v1/namespaces/ml/deployments"
TOKENS = {"a-token": "admin", "o-token": "oncall"}
EVERYTHING = Selection("", "", lambda _: True, lambda _: True)


def client(world: World, token: str = "", scheme: str = "http") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(world.cluster, TOKENS))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://kube.test", headers=headers)


@pytest.fixture
async def world() -> World:
    """A Deployment that runs."""
    made = World(history=20)
    made.cluster.apply(manifest())
    await made.run(3)
    return made


def watch(world: World, **options: Any) -> Watch:
    target = Target(DEPLOYMENTS, "ml")
    settings: dict[str, Any] = {
        "version": world.cluster.store.version,
        "timeout": 0.0,
        "bookmarks": False,
        "include": "",
    } | options
    return Watch(world.cluster, Bell(world.cluster), target, EVERYTHING, Form.OBJECT, **settings)


async def events(watch: Watch) -> list[dict[str, Any]]:
    found = [json.loads(line) async for line in watch.lines()]
    for event in found:
        check_event(event)
    return found


async def test_a_watch_from_before_history_says_so_in_its_stream(world: World) -> None:
    for index in range(60):
        world.cluster.patch("Deployment", "ml", "m", {"metadata": {"annotations": {"i": str(index)}}})
    floor = world.cluster.store.log(DEPLOYMENTS).floor
    (event,) = await events(watch(world, version=1))
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert event["object"]["message"] == f"too old resource version: 1 ({floor})"


async def test_a_watch_that_falls_behind_history_ends(world: World) -> None:
    stream = watch(world, timeout=60.0).lines()
    world.cluster.patch("Deployment", "ml", "m", {"metadata": {"annotations": {"i": "first"}}})
    assert json.loads(await anext(stream))["type"] == "MODIFIED"
    for index in range(60):
        world.cluster.patch("Deployment", "ml", "m", {"metadata": {"annotations": {"i": str(index)}}})
    assert json.loads(await anext(stream))["object"]["code"] == 410
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_bookmark_comes_before_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_tui.demo.kubernetes.http.watch.LAST_BOOKMARK_SECONDS", 0.1)
    world.cluster.apply({"kind": "Service", "metadata": {"name": "s", "namespace": "ml"}, "spec": {"ports": []}})
    found = await events(watch(world, version=world.cluster.store.version - 1, timeout=0.11, bookmarks=True))
    assert [event["type"] for event in found] == ["BOOKMARK"]
    assert found[0]["object"]["metadata"]["resourceVersion"] == str(world.cluster.store.version)


async def test_an_idle_watch_listens_and_leaves(world: World) -> None:
    bell = Bell(world.cluster)
    idle = Watch(
        world.cluster, bell, Target(DEPLOYMENTS, "ml"), EVERYTHING, Form.OBJECT,
        version=world.cluster.store.version, timeout=60.0, bookmarks=False, include="",
    )  # fmt: skip
    stream = idle.lines()

    async def next_line() -> bytes:
        return await anext(stream)

    waiting = asyncio.create_task(next_line())
    await asyncio.sleep(0)
    assert len(bell._waiting[DEPLOYMENTS.qualified]) == 1
    world.cluster.patch("Deployment", "ml", "m", {"spec": {"paused": True}})
    assert json.loads(await waiting)["object"]["spec"]["paused"]
    await stream.aclose()  # type: ignore[attr-defined]
    assert not bell._waiting[DEPLOYMENTS.qualified]


async def test_a_continue_token_of_a_list_that_is_no_longer_kept_has_expired(world: World) -> None:
    world.cluster.apply(manifest("n"))
    async with client(world) as http:
        first = (await http.get(PATH, params={"limit": 1})).json()
        token = first["metadata"]["continue"]
        for index in range(SNAPSHOTS + 1):
            world.cluster.patch("Deployment", "ml", "m", {"metadata": {"annotations": {"i": str(index)}}})
            await http.get(PATH, params={"limit": 1})
        answer = await http.get(PATH, params={"limit": 1, "continue": token})
    assert (answer.status_code, answer.json()["reason"]) == (410, "Expired")
    check_object(answer.json())


async def test_without_a_token_plain_http_is_the_admins_and_tls_nobodys(world: World) -> None:
    async with client(world) as http, client(world, scheme="https") as https:
        assert (await http.delete(f"{PATH}/m")).status_code == 200
        refused = await https.get(PATH)
    assert refused.status_code == 403
    assert 'User "system:anonymous" cannot list resource "deployments"' in refused.json()["message"]


@pytest.mark.parametrize(("verb", "token", "allowed"), [(b"patch", "a-token", True), (b"patch", "o-token", False)])
async def test_an_access_review_in_protobuf(world: World, verb: bytes, token: str, allowed: bool) -> None:
    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    attributes = field(1, b"ml") + field(2, verb) + field(3, b"apps") + field(5, b"deployments")
    raw = field(1, b"") + field(2, field(1, attributes))
    body = b"k8s\x00" + field(1, field(1, b"authorization.k8s.io/v1")) + field(2, raw) + field(3, b"")
    headers = {"Content-Type": "application/vnd.kubernetes.protobuf", "Accept": "application/json"}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    async with client(world, token) as http:
        answer = (await http.post(path, content=body, headers=headers)).json()
        broken = await http.post(path, content=body[:-9], headers=headers)
    check_object(answer)
    assert answer["status"]["allowed"] == allowed
    expected = {"namespace": "ml", "verb": "patch", "group": "apps", "resource": "deployments"}
    assert answer["spec"]["resourceAttributes"] == expected
    assert broken.status_code == 400


@pytest.mark.parametrize(("token", "name"), [("a-token", "admin"), ("o-token", "oncall")])
async def test_who_am_i(world: World, token: str, name: str) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    async with client(world, token) as http, client(world, scheme="https") as nobody:
        answer = (await http.post(path, json={"kind": "SelfSubjectReview"})).json()
        kinds = (await http.get("/apis/authentication.k8s.io/v1")).json()["resources"]
        refused = await nobody.post(path, json={})
    assert answer["status"]["userInfo"]["username"] == name
    assert [each["kind"] for each in kinds] == ["SelfSubjectReview"]
    assert 'cannot create resource "selfsubjectreviews"' in refused.json()["message"]


async def test_custom_resources_are_applied_too(world: World) -> None:
    install_istio(world.cluster)
    path = "/apis/networking.istio.io/v1/namespaces/ml/virtualservices/m"
    headers = {"Content-Type": "application/apply-patch+yaml"}

    def routes(weight: int) -> str:
        route = [{"destination": {"host": "m", "subset": "canary"}, "weight": weight}]
        body = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "m"}}
        return json.dumps({**body, "spec": {"hosts": ["m"], "http": [{"name": "main", "route": route}]}})

    async with client(world) as http:
        for manager, weight, code in (("one", 5, 201), ("one", 10, 200), ("two", 50, 409)):
            answer = await http.patch(path, content=routes(weight), headers=headers, params={"fieldManager": manager})
            assert answer.status_code == code, answer.text
        strategic = {"Content-Type": "application/strategic-merge-patch+json"}
        unsupported = await http.patch(path, content="{}", headers=strategic)
    assert answer.json()["details"]["causes"][0]["field"] == ".spec.http"
    assert unsupported.status_code == 415


async def test_logs(world: World) -> None:
    pod = world.cluster.objects("Pod")[0]["metadata"]["name"]
    await world.run(2)
    world.cluster.log("ml", pod, "scored 12 requests")
    path = f"/api/v1/namespaces/ml/pods/{pod}/log"
    async with client(world) as http:
        lines = (await http.get(path)).text.splitlines()
        assert (lines[0], lines[-1]) == ("starting m:1", "scored 12 requests")
        assert (await http.get(path, params={"tailLines": 1})).text == "scored 12 requests\n"
        assert (await http.get(path, params={"tailLines": 1, "timestamps": "true"})).text.startswith(
            "2026-11-20T14:02:"
        )
        assert (await http.get(path, params={"limitBytes": 5})).text == "start"
        assert (await http.get(path, params={"sinceSeconds": 1})).text == "scored 12 requests\n"
        now = world.clock.now()
        for moment in (now, now.astimezone(timezone(timedelta(hours=1)))):
            query = {"sinceTime": moment.isoformat()}
            assert (await http.get(path, params=query)).text == "scored 12 requests\n"
        answer = await http.get(path, params={"container": "x"})
        assert answer.json()["message"] == f"container x is not valid for pod {pod}"


async def test_logs_of_the_container_before(world: World) -> None:
    world.cluster.behaviours.append(ImageBehaviour("*:crash", crash=True))
    world.cluster.apply(manifest("c", image="m:crash", replicas=1))
    await world.run(3)
    name = next(pod["metadata"]["name"] for pod in world.cluster.objects("Pod") if "c-" in pod["metadata"]["name"])
    path, trace = f"/api/v1/namespaces/ml/pods/{name}/log", "Traceback (most recent call last):"
    async with client(world) as http:
        for query in ({}, {"previous": "true"}):
            assert (await http.get(path, params=query)).text.splitlines()[0] == trace
        await world.run(12)  # crashes again
        assert (await http.get(path)).text.count(trace) == 1
        world.cluster.behaviours.clear()
        await world.run(30)
        assert (await http.get(path)).text.splitlines()[0] == "starting m:crash"
        assert (await http.get(path, params={"previous": "true"})).text.splitlines()[0] == trace
        other = world.cluster.objects("Pod")[-1]["metadata"]["name"]
        refused = await http.get(path.replace(name, other), params={"previous": "true"})
    assert (refused.status_code, refused.json()["message"]) == (
        400,
        f'previous terminated container "main" in pod "{other}" not found',
    )


async def test_logs_of_a_pod_that_never_started_say_why(world: World) -> None:
    world.cluster.behaviours.append(ImageBehaviour("*:bad", pull_error=True))
    world.cluster.patch("Deployment", "ml", "m", image_patch("m:bad"))
    await world.run(6)
    pods = [pod for pod in world.cluster.objects("Pod") if pod["spec"]["containers"][0]["image"] == "m:bad"]
    name = pods[0]["metadata"]["name"]
    async with client(world) as http:
        answer = await http.get(f"/api/v1/namespaces/ml/pods/{name}/log")
    expected = f'container "main" in pod "{name}" is waiting to start: trying and failing to pull image'
    assert (answer.status_code, answer.json()["message"]) == (400, expected)
    assert cells(pods[0], world.clock.now())[1:4] == ["0/1", "ImagePullBackOff", "0"]


async def test_a_followed_log_goes_on_until_the_pod_is_gone(world: World) -> None:
    pod = world.cluster.objects("Pod")[0]
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    async with client(world) as http:
        path = f"/api/v1/namespaces/ml/pods/{name}/log"
        following = asyncio.create_task(http.get(path, params={"follow": "true", "tailLines": 0}))
        while uid not in world.cluster.logs._followers:
            await asyncio.sleep(0)
        world.cluster.log("ml", name, "one more")
        await asyncio.sleep(0)
        world.cluster.registry.delete(PODS, "ml", name, {"gracePeriodSeconds": 0})
        assert (await following).text == "one more\n"


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {"metadata": []},
        {"spec": {"replicas": "two"}},
        {"spec": {"replicas": True}},
        {"spec": {"template": {"spec": {"containers": [1]}}}},
        {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "m", "ports": "80"}]}}}},
        {"metadata": {"labels": {"a": 1}}},
        {"spec": {"strategy": {"rollingUpdate": {"maxSurge": "lots"}}}},
        {"spec": {"strategy": {"type": "Sideways"}}},
        {"spec": {"progressDeadlineSeconds": 0}},
        {"status": {"conditions": ["x"]}},
    ],
)
async def test_a_body_of_the_wrong_shape_is_refused_and_harms_nothing(world: World, body: Any) -> None:
    before = world.deployment()
    headers = {"Content-Type": "application/merge-patch+json"}
    async with client(world) as http:
        for path in (f"{PATH}/m", f"{PATH}/m/status"):
            answer = await http.patch(path, content=json.dumps(body), headers=headers)
            assert answer.status_code in (200, 400, 422)
            check_object(answer.json())
        created = await http.post(PATH, json=body)
        assert created.status_code in (400, 422)
    await world.run(5)
    assert world.deployment()["spec"] == before["spec"]
    assert world.deployment()["status"] == before["status"]


async def test_reading_takes_no_longer_with_more_objects(world: World) -> None:
    world.cluster.apply(manifest("other"))
    touched = []

    class Counting(dict[Any, Any]):
        def __iter__(self) -> Any:
            touched.append("scan")
            return super().__iter__()

    shelf = world.cluster.store._shelves[DEPLOYMENTS.qualified]
    shelf.objects = Counting(shelf.objects)
    async with client(world) as http:
        assert (await http.get(f"{PATH}/m")).status_code == 200
    assert touched == []


async def test_openapi_says_that_patches_are_validated(world: World) -> None:
    async with client(world) as http:
        index = (await http.get("/openapi/v3")).json()["paths"]
        document = (await http.get(index["apis/apps/v1"]["serverRelativeURL"])).json()
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert [parameter["name"] for parameter in patch["parameters"]] == ["fieldValidation"]
    assert patch["x-kubernetes-group-version-kind"]["kind"] == "Deployment"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "<invalid>"), (0, "0s"), (119, "119s"), (120, "2m"), (185, "3m5s"), (700, "11m"), (10_800, "3h"),
        (11_100, "3h5m"), (36_000, "10h"), (200_000, "2d7h"), (800_000, "9d"), (70_000_000, "2y80d"),
    ],
)  # fmt: skip
def test_ages_read_as_kubectl_prints_them(seconds: float, expected: str) -> None:
    assert human_duration(seconds) == expected
