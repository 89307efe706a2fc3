"""Tells a Slack channel of operations, in the environments that ask for it."""

import os
from collections.abc import Mapping

import httpx

from mlops_tui.config.settings import EnvironmentSettings
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations.journal import Record

_SECONDS = 10.0
_COLOURS = {OperationState.DONE: "good", OperationState.REFUSED: "warning"}


class SlackNotifier:
    """Posts an operation's outcome to the incoming webhook of its environment."""

    def __init__(
        self, environments: Mapping[str, EnvironmentSettings], transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._environments = environments
        self._transport = transport

    async def __call__(self, record: Record) -> None:
        """Tell of an outcome; does nothing where the environment names no webhook. Raises `httpx.HTTPError`."""
        settings = self._environments.get(record.environment)
        variable = settings.slack_webhook_env if settings is not None else None
        address = os.environ.get(variable, "") if variable else ""
        if not address:
            return
        async with httpx.AsyncClient(timeout=_SECONDS, transport=self._transport) as client:
            (await client.post(address, json=message(record))).raise_for_status()


def message(record: Record) -> dict[str, object]:
    """Return the message: `{"text": …, "attachments": [{"color", "fields": [{"title", "value", "short"}]}]}`."""
    state = record.state or OperationState.UNKNOWN
    facts = {
        "By": record.by,
        "Environment": record.environment,
        "Outcome": record.outcome,
        "Reason": record.reason,
        **{change.what: f"{change.before} → {change.after}" for change in record.changes},
    }
    fields = [
        {"title": escape(title), "value": escape(value), "short": len(value) < 40}
        for title, value in facts.items()
        if value
    ]
    attachment = {"color": _COLOURS.get(state, "danger"), "fields": fields}
    return {"text": f"{escape(record.title)}: {state.value}", "attachments": [attachment]}


def escape(text: str) -> str:
    """Return text that Slack shows as it is: no link, no mention of a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
