"""What GitHub's answers say beside their data, and why there is none. Pure."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

NEVER_CONNECTED = frozenset({"NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "gaierror"})
"""Errors of the HTTP library after which nothing can have been sent."""


def describe_error(error: Mapping[str, Any]) -> str:
    """Return what a GraphQL error says, and of what."""
    path = ".".join(str(part) for part in error.get("path") or ())
    return f"{error.get('message') or 'an error without a message'}{f' ({path})' if path else ''}"


def message_of(body: str) -> str:
    """Return the message of an answer's body; empty where it has none."""
    try:
        data = json.loads(body)
    except ValueError:
        return ""
    message = data.get("message") if isinstance(data, dict) else None
    return message if isinstance(message, str) else ""


def explained(body: str) -> str:
    """Return what an error's body says, and of what: GitHub lists the fields that it does not take."""
    message = message_of(body)
    try:
        errors = json.loads(body)["errors"]
    except (ValueError, KeyError, TypeError):
        return message
    lines = []
    for error in errors if isinstance(errors, list) else [errors]:
        if isinstance(error, dict):
            parts = (error.get("field"), error.get("message") or str(error.get("code") or "").replace("_", " "))
            error = " ".join(part for part in parts if isinstance(part, str) and part)
        if isinstance(error, str) and error:
            lines.append(error)
    return f"{message}: {'; '.join(lines)}" if message and lines else message or "; ".join(lines)


def is_limit(headers: Mapping[str, str], message: str) -> bool:
    """Whether a refusal is one of GitHub's rate limits."""
    said = message.casefold()
    return (
        headers.get("x-ratelimit-remaining") == "0"
        or "retry-after" in headers
        or "rate limit" in said
        or "abuse detection" in said
    )


def timestamp(value: str | None) -> datetime | None:
    """Return a header's seconds since 1970 as a time; `None` for what is none."""
    try:
        return datetime.fromtimestamp(float(value or ""), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def causes(error: BaseException) -> dict[str, BaseException]:
    """Return an error and those behind it, by the names of their classes: HTTP libraries wrap one in another."""
    seen: BaseException | None = error
    found: dict[str, BaseException] = {}
    while seen is not None and len(found) < 10 and seen not in found.values():
        found.setdefault(type(seen).__name__, seen)
        inner = next((arg for arg in seen.args if isinstance(arg, BaseException)), None)
        reason = getattr(inner, "reason", None) or getattr(seen, "reason", None)
        seen = reason if isinstance(reason, BaseException) else inner or seen.__cause__ or seen.__context__
    return found


def cause(error: BaseException, timeout: float) -> str:
    """Return why a connection failed, found among the causes of the HTTP library's error.

    Args:
        timeout: Seconds that an answer may take.
    """
    found = causes(error)
    if any(isinstance(each, ConnectionRefusedError) for each in found.values()):
        return "connection refused"
    if any(isinstance(each, ConnectionResetError) for each in found.values()):
        return "connection reset"
    if "ReadTimeoutError" in found:
        return f"no answer within {timeout} s"
    if "NameResolutionError" in found or "gaierror" in found:
        return "no such host"
    return "the connection failed"
