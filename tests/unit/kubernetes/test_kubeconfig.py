"""Where the API server is and as whom to sign in, read as kubectl reads it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.config import incluster_config

from mlops_tui.domain.errors import NotConfigured, SourceError, Unauthenticated, Unavailable
from mlops_tui.sources.kubernetes import kubeconfig
from mlops_tui.sources.kubernetes.kubeconfig import Access, read_access
from mlops_tui.sources.kubernetes.target import KubernetesTarget

SECRET = "s3cr3t-value-of-a-token"


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def config(**user: Any) -> dict[str, Any]:
    """Return a kubeconfig of two contexts, `prod-eu` the current one."""
    contexts = {
        "prod-eu": {"cluster": "eu", "user": "me", "namespace": "ml"},
        "staging": {"cluster": "eu", "user": "me"},
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "eu", "cluster": {"server": "http://127.0.0.1:1/"}}],
        "users": [{"name": "me", "user": user or {"token": SECRET}}],
        "contexts": [{"name": name, "context": context} for name, context in contexts.items()],
        "current-context": "prod-eu",
    }


def access_of(path: Path, content: Any, context: str | None = None) -> Access:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_access(KubernetesTarget("kubernetes", str(path), context))


def token_of(access: Access) -> str:
    return str(access.configuration.api_key["BearerToken"])


def test_the_current_context(tmp_path: Path) -> None:
    access = access_of(tmp_path / "config", config())
    assert (access.context, access.namespace, access.user) == ("prod-eu", "ml", "me")
    assert access.server == "http://127.0.0.1:1"
    assert token_of(access) == f"Bearer {SECRET}"
    assert SECRET not in repr(access)


def test_a_named_context_without_a_namespace(tmp_path: Path) -> None:
    access = access_of(tmp_path / "config", config(), "staging")
    assert (access.context, access.namespace) == ("staging", "default")


def test_nothing_anywhere() -> None:
    with pytest.raises(NotConfigured, match="no kubeconfig, and this is no pod") as caught:
        read_access(KubernetesTarget("kubernetes"))
    assert "KUBECONFIG" in caught.value.hint


def test_a_pods_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in {"token": SECRET, "ca.crt": "CA", "namespace": "ml\n"}.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", tmp_path)
    access = read_access(KubernetesTarget("kubernetes"))
    assert (access.context, access.namespace, access.server) == ("in-cluster", "ml", "https://10.0.0.1:443")
    assert token_of(access).lower() == f"bearer {SECRET}"


def test_the_default_place(tmp_path: Path) -> None:
    folder = tmp_path / "home" / ".kube"
    folder.mkdir(parents=True)
    (folder / "config").write_text(json.dumps(config()))
    assert read_access(KubernetesTarget("kubernetes")).context == "prod-eu"


def test_several_files_are_merged_and_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "one" / "config", tmp_path / "two" / "config"
    for path in (first, second):
        path.parent.mkdir()
    (tmp_path / "two" / "token").write_text("from-a-file\n")
    first.write_text(
        json.dumps(
            {"current-context": "mine", "contexts": [{"name": "mine", "context": {"cluster": "eu", "user": "other"}}]}
        )
    )
    other = config()
    other["users"].append({"name": "other", "user": {"tokenFile": "token"}})
    other["contexts"].append({"name": "mine", "context": {"cluster": "gone"}})
    second.write_text(json.dumps(other))
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'missing'}:{second}")
    access = read_access(KubernetesTarget("kubernetes"))
    assert (access.context, access.user) == ("mine", "other")
    assert token_of(access) == "Bearer from-a-file"


def test_a_context_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        access_of(tmp_path / "config", config(), "prod-us")
    assert caught.value.message == f'context "prod-us" is not in {tmp_path / "config"}'
    assert caught.value.hint == "did you mean prod-eu?"
    with pytest.raises(Unavailable) as caught:
        access_of(tmp_path / "config", config(), "xyz")
    assert caught.value.hint == "contexts there: prod-eu, staging"


def test_no_current_context(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="has no current context") as caught:
        access_of(tmp_path / "config", {**config(), "current-context": ""})
    assert "prod-eu, staging" in caught.value.hint


def test_named_files_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match="no such file"):
        read_access(KubernetesTarget("kubernetes", str(tmp_path / "missing")))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "gone"))
    with pytest.raises(Unavailable, match="gone: no such file"):
        read_access(KubernetesTarget("kubernetes"))


def test_a_named_file_in_the_home_folder(tmp_path: Path) -> None:
    folder = tmp_path / "home" / ".kube"
    folder.mkdir(parents=True)
    (folder / "prod").write_text(json.dumps(config()))
    assert read_access(KubernetesTarget("kubernetes", "~/.kube/prod")).context == "prod-eu"


def test_several_named_files_are_merged_as_those_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine").write_text(json.dumps({"current-context": "staging"}))
    (tmp_path / "shared").write_text(json.dumps(config()))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "not-looked-at"))
    parts = ["~/mine", "", str(tmp_path / "missing"), str(tmp_path / "shared")]
    assert read_access(KubernetesTarget("kubernetes", os.pathsep.join(parts))).context == "staging"


def test_several_named_files_that_are_all_missing(tmp_path: Path) -> None:
    named = os.pathsep.join([str(tmp_path / "one"), str(tmp_path / "two")])
    with pytest.raises(Unavailable) as caught:
        read_access(KubernetesTarget("kubernetes", named))
    assert caught.value.message == f"kubeconfig {named}: no such file"
    assert caught.value.hint == "see kubeconfig in [kubernetes]"


def broken(**changes: Any) -> dict[str, Any]:
    return {**config(), **changes}


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (f"users: [{{token: {SECRET}", Unavailable, "is not YAML"),
        (f"- {SECRET}", Unavailable, "is not a kubeconfig"),
        (broken(users=[SECRET]), Unavailable, "an entry of users is not a table"),
        (broken(users=[]), Unauthenticated, 'user "me" is not in'),
        (broken(clusters=[]), Unavailable, 'cluster "eu" is not in'),
        (
            config(**{"client-certificate": "missing.pem", "token": SECRET}),
            Unauthenticated,
            "missing.pem: cannot be read",
        ),
        (config(tokenFile="missing"), Unauthenticated, "missing: cannot be read"),
        (
            config(**{"auth-provider": {"name": "oidc", "secret": SECRET}}),
            Unauthenticated,
            "cannot sign in with context",
        ),
        (config(exec={"env": [{"name": "TOKEN", "value": SECRET}]}), Unauthenticated, "names no command"),
    ],
)
def test_what_cannot_be_used_is_said_without_secrets(
    tmp_path: Path, content: Any, kind: type[SourceError], says: str
) -> None:
    with pytest.raises(kind) as caught:
        access_of(tmp_path / "config", content)
    assert says in caught.value.message
    assert SECRET not in f"{caught.value!r} {caught.value} {caught.value.hint}"


def test_a_context_without_a_user(tmp_path: Path) -> None:
    content = config()
    content["contexts"][0]["context"] = {"cluster": "eu"}
    content["clusters"][0]["cluster"] = {"server": "https://127.0.0.1:1"}
    access = access_of(tmp_path / "config", content)
    assert (access.user, access.plugin) == ("", None)
    assert not access.configuration.api_key


def test_an_exec_plugin_is_left_to_be_run(tmp_path: Path) -> None:
    access = access_of(tmp_path / "config", config(exec={"command": "./bin/get-token", "args": [SECRET]}))
    assert access.plugin is not None
    assert access.plugin.command == str(tmp_path / "bin" / "get-token")
    assert SECRET not in repr(access)


def test_a_token_wins_over_a_plugin(tmp_path: Path) -> None:
    access = access_of(tmp_path / "config", config(exec={"command": "get-token"}, token=SECRET))
    assert access.plugin is None
