"""The blue-green strategy: a whole second set of pods, then one switch of the Service."""

from mlops_tui.demo.kubernetes.controllers import rolling
from mlops_tui.demo.kubernetes.controllers.argo import arithmetic, status
from mlops_tui.demo.kubernetes.controllers.argo.state import RolloutState, hash_of, selected_hash
from mlops_tui.demo.kubernetes.registry import parse_timestamp
from mlops_tui.demo.kubernetes.selectors import selector_text
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

PAUSE = "BlueGreenPause"


class BlueGreen:
    """One step of a Rollout whose strategy is blue-green."""

    def __init__(self, state: RolloutState) -> None:
        self._state = state
        self._strategy: JsonObject = state.spec["strategy"]["blueGreen"]

    def run(self) -> None:
        """Take the step."""
        state = self._state
        state.number()
        preview = state.service(self._strategy.get("previewService", ""))
        if preview is not None and not state.spec.get("paused"):
            state.switch(preview, state.hash)
        if self._is_new_update():
            self._write_status()
            return
        state.restart()
        self._scale()
        self._pause()
        self._switch()
        self._write_status()

    def scale_only(self) -> None:
        """Bring the ReplicaSets to the Rollout's size without going on with its update."""
        self._state.number()
        self._scale()
        status.persist(self._state, self._counted())

    @property
    def _active(self) -> Stored | None:
        return self._state.service(self._strategy["activeService"])

    def _is_new_update(self) -> bool:
        known = self._state.status.get("currentPodHash")
        return bool(known and known != self._state.hash)

    # --- pods, pause, switch ---------------------------------------------------------------------------------------

    def _scale(self) -> None:
        state = self._state
        state.drop_deadlines()
        if state.stable is not None:
            state.resize(state.stable, state.replicas)
        self._scale_new()
        services = [self._strategy["activeService"], self._strategy.get("previewService", "")]
        for found in reversed(rolling.active(state.others)):
            if not state.is_referenced(found, services) and not state.keep_for_now(found):
                state.resize(found, 0)
        state.forget_old_revisions()

    def _scale_new(self) -> None:
        state = self._state
        size = state.replicas
        if state.delays_abort():
            if arithmetic.available(state.stable) < state.replicas or state.keep_for_now(state.new):
                size = rolling.replicas_of(state.new)
            else:
                size = 0
        state.resize(state.new, size)

    @property
    def _is_ready(self) -> bool:
        return status.is_saturated(self._state, self._state.new.key[1])

    @property
    def _is_fast(self) -> bool:
        """Whether there is nothing to wait for: nothing was active before, or this version was a moment ago."""
        state, active = self._state, selected_hash(self._active)
        stable = state.stable
        if stable is not None and (stable.key == state.new.key or (self._is_older(stable) and state.within_delay)):
            return True
        return bool(state.status.get("promoteFull")) or active in ("", state.hash)

    def _is_older(self, stable: Stored) -> bool:
        names = list(self._state.sets)
        return names.index(self._state.new.key[1]) < names.index(stable.key[1])

    @property
    def _waits(self) -> bool:
        automatic = self._strategy.get("autoPromotionEnabled", True)
        return not automatic or bool(self._strategy.get("autoPromotionSeconds"))

    def _pause(self) -> None:
        state = self._state
        if state.status.get("abort") or not self._is_ready or state.spec.get("paused"):
            return
        pause = self._pause_condition()
        seconds = self._strategy.get("autoPromotionSeconds", 0)
        if self._is_fast or not self._waits:
            state.pauses_removed.append(PAUSE)
        elif pause is None:
            if not state.status.get("controllerPause"):
                state.pauses_added.append(PAUSE)
                if seconds:
                    state.wake_in(seconds)
        elif self._is_pause_over():
            state.pauses_removed.append(PAUSE)
        elif seconds:
            state.wake_in(self._pause_left(pause))

    def _pause_condition(self) -> JsonObject | None:
        pauses = self._state.status.get("pauseConditions") or ()
        return next((pause for pause in pauses if pause["reason"] == PAUSE), None)

    def _pause_left(self, pause: JsonObject) -> float:
        seconds = float(self._strategy["autoPromotionSeconds"])
        return self._state.seconds_until(parse_timestamp(pause["startTime"])) + seconds

    def _is_pause_over(self) -> bool:
        state, pause = self._state, self._pause_condition()
        if state.pauses_added:
            return False
        if self._strategy.get("autoPromotionEnabled", True):
            if not self._strategy.get("autoPromotionSeconds"):
                return True
            return pause is not None and self._pause_left(pause) <= 0
        return pause is None and bool(state.status.get("controllerPause"))

    def _switch(self) -> None:
        """Give the active Service to the new version once that is whole and nothing holds it back."""
        state, active = self._state, self._active
        if active is None or state.spec.get("paused") or not self._is_ready:
            return
        target = selected_hash(active)
        if self._is_fast or self._is_pause_over():
            target = state.hash
        if state.status.get("abort"):
            target = state.status.get("stableRS", "")
        if target:
            state.switch(active, target)

    # --- status ----------------------------------------------------------------------------------------------------

    def _counted(self) -> JsonObject:
        """Return the status, in which the pods that count are those of the active Service, once there is one."""
        state = self._state
        active, preview = self._active, state.service(self._strategy.get("previewService", ""))
        selectors = {"activeSelector": selected_hash(active), "previewSelector": selected_hash(preview)}
        counted = status.base_status(state)
        counted["blueGreen"] = {name: found for name, found in selectors.items() if found}
        serving = next((found for found in state.all if hash_of(found) == selectors["activeSelector"]), None)
        if serving is None:
            return {**counted, "selector": selector_text(state.spec["selector"])}
        counts = serving.body["status"]
        return {
            **counted,
            "selector": selector_text(serving.body["spec"]["selector"]),
            "HPAReplicas": counts.get("replicas", 0),
            "availableReplicas": counts.get("availableReplicas", 0),
            "readyReplicas": counts.get("readyReplicas", 0),
        }

    def _write_status(self) -> None:
        state, fresh = self._state, self._counted()
        if self._is_new_update():
            status.reset(state, fresh, None)
        if state.status.get("promoteFull"):
            state.resumed = state.retried = True
        if reason := self._promotion(fresh):
            status.promote(state, fresh, reason)
        status.persist(state, fresh)

    def _promotion(self, fresh: JsonObject) -> str:
        """Return why the new version is to become the stable one, empty if it is not."""
        state, active = self._state, fresh["blueGreen"].get("activeSelector", "")
        if state.stable is None or not active:
            return "Initial deploy"
        if active != fresh["currentPodHash"]:
            return ""
        if state.status.get("promoteFull"):
            return "Full promotion requested"
        if state.stable.key == state.new.key or (self._is_older(state.stable) and state.within_delay):
            return "Fast rollback"
        return "" if state.aborted else "Completed blue-green update"
