"""Exec plugins: real child processes that behave and misbehave."""

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.domain.errors import Unauthenticated
from mlops_tui.sources.kubernetes import exec_plugin
from mlops_tui.sources.kubernetes.exec_plugin import Credential, ExecPlugin

VERSION = "client.authentication.k8s.io/v1"
CLUSTER = {"server": "https://cluster.example", "certificate-authority-data": "Q0E="}


def plugin(code: str, **section: Any) -> ExecPlugin:
    """Return a plugin that is a piece of Python."""
    section = {"command": sys.executable, "args": ["-c", code], "apiVersion": VERSION} | section
    return ExecPlugin.parse(section, CLUSTER)


def answering(status: Mapping[str, Any], version: str = VERSION) -> str:
    return (
        f"import json; print(json.dumps({{'apiVersion': {version!r}, 'kind': 'ExecCredential', 'status': {status!r}}}))"
    )


async def message_of(subject: ExecPlugin) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await subject.run()
    return caught.value.message


async def test_a_token_and_its_expiry() -> None:
    status = {"token": "abc\n", "expirationTimestamp": "2026-11-20T15:00:00Z"}
    credential = await plugin(answering(status)).run()
    assert credential == Credential("abc", None, datetime(2026, 11, 20, 15, tzinfo=UTC))
    assert "abc" not in repr(credential)


async def test_a_certificate() -> None:
    status = {"clientCertificateData": "CERT", "clientKeyData": "KEY"}
    assert (await plugin(answering(status)).run()).certificate == ("CERT", "KEY")


async def test_what_the_plugin_is_given() -> None:
    code = """
import json, os, sys
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
token = [info["spec"], os.environ["REGION"], sys.stdin.read()]
print(json.dumps({"apiVersion": info["apiVersion"], "status": {"token": json.dumps(token)}}))
"""
    environment = [{"name": "REGION", "value": "eu"}]
    credential = await plugin(code, env=environment, provideClusterInfo=True).run()
    assert credential.token == (
        '[{"interactive": false, "cluster": {"server": "https://cluster.example", '
        '"certificate-authority-data": "Q0E="}}, "eu", ""]'
    )


async def test_a_failure_names_the_command_and_its_first_line_without_secrets() -> None:
    code = "import sys; sys.exit('\\nlogin \\x1b[31mexpired for token=abcdef pass-phrase eyJhbGciOi.eyJzdWIi.x\\nmore')"
    said = await message_of(plugin(code, env=[{"name": "P", "value": "pass-phrase"}]))
    name = os.path.basename(sys.executable)
    assert said == f"credential plugin {name} failed with 1: login expired for token=*** *** ***"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("print('hello')", "answered no ExecCredential"),
        ("print('[]')", "answered no ExecCredential"),
        (answering({}), "answered neither a token nor a certificate"),
        (answering({"clientCertificateData": "CERT"}), "answered no ExecCredential"),
        (answering({"token": "t"}, "client.authentication.k8s.io/v1beta1"), f"in another version than {VERSION}"),
        (answering({"token": "t", "expirationTimestamp": "soon"}), "answered no ExecCredential"),
    ],
)
async def test_answers_that_sign_nobody_in(code: str, says: str) -> None:
    assert says in await message_of(plugin(code))


async def test_a_plugin_that_is_not_installed() -> None:
    subject = plugin("", command="no-such-plugin", installHint="\nbrew install it\nand more")
    with pytest.raises(Unauthenticated, match="no-such-plugin was not found") as caught:
        await subject.run()
    assert caught.value.hint == "brew install it"


async def test_a_plugin_that_needs_a_terminal() -> None:
    assert "needs a terminal" in await message_of(plugin("", interactiveMode="Always"))


async def test_a_plugin_that_talks_too_much_does_not_hang() -> None:
    code = f"import sys; sys.stderr.write('x' * 400_000); {answering({'token': 't'})}"
    assert (await plugin(code).run()).token == "t"


async def test_a_plugin_that_hangs_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exec_plugin, "PLUGIN_SECONDS", 1.0)
    pids = tmp_path / "pids"
    child = "import time; time.sleep(60)"
    code = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}])
open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
time.sleep(60)
"""
    assert "did not answer within" in await message_of(plugin(code))
    await _all_end(pids)


async def test_cancelling_leaves_nothing_running(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"import os, time; open({str(pids)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    running = asyncio.create_task(plugin(code).run())
    async with asyncio.timeout(10):
        while not pids.exists() or not pids.read_text():
            await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await _all_end(pids)


async def _all_end(pids: Path) -> None:
    """Wait until the processes are gone, or wait for their parent to notice."""
    left = [int(pid) for pid in pids.read_text().split()]
    deadline = time.monotonic() + 10
    while left:
        assert time.monotonic() < deadline, f"still running: {left}"
        left = [pid for pid in left if _runs(pid)]
        await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
