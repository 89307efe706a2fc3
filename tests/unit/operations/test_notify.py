"""Slack hears of an operation where its environment asks for it, and text from outside cannot speak through it."""

import json

import httpx
import pytest

from mlops_tui.config.settings import EnvironmentSettings
from mlops_tui.domain.operation import Change, OperationState
from mlops_tui.operations.notify import SlackNotifier
from tests.unit.operations.test_journal import record

HOOK = "https://hooks.example/T000/B000/very-secret"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    monkeypatch.setenv("RELEASES_WEBHOOK", HOOK)
    return []


def notifier(heard: list[httpx.Request], status: int = 200) -> SlackNotifier:
    def answer(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return httpx.Response(status)

    environments = {
        "production": EnvironmentSettings(slack_webhook_env="RELEASES_WEBHOOK"),
        "staging": EnvironmentSettings(),
    }
    return SlackNotifier(environments, httpx.MockTransport(answer))


DONE = record(
    event="outcome", environment="production", state=OperationState.DONE, outcome="done", reason="load <!channel>",
    changes=(Change(what="replicas", before="4", after="6"),),
)  # fmt: skip


async def test_the_message_has_the_shape_of_an_incoming_webhook(heard: list[httpx.Request]) -> None:
    await notifier(heard)(DONE)
    [request] = heard
    assert str(request.url) == HOOK
    body = json.loads(request.content)
    assert body["text"] == "Scale ml/fraud-api from 4 to 6: done"
    [attachment] = body["attachments"]
    assert attachment["color"] == "good"
    fields = {field["title"]: field["value"] for field in attachment["fields"]}
    assert fields["replicas"] == "4 → 6"
    assert fields["Reason"] == "load &lt;!channel&gt;"
    assert all(set(field) == {"title", "value", "short"} for field in attachment["fields"])


@pytest.mark.parametrize("state", [OperationState.FAILED, OperationState.UNKNOWN])
async def test_what_went_wrong_is_shown_as_danger(heard: list[httpx.Request], state: OperationState) -> None:
    await notifier(heard)(DONE.model_copy(update={"state": state}))
    assert json.loads(heard[0].content)["attachments"][0]["color"] == "danger"


async def test_an_environment_that_names_no_webhook_is_silent(
    heard: list[httpx.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    await notifier(heard)(DONE.model_copy(update={"environment": "staging"}))
    monkeypatch.delenv("RELEASES_WEBHOOK")
    await notifier(heard)(DONE)
    assert heard == []
