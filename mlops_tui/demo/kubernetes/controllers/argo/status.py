"""The status of a Rollout: conditions, pauses, aborts, phase."""

from datetime import timedelta

from mlops_tui.demo.kubernetes.controllers import rolling
from mlops_tui.demo.kubernetes.controllers.argo import arithmetic
from mlops_tui.demo.kubernetes.controllers.argo.state import RolloutState
from mlops_tui.demo.kubernetes.controllers.conditions import condition_of, with_condition, without_condition
from mlops_tui.demo.kubernetes.registry import parse_timestamp
from mlops_tui.demo.kubernetes.store import JsonObject

_DEADLINE_SECONDS = 600
_SLACK = 1.0
"""Timestamps have whole seconds: a deadline is looked at this many seconds later than it seems."""
_ZERO_COUNTS = ("currentStepIndex",)
"""Fields that are written although they are zero."""


def base_status(state: RolloutState) -> JsonObject:
    """Return the fields that follow from the ReplicaSets, whatever the strategy."""
    old, pod_hash = state.status, state.hash
    return {
        "currentPodHash": pod_hash,
        "replicas": rolling.counted(state.all, "replicas"),
        "updatedReplicas": rolling.counted([state.new], "replicas"),
        "readyReplicas": rolling.counted(state.all, "readyReplicas"),
        "availableReplicas": rolling.counted(state.all, "availableReplicas"),
        "HPAReplicas": rolling.counted(state.all, "replicas"),
        "stableRS": old.get("stableRS", ""),
        "promoteFull": bool(old.get("promoteFull")) and pod_hash != old.get("stableRS"),
        "restartedAt": old.get("restartedAt"),
        "conditions": old.get("conditions") or [],
        "blueGreen": {},
        "canary": {},
        **state.fresh,
    }


def reset(state: RolloutState, status: JsonObject, step: int | None) -> None:
    """Start a new update in a status."""
    state.resumed = state.retried = True
    status |= {"restartedAt": state.spec.get("restartAt"), "promoteFull": False, "currentStepIndex": step}


def promote(state: RolloutState, status: JsonObject, reason: str) -> None:
    """Make the current ReplicaSet the stable one in a status."""
    state.resumed = state.retried = True
    steps = len((state.spec["strategy"].get("canary") or {}).get("steps") or ())
    status |= {"promoteFull": False, "currentStepIndex": steps or None}
    if status["stableRS"] != status["currentPodHash"]:
        status["stableRS"] = status["currentPodHash"]
        message = f"Rollout completed update to revision {state.revision()} ({status['currentPodHash']}): {reason}"
        state.record("RolloutCompleted", message)


def persist(state: RolloutState, status: JsonObject) -> None:
    """Write a status with its pauses, conditions and phase; if nothing changed, wait for the deadline."""
    before = state.status
    status["observedGeneration"] = str(state.rollout.metadata["generation"])
    status |= _pauses(state)
    status["conditions"] = _conditions(state, status)
    status["phase"], status["message"] = phase(state.spec, status)
    status = {
        key: value
        for key, value in status.items()
        if value not in (None, "", 0, []) or (key in _ZERO_COUNTS and value is not None)
    }
    if not state.write_status(status):
        _wait_for_deadline(state, status)
        return
    paused = bool(status.get("pauseConditions"))
    if paused and not before.get("pauseConditions"):
        state.record("RolloutPaused", f"Rollout is paused ({status['pauseConditions'][0]['reason']})")
    elif before.get("pauseConditions") and not paused and "abortedAt" not in status:
        state.record("RolloutResumed", "Rollout is resumed")


def _pauses(state: RolloutState) -> JsonObject:
    now = state.tools.now()
    if state.aborted:
        return {"abort": True, "abortedAt": state.status.get("abortedAt") or now}
    if state.resumed:
        return {}
    old = state.status.get("pauseConditions") or []
    known = {pause["reason"] for pause in old}
    begun = [{"reason": reason, "startTime": now} for reason in state.pauses_added if reason not in known]
    pauses = [*(pause for pause in old if pause["reason"] not in state.pauses_removed), *begun]
    if not pauses:
        return {}
    return {"pauseConditions": pauses, "controllerPause": bool(begun) or bool(state.status.get("controllerPause"))}


