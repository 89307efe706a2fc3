"""The Deployment controller.

It follows the real one (`pkg/controller/deployment`) step by step, because clients read its every trace: annotations,
conditions with their reasons, the order in which ReplicaSets grow and shrink.
"""

from datetime import datetime, timedelta

from mlops_tui.demo.kubernetes.controllers import rolling
from mlops_tui.demo.kubernetes.controllers.base import Tools, owner_reference
from mlops_tui.demo.kubernetes.controllers.conditions import condition_of, with_condition, without_condition
from mlops_tui.demo.kubernetes.controllers.templates import same_template, template_hash
from mlops_tui.demo.kubernetes.registry import parse_timestamp
from mlops_tui.demo.kubernetes.resources import DEPLOYMENTS, PODS, REPLICA_SETS
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

_COMPONENT = "deployment-controller"
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        rolling.REVISION,
        rolling.HISTORY,
        rolling.DESIRED,
        rolling.MAXIMUM,
        "deprecated.deployment.rollback.to",
    }
)
_HISTORY_LIMIT = 2000
"""Characters of the revision history annotation."""
_SLACK = timedelta(seconds=1)
"""Timestamps have whole seconds: a deadline is looked at this much later than it seems."""


class DeploymentController:
    """Rolls Deployments out."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def sync(self, namespace: str, name: str) -> None:
        """Take one step of one Deployment's rollout."""
        deployment = self._tools.store.get(DEPLOYMENTS, namespace, name)
        if deployment is not None:
            _Sync(self._tools, deployment).run()


