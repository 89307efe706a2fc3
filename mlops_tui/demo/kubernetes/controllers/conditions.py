"""Conditions of a Deployment's status."""

from mlops_tui.demo.kubernetes.store import JsonObject


def condition_of(conditions: list[JsonObject], type_: str) -> JsonObject | None:
    """Return the condition of a type."""
    return next((condition for condition in conditions if condition["type"] == type_), None)


def without_condition(conditions: list[JsonObject], type_: str) -> list[JsonObject]:
    """Return the conditions without that of a type."""
    return [condition for condition in conditions if condition["type"] != type_]


def with_condition(
    conditions: list[JsonObject], type_: str, status: str, reason: str, message: str, now: str
) -> list[JsonObject]:
    """Return the conditions with one that is new, or changed: same status and reason leave the old one as it is."""
    current = condition_of(conditions, type_)
    if current is not None and (current["status"], current["reason"]) == (status, reason):
        return conditions
    condition = {
        "type": type_,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": current["lastTransitionTime"] if current and current["status"] == status else now,
        "reason": reason,
        "message": message,
    }
    return [*without_condition(conditions, type_), condition]
