"""The HorizontalPodAutoscaler controller.

It looks at every autoscaler in turn, as the real one does, and does nothing between two looks.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from mlops_tui.demo.kubernetes.controllers.base import Tools
from mlops_tui.demo.kubernetes.controllers.conditions import condition_of, without_condition
from mlops_tui.demo.kubernetes.errors import ApiError
from mlops_tui.demo.kubernetes.resources import AUTOSCALERS, Resource
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

Utilization = Callable[[str, str], float | None]
"""Answers, for a namespace and a workload's name, the load of its ready pods in percent of what they request."""

SYNC_SECONDS = 15.0
_TOLERANCE = 0.1
"""How far the load may be off its target, as a share, before anything happens."""
_DOWN_WINDOW_SECONDS = 300
_COMPONENT = "horizontal-pod-autoscaler"
_BEST_GROWTH = (2, 4)
"""At one look a workload at most doubles, or gets to four."""
_REQUEST_MILLICORES = 1000
"""What a pod is taken to request."""


@dataclass
class _Look:
    """What one look at an autoscaler finds and decides."""

    autoscaler: Stored
    conditions: list[JsonObject]
    current: int
    desired: int
    reason: str = ""
    metrics: list[JsonObject] = field(default_factory=list)


class Autoscaler:
    """Sizes workloads by their load.

    Args:
        utilization: Returns what the load is asked of, which may come later than the controller does.
    """

    def __init__(self, tools: Tools, utilization: Callable[[], Utilization | None]) -> None:
        self._tools = tools
        self._utilization = utilization
        self._recommendations: dict[tuple[str, str], list[tuple[float, int]]] = {}

    def watch(self, autoscaler: Stored) -> None:
        """Look at an autoscaler that is new, once it is its turn."""
        self._recommendations.pop(autoscaler.key, None)
        self._wait(autoscaler.key)

    def _wait(self, key: tuple[str, str]) -> None:
        self._tools.queue.add_at(self._tools.clock.monotonic() + SYNC_SECONDS, ("Autoscaler", *key))

    def sync(self, namespace: str, name: str) -> None:
        """Look at one autoscaler."""
        autoscaler = self._tools.store.get(AUTOSCALERS, namespace, name)
        if autoscaler is None:
            self._recommendations.pop((namespace, name), None)
            return
        self._wait(autoscaler.key)
        conditions = [*((autoscaler.body.get("status") or {}).get("conditions") or ())]
        reference = autoscaler.body["spec"].get("scaleTargetRef") or {}
        try:
            resource = self._tools.types.of_kind(reference.get("kind", ""), reference.get("apiVersion", ""))
            scale = self._tools.registry.scale(resource, namespace, reference.get("name", ""))
        except (KeyError, ApiError) as error:
            cause = error.message if isinstance(error, ApiError) else f"no matches for kind {reference.get('kind')!r}"
            self._fail(_Look(autoscaler, conditions, 0, 0), "AbleToScale", "FailedGetScale", _NO_SCALE + cause, cause)
            return
        current = scale["spec"].get("replicas", 0)
        look = _Look(autoscaler, conditions, current, current)
        message = "the HPA controller was able to get the target's current scale"
        self._note(look, "AbleToScale", "True", "SucceededGetScale", message)
        target = self._tools.registry.find(resource, namespace, reference["name"])
        if self._decide(look, target):
            self._rescale(look, resource, reference["name"])

    # --- deciding --------------------------------------------------------------------------------------------------

    def _decide(self, look: _Look, target: Stored) -> bool:
        """Find the size that there should be; say whether one was found."""
        spec, current = look.autoscaler.body["spec"], look.current
        least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 1)
        if current == 0:
            message = "scaling is disabled since the replica count of the target is zero"
            self._note(look, "ScalingActive", "False", "ScalingDisabled", message)
        elif current > most:
            look.desired, look.reason = most, "Current number of replicas above Spec.MaxReplicas"
        elif current < least:
            look.desired, look.reason = least, "Current number of replicas below Spec.MinReplicas"
        else:
            wanted = self._by_load(look, target)
            if wanted is None:
                return False
            self._limit(look, self._stabilized(look, wanted), least, most)
        return True

    def _by_load(self, look: _Look, target: Stored) -> int | None:
        """Return the size that the load asks for; `None`, with the failure on record, if there are no figures."""
        metrics = look.autoscaler.body["spec"].get("metrics") or ()
        metric = next((each["resource"] for each in metrics if each.get("type") == "Resource"), None)
        wanted = ((metric or {}).get("target") or {}).get("averageUtilization")
        ask, ready = self._utilization(), target.body.get("status", {}).get("readyReplicas", 0)
        load = ask(*target.key) if ask is not None and ready else None
        name = (metric or {}).get("name", "cpu")
        if load is None or not wanted:
            cause = f"failed to get {name} utilization: unable to get metrics for resource {name}: {_NO_METRICS}"
            message = f"the HPA was unable to compute the replica count: {cause}"
            self._fail(look, "ScalingActive", "FailedGetResourceMetric", message, cause)
            summary = (
                f"invalid metrics (1 invalid out of 1), first error is: failed to get {name} resource metric value"
            )
            self._record(look, "Warning", "FailedComputeMetricsReplicas", f"{summary}: {cause}")
            return None
        percent = round(load)
        value = {"averageUtilization": percent, "averageValue": f"{round(load * _REQUEST_MILLICORES / 100)}m"}
        look.metrics = [{"type": "Resource", "resource": {"name": name, "current": value}}]
        found = f"{name} resource utilization (percentage of request)"
        message = f"the HPA was able to successfully calculate a replica count from {found}"
        self._note(look, "ScalingActive", "True", "ValidMetricFound", message)
        size = _size_for(look.current, ready, load / wanted)
        look.reason = f"{found} above target" if size > look.current else "All metrics below target"
        return size

    def _stabilized(self, look: _Look, wanted: int) -> int:
        """Return a size that no recent recommendation speaks against."""
        behavior, now = look.autoscaler.body["spec"].get("behavior") or {}, self._tools.clock.monotonic()
        down = (behavior.get("scaleDown") or {}).get("stabilizationWindowSeconds", _DOWN_WINDOW_SECONDS)
        up = (behavior.get("scaleUp") or {}).get("stabilizationWindowSeconds", 0)
        recent = self._recommendations.setdefault(look.autoscaler.key, [(now, look.current)])
        highest = max([wanted, *(size for at, size in recent if at > now - down)])
        lowest = min([wanted, *(size for at, size in recent if at > now - up)])
        kept = [(at, size) for at, size in recent if at > now - max(down, up)]
        self._recommendations[look.autoscaler.key] = [*kept, (now, wanted)]
        size = min(max(look.current, lowest), highest)
        if size > wanted:
            verdict = "ScaleDownStabilized", _STABILIZED.format("higher", "highest")
        elif size < wanted:
            verdict = "ScaleUpStabilized", _STABILIZED.format("lower", "lowest")
        else:
            verdict = "ReadyForNewScale", "recommended size matches current size"
        self._note(look, "AbleToScale", "True", *verdict)
        return size

    def _limit(self, look: _Look, wanted: int, least: int, most: int) -> None:
        factor, floor = _BEST_GROWTH
        growth = max(factor * look.current, floor)
        look.desired = min(max(wanted, least), most, growth)
        if wanted < least:
            verdict = "True", "TooFewReplicas", "the desired replica count is less than the minimum replica count"
        elif wanted > most and most <= growth:
            verdict = "True", "TooManyReplicas", "the desired replica count is more than the maximum replica count"
        elif wanted > growth:
            message = "the desired replica count is increasing faster than the maximum scale rate"
            verdict = "True", "ScaleUpLimit", message
        else:
            verdict = "False", "DesiredWithinRange", "the desired count is within the acceptable range"
        self._note(look, "ScalingLimited", *verdict)

    # --- acting ----------------------------------------------------------------------------------------------------

    def _rescale(self, look: _Look, resource: Resource, name: str) -> None:
        fresh: JsonObject = {}
        if look.desired != look.current:
            namespace = look.autoscaler.key[0]
            scale = {"metadata": {"name": name, "namespace": namespace}, "spec": {"replicas": look.desired}}
            self._tools.registry.update_scale(resource, namespace, name, scale)
            message = f"the HPA controller was able to update the target scale to {look.desired}"
            self._note(look, "AbleToScale", "True", "SucceededRescale", message)
            message = f"New size: {look.desired}; reason: {look.reason}"
            self._record(look, "Normal", "SuccessfulRescale", message)
            fresh["lastScaleTime"] = self._tools.now()
        self._write(look, {**fresh, "currentMetrics": look.metrics or None})

    def _fail(self, look: _Look, type_: str, reason: str, message: str, event: str) -> None:
        self._note(look, type_, "False", reason, message)
        self._record(look, "Warning", reason, event)
        self._write(look, {"currentMetrics": None})

    def _note(self, look: _Look, type_: str, status: str, reason: str, message: str) -> None:
        old = condition_of(look.conditions, type_)
        since = old["lastTransitionTime"] if old and old["status"] == status else self._tools.now()
        condition = {
            "type": type_, "status": status, "lastTransitionTime": since, "reason": reason, "message": message,
        }  # fmt: skip
        look.conditions = [*without_condition(look.conditions, type_), condition]

    def _record(self, look: _Look, type_: str, reason: str, message: str) -> None:
        self._tools.recorder.record(look.autoscaler, type_, reason, message, _COMPONENT)

    def _write(self, look: _Look, fields: JsonObject) -> None:
        old = look.autoscaler.body.get("status") or {}
        order = {"AbleToScale": 0, "ScalingActive": 1, "ScalingLimited": 2}
        status = {
            **old,
            **fields,
            "currentReplicas": look.current,
            "desiredReplicas": look.desired,
            "conditions": sorted(look.conditions, key=lambda condition: order.get(condition["type"], len(order))),
        }
        if status != old:
            self._tools.store.put(AUTOSCALERS, {**look.autoscaler.body, "status": status})


_NO_SCALE = "the HPA controller was unable to get the target's current scale: "
_NO_METRICS = "no metrics returned from resource metrics API"
_STABILIZED = "recent recommendations were {} than current one, applying the {} recent recommendation"


def _size_for(current: int, ready: int, ratio: float) -> int:
    """Return the size at which the load meets its target; pods that start count as idle while it is to grow."""
    if abs(1.0 - ratio) <= _TOLERANCE:
        return current
    if ratio <= 1.0 or ready >= current:
        return math.ceil(ratio * ready - 1e-9)
    spread = ratio * ready / current
    if spread <= 1.0 + _TOLERANCE:
        return current
    return max(current, math.ceil(spread * current - 1e-9))