class _Sync:
    """One step: what is known of one Deployment, and what is done about it."""

    def __init__(self, tools: Tools, deployment: Stored) -> None:
        self._tools = tools
        self._deployment = deployment
        self._sets = {
            child.key[1]: child for child in tools.store.owned_by(deployment.uid) if child.resource is REPLICA_SETS
        }
        self._new_name = next((name for name, found in self._sets.items() if self._runs_template(found)), "")

    @property
    def _spec(self) -> JsonObject:
        spec: JsonObject = self._deployment.body["spec"]
        return spec

    @property
    def _status(self) -> JsonObject:
        status: JsonObject = self._deployment.body["status"]
        return status

    @property
    def _all(self) -> list[Stored]:
        """All ReplicaSets, oldest first."""
        return list(self._sets.values())

    @property
    def _old(self) -> list[Stored]:
        return [found for name, found in self._sets.items() if name != self._new_name]

    @property
    def _new(self) -> Stored | None:
        return self._sets.get(self._new_name)

    def run(self) -> None:
        if "deletionTimestamp" in self._deployment.metadata:
            self._write_status(self._counted_status())
            return
        self._note_pause()
        if self._spec.get("paused"):
            self._synchronise_revision(create=False)
            self._scale()
            self._clean_up()
            self._write_status(self._counted_status())
        elif self._is_scaled():
            self._synchronise_revision(create=False)
            self._scale()
            self._write_status(self._counted_status())
        elif self._spec["strategy"]["type"] == "Recreate":
            self._recreate()
        else:
            self._roll()

    # --- revisions -------------------------------------------------------------------------------------------------

    def _runs_template(self, replica_set: Stored) -> bool:
        return same_template(replica_set.body["spec"]["template"], self._spec["template"], rolling.HASH_LABEL)

    def _synchronise_revision(self, *, create: bool) -> None:
        """Find, or make, the ReplicaSet of the current template and number it."""
        revision = 1 + max((rolling.revision_of(found) for found in self._old), default=0)
        new = self._new
        if new is not None:
            self._renumber(new, revision)
        elif create:
            self._create_replica_set(revision)

    def _renumber(self, new: Stored, revision: int) -> None:
        annotations = self._annotations_for(new.metadata.get("annotations", {}), revision)
        ready_seconds = self._spec.get("minReadySeconds", 0)
        spec = _without(new.body["spec"], "minReadySeconds")
        if ready_seconds:
            spec["minReadySeconds"] = ready_seconds
        if annotations != new.metadata.get("annotations", {}) or spec != new.body["spec"]:
            new = self._write_replica_set(new, spec, annotations)
        conditions = self._status.get("conditions", [])
        if self._has_deadline() and condition_of(conditions, "Progressing") is None:
            message = f'Found new replica set "{new.key[1]}"'
            conditions = self._with_progress(conditions, "True", "FoundNewReplicaSet", message)
        self._write_revision(annotations[rolling.REVISION], conditions)

    def _annotations_for(self, current: JsonObject, revision: int) -> JsonObject:
        """Return a ReplicaSet's annotations for `revision`; an older number of its own goes into its history."""
        ours = self._deployment.metadata.get("annotations", {})
        annotations = {**current, **{key: value for key, value in ours.items() if key not in _NOT_COPIED}}
        previous = current.get(rolling.REVISION, "")
        if not previous.isdecimal() or int(previous) < revision:
            annotations[rolling.REVISION] = str(revision)
            if previous:
                history = [*filter(None, current.get(rolling.HISTORY, "").split(",")), previous]
                while len(",".join(history)) > _HISTORY_LIMIT:
                    history.pop(0)
                annotations[rolling.HISTORY] = ",".join(history)
        return annotations

    def _create_replica_set(self, revision: int) -> None:
        namespace, owner = self._deployment.key
        template = self._spec["template"]
        hash_label = {rolling.HASH_LABEL: template_hash(template)}
        labels = {**template["metadata"].get("labels", {}), **hash_label}
        size = rolling.new_size(self._spec, self._all, 0)
        selector = self._spec["selector"]
        metadata = {
            "name": f"{owner}-{labels[rolling.HASH_LABEL]}",
            "namespace": namespace,
            "uid": self._tools.registry.uid(),
            "creationTimestamp": self._tools.now(),
            "generation": 1,
            "labels": labels,
            "annotations": {**self._annotations_for({}, revision), **self._size_annotations()},
            "ownerReferences": [owner_reference(self._deployment)],
        }
        spec = {
            "replicas": size,
            **({"minReadySeconds": self._spec["minReadySeconds"]} if self._spec.get("minReadySeconds") else {}),
            "selector": {**selector, "matchLabels": {**selector.get("matchLabels", {}), **hash_label}},
            "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
        }
        body = {"kind": "ReplicaSet", "apiVersion": "apps/v1", "metadata": metadata, "spec": spec}
        created = self._tools.store.put(REPLICA_SETS, {**body, "status": {"replicas": 0}})
        self._new_name = created.key[1]
        self._sets[self._new_name] = created
        if size:
            self._record_scaling("up", self._new_name, 0, size)
        conditions = self._status.get("conditions", [])
        if self._has_deadline():
            message = f'Created new replica set "{self._new_name}"'
            conditions = self._with_progress(conditions, "True", "NewReplicaSetCreated", message)
        self._write_revision(str(revision), conditions)

    def _write_revision(self, revision: str, conditions: list[JsonObject]) -> None:
        annotations = self._deployment.metadata.get("annotations", {})
        if annotations.get(rolling.REVISION) == revision and conditions == self._status.get("conditions", []):
            return
        metadata = {**self._deployment.metadata, "annotations": {**annotations, rolling.REVISION: revision}}
        status = {**self._status, "conditions": conditions} if conditions else self._status
        self._write({**self._deployment.body, "metadata": metadata, "status": status})

    # --- sizes -----------------------------------------------------------------------------------------------------

    def _size_annotations(self) -> JsonObject:
        replicas = self._spec["replicas"]
        return {rolling.DESIRED: str(replicas), rolling.MAXIMUM: str(replicas + rolling.bounds(self._spec)[0])}

    def _is_scaled(self) -> bool:
        """Say whether the Deployment's size was changed since its ReplicaSets were sized."""
        desired = str(self._spec["replicas"])
        sizes = [found.metadata.get("annotations", {}).get(rolling.DESIRED) for found in rolling.active(self._all)]
        return any(size is not None and size != desired for size in sizes)

    def _scale(self) -> None:
        """Bring a Deployment to its size without going on with its rollout."""
        replicas, active_sets = self._spec["replicas"], rolling.active(self._all)
        if len(active_sets) <= 1:
            only = active_sets[0] if active_sets else self._new or (self._all[-1] if self._all else None)
            if only is not None and rolling.replicas_of(only) != replicas:
                self._resize(only, replicas)
            return
        new = self._new
        if new is not None and self._is_saturated(new):
            for found in rolling.active(self._old):
                self._resize(found, 0)
        elif self._spec["strategy"]["type"] == "RollingUpdate":
            sizes = rolling.proportional_sizes(self._spec, active_sets, self._status.get("replicas", 0))
            for name, size in sizes.items():
                self._resize(self._sets[name], size)

    def _is_saturated(self, new: Stored) -> bool:
        replicas = self._spec["replicas"]
        sized_for = new.metadata.get("annotations", {}).get(rolling.DESIRED)
        available = rolling.counted([new], "availableReplicas")
        return bool(sized_for == str(replicas) and rolling.replicas_of(new) == available == replicas)

    def _resize(self, replica_set: Stored, size: int) -> bool:
        """Give a ReplicaSet a new size; say whether it was another one."""
        annotations = {**replica_set.metadata.get("annotations", {}), **self._size_annotations()}
        before = rolling.replicas_of(replica_set)
        if before != size or annotations != replica_set.metadata.get("annotations", {}):
            self._write_replica_set(replica_set, {**replica_set.body["spec"], "replicas": size}, annotations)
        if before != size:
            self._record_scaling("up" if size > before else "down", replica_set.key[1], before, size)
        return before != size

    def _record_scaling(self, direction: str, name: str, before: int, size: int) -> None:
        message = f"Scaled {direction} replica set {name} from {before} to {size}"
        self._tools.recorder.record(self._deployment, "Normal", "ScalingReplicaSet", message, _COMPONENT)

    # --- strategies ------------------------------------------------------------------------------------------------

    def _roll(self) -> None:
        self._synchronise_revision(create=True)
        if not self._grow_new() and not self._shrink_old() and self._is_complete(self._status):
            self._clean_up()
        self._write_progress()

    def _grow_new(self) -> bool:
        new = self._sets[self._new_name]
        current, replicas = rolling.replicas_of(new), self._spec["replicas"]
        if current == replicas:
            return False
        return self._resize(new, min(replicas, rolling.new_size(self._spec, self._all, current)))

    def _shrink_old(self) -> bool:
        if rolling.wanted(self._old) == 0:
            return False
        new = self._sets[self._new_name]
        least = self._spec["replicas"] - rolling.bounds(self._spec)[1]
        new_unavailable = rolling.replicas_of(new) - rolling.counted([new], "availableReplicas")
        surplus = rolling.wanted(self._all) - least - new_unavailable
        if surplus <= 0:
            return False
        removed = self._shrink(surplus, unhealthy=True)
        spare = rolling.counted([*rolling.active(self._old), new], "availableReplicas") - least
        return removed + self._shrink(spare, unhealthy=False) > 0

    def _shrink(self, limit: int, *, unhealthy: bool) -> int:
        """Take up to `limit` pods from the old ReplicaSets, the oldest first; only unavailable ones if `unhealthy`."""
        removed = 0
        for found in rolling.active(self._old):
            current = rolling.replicas_of(found)
            spare = current - rolling.counted([found], "availableReplicas") if unhealthy else current
            change = min(limit - removed, spare)
            if change > 0:
                self._resize(found, current - change)
                removed += change
        return removed

    def _recreate(self) -> None:
        self._synchronise_revision(create=False)
        stopped = [self._resize(found, 0) for found in rolling.active(self._old)]
        if not any(stopped) and not self._old_pods_run():
            self._synchronise_revision(create=True)
            self._resize(self._sets[self._new_name], self._spec["replicas"])
            if self._is_complete(self._status):
                self._clean_up()
        self._write_progress()

    def _old_pods_run(self) -> bool:
        pods = [pod for found in self._old for pod in self._tools.store.owned_by(found.uid) if pod.resource is PODS]
        return any(pod.body["status"].get("phase") not in ("Failed", "Succeeded") for pod in pods)

    def _clean_up(self) -> None:
        """Delete the oldest revisions beyond the history limit."""
        old = sorted(self._old, key=rolling.revision_of)
        for found in old[: max(0, len(old) - self._spec["revisionHistoryLimit"])]:
            status = found.body["status"]
            unseen = found.metadata["generation"] > status.get("observedGeneration", 0)
            if not (status.get("replicas") or rolling.replicas_of(found) or unseen):
                self._tools.store.remove(found)
                del self._sets[found.key[1]]

    # --- status ----------------------------------------------------------------------------------------------------

    def _has_deadline(self) -> bool:
        return bool(self._spec["progressDeadlineSeconds"] < 2**31 - 1)

    def _with_progress(self, conditions: list[JsonObject], status: str, reason: str, message: str) -> list[JsonObject]:
        return with_condition(conditions, "Progressing", status, reason, message, self._tools.now())

    def _note_pause(self) -> None:
        conditions = self._status.get("conditions", [])
        reason = (condition_of(conditions, "Progressing") or {}).get("reason")
        if not self._has_deadline() or reason == "ProgressDeadlineExceeded":
            return
        paused = bool(self._spec.get("paused"))
        if paused and reason != "DeploymentPaused":
            conditions = self._with_progress(conditions, "Unknown", "DeploymentPaused", "Deployment is paused")
        elif not paused and reason == "DeploymentPaused":
            conditions = self._with_progress(conditions, "Unknown", "DeploymentResumed", "Deployment is resumed")
        else:
            return
        self._write({**self._deployment.body, "status": {**self._status, "conditions": conditions}})

    def _counted_status(self) -> JsonObject:
        """Return the status that follows from the ReplicaSets, with all conditions but progress brought up to date."""
        available = rolling.counted(self._all, "availableReplicas")
        counts = {
            "observedGeneration": self._deployment.metadata["generation"],
            "replicas": rolling.counted(self._all, "replicas"),
            "updatedReplicas": rolling.counted([self._new], "replicas") if self._new else 0,
            "readyReplicas": rolling.counted(self._all, "readyReplicas"),
            "availableReplicas": available,
            "unavailableReplicas": max(0, rolling.wanted(self._all) - available),
        }
        if available >= self._spec["replicas"] - rolling.bounds(self._spec)[1]:
            verdict = "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
        else:
            verdict = "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
        conditions = with_condition(self._status.get("conditions", []), "Available", *verdict, self._tools.now())
        return {**{key: count for key, count in counts.items() if count}, "conditions": conditions}

    def _is_complete(self, status: JsonObject) -> bool:
        counts = {status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas")}
        observed = status.get("observedGeneration", 0) >= self._deployment.metadata["generation"]
        return bool(counts == {self._spec["replicas"]} and observed)

    def _write_progress(self) -> None:
        """Write the status with what it says of the rollout's progress."""
        status = self._counted_status()
        current = condition_of(self._status.get("conditions", []), "Progressing")
        if not self._has_deadline():
            status["conditions"] = without_condition(status["conditions"], "Progressing")
        elif not (
            status.get("replicas", 0) == status.get("updatedReplicas", 0)
            and (current or {}).get("reason") == "NewReplicaSetAvailable"
        ):
            status["conditions"] = self._judged(status, current)
        if status != self._status:
            self._write_status(status)
        elif current is not None:
            self._wait_for_deadline(status, current)

    def _judged(self, status: JsonObject, current: JsonObject | None) -> list[JsonObject]:
        conditions: list[JsonObject] = status["conditions"]
        subject = f'ReplicaSet "{self._new_name}"' if self._new else f'Deployment "{self._deployment.key[1]}"'
        if self._is_complete(status):
            message = f"{subject} has successfully progressed."
            return self._with_progress(conditions, "True", "NewReplicaSetAvailable", message)
        if self._moves(status):
            fresh = without_condition(conditions, "Progressing")
            fresh = self._with_progress(fresh, "True", "ReplicaSetUpdated", f"{subject} is progressing.")
            if current is not None and current["status"] == "True":
                fresh[-1]["lastTransitionTime"] = current["lastTransitionTime"]
            return fresh
        if current is not None and self._overdue(current):
            message = f"{subject} has timed out progressing."
            return self._with_progress(conditions, "False", "ProgressDeadlineExceeded", message)
        return conditions

    def _moves(self, status: JsonObject) -> bool:
        """Say whether there is progress since the status on record."""

        def count(source: JsonObject, field: str) -> int:
            return int(source.get(field, 0))

        before = self._status
        old_now = count(status, "replicas") - count(status, "updatedReplicas")
        old_before = count(before, "replicas") - count(before, "updatedReplicas")
        grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
        return old_now < old_before or any(count(status, field) > count(before, field) for field in grown)

    def _deadline(self, condition: JsonObject) -> datetime:
        return parse_timestamp(condition["lastUpdateTime"]) + timedelta(seconds=self._spec["progressDeadlineSeconds"])

    def _overdue(self, condition: JsonObject) -> bool:
        if condition["reason"] == "NewReplicaSetAvailable":
            return False
        if condition["reason"] == "ProgressDeadlineExceeded":
            return True
        return self._deadline(condition) < self._tools.clock.now()

    def _wait_for_deadline(self, status: JsonObject, condition: JsonObject) -> None:
        if self._is_complete(status) or condition["reason"] == "ProgressDeadlineExceeded":
            return
        left = self._deadline(condition) - self._tools.clock.now() + _SLACK
        due = self._tools.clock.monotonic() + max(_SLACK, left).total_seconds()
        self._tools.queue.add_at(due, ("Deployment", *self._deployment.key))

    # --- writes ----------------------------------------------------------------------------------------------------

    def _write(self, body: JsonObject) -> None:
        self._deployment = self._tools.store.put(DEPLOYMENTS, body)

    def _write_status(self, status: JsonObject) -> None:
        if status != self._status:
            self._write({**self._deployment.body, "status": status})

    def _write_replica_set(self, replica_set: Stored, spec: JsonObject, annotations: JsonObject) -> Stored:
        metadata = {**replica_set.metadata, "annotations": annotations}
        if spec != replica_set.body["spec"]:
            metadata["generation"] += 1
        written = self._tools.store.put(REPLICA_SETS, {**replica_set.body, "metadata": metadata, "spec": spec})
        self._sets[written.key[1]] = written
        return written


def _without(fields: JsonObject, name: str) -> JsonObject:
    return {key: value for key, value in fields.items() if key != name}
