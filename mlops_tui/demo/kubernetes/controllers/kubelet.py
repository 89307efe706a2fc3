"""Nodes: pods get a place, start, become ready, fail to pull their image, crash, and end."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from mlops_tui.demo.kubernetes.behaviour import ImageBehaviour
from mlops_tui.demo.kubernetes.controllers.base import Tools
from mlops_tui.demo.kubernetes.logs import PodLogs
from mlops_tui.demo.kubernetes.resources import PODS
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

NODES = ("node-1", "node-2", "node-3")
_TERMINATION_SECONDS = 1.0
_BACK_OFF_SECONDS = 2.0
"""From a failed pull to its being reported as a back-off."""
_FIRST_RETRY_SECONDS = 10.0
_LAST_RETRY_SECONDS = 300.0
_DEFAULT = ImageBehaviour("*")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What happens to a pod next, and at which monotonic time; `attempt` counts failures."""

    step: str
    due: float
    attempt: int = 0


class Kubelet:
    """Runs all pods of all nodes."""

    def __init__(self, tools: Tools, behaviours: list[ImageBehaviour], logs: PodLogs) -> None:
        self._tools = tools
        self._behaviours = behaviours
        self._logs = logs
        self._plans: dict[str, _Plan] = {}
        self._addresses = 0

    def forget(self, pod: Stored) -> None:
        """Drop what is known of a pod that is gone."""
        self._plans.pop(pod.uid, None)
        self._logs.forget(pod.uid)

    def sync(self, namespace: str, name: str) -> None:
        """Do what is due for one pod."""
        pod = self._tools.store.get(PODS, namespace, name)
        if pod is None:
            return
        plan = self._plans.get(pod.uid)
        if "deletionTimestamp" in pod.metadata and (plan is None or plan.step != "end"):
            self._event(pod, "Normal", "Killing", f"Stopping container {_containers(pod)[0]['name']}")
            self._plan(pod, "end", _TERMINATION_SECONDS)
        elif plan is None:
            if pod.body["status"].get("phase") == "Pending" and not pod.body["status"].get("containerStatuses"):
                self._schedule(pod)
        elif plan.due <= self._tools.clock.monotonic():
            self._take_step(pod, plan)
        elif plan.step != "rest":
            self._tools.queue.add_at(plan.due, ("Pod", *pod.key))

    def _take_step(self, pod: Stored, plan: _Plan) -> None:
        behaviour = self._behaviour(pod)
        match plan.step:
            case "end":
                self._tools.registry.delete(PODS, *pod.key, {"gracePeriodSeconds": 0})
            case "back off":
                self._back_off_pull(pod, plan.attempt)
            case "start" if behaviour.pull_error:
                self._fail_pull(pod, plan.attempt)
            case "start" if behaviour.crash:
                self._crash(pod, plan.attempt)
            case "start":
                self._run(pod, plan.attempt)

    def _behaviour(self, pod: Stored) -> ImageBehaviour:
        image = _containers(pod)[0]["image"]
        return next((found for found in self._behaviours if fnmatchcase(image, found.pattern)), _DEFAULT)

    def _plan(self, pod: Stored, step: str, seconds: float, attempt: int = 0) -> None:
        plan = _Plan(step, self._tools.clock.monotonic() + seconds, attempt)
        self._plans[pod.uid] = plan
        self._tools.queue.add_at(plan.due, ("Pod", *pod.key))

    def _rest(self, pod: Stored) -> None:
        self._plans[pod.uid] = _Plan("rest", float("inf"))

    def _event(self, pod: Stored, type_: str, reason: str, message: str) -> None:
        node = pod.body["spec"].get("nodeName", "")
        self._tools.recorder.record(pod, type_, reason, message, "kubelet" if node else "default-scheduler", node)

    def _schedule(self, pod: Stored) -> None:
        node = self._tools.registry.choose(NODES)
        namespace, name = pod.key
        message = f"Successfully assigned {namespace}/{name} to {node}"
        self._event(pod, "Normal", "Scheduled", message)
        self._addresses += 1
        address = f"10.244.{self._addresses // 254 % 256}.{self._addresses % 254 + 1}"
        spec = {**pod.body["spec"], "nodeName": node}
        status = {
            **pod.body["status"],
            "podIP": address,
            "podIPs": [{"ip": address}],
            "hostIP": f"192.0.2.{NODES.index(node) + 1}",
            "startTime": self._tools.now(),
        }
        scheduled = Stored(PODS, {**pod.body, "spec": spec, "status": status})
        waiting = {"waiting": {"reason": "ContainerCreating"}}
        self._report(scheduled, "Pending", waiting)
        self._plan(pod, "start", self._behaviour(pod).start_seconds)

    def _report(
        self, pod: Stored, phase: str, state: JsonObject, *, ready: bool = False, restarts: int = 0,
        last_state: JsonObject | None = None,
    ) -> None:  # fmt: skip
        """Write a pod's status: all its containers are in the same state."""
        now, old = self._tools.now(), pod.body["status"]
        started = "running" in state
        ended: JsonObject = last_state or next((each["lastState"] for each in old.get("containerStatuses") or ()), {})
        statuses = [
            {
                "name": container["name"],
                "state": state,
                "lastState": ended,
                "ready": ready,
                "restartCount": restarts,
                "image": container["image"],
                "imageID": "",
                "started": started,
            }
            for container in _containers(pod)
        ]
        verdicts = (("Initialized", True), ("Ready", ready), ("ContainersReady", ready), ("PodScheduled", True))
        known = {condition["type"]: condition for condition in old.get("conditions") or ()}
        conditions = [_condition(known.get(type_), type_, holds, now, _containers(pod)) for type_, holds in verdicts]
        status = {**old, "phase": phase, "conditions": conditions, "containerStatuses": statuses}
        self._tools.store.put(PODS, {**pod.body, "status": status})

    def _run(self, pod: Stored, attempt: int) -> None:
        container = _containers(pod)[0]
        self._event(pod, "Normal", "Pulled", f'Container image "{container["image"]}" already present on machine')
        self._event(pod, "Normal", "Started", f"Started container {container['name']}")
        now = self._tools.clock.now()
        self._logs.begin(pod.uid)
        self._logs.add(pod.uid, now, f"starting {container['image']}")
        self._logs.add(pod.uid, now, "model loaded, serving on :8080")
        self._report(pod, "Running", {"running": {"startedAt": self._tools.now()}}, ready=True, restarts=attempt)
        self._rest(pod)

    def _fail_pull(self, pod: Stored, attempt: int) -> None:
        image = _containers(pod)[0]["image"]
        cause = f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": not found'
        self._event(pod, "Warning", "Failed", f'Failed to pull image "{image}": {cause}')
        self._event(pod, "Warning", "Failed", "Error: ErrImagePull")
        self._report(pod, "Pending", {"waiting": {"reason": "ErrImagePull", "message": cause}})
        self._plan(pod, "back off", _BACK_OFF_SECONDS, attempt)

    def _back_off_pull(self, pod: Stored, attempt: int) -> None:
        message = f'Back-off pulling image "{_containers(pod)[0]["image"]}"'
        self._event(pod, "Normal", "BackOff", message)
        self._event(pod, "Warning", "Failed", "Error: ImagePullBackOff")
        self._report(pod, "Pending", {"waiting": {"reason": "ImagePullBackOff", "message": message}})
        self._plan(pod, "start", _retry_seconds(attempt), attempt + 1)

    def _crash(self, pod: Stored, attempt: int) -> None:
        container, now = _containers(pod)[0]["name"], self._tools.now()
        delay = _retry_seconds(attempt)
        self._logs.begin(pod.uid)
        self._logs.add(pod.uid, self._tools.clock.now(), "Traceback (most recent call last):")
        self._logs.add(pod.uid, self._tools.clock.now(), "RuntimeError: model artifact could not be loaded")
        message = f"Back-off restarting failed container {container} in pod {pod.key[1]}_{pod.key[0]}({pod.uid})"
        self._event(pod, "Warning", "BackOff", message)
        text = f"back-off {delay:.0f}s restarting failed container={container} pod={pod.key[1]}_{pod.key[0]}({pod.uid})"
        ended = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now}}
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": text}}
        self._report(pod, "Running", waiting, restarts=attempt, last_state=ended)
        self._plan(pod, "start", delay, attempt + 1)


def _containers(pod: Stored) -> list[JsonObject]:
    containers: list[JsonObject] = pod.body["spec"]["containers"]
    return containers


def _retry_seconds(attempt: int) -> float:
    return min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2.0 ** min(attempt, 10))


def _condition(known: JsonObject | None, type_: str, holds: bool, now: str, containers: list[JsonObject]) -> JsonObject:
    status = "True" if holds else "False"
    since = known["lastTransitionTime"] if known and known["status"] == status else now
    condition = {"type": type_, "status": status, "lastProbeTime": None, "lastTransitionTime": since}
    if not holds:
        names = " ".join(container["name"] for container in containers)
        condition |= {"reason": "ContainersNotReady", "message": f"containers with unready status: [{names}]"}
    return condition
