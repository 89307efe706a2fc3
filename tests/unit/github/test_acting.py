"""What GitHub's answers to a write come to, what is known beforehand, and what a workflow asks for."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mlops_tui.domain.errors import (
    Conflict,
    Denied,
    Missing,
    OutcomeUnknown,
    RateLimited,
    Refused,
    SourceError,
    Unauthenticated,
    Unavailable,
)
from mlops_tui.sources.github import GitHubSource
from mlops_tui.sources.github.access import may_write, rule_of
from mlops_tui.sources.github.acting import GitHubActor
from mlops_tui.sources.github.inputs import dispatch_inputs
from tests.support.clock import ManualClock
from tests.unit.github.fake import REPOSITORY, FakeGitHub, target

COMMENTS = f"POST /repos/{REPOSITORY}/issues/7/comments"
FORBIDDEN = {"x-accepted-github-permissions": "issues=write; pull_requests=write"}


@pytest.fixture
async def actor(fake: FakeGitHub) -> AsyncIterator[GitHubActor]:
    source = GitHubSource(target(fake.base_url), ManualClock())
    yield source.actor
    await source.close()


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "said"),
    [
        (401, {}, {"message": "Bad credentials"}, Unauthenticated, "Bad credentials"),
        (403, FORBIDDEN, {"message": "Resource not accessible by integration"}, Denied, "Resource not accessible"),
        (403, {"retry-after": "30"}, {"message": "secondary rate limit"}, RateLimited, "secondary rate limit"),
        (429, {}, {"message": "slow down"}, RateLimited, "slow down"),
        (404, {}, {"message": "Not Found"}, Missing, "comment on acme/fraud#7: not found"),
        (410, {}, {"message": "Gone"}, Missing, "not found"),
        (405, {}, {"message": "not mergeable"}, Conflict, "not mergeable"),
        (409, {}, {"message": "Head branch was modified"}, Conflict, "Head branch was modified"),
        (
            422,
            {},
            {"message": "Validation Failed", "errors": [{"field": "body", "code": "missing_field"}, "too much"]},
            Unavailable,
            "Validation Failed: body missing field; too much",
        ),
        (422, {}, b"<html>", Unavailable, "it does not say why"),
        (500, {}, {"message": "oops"}, OutcomeUnknown, "answered 500"),
        (502, {"retry-after": "5"}, b"<html>Bad Gateway</html>", OutcomeUnknown, "answered 502"),
        (200, {}, b"<html>Sign in to the Wi-Fi</html>", OutcomeUnknown, "something unexpected"),
    ],
)
async def test_what_an_answer_says_of_the_write(
    fake: FakeGitHub,
    actor: GitHubActor,
    status: int,
    headers: dict[str, str],
    body: Any,
    kind: type[SourceError],
    said: str,
) -> None:
    fake.faults[COMMENTS] = lambda: (status, headers, body)
    with pytest.raises(kind, match=said) as raised:
        await actor.comment(REPOSITORY, 7, "hello")
    assert type(raised.value) is kind
    assert fake.count(COMMENTS) == 1, "nothing is ever sent again"


async def test_a_write_that_reached_nobody_did_not_happen(fake: FakeGitHub) -> None:
    source = GitHubSource(target("http://127.0.0.1:9"), ManualClock())
    with pytest.raises(Unavailable, match="connection refused"):
        await source.actor.comment(REPOSITORY, 7, "hello")
    await source.close()


async def test_what_was_denied_once_is_known_from_then_on(fake: FakeGitHub, actor: GitHubActor) -> None:
    assert (await actor.may(REPOSITORY, "issues: write")).allowed is None
    fake.faults[COMMENTS] = lambda: (403, FORBIDDEN, {"message": "Resource not accessible by personal access token"})
    with pytest.raises(Denied) as raised:
        await actor.comment(REPOSITORY, 7, "hello")
    assert raised.value.hint == "give the token the permission issues: write"
    for name in ("issues: write", "pull requests: write"):
        found = await actor.may(REPOSITORY.upper(), name)
        assert (found.allowed, found.to_read) == (False, False)
    assert (await actor.may(REPOSITORY, "actions: write")).allowed is None


async def test_a_state_that_forbids_it_is_no_missing_permission(fake: FakeGitHub, actor: GitHubActor) -> None:
    fake.faults["POST"] = lambda: (403, {}, {"message": "The workflow run is already running"})
    with pytest.raises(Denied, match="already running"):
        await actor.rerun(REPOSITORY, 1)
    assert (await actor.may(REPOSITORY, "actions: write")).allowed is None


PUSH: dict[str, Any] = {"permissions": {"push": True}, "private": True}
READ: dict[str, Any] = {"permissions": {"push": False, "pull": True}, "private": False}


@pytest.mark.parametrize(
    ("name", "scopes", "facts", "allowed"),
    [
        ("actions: write", "repo, workflow", PUSH, True),
        ("actions: write", "repo", READ, False),
        ("actions: write", "repo", None, None),
        ("actions: write", None, READ, False),
        ("actions: write", None, PUSH, None),
        ("issues: write", "repo", READ, True),
        ("issues: write", "repo", None, True),
        ("issues: write", "public_repo", READ, True),
        ("issues: write", "public_repo", PUSH, False),
        ("issues: write", "public_repo", None, None),
        ("issues: write", "", PUSH, False),
        ("issues: write", "gist", None, False),
        ("issues: write", None, PUSH, None),
        ("issues: write", "repo", PUSH | {"archived": True}, False),
    ],
)
def test_what_is_known_before_it_is_tried(
    name: str, scopes: str | None, facts: dict[str, Any] | None, allowed: bool | None
) -> None:
    found = may_write(name, REPOSITORY, scopes=scopes, facts=facts)
    assert (found.allowed, found.scope, found.to_read) == (allowed, REPOSITORY, False)
    assert bool(found.hint) is (allowed is False)


@pytest.mark.parametrize(
    ("method", "path", "passes"),
    [
        ("GET", f"/repos/{REPOSITORY}/pulls", True),
        ("POST", "/graphql", True),
        ("POST", "/repos/acme/other/issues/1/comments", True),
        ("POST", "/repos/acme/fraud2/issues/1/comments", True),
        ("PATCH", f"/repos/{REPOSITORY}", False),
        ("POST", "/api/v3/repos/ACME/Fraud/issues/1/comments", False),
        ("POST", "/repos/acme/other/../fraud/issues/1/comments", False),
        ("POST", "/repos/acme/%66raud/issues/1/comments", False),
        ("POST", "/user/repos", False),
        ("DELETE", f"//repos/{REPOSITORY}", False),
    ],
)
def test_one_repository_alone_may_be_read_only(method: str, path: str, passes: bool) -> None:
    rule = rule_of(dataclasses.replace(target("https://ghe.example.com/api/v3"), read_only_repositories=(REPOSITORY,)))
    body = {"query": "{ viewer { login } }"}
    if passes:
        rule(method, path, body)
    else:
        with pytest.raises(Refused):
            rule(method, path, body)


def test_a_mutation_may_be_of_any_repository() -> None:
    rule = rule_of(dataclasses.replace(target("https://ghe.example.com/api/v3"), read_only_repositories=(REPOSITORY,)))
    with pytest.raises(Refused, match="a repository is read-only"):
        rule("POST", "/graphql", {"query": "mutation { addComment }"})


WORKFLOW = """
on:
  push:
  workflow_dispatch:
    inputs:
      to: {type: choice, options: [staging, production], default: staging, required: true}
      dry: {type: boolean, default: false}
      count: {type: number, default: 3, description: how many}
      plain:
