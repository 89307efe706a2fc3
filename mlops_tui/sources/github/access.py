"""What may be sent to GitHub, and what is known beforehand of what a token may change. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from mlops_tui.domain.errors import Refused
from mlops_tui.domain.state import Permission, SourceKind
from mlops_tui.sources.allowlist import only_reads, refuse_writes
from mlops_tui.sources.github.target import GitHubTarget

Rule = Callable[[str, str, Any], None]
"""Raises `Refused` for a method, path and body that must not be sent."""

WRITES: Final = ("actions: write", "issues: write", "pull requests: write")
"""What changes of runs, comments and pull requests take, by the names of a fine-grained token's permissions."""
_ROLE_NEEDED: Final = frozenset({"actions: write", "deployments: write"})
"""What nobody may without write access to the repository; anybody who reads it may comment and review."""
_REPOSITORY: Final = re.compile(r"(?:/api/v3)?/repos/([^/]+/[^/]+)(?:/.*)?")


def rule_of(target: GitHubTarget) -> Rule:
    """Return what must not be sent for a target: writes where it is read-only."""
    locked = frozenset(name.casefold() for name in target.read_only_repositories)

    def rule(method: str, path: str, body: Any) -> None:
        if target.read_only:
            refuse_writes(SourceKind.GITHUB, method, path, body)
        elif locked and not only_reads(SourceKind.GITHUB, method, path, body):
            found = _REPOSITORY.fullmatch(path.partition("?")[0])
            name = found[1] if found and ".." not in path and "%" not in path else ""
            # What does not say where it writes might write anywhere.
            if not name or name.casefold() in locked:
                raise Refused(f"{name or 'a repository'} is read-only: {method} {path.partition('?')[0]} was not sent")

    return rule


def may_write(
    name: str,
    repository: str,
    *,
    scopes: str | None,
    facts: Mapping[str, Any] | None,
    denial: str = "",
) -> Permission:
    """Return whether a token may change something in a repository, as far as it is known before it is tried.

    Fine-grained tokens do not tell what they may; what they were denied once is known from then on.

    Args:
        name: The permission, one of `WRITES` or `deployments: write`.
        scopes: Those of a classic token; `None` for one that does not list them.
        facts: The repository as GitHub describes it to us; `None` where that is not known.
        denial: What GitHub said when it was tried.
    """
    allowed: bool | None = None
    hint = ""
    role = (facts or {}).get("permissions") or {}
    granted = None if scopes is None else {scope.strip() for scope in scopes.split(",")}
    enough = granted and ("repo" in granted or ("public_repo" in granted and (facts or {}).get("private") is False))
    unsure = granted and "public_repo" in granted and facts is None
    if denial:
        allowed, hint = False, denial
    elif facts and facts.get("archived"):
        allowed, hint = False, "the repository is archived: nothing in it can be changed"
    elif granted is not None and not enough and not unsure:
        allowed, hint = False, "give the token the scope repo"
    elif name in _ROLE_NEEDED and role and not role.get("push"):
        allowed, hint = False, "ask for write access to the repository"
    elif enough and (role or name not in _ROLE_NEEDED):
        allowed = True
    return Permission(name=name, scope=repository, allowed=allowed, to_read=False, hint=hint)
