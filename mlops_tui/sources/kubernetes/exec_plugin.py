"""Runs a kubeconfig's exec plugin: without a terminal, with a limit, and never mistaken for an anonymous sign-in."""

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from mlops_tui.domain.errors import Unauthenticated
from mlops_tui.domain.text import clean_line

PLUGIN_SECONDS = 15.0
"""How long a plugin may take: it may ask a cloud's token service, but no person."""
SECRET_LENGTH = 6
"""Values of the plugin's environment from this length on are kept out of messages."""

_SECRETS = re.compile(r"eyJ[\w-]+(?:\.[\w-]+)*|((?:token|secret|password|key)\w*[\"']?\s*[=:]\s*)\S+", re.IGNORECASE)


@dataclass(frozen=True)
class Credential:
    """What a plugin answered.

    Attributes:
        certificate: A client certificate and its key, in PEM, or `None`.
        expires_at: When to run the plugin again; `None` when the server says so.
    """

    token: str = field(default="", repr=False)
    certificate: tuple[str, str] | None = field(default=None, repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True)
class ExecPlugin:
    """The `exec` section of a kubeconfig's user."""

    command: str
    arguments: tuple[str, ...] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    api_version: str
    install_hint: str
    needs_terminal: bool
    cluster: Mapping[str, Any] | None = field(repr=False)

    @classmethod
    def parse(cls, section: Mapping[str, Any], cluster: Mapping[str, Any]) -> Self:
        """Read the section. Raises `Unauthenticated` if it names no command."""
        if not section.get("command"):
            raise Unauthenticated("the kubeconfig's exec section names no command")
        return cls(
            command=str(section["command"]),
            arguments=tuple(str(argument) for argument in section.get("args") or ()),
            environment={str(entry["name"]): str(entry["value"]) for entry in section.get("env") or ()},
            api_version=str(section.get("apiVersion") or "client.authentication.k8s.io/v1"),
            install_hint=str(section.get("installHint") or ""),
            needs_terminal=section.get("interactiveMode") == "Always",
            cluster=cluster if section.get("provideClusterInfo") else None,
        )

    async def run(self) -> Credential:
        """Run the plugin once.

        Raises:
            Unauthenticated: It is missing, failed, took more than 15 s, or answered nothing that signs in.
        """
        if self.needs_terminal:
            raise self._error("needs a terminal", "sign in with kubectl first, or use a plugin that asks nothing")
        try:
            process = await asyncio.create_subprocess_exec(
                self.command,
                *self.arguments,
                env=os.environ | self.environment | {"KUBERNETES_EXEC_INFO": json.dumps(self._info())},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise self._error("was not found", self.install_hint.strip().split("\n")[0]) from None
        except OSError as error:
            raise self._error(f"cannot be run: {error.strerror}") from None
        try:
            stdout, stderr = await asyncio.wait_for(process.communicate(), PLUGIN_SECONDS)
        except TimeoutError:
            raise self._error(f"did not answer within {PLUGIN_SECONDS:.0f} s") from None
        finally:
            await _end(process)
        if process.returncode:
            first = next((line for line in stderr.decode(errors="replace").splitlines() if line.strip()), "")
            raise self._error(f"failed with {process.returncode}{': ' if first else ''}{self._without_secrets(first)}")
        return self._parse(stdout)

    def _info(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"interactive": False}
        if self.cluster is not None:
            names = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
            spec["cluster"] = {name: self.cluster[name] for name in names if name in self.cluster}
            extensions = {e.get("name"): e.get("extension") for e in self.cluster.get("extensions") or ()}
            if (config := extensions.get("client.authentication.k8s.io/exec")) is not None:
                spec["cluster"]["config"] = config
        return {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec}

    def _parse(self, stdout: bytes) -> Credential:
        try:
            answer = json.loads(stdout)
            status = answer["status"]
            token, certificate = status.get("token"), status.get("clientCertificateData")
            expires = status.get("expirationTimestamp")
            expires_at = _in_utc(datetime.fromisoformat(expires)) if expires else None
            pair = (str(certificate), str(status["clientKeyData"])) if certificate else None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise self._error("answered no ExecCredential") from None
        if answer.get("apiVersion") != self.api_version:
            raise self._error(f"answered in another version than {self.api_version}")
        if not token and not pair:
            raise self._error("answered neither a token nor a certificate")
        return Credential(str(token or "").strip(), pair, expires_at)

    def _without_secrets(self, text: str) -> str:
        for value in self.environment.values():
            if len(value) >= SECRET_LENGTH:
                text = text.replace(value, "***")
        return _SECRETS.sub(r"\1***", clean_line(text, 200))

    def _error(self, what: str, hint: str = "") -> Unauthenticated:
        return Unauthenticated(f"credential plugin {os.path.basename(self.command)} {what}", hint)


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of the plugin, its children included, and collect it."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):  # something that left the group may still hold the pipes
        await asyncio.wait_for(process.wait(), 1.0)
