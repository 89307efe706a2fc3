"""The Rollout controller."""

from collections.abc import Iterator

from mlops_tui.demo.kubernetes.controllers.argo.blue_green import BlueGreen
from mlops_tui.demo.kubernetes.controllers.argo.canary import Canary
from mlops_tui.demo.kubernetes.controllers.argo.state import GROUP, RolloutState
from mlops_tui.demo.kubernetes.controllers.argo.status import note_pause
from mlops_tui.demo.kubernetes.controllers.argo.traffic import ISTIO, virtual_services
from mlops_tui.demo.kubernetes.controllers.base import Tools
from mlops_tui.demo.kubernetes.controllers.conditions import with_condition
from mlops_tui.demo.kubernetes.resources import SERVICES
from mlops_tui.demo.kubernetes.selectors import labels_match
from mlops_tui.demo.kubernetes.store import JsonObject, Stored


class RolloutController:
    """Rolls Rollouts out."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def sync(self, namespace: str, name: str) -> None:
        """Take one step of one Rollout's update."""
        resource = self._tools.types.find("Rollout", GROUP)
        rollout = self._tools.store.get(resource, namespace, name) if resource is not None else None
        if rollout is None or "deletionTimestamp" in rollout.metadata:
            return  # of what is being deleted nothing new is made
        if fault := next(self._faults(rollout), ""):
            self._refuse(rollout, f'The Rollout "{name}" is invalid: {fault}')
            return
        state = RolloutState(self._tools, rollout)
        if note_pause(state):
            return  # the change brings the Rollout back here
        strategy = Canary(state) if "canary" in state.spec["strategy"] else BlueGreen(state)
        if state.is_scaled():
            strategy.scale_only()
        else:
            strategy.run()

    def queue_namespace(self, namespace: str) -> None:
        """Look at every Rollout of a namespace: something that they may refer to has changed."""
        resource = self._tools.types.find("Rollout", GROUP)
        for rollout in self._tools.store.select(resource, namespace) if resource is not None else ():
            self._tools.queue.add(("Rollout", *rollout.key))

    def _faults(self, rollout: Stored) -> Iterator[str]:
        """Yield what is wrong with a Rollout, as the real controller's validation says it."""
        spec = rollout.body["spec"]
        selector, template = spec.get("selector"), spec.get("template") or {}
        if not selector:
            yield "spec.selector: Required value: Rollout has missing field '.spec.selector'"
        elif not labels_match(selector, (template.get("metadata") or {}).get("labels") or {}):
            yield "spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`"
        if not (template.get("spec") or {}).get("containers"):
            yield "spec.template.spec.containers: Required value"
        strategy = spec.get("strategy") or {}
        if ("canary" in strategy) == ("blueGreen" in strategy):
            fields = "'.spec.strategy.canary or .spec.strategy.blueGreen'"
            yield f"spec.strategy.strategy: Required value: Rollout has missing field {fields}"
        kind = "canary" if "canary" in strategy else "blueGreen"
        yield from self._missing(rollout, kind, strategy.get(kind) or {})

    def _missing(self, rollout: Stored, kind: str, strategy: JsonObject) -> Iterator[str]:
        namespace = rollout.key[0]
        for field in ("stableService", "canaryService", "activeService", "previewService"):
            name = strategy.get(field)
            if name and self._tools.store.get(SERVICES, namespace, name) is None:
                yield f'spec.strategy.{kind}.{field}: Invalid value: "{name}": service "{name}" not found'
        resource = self._tools.types.find("VirtualService", ISTIO)
        path = f"spec.strategy.{kind}.trafficRouting.istio.virtualService.name"
        for reference in virtual_services(strategy):
            name, _, elsewhere = reference.get("name", "").partition(".")
            if resource is None or self._tools.store.get(resource, elsewhere or namespace, name) is None:
                yield f'{path}: Invalid value: "{name}": virtualservices.networking.istio.io "{name}" not found'

    def _refuse(self, rollout: Stored, message: str) -> None:
        status = rollout.body.get("status") or {}
        known = [each for each in status.get("conditions") or () if each.get("message") == message]
        if known and status.get("observedGeneration") == str(rollout.metadata["generation"]):
            return
        conditions = [each for each in status.get("conditions") or () if each["type"] != "InvalidSpec"]
        refused = {
            "blueGreen": {},
            "canary": {},
            **status,
            "conditions": with_condition(conditions, "InvalidSpec", "True", "InvalidSpec", message, self._tools.now()),
            "observedGeneration": str(rollout.metadata["generation"]),
            "phase": "Degraded",
            "message": f"InvalidSpec: {message}",
        }
        self._tools.store.put(rollout.resource, {**rollout.body, "status": refused})
        self._tools.recorder.record(rollout, "Warning", "InvalidSpec", message, "rollouts-controller")
