"""What the SDK raises, told as what happened.

The SDK gives most failures one class and one long sentence with the whole URL in it; the kind of failure is in the
exception that it handled, or in an error code.
"""

import re
from collections.abc import Iterator

from mlops_tui.domain.errors import Denied, Missing, OutcomeUnknown, SourceError, Unauthenticated, Unavailable
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


def to_source_error(
    error: Exception, place: str, status: int | None = None, *, permission: str = "READ"
) -> SourceError:
    """Return the error of ours that says what `error` means.

    Args:
        place: What was asked, for the message.
        status: The answer's HTTP status, where it is known better than the SDK tells.
        permission: What it takes, in MLflow's words.
    """
    chain = list(chain_of(error))
    text = " ".join(str(part) for part in chain)
    status = status or _status(error, text)
    if status is not None:
        return from_status(status, place, _sentence(error), permission)
    if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
        return Missing(f"{place}: {_sentence(error)}")
    for sign, message, hint in _SIGNS:
        if any(re.search(sign, type(part).__name__) for part in chain) or re.search(sign, text):
            return Unavailable(f"{place}: {message}", hint)
    return Unavailable(f"{place}: {_sentence(error)}")


def to_write_error(
    error: Exception, place: str, status: int | None = None, *, answered: int | None, sent: bool
) -> SourceError:
    """Return the error of ours that says what became of a write, which is `OutcomeUnknown` where nobody can tell.

    Args:
        status: As for `to_source_error`.
        answered: The HTTP status of the last answer; `None` where there was none.
        sent: Whether the write has left.
    """
    told = to_source_error(error, place, status, permission="EDIT")
    chain = list(chain_of(error))
    status = answered or _status(error, " ".join(str(part) for part in chain))
    never_left = not sent or any(type(part).__name__ in _NOT_CONNECTED for part in chain)
    # What a server says it will not do it has not done; of its own failures and of silence nobody can say.
    refused = status is not None and 400 <= status < 500 and status != 408
    # A database in a file does a transaction as a whole, and says so if it does not.
    undone = getattr(error, "error_code", "") in _REFUSALS or any("sqlite3." in str(part) for part in chain)
    if never_left or refused or (status is None and undone):
        return told
    return OutcomeUnknown(told.message, "look before you try again")


def is_broken_connection(error: Exception) -> bool:
    """Whether a connection ended before the answer did."""
    return any(type(part).__name__ == "ProtocolError" for part in chain_of(error))


def from_status(status: int, place: str, sentence: str = "", permission: str = "READ") -> SourceError:
    """Return the error that an HTTP status means."""
    if status == 401:
        return Unauthenticated(f"{place}: credentials are missing, wrong or expired (HTTP 401)", SIGN_IN_HINT)
    if status == 403:
        hint = f"ask for {permission} on the registered models"
        return Denied(f"{place}: not permitted (HTTP 403)", hint, missing=permission)
    if status == 404:
        return Unavailable(f"{place}: no MLflow API at this address (HTTP 404)", ADDRESS_HINT)
    if status == 429:
        return Unavailable(f"{place}: too many requests (HTTP 429)")
    return Unavailable(f"{place}: HTTP {status}{f': {sentence}' if sentence and status < 500 else ''}")


_NOT_CONNECTED = frozenset(
    {"NewConnectionError", "ConnectTimeout", "ConnectTimeoutError", "NameResolutionError", "InvalidURL", "ProxyError"}
)
"""What the transports raise before a request is sent."""
_REFUSALS = frozenset(
    {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}
)
"""The codes with which the SDK itself, or a database through it, refuses a write."""
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


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that led to it."""
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