def note_pause(state: RolloutState) -> bool:
    """Write what a pause, its end or a retry means for the conditions; say whether there was something to write."""
    status = state.status
    if status.get("observedGeneration") != str(state.rollout.metadata["generation"]):
        return False
    conditions, now = status.get("conditions") or [], state.tools.now()
    paused = bool(status.get("pauseConditions")) or bool(state.spec.get("paused"))
    reason = (condition_of(conditions, "Progressing") or {}).get("reason")
    aborted = reason == "RolloutAborted"
    if paused != (reason == "RolloutPaused") and not aborted and not _completed(status):
        verdict = ("RolloutPaused", "Rollout is paused") if paused else ("RolloutResumed", "Rollout is resumed")
        conditions = with_condition(conditions, "Progressing", "Unknown", *verdict, now)
    if aborted and not status.get("abort"):
        verdict = "RolloutRetry", "Retrying Rollout after abort"
        conditions = with_condition(conditions, "Progressing", "Unknown", *verdict, now)
    if paused != _holds(conditions, "Paused") and not aborted:
        paused_text = "True" if paused else "False"
        conditions = with_condition(conditions, "Paused", paused_text, "RolloutPaused", "Rollout is paused", now)
    if conditions == (status.get("conditions") or []):
        return False
    judged = {**status, "conditions": conditions}
    judged["phase"], judged["message"] = phase(state.spec, judged)
    return state.write_status({key: value for key, value in judged.items() if (key, value) != ("message", "")})


def _holds(conditions: list[JsonObject], type_: str) -> bool:
    return (condition_of(conditions, type_) or {}).get("status") == "True"


def _completed(status: JsonObject) -> bool:
    return bool(status.get("stableRS")) and status.get("stableRS") == status.get("currentPodHash")


def _conditions(state: RolloutState, status: JsonObject) -> list[JsonObject]:
    now = state.tools.now()
    conditions: list[JsonObject] = without_condition(status["conditions"], "InvalidSpec")

    def note(type_: str, holds: bool, reason: str, message: str) -> None:
        nonlocal conditions
        conditions = with_condition(conditions, type_, "True" if holds else "False", reason, message, now)

    paused = bool(status.get("pauseConditions")) or bool(state.spec.get("paused"))
    healthy = _is_healthy(state, status)
    was_healthy = _holds(conditions, "Healthy")
    if healthy and not paused:
        note("Healthy", True, "RolloutHealthy", "Rollout is healthy")
    elif condition_of(conditions, "Healthy") is not None:
        note("Healthy", False, "RolloutHealthy", "Rollout is not healthy")
    fell_ill = was_healthy and not _holds(conditions, "Healthy")
    if state.aborted:
        conditions = _with_abort(state, conditions)
    else:
        conditions = _with_progress(state, {**status, "conditions": conditions}, healthy, fell_ill)
    if _is_available(state, status):
        note("Available", True, "AvailableReason", "Rollout has minimum availability")
    else:
        note("Available", False, "AvailableReason", "Rollout does not have minimum availability")
    started = not _completed(status) and (condition_of(conditions, "Completed") or {}).get("status") != "False"
    note("Completed", _completed(status), "RolloutCompleted", "RolloutCompleted")
    if started:
        message = f"Rollout not completed, started update to revision {state.revision()} ({status['currentPodHash']})"
        state.record("RolloutNotCompleted", message)
    return conditions


def _with_abort(state: RolloutState, conditions: list[JsonObject]) -> list[JsonObject]:
    message = f"Rollout aborted update to revision {state.revision()}"
    noted = with_condition(conditions, "Progressing", "False", "RolloutAborted", message, state.tools.now())
    if noted is not conditions:
        state.record("RolloutAborted", message, "Warning")
    return noted


def _with_progress(state: RolloutState, status: JsonObject, healthy: bool, fell_ill: bool) -> list[JsonObject]:
    conditions: list[JsonObject] = status["conditions"]
    now, name = state.tools.now(), state.new.key[1]
    current = condition_of(conditions, "Progressing")
    if healthy:
        message = f'ReplicaSet "{name}" has successfully progressed.'
        return with_condition(conditions, "Progressing", "True", "NewReplicaSetAvailable", message, now)
    if fell_ill or _moves(state, status):
        verdict = "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'
        if fell_ill and _completed(status):
            verdict = "ReplicaSetNotAvailable", "Rollout does not have minimum availability"
        noted = with_condition(without_condition(conditions, "Progressing"), "Progressing", "True", *verdict, now)
        if current is not None and current["status"] == "True":
            noted[-1]["lastTransitionTime"] = current["lastTransitionTime"]
        return noted
    if current is not None and not _may_wait(state) and _seconds_left(state, current) < 0:
        message = f'ReplicaSet "{name}" has timed out progressing.'
        return with_condition(conditions, "Progressing", "False", "ProgressDeadlineExceeded", message, now)
    return conditions


def _is_healthy(state: RolloutState, status: JsonObject) -> bool:
    """Say whether everything runs the current template, is available, and has the traffic."""
    strategy = state.spec["strategy"]
    if "blueGreen" in strategy:
        selectors = [status["blueGreen"].get("activeSelector")]
        if strategy["blueGreen"].get("previewService"):
            selectors.append(status["blueGreen"].get("previewSelector"))
        done = all(selector == status["currentPodHash"] for selector in selectors)
    else:
        steps = len(strategy["canary"].get("steps") or ())
        index = status.get("currentStepIndex")
        done = _completed(status) and (index is None or not steps or index == steps)
        done = done and status["replicas"] == state.replicas
    observed = state.status.get("observedGeneration") == status["observedGeneration"]
    counts = {status.get("updatedReplicas", 0), status.get("availableReplicas", 0)}
    return done and observed and counts == {state.replicas}


