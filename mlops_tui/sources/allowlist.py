"""What may be sent while nothing may be changed: a list of what only reads, and everything else is refused.

Reading is not the same as GET: searches, queries and access reviews are POSTs, and opening a shell in a pod is a GET.
Transports ask here before a byte leaves, so that it does not matter who made the request, or why.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from mlops_tui.domain.errors import Refused
from mlops_tui.domain.state import SourceKind

_KUBERNETES_REVIEWS: Final = re.compile(
    r"/apis/(authorization\.k8s\.io/v1/selfsubject(access|rules)reviews"
    r"|authentication\.k8s\.io/v1(beta1|alpha1)?/selfsubjectreviews)"
)
_SEGMENT: Final = r"[A-Za-z0-9](?:[A-Za-z0-9.:_-]*[A-Za-z0-9])?"
_KUBERNETES_ROOTS: Final = re.compile(rf"/(version|((openapi|healthz|livez|readyz)(/{_SEGMENT})*))")
_KUBERNETES_OBJECTS: Final = re.compile(
    rf"/(api|apis)|/apis/{_SEGMENT}"
    rf"|/(api/v1|apis/{_SEGMENT}/{_SEGMENT})(/namespaces/{_SEGMENT})?(/{_SEGMENT}(/{_SEGMENT}(/(status|scale|log))?)?)?"
)
"""Kinds, lists, objects, and of what is below an object that which is read: exec, attach and proxy are not."""
_GITHUB_QUERIES: Final = re.compile(r"(/api)?/graphql")
_GRAPHQL_SILENT: Final = re.compile(
    r'''"""(?:\\"""|(?!""").)*"""|"(?:[^"\\\n\r]|\\[^\n\r])*"|#[^\n\r]*''', flags=re.DOTALL
)
"""Block strings, strings and comments."""
_GRAPHQL_WRITES: Final = re.compile(r"(?<![A-Za-z_])(mutation|subscription)(?![A-Za-z0-9_])")
_MLFLOW_SEARCHES: Final = re.compile(r"/(ajax-)?api/[23]\.0/mlflow/(runs|experiments|logged-models)/search")


def only_reads(kind: SourceKind, method: str, path: str, body: Any = None) -> bool:
    """Say whether a request is known to change nothing.

    Args:
        path: As it is sent.
        body: What is sent with it, parsed; needed to tell a GraphQL query from a mutation.
    """
    method, path = method.upper(), path.partition("?")[0]
    match kind:
        case SourceKind.KUBERNETES:
            # No name has dots, slashes or escapes that mean somewhere else: a path is one of these, or refused.
            if method == "GET":
                return bool(_KUBERNETES_OBJECTS.fullmatch(path) or _KUBERNETES_ROOTS.fullmatch(path))
            return method == "POST" and bool(_KUBERNETES_REVIEWS.fullmatch(path))
        case SourceKind.GITHUB:
            if method in ("GET", "HEAD"):
                return True
            return method == "POST" and bool(_GITHUB_QUERIES.fullmatch(path)) and _is_query(body)
        case SourceKind.MLFLOW:
            if method in ("GET", "HEAD"):
                return True
            return method == "POST" and bool(_MLFLOW_SEARCHES.fullmatch(path))
    return False


def refuse_writes(kind: SourceKind, method: str, path: str, body: Any = None, *, where: str = "") -> None:
    """Let a request pass that only reads. Raises `Refused`.

    Args:
        where: What is read-only, for the message; empty for everything.
    """
    if not only_reads(kind, method, path, body):
        raise Refused(f"{where or 'this'} is read-only: {method.upper()} {path.partition('?')[0]} was not sent")


def _is_query(body: Any) -> bool:
    if isinstance(body, bytes | str):
        try:
            body = json.loads(body, object_pairs_hook=_once)
        except ValueError:
            return False
    if not isinstance(body, Mapping) or not isinstance(text := body.get("query"), str):
        return False
    # Comments and strings first: neither may hide the word that counts. What is left of quotes ends nowhere.
    plain = _GRAPHQL_SILENT.sub(" ", text)
    return '"' not in plain and _GRAPHQL_WRITES.search(plain) is None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Raises `ValueError` where a name is in it twice: readers differ on which of them counts."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name twice")
    return made
