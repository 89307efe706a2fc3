"""What may hold a deletion up: finalizers, and what clients ask for with `DeleteOptions`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlops_tui.demo.kubernetes import errors
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

ORPHAN: Final = "orphan"
"""Finalizer of an object whose dependents are to be let go before it is removed."""
FOREGROUND: Final = "foregroundDeletion"
"""Finalizer of an object whose dependents are to be deleted before it is removed."""
_POLICIES: Final = ("Foreground", "Background", "Orphan")
_STANDARD: Final = (ORPHAN, FOREGROUND, "kubernetes")
Cause = tuple[str, str, str]


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse `DeleteOptions` that contradict themselves.

    Raises:
        ApiError: 422.
    """
    policy = options.get("propagationPolicy")
    if policy is None:
        return
    if options.get("orphanDependents") is not None:
        message = f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be both set'
        raise errors.invalid_options("DeleteOptions", "propagationPolicy", "FieldValueInvalid", message)
    if policy not in _POLICIES:
        supported = ", ".join(f'"{each}"' for each in (*_POLICIES, "nil"))
        message = f'Unsupported value: "{policy}": supported values: {supported}'
        raise errors.invalid_options("DeleteOptions", "propagationPolicy", "FieldValueNotSupported", message)


def check_preconditions(stored: Stored, wanted: Mapping[str, Any]) -> None:
    """Refuse to delete an object that is not the one, or not the state of it, that the client means.

    Raises:
        ApiError: 409.
    """
    if (uid := wanted.get("uid")) and uid != stored.uid:
        reason = f"the UID in the precondition ({uid}) does not match the UID in record ({stored.uid})"
        raise errors.precondition_failed(
            stored.resource, stored.key[1], f"{reason}. The object might have been deleted and then recreated"
        )
    if (version := wanted.get("resourceVersion")) and version != str(stored.version):
        reason = (
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
            f"({stored.version})"
        )
        raise errors.precondition_failed(
            stored.resource, stored.key[1], f"{reason}. The object might have been modified"
        )


def finalizers_for(stored: Stored, options: Mapping[str, Any]) -> list[str]:
    """Return what has to be done before an object can go."""
    finalizers: list[str] = stored.metadata.get("finalizers", [])
    policy = options.get("propagationPolicy")
    orphans = options.get("orphanDependents")
    if orphans is not None:
        policy = "Orphan" if orphans else "Background"
    if policy is None:
        return finalizers
    others = [each for each in finalizers if each not in (ORPHAN, FOREGROUND)]
    return others + {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(policy, [])


def finished(body: JsonObject) -> bool:
    """Say whether a deleted object waits for nothing any more."""
    metadata = body["metadata"]
    return metadata.get("deletionGracePeriodSeconds") == 0 and not metadata.get("finalizers")


def finalizer_causes(body: JsonObject, previous: JsonObject | None) -> Iterator[Cause]:
    """Yield what is wrong with the finalizers of an object."""
    finalizers = body["metadata"].get("finalizers") or []
    for index, name in enumerate(finalizers):
        if name not in _STANDARD and "/" not in name:
            message = f'Invalid value: "{name}": name is neither a standard finalizer name nor is it fully qualified'
            yield f"metadata.finalizers[{index}]", "FieldValueInvalid", message
    if previous is None or "deletionTimestamp" not in previous["metadata"]:
        return
    if fresh := [name for name in finalizers if name not in previous["metadata"].get("finalizers", ())]:
        listed = ", ".join(f'"{name}"' for name in fresh)
        message = "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers"
        yield "metadata.finalizers", "FieldValueForbidden", f"{message} []string{{{listed}}}"
