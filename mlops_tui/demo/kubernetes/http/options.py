"""What a write may ask for beside its body: `dryRun`, `fieldManager`, `fieldValidation`, `force`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request

from mlops_tui.demo.kubernetes.errors import invalid_options
from mlops_tui.demo.kubernetes.http.query import flag

APPLY = "application/apply-patch+yaml"
MANAGER_LIMIT = 128
"""Characters in the name of a field manager."""
_KINDS = {
    "create": "CreateOptions",
    "update": "UpdateOptions",
    "patch": "PatchOptions",
    "delete": "DeleteOptions",
    "deletecollection": "DeleteOptions",
}


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a write is to be done.

    Attributes:
        dry_run: Answer as if it were done, but do not do it.
        manager: Who is to manage the fields that it sets.
        force: Take fields over from other managers.
        validation: What becomes of fields that there are not: they are dropped, with a warning, or refused.
    """

    dry_run: bool
    manager: str
    force: bool
    validation: Literal["Ignore", "Strict", "Warn"]


def write_options(request: Request, verb: str, media_type: str, body: Any = None) -> WriteOptions:
    """Return the options of a write.

    Args:
        body: The `DeleteOptions` of a deletion, which may also ask for a dry run.

    Raises:
        ApiError: 422 for an option that is unknown, or not for this kind of write.
    """
    kind, query = _KINDS[verb], request.query_params
    dry_run = [value for value in query.getlist("dryRun") if value]
    if isinstance(body, Mapping) and kind == "DeleteOptions":
        dry_run += body.get("dryRun") or []
    if any(value != "All" for value in dry_run):
        listed = ", ".join(f'"{value}"' for value in dry_run)
        message = f'Unsupported value: []string{{{listed}}}: supported values: "All"'
        raise invalid_options(kind, "dryRun", "FieldValueNotSupported", message)
    manager, applies = query.get("fieldManager", ""), media_type == APPLY
    if len(manager) > MANAGER_LIMIT:
        message = f'Invalid value: "{manager}": may not be more than {MANAGER_LIMIT} bytes'
        raise invalid_options(kind, "fieldManager", "FieldValueInvalid", message)
    if applies and not manager:
        message = "Required value: is required for apply patch"
        raise invalid_options(kind, "fieldManager", "FieldValueRequired", message)
    if verb == "patch" and not applies and "force" in query:
        message = "Forbidden: may not be specified for non-apply patch"
        raise invalid_options(kind, "force", "FieldValueForbidden", message)
    return WriteOptions(bool(dry_run), manager or _program(request), flag(query, "force"), _validation(kind, query))


def _validation(kind: str, query: Mapping[str, str]) -> Literal["Ignore", "Strict", "Warn"]:
    match query.get("fieldValidation") or "Warn":
        case "Ignore" | "Strict" | "Warn" as wanted:
            return wanted
        case other:
            message = f'Unsupported value: "{other}": supported values: "Ignore", "Strict", "Warn"'
            raise invalid_options(kind, "fieldValidation", "FieldValueNotSupported", message)


def _program(request: Request) -> str:
    """Return how a client names itself: what comes before the version in its `User-Agent`."""
    name = request.headers.get("user-agent", "").partition("/")[0]
    return "".join(filter(str.isprintable, name))[:MANAGER_LIMIT]
