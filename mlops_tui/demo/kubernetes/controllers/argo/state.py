"""One step of one Rollout: what is known of it, and the writes that both strategies share.

It follows the real controller (`rollout/` of argo-rollouts), because clients read its every trace: annotations, the
status field by field, conditions with their reasons, the order in which ReplicaSets, services and routes change.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from mlops_tui.demo.kubernetes.controllers import rolling
from mlops_tui.demo.kubernetes.controllers.argo import arithmetic
from mlops_tui.demo.kubernetes.controllers.base import Tools, owner_reference
from mlops_tui.demo.kubernetes.controllers.conditions import with_condition
from mlops_tui.demo.kubernetes.controllers.replica_set import is_active
from mlops_tui.demo.kubernetes.controllers.templates import same_template, template_hash
from mlops_tui.demo.kubernetes.defaults import pod_template
from mlops_tui.demo.kubernetes.registry import parse_timestamp, timestamp
from mlops_tui.demo.kubernetes.resources import PODS, REPLICA_SETS, SERVICES
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

GROUP = "argoproj.io"
HASH_LABEL = "rollouts-pod-template-hash"
REVISION = "rollout.argoproj.io/revision"
HISTORY = "rollout.argoproj.io/revision-history"
DESIRED = "rollout.argoproj.io/desired-replicas"
DEADLINE = "scale-down-deadline"
MANAGED_BY = "argo-rollouts.argoproj.io/managed-by-rollouts"
COMPONENT = "rollouts-controller"
_NOT_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED})
_SCALE_DOWN_DELAY = 30
"""Seconds for which a ReplicaSet that has lost its traffic stays up."""
_HISTORY_LIMIT = 10
_UNITS = {"h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|m|s)")


def duration_seconds(value: int | str) -> float:
    """Return what a duration such as `30`, `5m` or `1h30m` means; what cannot be read is no wait."""
    if isinstance(value, int) or value.isdecimal():
        return float(value)
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(value))


class RolloutState:
    """A Rollout, its ReplicaSets, and the status that is to be written.

    Attributes:
        fresh: What this step adds to the status beyond what is counted.
        pauses_added: Reasons of pauses that begin with this step.
        pauses_removed: Reasons of pauses that end with it.
        resumed: All pauses end.
        retried: An abort ends.
    """

    def __init__(self, tools: Tools, rollout: Stored) -> None:
        self.tools = tools
        self.rollout = rollout
        self.spec: JsonObject = rollout.body["spec"]
        self.status: JsonObject = rollout.body.get("status") or {}
        self.template = pod_template(self.spec["template"])
        self.replicas = arithmetic.replicas_in(self.spec)
        self.sets = {
            child.key[1]: child for child in tools.store.owned_by(rollout.uid) if child.resource is REPLICA_SETS
        }
        self._new_name = next((name for name, found in self.sets.items() if self._runs_template(found)), "")
        if not self._new_name:
            self._create_replica_set()
        self._stable_name = next((name for name, found in self.sets.items() if self._is_stable(found)), "")
        self.within_delay = DEADLINE in self.new.metadata.get("annotations", {}) and self._time_left(self.new) > 0
        self.fresh: JsonObject = {}
        self.pauses_added: list[str] = []
        self.pauses_removed: list[str] = []
        self.resumed = False
        self.retried = False

    @property
    def all(self) -> list[Stored]:
        """All ReplicaSets, oldest first."""
        return list(self.sets.values())

    @property
    def new(self) -> Stored:
        """The ReplicaSet of the current template."""
        return self.sets[self._new_name]

    @property
    def stable(self) -> Stored | None:
        """The ReplicaSet that an abort goes back to; none before the first one was promoted."""
        return self.sets.get(self._stable_name)

    @property
    def others(self) -> list[Stored]:
        """The ReplicaSets that are neither."""
        return [found for name, found in self.sets.items() if name not in (self._new_name, self._stable_name)]

    @property
    def hash(self) -> str:
        """What tells the pods of the current template."""
        return hash_of(self.new)

    @property
    def aborted(self) -> bool:
        """Whether the update is, and stays, aborted."""
        return bool(self.status.get("abort")) and not self.retried

    def _runs_template(self, replica_set: Stored) -> bool:
        return same_template(replica_set.body["spec"]["template"], self.template, HASH_LABEL)

    def _is_stable(self, replica_set: Stored) -> bool:
        stable: str = self.status.get("stableRS", "")
        return stable != "" and hash_of(replica_set) == stable

    # --- events and timers -----------------------------------------------------------------------------------------

    def record(self, reason: str, message: str, type_: str = "Normal") -> None:
        """Write an Event about the Rollout."""
        self.tools.recorder.record(self.rollout, type_, reason, message, COMPONENT)

    def wake_in(self, seconds: float) -> None:
        """Look at the Rollout again after some seconds."""
        self.tools.queue.add_at(self.tools.clock.monotonic() + max(0.0, seconds), ("Rollout", *self.rollout.key))

    def seconds_until(self, moment: datetime) -> float:
        """Return how long it is until a moment, below zero after it."""
        return (moment - self.tools.clock.now()).total_seconds()

    # --- revisions -------------------------------------------------------------------------------------------------

    def revision(self) -> int:
        """Return the number of the current revision."""
        return _number(self.new.metadata.get("annotations", {}).get(REVISION))

    def _next_revision(self) -> int:
        older = (found for name, found in self.sets.items() if name != self._new_name)
        return 1 + max((_number(found.metadata.get("annotations", {}).get(REVISION)) for found in older), default=0)

    def number(self) -> None:
        """Give the current ReplicaSet, and the Rollout, the revision that follows all others."""
        new, revision = self.new, self._next_revision()
        annotations = self._annotations_for(new.metadata.get("annotations", {}), revision)
        settled = self.spec.get("minReadySeconds", 0)
        spec = {**new.body["spec"], "minReadySeconds": settled}
        if annotations != new.metadata.get("annotations", {}) or settled != new.body["spec"].get("minReadySeconds", 0):
            self._write_set(new, spec, annotations)
        self._write_revision(annotations[REVISION])

    def _annotations_for(self, current: JsonObject, revision: int) -> JsonObject:
        ours = self.rollout.metadata.get("annotations", {})
        annotations = {**current, **{key: value for key, value in ours.items() if key not in _NOT_COPIED}}
        previous = current.get(REVISION, "")
        if _number(previous) < revision:
            annotations[REVISION] = str(revision)
            if previous:
                annotations[HISTORY] = ",".join(filter(None, (current.get(HISTORY, ""), previous)))
        return annotations

    def _write_revision(self, revision: str) -> None:
        annotations = self.rollout.metadata.get("annotations", {})
        if annotations.get(REVISION) != revision:
            metadata = {**self.rollout.metadata, "annotations": {**annotations, REVISION: revision}}
            self._write({**self.rollout.body, "metadata": metadata})
            self.record("RolloutUpdated", f"Rollout updated to revision {revision}")

    def _create_replica_set(self) -> None:
        namespace, owner = self.rollout.key
        revision, pod_hash = self._next_revision(), template_hash(self.template)
        labels = {**self.template["metadata"].get("labels", {}), HASH_LABEL: pod_hash}
        selector = self.spec["selector"]
        metadata = {
            "name": f"{owner}-{pod_hash}",
            "namespace": namespace,
            "uid": self.tools.registry.uid(),
            "creationTimestamp": self.tools.now(),
            "generation": 1,
            "labels": labels,
            "annotations": {**self._annotations_for({}, revision), DESIRED: str(self.replicas)},
            "ownerReferences": [owner_reference(self.rollout)],
        }
        spec = {
            "replicas": 0,
            "minReadySeconds": self.spec.get("minReadySeconds", 0),
            "selector": {**selector, "matchLabels": {**selector.get("matchLabels", {}), HASH_LABEL: pod_hash}},
            "template": {**self.template, "metadata": {**self.template["metadata"], "labels": labels}},
        }
        body = {"kind": "ReplicaSet", "apiVersion": "apps/v1", "metadata": metadata, "spec": spec}
        created = self.tools.store.put(REPLICA_SETS, {**body, "status": {"replicas": 0}})
        self._new_name = created.key[1]
        self.sets[self._new_name] = created
        self._write_revision(str(revision))
        self.record("NewReplicaSetCreated", f"Created ReplicaSet {self._new_name} (revision {revision})")
        self.note_progress("True", "NewReplicaSetCreated", f'Created new replica set "{self._new_name}"')

    def forget_old_revisions(self) -> None:
        """Delete the oldest ReplicaSets beyond the history limit."""
        limit = self.spec.get("revisionHistoryLimit", _HISTORY_LIMIT)
        old = self.others
        for found in old[: max(0, len(old) - limit)]:
            unseen = found.metadata["generation"] > found.body["status"].get("observedGeneration", 0)
            if not (found.body["status"].get("replicas") or rolling.replicas_of(found) or unseen):
                self.tools.store.remove(found)
                del self.sets[found.key[1]]

    # --- sizes -----------------------------------------------------------------------------------------------------

    def is_scaled(self) -> bool:
        """Say whether the Rollout's size was changed since its ReplicaSets were sized."""
        current = [self.new, *([self.stable] if self.stable is not None else [])]
        sizes = [found.metadata.get("annotations", {}).get(DESIRED) for found in rolling.active(current)]
        return any(size is not None and size != str(self.replicas) for size in sizes)

    def resize(self, replica_set: Stored, size: int) -> bool:
        """Give a ReplicaSet a new size; say whether it was another one."""
        before = rolling.replicas_of(replica_set)
        annotations = {**replica_set.metadata.get("annotations", {}), DESIRED: str(self.replicas)}
        if size == 0 and before:
            annotations.pop(DEADLINE, None)
        if before != size or annotations != replica_set.metadata.get("annotations", {}):
            self._write_set(replica_set, {**replica_set.body["spec"], "replicas": size}, annotations)
        if before != size:
            name, revision = replica_set.key[1], replica_set.metadata["annotations"].get(REVISION, "0")
            direction = "up" if size > before else "down"
            message = f"Scaled {direction} ReplicaSet {name} (revision {revision}) from {before} to {size}"
            self.record("ScalingReplicaSet", message)
        return before != size

    def keep_for_now(self, replica_set: Stored) -> bool:
        """Say whether a ReplicaSet without traffic is to stay up a little longer; the wait begins if it has not."""
        annotations = replica_set.metadata.get("annotations", {})
        if DEADLINE not in annotations:
            delay = self._strategy().get("scaleDownDelaySeconds", _SCALE_DOWN_DELAY)
            deadline = timestamp(self.tools.clock.now() + timedelta(seconds=delay))
            self._write_set(replica_set, replica_set.body["spec"], {**annotations, DEADLINE: deadline})
            self.wake_in(delay)
            return True
        left = self._time_left(replica_set)
        if left > 0:
            self.wake_in(left)
        return left > 0

    def _time_left(self, replica_set: Stored) -> float:
        return self.seconds_until(parse_timestamp(replica_set.metadata["annotations"][DEADLINE]))

    def drop_deadlines(self) -> None:
        """Keep the new and the stable ReplicaSet up for good, in case one of them was on its way out."""
        for found in (self.stable, None if self.delays_abort() else self.new):
            annotations = found.metadata.get("annotations", {}) if found is not None else {}
            if found is not None and DEADLINE in annotations:
                kept = {key: value for key, value in annotations.items() if key != DEADLINE}
                self._write_set(found, found.body["spec"], kept)

    def delays_abort(self) -> bool:
        """Say whether the new ReplicaSet of an aborted update stays up for a while."""
        if not self.aborted or self.stable is None or self.stable.key == self.new.key:
            return False
        strategy = self._strategy()
        if "canary" in self.spec["strategy"] and not strategy.get("trafficRouting"):
            return False
        return bool(strategy.get("abortScaleDownDelaySeconds", _SCALE_DOWN_DELAY))

    def is_referenced(self, replica_set: Stored, services: Sequence[str]) -> bool:
        """Say whether traffic may still reach a ReplicaSet, by the status or by the services themselves."""
        pod_hash, blue_green = hash_of(replica_set), self.status.get("blueGreen") or {}
        weights = (self.status.get("canary") or {}).get("weights") or {}
        references = [
            self.status.get("stableRS"), self.status.get("currentPodHash"), blue_green.get("activeSelector"),
            blue_green.get("previewSelector"), *(part.get("podTemplateHash") for part in weights.values()),
            *(selected_hash(self.service(name)) for name in services if name),
        ]  # fmt: skip
        return any(reference == pod_hash for reference in references)

    def _strategy(self) -> JsonObject:
        found: JsonObject = self.spec["strategy"].get("canary") or self.spec["strategy"].get("blueGreen") or {}
        return found

    # --- services and pods -----------------------------------------------------------------------------------------

    def service(self, name: str) -> Stored | None:
        """Return a Service of the Rollout's namespace."""
        return self.tools.store.get(SERVICES, self.rollout.key[0], name)

    def switch(self, service: Stored, pod_hash: str) -> None:
        """Let a Service select the pods of a ReplicaSet."""
        annotations, old = service.metadata.get("annotations", {}), selected_hash(service)
        if old == pod_hash and MANAGED_BY in annotations:
            return
        metadata = {**service.metadata, "annotations": {MANAGED_BY: self.rollout.key[1], **annotations}}
        selector = {**(service.body["spec"].get("selector") or {}), HASH_LABEL: pod_hash}
        spec = {**service.body["spec"], "selector": selector}
        self.tools.store.put(SERVICES, {**service.body, "metadata": metadata, "spec": spec})
        self.record("SwitchService", f"Switched selector for service '{service.key[1]}' from '{old}' to '{pod_hash}'")

    def restart(self) -> int:
        """Delete some of the pods that are older than `restartAt`; return how many."""
        wanted = self.spec.get("restartAt")
        if not wanted or wanted == self.status.get("restartedAt"):
            return 0
        moment = parse_timestamp(wanted)
        if self.seconds_until(moment) >= 0:
            self.wake_in(self.seconds_until(moment) + 1)
            return 0
        pods = [pod for found in self.all for pod in self.tools.store.owned_by(found.uid) if pod.resource is PODS]
        old = [pod for pod in pods if parse_timestamp(pod.metadata["creationTimestamp"]) < moment]
        at_once = max(1, arithmetic.bounds(self.spec)[1])
        spare = sum(map(arithmetic.available, self.all)) - max(self.replicas, rolling.wanted(self.all)) + at_once
        chosen = [pod for pod in old if is_active(pod)][: max(0, spare)]
        for pod in chosen:
            self.tools.registry.delete(PODS, *pod.key)
        if not old:
            self.fresh["restartedAt"] = wanted
        return len(chosen)

    # --- writes ----------------------------------------------------------------------------------------------------

    def note_progress(self, status: str, reason: str, message: str) -> None:
        """Write the condition `Progressing` at once."""
        known = self.status.get("conditions") or []
        conditions = with_condition(known, "Progressing", status, reason, message, self.tools.now())
        self.write_status({**self.status, "conditions": conditions})

    def write_status(self, status: JsonObject) -> bool:
        """Write the status; say whether it was another one."""
        changed = status != self.status
        if changed:
            self._write({**self.rollout.body, "status": status})
        return changed

    def _write(self, body: JsonObject) -> None:
        self.rollout = self.tools.store.put(self.rollout.resource, body)
        self.status = self.rollout.body.get("status") or {}

    def _write_set(self, replica_set: Stored, spec: JsonObject, annotations: JsonObject) -> None:
        metadata = {**replica_set.metadata, "annotations": annotations}
        if spec != replica_set.body["spec"]:
            metadata["generation"] += 1
        written = self.tools.store.put(REPLICA_SETS, {**replica_set.body, "metadata": metadata, "spec": spec})
        self.sets[written.key[1]] = written


def hash_of(replica_set: Stored) -> str:
    """Return the hash that tells a ReplicaSet's pods."""
    found: str = replica_set.metadata.get("labels", {}).get(HASH_LABEL, "")
    return found


def selected_hash(service: Stored | None) -> str:
    """Return the hash that a Service selects by."""
    selector = (service.body["spec"].get("selector") or {}) if service is not None else {}
    found: str = selector.get(HASH_LABEL, "")
    return found


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0
