"""Which cluster to look at, and where in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

ALL_NAMESPACES = "*"


@dataclass(frozen=True)
class KubernetesTarget:
    """One context and the namespaces to watch in it.

    Attributes:
        source_id: The source's id on the board, and the first part of its rows' keys.
        kubeconfig: The file, or several as in `$KUBECONFIG`; `None` looks where kubectl does, then for a pod's
            service account.
        context: The context's name; `None` is the current one.
        namespaces: The environment of each namespace; `*` stands for all others. Where empty, the context's own
            namespace belongs to `environment`.
        environment: The environment where `namespaces` names none; the context's name where empty.
        read_only: Whether nothing at all may be changed.
        read_only_namespaces: Where else nothing may be changed; `*` stands for those that are not named.
    """

    source_id: str
    kubeconfig: str | None = None
    context: str | None = None
    namespaces: Mapping[str, str] = field(default_factory=dict)
    environment: str = ""
    read_only: bool = False
    read_only_namespaces: frozenset[str] = frozenset()
