"""Who may do what."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from mlops_tui.demo.kubernetes import errors
from mlops_tui.demo.kubernetes.http.paths import Target

ROLES: Mapping[str, frozenset[str]] = {"admin": frozenset({"*"}), "oncall": frozenset({"get", "list", "watch"})}
"""The verbs of each role, over all resources."""

PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version")
"""What anybody may read."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who is known, or `system:anonymous`."""

    name: str
    verbs: frozenset[str]

    def may(self, verb: str) -> bool:
        """Say whether the user may do this, with any resource."""
        return "*" in self.verbs or verb in self.verbs


ANONYMOUS = User("system:anonymous", frozenset())


class Gate:
    """Tells users by their tokens.

    Args:
        tokens: For each token its role, which is also the user's name.
    """

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._users = {token: User(role, ROLES[role]) for token, role in tokens.items()}

    def identify(self, request: Request) -> User:
        """Return who sends a request.

        Clients send no token over plain HTTP, kubectl among them: on loopback such a request is the admin's.

        Raises:
            ApiError: 401 for a token that nobody was given.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            return User("admin", ROLES["admin"]) if request.url.scheme == "http" else ANONYMOUS
        user = self._users.get(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise errors.unauthorized()
        return user


def authorize_path(user: User, method: str, path: str) -> None:
    """Let a request for something that is no resource pass, or raise 403: health is for all, the rest for who is known.

    Args:
        method: Of HTTP; in lower case it is the verb, as the real server has it.
    """
    verb = method.lower()
    reads = verb == "get" and (path in PUBLIC_PATHS or user is not ANONYMOUS)
    if not (reads or "*" in user.verbs):
        raise errors.forbidden_path(user.name, verb, path)


def authorize(user: User, verb: str, target: Target) -> None:
    """Let a request pass, or raise 403 in the real server's words."""
    if user.may(verb):
        return
    resource = target.resource
    subject = f'{resource.qualified} "{target.name}"' if target.name else resource.qualified
    part = f"{resource.plural}/{target.subresource}" if target.subresource else resource.plural
    scope = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
    explanation = f'User "{user.name}" cannot {verb} resource "{part}" in API group "{resource.group}" {scope}'
    raise errors.forbidden(subject, explanation, errors.object_details(resource, target.name))