def _is_available(state: RolloutState, status: JsonObject) -> bool:
    if "blueGreen" in state.spec["strategy"]:
        active = status["blueGreen"].get("activeSelector")
        return any(
            found.metadata["labels"].get("rollouts-pod-template-hash") == active and is_saturated(state, found.key[1])
            for found in state.all
        )
    return rolling.counted(state.all, "availableReplicas") >= state.replicas


def is_saturated(state: RolloutState, name: str) -> bool:
    """Say whether a ReplicaSet is whole, and available."""
    found = state.sets[name]
    return rolling.replicas_of(found) == arithmetic.available(found) == state.replicas


def _moves(state: RolloutState, status: JsonObject) -> bool:
    """Say whether there is progress since the status on record."""
    before = state.status

    def count(source: JsonObject, field: str) -> int:
        return int(source.get(field) or 0)

    old_now = count(status, "replicas") - count(status, "updatedReplicas")
    old_before = count(before, "replicas") - count(before, "updatedReplicas")
    grown = any(count(status, field) > count(before, field) for field in ("readyReplicas", "availableReplicas"))
    if grown or old_now < old_before or count(status, "updatedReplicas") != count(before, "updatedReplicas"):
        return True
    if "blueGreen" in state.spec["strategy"]:
        return bool(status["blueGreen"] != (before.get("blueGreen") or {}))
    fields = ("stableRS", "currentStepHash", "currentStepIndex")
    return any((status.get(field) or 0) != (before.get(field) or 0) for field in fields)


def _may_wait(state: RolloutState) -> bool:
    """Say whether no progress is no fault: during a pause, or while an old ReplicaSet is kept up."""
    steps = (state.spec["strategy"].get("canary") or {}).get("steps") or []
    index = state.status.get("currentStepIndex", 0)
    if index < len(steps) and "pause" in steps[index]:
        return True
    if any("scale-down-deadline" in found.metadata.get("annotations", {}) for found in state.others):
        return True
    return _holds(state.status.get("conditions") or [], "Paused")


def _seconds_left(state: RolloutState, condition: JsonObject) -> float:
    """Return the seconds until the deadline, negative once it is over."""
    if condition["reason"] == "ProgressDeadlineExceeded":
        return -1.0
    if condition["reason"] in ("RolloutAborted", "RolloutPaused", "NewReplicaSetAvailable"):
        return float("inf")
    seconds = state.spec.get("progressDeadlineSeconds", _DEADLINE_SECONDS)
    return state.seconds_until(parse_timestamp(condition["lastUpdateTime"]) + timedelta(seconds=seconds))


def _wait_for_deadline(state: RolloutState, status: JsonObject) -> None:
    current = condition_of(status.get("conditions") or [], "Progressing")
    if current is None or _may_wait(state) or status.get("abort") or status["phase"] == "Healthy":
        return
    left = _seconds_left(state, current)
    if 0 <= left < float("inf"):
        state.wake_in(left + _SLACK)


def phase(spec: JsonObject, status: JsonObject) -> tuple[str, str]:
    """Return phase and message, as the controller has them."""
    for condition in status["conditions"]:
        if condition["type"] == "InvalidSpec":
            return "Degraded", f"InvalidSpec: {condition['message']}"
        if condition["reason"] in ("RolloutAborted", "ProgressDeadlineExceeded"):
            return "Degraded", f"{condition['reason']}: {condition['message']}"
    if spec.get("paused"):
        return "Paused", "manually paused"
    if pauses := status.get("pauseConditions"):
        return "Paused", pauses[0]["reason"]
    if spec.get("restartAt") and spec["restartAt"] != status.get("restartedAt"):
        return "Progressing", "rollout is restarting"
    updated = status.get("updatedReplicas") or 0
    if updated < arithmetic.replicas_in(spec):
        return "Progressing", "more replicas need to be updated"
    if (status.get("availableReplicas") or 0) < updated:
        return "Progressing", "updated replicas are still becoming available"
    if "blueGreen" in spec["strategy"]:
        active = (status.get("blueGreen") or {}).get("activeSelector")
        if not active or active != status.get("currentPodHash"):
            return "Progressing", "active service cutover pending"
        if not _completed(status):
            return "Progressing", "waiting for post-promotion verification to complete"
        return "Healthy", ""
    if not spec["strategy"]["canary"].get("trafficRouting") and (status.get("replicas") or 0) > updated:
        return "Progressing", "old replicas are pending termination"
    return ("Healthy", "") if _completed(status) else ("Progressing", "waiting for all steps to complete")
