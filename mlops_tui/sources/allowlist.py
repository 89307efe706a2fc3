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
_KUBERNETES_READS: Final = re.compile(r"/(api|apis|openapi|version|healthz|livez|readyz)(/.*)?")
_KUBERNETES_CONNECTS: Final = re.compile(r".*/(exec|attach|portforward|proxy)(/.*)?")
_GITHUB_QUERIES: Final = re.compile(r"(/api)?/graphql")
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
            if ".." in path or "%" in path:
                return False  # names have neither: somebody wants to be taken for somewhere else
            if method == "GET":
                return bool(_KUBERNETES_READS.fullmatch(path)) and not _KUBERNETES_CONNECTS.fullmatch(path)
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
            body = json.loads(body)
        except ValueError:
            return False
    if not isinstance(body, Mapping) or not isinstance(text := body.get("query"), str):
        return False
    # Comments and strings first: neither may hide the word that counts.
    plain = re.sub(r'"""(?:[^\\]|\\.)*?"""|"(?:[^"\\\n]|\\.)*"|#[^\n\r]*', " ", text, flags=re.DOTALL)
    return re.search(r"\b(mutation|subscription)\b", plain) is None
