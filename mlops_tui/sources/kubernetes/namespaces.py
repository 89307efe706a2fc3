"""Tells a namespace that is empty from one that does not exist, which the API server lists alike."""

import difflib

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import SourceError
from mlops_tui.domain.state import Problem
from mlops_tui.sources.kubernetes.connection import Connection
from mlops_tui.sources.kubernetes.target import ALL_NAMESPACES
from mlops_tui.sources.kubernetes.transport import Gone, Missing

NAMES = 500
"""How many namespaces are read to find one that may have been meant."""


def scope_of(namespace: str) -> str:
    """Return what problems and permissions of `namespace` are about; `*` is all of them."""
    return "all namespaces" if namespace == ALL_NAMESPACES else f"namespace {namespace}"


async def absence_of(connection: Connection, namespace: str) -> Problem | None:
    """Return the problem that `namespace` does not exist; `None` if it does, or nobody tells."""
    if namespace == ALL_NAMESPACES:
        return None
    try:
        await connection.get(f"/api/v1/namespaces/{namespace}")
    except Missing:
        return Problem(
            scope=scope_of(namespace),
            message="does not exist",
            hint=await _near(connection, namespace),
            rows=(RowKind.ROLLOUT,),
        )
    except (Gone, SourceError):
        pass  # most often who may list its Deployments may not read the namespace itself
    return None


async def _near(connection: Connection, namespace: str) -> str:
    try:
        answer = await connection.get("/api/v1/namespaces", {"limit": NAMES})
    except (Gone, Missing, SourceError):
        answer = {}
    names = [str((item.get("metadata") or {}).get("name", "")) for item in answer.get("items") or ()]
    near = difflib.get_close_matches(namespace, names, n=3)
    return f"did you mean {' or '.join(near)}?" if near else "check namespaces in [environments]"
