"""What the SDK raises, told as what happened.

The SDK gives most failures one class and one long sentence with the whole URL in it; the kind of failure is in the
exception that it handled, or in an error code.
"""

import re
from collections.abc import Iterator

from mlops_tui.domain.errors import Denied, SourceError, Unauthenticated, Unavailable
from mlops_tui.sources.mlflow.address import redact

SIGN_IN_HINT = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
ADDRESS_HINT = "check the tracking URI: is an MLflow server there, and no login page before it?"
_STATUS_OF_CODE = {
    "UNAUTHENTICATED": 401,
    "CUSTOMER_UNAUTHORIZED": 401,
    "PERMISSION_DENIED": 403,
    "ENDPOINT_NOT_FOUND": 404,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "RESOURCE_EXHAUSTED": 429,
    "TEMPORARILY_UNAVAILABLE": 503,
}


def to_source_error(error: Exception, place: str, status: int | None = None) -> SourceError:
    """Return the error of ours that says what `error` means.

    Args:
        place: What was asked, for the message.
        status: The answer's HTTP status, where it is known better than the SDK tells.
    """
    chain = list(_chain(error))
    text = " ".join(str(part) for part in chain)
    status = status or _status(error, text)
    if status is not None:
        return from_status(status, place, _sentence(error))
    for sign, message, hint in _SIGNS:
        if any(re.search(sign, type(part).__name__) for part in chain) or re.search(sign, text):
            return Unavailable(f"{place}: {message}", hint)
    return Unavailable(f"{place}: {_sentence(error)}")


def is_broken_connection(error: Exception) -> bool:
    """Whether a connection ended before the answer did."""
    return any(type(part).__name__ == "ProtocolError" for part in _chain(error))


def from_status(status: int, place: str, sentence: str = "") -> SourceError:
    """Return the error that an HTTP status means."""
    if status == 401:
        return Unauthenticated(f"{place}: credentials are missing, wrong or expired (HTTP 401)", SIGN_IN_HINT)
    if status == 403:
        return Denied(f"{place}: not permitted (HTTP 403)", "ask for READ on the registered models", missing="READ")
    if status == 404:
        return Unavailable(f"{place}: no MLflow API at this address (HTTP 404)", ADDRESS_HINT)
    if status == 429:
        return Unavailable(f"{place}: too many requests (HTTP 429)")
    return Unavailable(f"{place}: HTTP {status}{f': {sentence}' if sentence and status < 500 else ''}")


_SIGNS = (
    (r"SSLError|CERTIFICATE_VERIFY", "the TLS certificate is not trusted", "set MLFLOW_TRACKING_SERVER_CERT_PATH"),
    (r"Timeout", "no answer in time", ""),
    (r"Connection refused", "connection refused", "is the server running?"),
    (r"NameResolution|Name or service not known|getaddrinfo", "no such host", "check the tracking URI"),
    (r"not in a valid JSON format|JSONDecodeError", "answers with something else than MLflow's API", ADDRESS_HINT),
    (
        r"InvalidURL|Invalid IPv6|InvalidUrl|MissingSchema|InvalidSchema|Unsupported\w*URI",
        "is no MLflow address",
        ADDRESS_HINT,
    ),
    (
        r"readonly database|out-of-date database schema|Can't locate revision|migration in unexpected state",
        "the database is of another version of MLflow",
        "mlflow db upgrade URI, or install the version of MLflow that wrote it",
    ),
    (r"No module named", "a database driver is missing", "install the driver that the tracking URI names"),
    (r"ProxyError", "the proxy failed", "check HTTP_PROXY and NO_PROXY"),
    (r"ConnectionError|ProtocolError|ConnectionReset", "the connection broke", ""),
)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        yield step
        step = step.__cause__ or step.__context__


def _status(error: Exception, text: str) -> int | None:
    for pattern in (r"too many (\d{3}) error responses", r"failed with error code (\d{3}) "):
        if found := re.search(pattern, text):
            return int(found[1])
    # A database's failure has such a code too, and no HTTP status.
    return None if "sqlite3." in text else _STATUS_OF_CODE.get(getattr(error, "error_code", ""))


def _sentence(error: Exception) -> str:
    return redact(str(getattr(error, "message", "") or error))[:300]