"""


def test_the_inputs_of_a_workflow_file() -> None:
    found = dispatch_inputs(WORKFLOW)
    assert found is not None
    assert found["to"] == {
        "type": "choice",
        "required": True,
        "default": "staging",
        "options": ["staging", "production"],
        "description": "",
    }
    assert [(name, said["type"], said["default"]) for name, said in found.items()][1:] == [
        ("dry", "boolean", "false"),
        ("count", "number", "3"),
        ("plain", "string", ""),
    ]


def test_aliases_cannot_make_a_text_without_end() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 40))
    found = dispatch_inputs(
        f"l0: &l0 [x, x]\n{levels}\non: {{workflow_dispatch: {{inputs: {{a: {{options: *l39}}}}}}}}"
    )
    assert found is not None
    assert found["a"]["options"] == [""] * 9


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        ("on: workflow_dispatch", {}),
        ("on: [push, workflow_dispatch]", {}),
        ('"on": {workflow_dispatch: null}', {}),
        ("on: {workflow_dispatch: {inputs: [a]}}", {}),
        ("on: push", None),
        ("on: {push: {}}", None),
    ],
)
def test_triggers_have_many_forms(text: str, inputs: dict[str, Any] | None) -> None:
    assert dispatch_inputs(text) == inputs


@pytest.mark.parametrize(
    "text",
    ["", "- a", "on: 3", "on: [", "a: &a [*a]\non: *b", "[" * 1_000, "name: x"],
    ids=["empty", "list", "number", "cut off", "unknown alias", "too deep", "no trigger"],
)
def test_what_is_no_workflow_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no "):
        dispatch_inputs(text)
