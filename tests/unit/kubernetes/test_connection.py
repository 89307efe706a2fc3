"""When credentials are asked for, and when again."""

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from mlops_tui.sources.kubernetes import connection
from mlops_tui.sources.kubernetes.connection import Connection
from mlops_tui.sources.kubernetes.exec_plugin import Credential
from mlops_tui.sources.kubernetes.kubeconfig import Access
from tests.support.clock import ManualClock


@dataclass
class FakePlugin:
    clock: ManualClock
    life: float | None
    runs: int = 0

    async def run(self) -> Credential:
        self.runs += 1
        expires_at = None if self.life is None else self.clock.now() + timedelta(seconds=self.life)
        return Credential(f"token-{self.runs}", None, expires_at)


@dataclass
class FakeTransport:
    access: Access
    credential: Credential | None
    retired: bool = field(default=False)

    async def retire(self) -> None:
        self.retired = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeTransport]:
    """The transports that were made."""
    transports: list[FakeTransport] = []

    def make(access: Access, credential: Credential | None, rule: object) -> FakeTransport:
        transports.append(FakeTransport(access, credential))
        return transports[-1]

    monkeypatch.setattr(connection, "Transport", make)
    return transports


def connection_with(plugin: Any, clock: ManualClock) -> Connection:
    return Connection(lambda: Access(None, "prod-eu", plugin=plugin), clock)


@pytest.mark.parametrize(("life", "renewed_after"), [(3600, 3540), (40, 20), (-100, 10)])
async def test_a_credential_is_renewed_before_it_expires(
    made: list[FakeTransport], life: float, renewed_after: float
) -> None:
    clock = ManualClock()
    plugin = FakePlugin(clock, life)
    subject = connection_with(plugin, clock)
    await subject.access()
    await clock.advance(renewed_after - 1)
    await subject.access()
    assert plugin.runs == 1
    await clock.advance(1)
    await subject.access()
    assert plugin.runs == 2
    assert [transport.retired for transport in made] == [True, False]


async def test_a_credential_without_expiry_stays(made: list[FakeTransport]) -> None:
    clock = ManualClock()
    plugin = FakePlugin(clock, None)
    subject = connection_with(plugin, clock)
    await subject.access()
    await clock.advance(86_400)
    await subject.access()
    assert plugin.runs == len(made) == 1


async def test_forgetting_signs_in_anew_and_closing_is_idempotent(made: list[FakeTransport]) -> None:
    subject = connection_with(None, ManualClock())
    await subject.access()
    subject.forget()
    await subject.access()
    await subject.close()
    await subject.close()
    assert [transport.retired for transport in made] == [True, True]


def test_importing_the_source_imports_no_sdk() -> None:
    code = (
        "import sys, mlops_tui.sources.kubernetes; sys.exit(bool({'kubernetes', 'aiohttp', 'yaml'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
