"""The canary strategy: step by step more pods, or more traffic, for the new version."""

from mlops_tui.demo.kubernetes.controllers import rolling
from mlops_tui.demo.kubernetes.controllers.argo import arithmetic, status, traffic
from mlops_tui.demo.kubernetes.controllers.argo.state import (
    MANAGED_BY,
    RolloutState,
    duration_seconds,
    hash_of,
    selected_hash,
)
from mlops_tui.demo.kubernetes.controllers.templates import template_hash
from mlops_tui.demo.kubernetes.registry import parse_timestamp
from mlops_tui.demo.kubernetes.selectors import selector_text
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

PAUSE = "CanaryPauseStep"


class Canary:
    """One step of a Rollout whose strategy is canary."""

    def __init__(self, state: RolloutState) -> None:
        self._state = state
        self._strategy: JsonObject = state.spec["strategy"]["canary"]
        self._steps: list[JsonObject] = self._strategy.get("steps") or []
        self._routed = bool(self._strategy.get("trafficRouting"))
        self._steps_hash = template_hash(self._steps)

    def run(self) -> None:
        """Take the step."""
        state = self._state
        state.number()
        if self._is_new_update():
            self._write_status()
            return
        if state.restart() > 0:
            return
        state.forget_old_revisions()
        self._point_services()
        if self._routed:
            self._route()
        if not self.scale():
            self._pause()
        self._write_status()

    def scale_only(self) -> None:
        """Bring the ReplicaSets to the Rollout's size without going on with its update."""
        self._state.number()
        self.scale()
        status.persist(self._state, {**status.base_status(self._state), **self._own_fields()})

    # --- where the update stands -----------------------------------------------------------------------------------

    def _is_new_update(self) -> bool:
        known, steps = self._state.status.get("currentPodHash"), self._state.status.get("currentStepHash")
        return steps != self._steps_hash or bool(known and known != self._state.hash)

    @property
    def _index(self) -> int:
        return int(self._state.status.get("currentStepIndex") or 0)

    @property
    def _step(self) -> JsonObject | None:
        return self._steps[self._index] if self._index < len(self._steps) else None

    def _step_weight(self, index: int) -> int:
        """Return the weight that the steps up to one have set."""
        weights = (step["setWeight"] for step in reversed(self._steps[: index + 1]) if "setWeight" in step)
        return next(weights, 0)

    @property
    def _is_promoted(self) -> bool:
        return self._state.status.get("stableRS") == self._state.status.get("currentPodHash")

    @property
    def _weight(self) -> int:
        """The share of the canary that the pods are to be counted for, in percent."""
        if self._state.status.get("promoteFull") or not self._state.status.get("stableRS") or self._is_promoted:
            return arithmetic.FULL_WEIGHT
        if self._state.status.get("abort"):
            return 0
        return self._step_weight(self._index) if self._step is not None else arithmetic.FULL_WEIGHT

    def _wanted_sizes(self) -> tuple[int, int]:
        state = self._state
        if self._routed:
            return arithmetic.routed_counts(state.spec, self._weight)
        return arithmetic.basic_counts(state.spec, self._weight, state.new, state.stable, state.others)

    def _is_at_size(self) -> bool:
        """Say whether the pods of the current step are there."""
        state, (new_size, stable_size) = self._state, self._wanted_sizes()
        if not rolling.replicas_of(state.new) == arithmetic.available(state.new) == new_size:
            return False
        stable = state.stable
        if stable is None or rolling.replicas_of(stable) != stable_size:
            return False
        if stable.body["status"].get("replicas", 0) != stable_size:
            return False
        return self._routed or sum(map(arithmetic.available, state.others)) == 0

    # --- services, traffic, pods, pauses ---------------------------------------------------------------------------

    def _point_services(self) -> None:
        state = self._state
        self._point(self._strategy.get("stableService"), state.stable, checked=True)
        # With a router the canary's Service goes back together with the weights.
        if not (state.aborted and self._routed):
            self._point(self._strategy.get("canaryService"), state.stable if state.aborted else state.new, checked=True)

    def _point(self, name: str | None, replica_set: Stored | None, *, checked: bool) -> None:
        """Let a Service select a ReplicaSet once that has pods, all of them if the Service was not managed before."""
        service = self._state.service(name) if name else None
        if service is None or replica_set is None or selected_hash(service) == hash_of(replica_set):
            return
        ready, size = arithmetic.available(replica_set), rolling.replicas_of(replica_set)
        enough = ready > 0 if MANAGED_BY in service.metadata.get("annotations", {}) else 0 < size <= ready
        if enough or not checked:
            self._state.switch(service, hash_of(replica_set))

    def _route(self) -> None:
        """Split the traffic as the pods that are available allow."""
        state, stable, weight = self._state, self._state.stable, self._routed_weight()
        if state.aborted:
            self._point(self._strategy.get("canaryService"), stable, checked=False)
        enough = (arithmetic.FULL_WEIGHT - weight) * state.replicas // arithmetic.FULL_WEIGHT
        if stable is None or arithmetic.available(stable) < enough:
            return
        traffic.route(state, weight)
        old = (state.status.get("canary") or {}).get("weights")
        weights = {
            "canary": self._destination(weight, state.new, "canaryService"),
            "stable": self._destination(arithmetic.FULL_WEIGHT - weight, stable, "stableService"),
        }
        if old is None or old["canary"].get("weight", 0) != weight:
            change = f"to {weight}" if old is None else f"from {old['canary'].get('weight', 0)} to {weight}"
            state.record("TrafficWeightUpdated", f"Traffic weight updated {change}")
        self._state.fresh["canary"] = {"weights": weights}

    def _destination(self, weight: int, replica_set: Stored, service: str) -> JsonObject:
        destination: JsonObject = {"weight": weight, "podTemplateHash": hash_of(replica_set)}
        return {**destination, "serviceName": self._strategy[service]} if service in self._strategy else destination

    def _routed_weight(self) -> int:
        state = self._state
        if self._is_promoted or state.aborted or arithmetic.available(state.new) == 0:
            return 0
        if state.status.get("promoteFull"):
            weights = (state.status.get("canary") or {}).get("weights") or {}
            return int((weights.get("canary") or {}).get("weight", 0))
        if not self._is_at_size():
            return self._step_weight(self._index - 1) if self._index else 0
        return self._step_weight(self._index) if self._step is not None else arithmetic.FULL_WEIGHT

    def scale(self) -> bool:
        """Bring one kind of ReplicaSets nearer to its size: the stable one, the new one, the others; say whether."""
        state = self._state
        if state.spec.get("paused"):
            return False
        state.drop_deadlines()
        stable = state.stable
        if stable is not None and stable.key != state.new.key and state.resize(stable, self._wanted_sizes()[1]):
            return True
        return self._scale_new() or self._scale_others()

    def _scale_new(self) -> bool:
        state, size = self._state, self._wanted_sizes()[0]
        if state.delays_abort():
            if arithmetic.available(state.stable) < state.replicas or state.keep_for_now(state.new):
                state.resize(state.new, rolling.replicas_of(state.new))
                return False
            size = 0
        return state.resize(state.new, size)

    def _scale_others(self) -> bool:
        state = self._state
        scaled = False
        for found in rolling.active(state.others):  # first what never became ready
            if not self._routed and rolling.replicas_of(found) > arithmetic.available(found):
                scaled |= state.resize(found, arithmetic.available(found))
        spare = sum(map(arithmetic.available, state.all)) - (state.replicas - arithmetic.bounds(state.spec)[1])
        services = [self._strategy.get("canaryService", ""), self._strategy.get("stableService", "")]
        for found in reversed(rolling.active(state.others)):
            size = rolling.replicas_of(found)
            if spare <= 0:
                break
            if self._routed:
                kept = self._is_promoted and state.keep_for_now(found)
                if kept or (not self._is_promoted and state.is_referenced(found, services)):
                    continue
                remaining = 0
            else:
                remaining = max(0, size - spare)
            scaled |= state.resize(found, remaining)
            spare -= size - remaining
        return scaled

    def _pause(self) -> None:
        state, step = self._state, self._step
        if state.spec.get("paused") or state.status.get("promoteFull") or step is None or "pause" not in step:
            return
        pause = self._pause_condition()
        if pause is None:
            if not state.status.get("controllerPause"):
                state.pauses_added.append(PAUSE)
                duration = (step["pause"] or {}).get("duration")
                if duration is not None:
                    state.wake_in(duration_seconds(duration))
        elif (left := self._pause_left(step, pause)) is not None:
            state.wake_in(left)

    def _pause_condition(self) -> JsonObject | None:
        pauses = self._state.status.get("pauseConditions") or ()
        return next((pause for pause in pauses if pause["reason"] == PAUSE), None)

    def _pause_left(self, step: JsonObject, pause: JsonObject) -> float | None:
        duration = (step["pause"] or {}).get("duration")
        if duration is None:
            return None
        return self._state.seconds_until(parse_timestamp(pause["startTime"])) + duration_seconds(duration)

    # --- status ----------------------------------------------------------------------------------------------------

    def _own_fields(self) -> JsonObject:
        state = self._state
        return {
            "selector": selector_text(state.spec["selector"]),
            "currentStepHash": self._steps_hash,
            "currentStepIndex": state.status.get("currentStepIndex"),
            "canary": state.fresh.get("canary", (state.status.get("canary") or {}) if self._routed else {}),
        }

    def _write_status(self) -> None:
        state, last = self._state, len(self._steps)
        fresh = {**status.base_status(state), **self._own_fields()}
        if self._is_new_update():
            status.reset(state, fresh, 0 if last else None)
            if last and fresh["stableRS"] == state.hash:
                state.record("SkipSteps", "Rollback to stable ReplicaSets")
                fresh["currentStepIndex"] = last
            status.persist(state, fresh)
            return
        index: int | None = self._index if last else None
        if state.status.get("promoteFull"):
            state.resumed = state.retried = True
            index = last or None
        if reason := self._promotion():
            status.promote(state, fresh, reason)
        elif state.aborted:
            fresh["currentStepIndex"] = (last if self._is_promoted else 0) if last else None
        else:
            if index is not None and not state.status.get("promoteFull") and self._is_step_done():
                index += 1
                state.record("RolloutStepCompleted", f"Rollout step {index}/{last} completed ({self._described()})")
                state.pauses_removed.append(PAUSE)
            fresh["currentStepIndex"] = index
        status.persist(state, fresh)

    def _promotion(self) -> str:
        """Return why the new version is to become the stable one, empty if it is not."""
        state = self._state
        if state.stable is None:
            return "Initial deploy"
        if state.aborted or arithmetic.available(state.new) < state.replicas:
            return ""
        if state.status.get("promoteFull"):
            return "Full promotion requested"
        if state.stable.key == state.new.key:
            return "Fast rollback"
        return "" if self._step is not None else f"Completed all {len(self._steps)} canary steps"

    def _is_step_done(self) -> bool:
        state, step = self._state, self._step
        if state.spec.get("paused") or step is None:
            return False
        if "pause" not in step:
            return "setWeight" not in step or self._is_at_size()
        pause = self._pause_condition()
        if pause is None:
            return bool(state.status.get("controllerPause"))
        left = self._pause_left(step, pause)
        return left is not None and left <= 0

    def _described(self) -> str:
        step = self._step or {}
        if "setWeight" in step:
            return f"setWeight: {step['setWeight']}"
        duration = (step.get("pause") or {}).get("duration")
        return "pause" if duration is None else f"pause: {duration}"
