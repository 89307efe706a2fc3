"""What the SDK may send during a call, and what it did send: every request of `requests` comes by here.

The SDK decides by itself which requests a call takes. Where nothing may be changed it must not matter what it decides:
the request is looked at where it leaves, redirects too. Requests of others in this process pass untouched.
"""

import re
from contextvars import ContextVar, Token
from functools import cache
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from mlops_tui.domain.state import SourceKind
from mlops_tui.sources.allowlist import only_reads, refuse_writes


class Passage:
    """The requests of one call, all of which the thread makes that entered it.

    Attributes:
        sent: Whether a request left that may change something.
        status: The HTTP status with which the last request was answered; `None` where there was no answer.
    """

    def __init__(self, *bases: str, read_only: bool) -> None:
        """Begin with nothing sent; the paths below `bases` are the API's."""
        found = (re.match(r"https?://[^/?#]*(/[^?#]+?)/*$", base) for base in bases)
        self._prefixes = sorted({match[1] for match in found if match}, key=len, reverse=True)
        self._read_only = read_only
        self._token: Token[Passage | None] | None = None
        self.sent = False
        self.status: int | None = None

    def __enter__(self) -> "Passage":
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._token is not None
        _current.reset(self._token)

    def pass_(self, method: str, url: str) -> None:
        """Let a request leave. Raises `Refused` for one that may change something where nothing may be changed."""
        path = self._relative(urlsplit(url).path)
        if self._read_only:
            refuse_writes(SourceKind.MLFLOW, method, path, where="the registry")
        if not only_reads(SourceKind.MLFLOW, method, path):
            self.sent = True
        self.status = None

    def _relative(self, path: str) -> str:
        return next((path[len(prefix) :] for prefix in self._prefixes if path.startswith(f"{prefix}/")), path)


_current: ContextVar[Passage | None] = ContextVar("passage", default=None)


@cache
def install() -> None:
    """Make every HTTP request of this process that `requests` sends come by the passage of its thread."""
    from requests.adapters import HTTPAdapter

    send = HTTPAdapter.send

    def asking(adapter: Any, request: Any, *rest: Any, **named: Any) -> Any:
        passage = _current.get()
        if passage is None:
            return send(adapter, request, *rest, **named)
        passage.pass_(request.method, request.url)
        response = send(adapter, request, *rest, **named)
        passage.status = response.status_code
        return response

    HTTPAdapter.send = asking  # type: ignore[method-assign,assignment]
