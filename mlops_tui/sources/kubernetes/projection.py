"""Deployments as the API server sends them become rows: slim, and without what nobody shows."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from mlops_tui.domain.errors import Unavailable
from mlops_tui.domain.rollout import Condition, RolloutRow, desired_replicas, judge_rollout, rollout_status

REVISION = "deployment.kubernetes.io/revision"
CHANGE_CAUSE = "kubernetes.io/change-cause"


def rollout_row(deployment: Mapping[str, Any], *, source: str, context: str, environment: str) -> RolloutRow:
    """Return the row of a Deployment. Raises `Unavailable` if it is none that could exist."""
    try:
        return _rollout_row(deployment, source, context, environment)
    except (KeyError, TypeError, ValueError, AttributeError, ValidationError) as error:
        hint = "is this a Kubernetes API server?"
        raise Unavailable(f"a Deployment cannot be read ({type(error).__name__})", hint) from None


def _rollout_row(deployment: Mapping[str, Any], source: str, context: str, environment: str) -> RolloutRow:
    metadata, spec, status = deployment["metadata"], deployment["spec"], deployment.get("status") or {}
    template = spec["template"]
    annotations = metadata.get("annotations") or {}
    found = status.get("conditions") or ()
    conditions = tuple(
        Condition(type=c["type"], status=c["status"], reason=c.get("reason", ""), message=c.get("message", ""))
        for c in sorted(found, key=lambda condition: str(condition["type"]))
    )
    phase, message = rollout_status(deployment)
    paused, desired = bool(spec.get("paused")), desired_replicas(deployment)
    ready, available = status.get("readyReplicas", 0), status.get("availableReplicas", 0)
    verdict = judge_rollout(
        phase, paused=paused, desired=desired, ready=ready, available=available, conditions=conditions
    )
    created_at = moment(metadata.get("creationTimestamp"))
    changes = [c.get(key) for c in found for key in ("lastUpdateTime", "lastTransitionTime")]
    return RolloutRow(
        key=row_key(source, deployment),
        source=source,
        mark=verdict.mark,
        attention=verdict.attention,
        reason=verdict.reason,
        updated_at=latest(changes) or created_at,
        environment=environment,
        context=context,
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        resource_version=metadata["resourceVersion"],
        phase=phase,
        message=message,
        paused=paused,
        desired=desired,
        total=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=ready,
        available=available,
        images=tuple(images(template)),
        revision=revision(metadata),
        change_cause=annotations.get(CHANGE_CAUSE, ""),
        conditions=conditions,
        labels=(metadata.get("labels") or {}) | ((template.get("metadata") or {}).get("labels") or {}),
        created_at=created_at,
    )


def row_key(source: str, deployment: Mapping[str, Any]) -> str:
    """Return the key of a Deployment's row."""
    metadata = deployment["metadata"]
    return f"{source}/{metadata['namespace']}/{metadata['name']}"


def images(template: Mapping[str, Any]) -> list[str]:
    """Return the images of a pod template's containers, in its order."""
    return [str(container.get("image", "")) for container in (template.get("spec") or {}).get("containers") or ()]


def revision(metadata: Mapping[str, Any]) -> int | None:
    """Return the revision that a Deployment or ReplicaSet is at; `None` before the controller has seen it."""
    value = str((metadata.get("annotations") or {}).get(REVISION, ""))
    return int(value) if value.isascii() and value.isdigit() else None


def moment(value: object) -> datetime | None:
    """Return a Kubernetes time, which is RFC 3339 in UTC; `None` if it is missing or none."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else None


def latest(values: Iterable[object]) -> datetime | None:
    """Return the latest of some Kubernetes times."""
    return max(filter(None, map(moment, values)), default=None)
