"""The commands, at the demo's server: what they print, what they ask, and what they exit with."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest

from mlops_tui.domain.operation import OperationRow, Plan
from tests.contract.kubernetes_operations.conftest import complete, deployed, get, proxied
from tests.contract.kubernetes_operations.lossy import Fault, lossy
from tests.contract.kubernetes_source.harness import PATIENCE, Server

pytestmark = pytest.mark.parametrize("server", ["demo_server"], indirect=True)
COMMAND = str(Path(sys.executable).with_name("mlops-tui"))


@dataclass
class Shell:
    """A user with a configuration file of their own."""

    folder: Path
    server: Server

    def configure(self, *, kubeconfig: Path | None = None, context: str = "admin", rules: str = "") -> None:
        """Write the configuration: staging and production, which `rules` are for, both of them the same namespace."""
        lines = [
            f"[kubernetes]\nkubeconfig = {json.dumps(str(kubeconfig or self.server.kubeconfig))}",
            f'[environments.production]\ncontext = "{context}"\nnamespaces = ["{self.server.namespace}"]\n{rules}',
            '[environments.staging]\ncontext = "oncall"\nnamespaces = ["elsewhere"]',
        ]
        (self.folder / "mlops-tui.toml").write_text("\n\n".join(lines) + "\n")

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the commands run with."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        folders = {f"XDG_{name}_HOME": str(self.folder / name.lower()) for name in ("CONFIG", "CACHE", "STATE")}
        config = str(self.folder / "mlops-tui.toml")
        return {**kept, **folders, "HOME": str(self.folder), "MLOPS_TUI_CONFIG": config, "MLOPS_TUI_ACTOR": "dana"}

    async def run(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        """Run a command; return its exit code, output and errors."""
        process = await asyncio.create_subprocess_exec(
            COMMAND, *arguments, env={**self.environment, **variables}, cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await asyncio.wait_for(process.communicate(), 2 * PATIENCE)
        assert process.returncode is not None
        return process.returncode, output.decode(), errors.decode()

    async def answer(self, arguments: list[str], *answers: tuple[str, str]) -> tuple[int | None, str]:
        """Run a command at a terminal and answer its questions; return its exit code and all that it showed."""
        return await asyncio.to_thread(self._answer, arguments, answers)

    def _answer(self, arguments: list[str], answers: tuple[tuple[str, str], ...]) -> tuple[int | None, str]:
        process = pexpect.spawn(
            COMMAND, arguments, env=self.environment, cwd=str(self.folder), timeout=2 * PATIENCE, encoding="utf-8"
        )
        shown = ""
        for question, text in answers:
            process.expect_exact(question)
            shown += f"{process.before}{question}"
            process.sendline(text)
        process.expect(pexpect.EOF)
        shown += str(process.before)
        process.close()
        return process.exitstatus, shown


@pytest.fixture
async def shell(server: Server, tmp_path: Path) -> Shell:
    """A shell, and a Deployment with two revisions."""
    await server.create("fraud-api")
    await deployed(server, "fraud-api", complete)
    await server.set_image("fraud-api", "registry/fraud:v2")
    await deployed(server, "fraud-api", complete)
    made = Shell(tmp_path, server)
    made.configure()
    return made


async def replicas(server: Server) -> Any:
    return (await get(server, "apps/v1 deployments/fraud-api"))["spec"]["replicas"]


async def test_plan_do_and_audit(shell: Shell, server: Server) -> None:
    target = f"{server.namespace}/fraud-api"
    code, out, err = await shell.run("scale", target, "4", "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"Scale {target} from 2 to 4 replicas"
    assert (
        f"the same by hand:\n    kubectl --context admin -n {server.namespace} scale deployment fraud-api --replicas=4"
        in out
    )
    code, out, err = await shell.run("--env", "production", "scale", target, "4", "--dry-run", "--format", "json")
    assert Plan.model_validate_json(out).environment == "production"
    assert await replicas(server) == 2
    code, out, err = await shell.run("--env", "production", "scale", target, "4", "--yes", "--reason", "sale")
    assert (code, out) == (0, 'deployment "fraud-api" successfully rolled out\n')
    assert await replicas(server) == 4
    code, out, err = await shell.run("scale", target, "4", "--yes")
    assert (code, out) == (0, "")
    assert "nothing to do: it asks for 4 replicas already" in err
    code, out, err = await shell.run("rollback", target, "--to-revision", "1", "--yes", "--format", "json")
    assert (code, OperationRow.model_validate_json(out).state) == (0, "done")
    code, out, err = await shell.run("audit")
    assert code == 0
    assert [line for line in out.splitlines() if "dana" in line and target in line]
    code, out, err = await shell.run("audit", "--verb", "scale", "--format", "json")
    [record] = map(json.loads, out.splitlines())
    assert (record["by"], record["reason"], record["state"]) == ("dana", "sale", "done")
    code, out, err = await shell.run("audit", "--verify")
    assert (code, "the chain is whole" in out) == (0, True)
    journal = next((shell.folder / "state").rglob("*.jsonl"))
    journal.write_text(journal.read_text().replace("sale", "test", 1))
    code, out, err = await shell.run("audit", "--verify")
    assert code == 1
    assert "does not follow from the line before" in err


async def test_exit_codes(shell: Shell, server: Server) -> None:
    target = f"{server.namespace}/fraud-api"
    code, _, err = await shell.run("scale", target, "5")
    assert code == 5
    assert "--yes confirms it" in err
    for wrong in (
        ("scale", "fraud-api", "5", "--yes"),
        ("scale", target, "many", "--yes"),
        ("scale", target, "5", "--env", "moon", "--yes"),
        ("rollback", target, "--to-revision", "99", "--yes"),
    ):
        code, out, err = await shell.run(*wrong)
        assert (code, out, err.count("\n")) == (2, "", 1), wrong
    code, _, err = await shell.run("scale", f"{server.namespace}/nothing", "5", "--yes")
    assert (code, "there is none" in err) == (1, True)
    for given in (("--read-only",), ()):
        variables = {} if given else {"MLOPS_TUI_READ_ONLY": "1"}
        code, _, err = await shell.run("scale", target, "5", "--yes", *given, **variables)
        assert (code, "read-only" in err) == (5, True)
    assert await replicas(server) == 2
    code, out, err = await shell.run("--read-only", "scale", target, "5", "--dry-run")
    assert (code, "refused: this is read-only" in out) == (5, True)


async def test_who_may_not_is_told_so(shell: Shell, server: Server) -> None:
    shell.configure(context="oncall")
    code, _, err = await shell.run("scale", f"{server.namespace}/fraud-api", "5", "--yes")
    assert "may not update deployments/scale" in err
    assert (code, await replicas(server)) == (4, 2)


async def test_a_failed_rollout_is_1_and_no_answer_is_6(shell: Shell, server: Server, tmp_path: Path) -> None:
    target = f"{server.namespace}/fraud-api"
    async with lossy(server.url, server.verify) as (url, proxy):
        shell.configure(kubeconfig=proxied(server, url, tmp_path))
        proxy.faults["PUT /apis/apps"] = Fault.DEAF
        code, out, err = await shell.run("scale", target, "3", "--yes")
        assert (code, out) == (6, "")
        assert "unknown: " in err
    shell.configure()
    await server.patch("fraud-api", {"spec": {"progressDeadlineSeconds": 1}})
    await server.set_image("fraud-api", "registry/fraud:bad")
    code, out, err = await shell.run("restart", target, "--yes")
    assert (code, out) == (1, "")
    assert "exceeded its progress deadline" in err
    code, out, err = await shell.run("restart", target, "--yes", "--timeout", "1")
    assert code == 1


async def test_a_protected_environment_asks_for_the_name(shell: Shell, server: Server) -> None:
    shell.configure(rules="protected = true")
    target = f"{server.namespace}/fraud-api"
    question = f"Type {target} to confirm"
    code, shown = await shell.answer(["scale", target, "3"], (question, "yes"))
    assert code == 5
    assert "not confirmed" in shown
    assert await replicas(server) == 2
    code, shown = await shell.answer(["scale", target, "3"], (question, target))
    assert (code, "successfully rolled out" in shown) == (0, True)
    assert await replicas(server) == 3
    shell.configure()
    code, shown = await shell.answer(["scale", target, "4"], ("Do it? [y/N]", ""))
    assert (code, await replicas(server)) == (5, 3)


async def test_a_freeze_asks_for_its_name_and_a_reason(shell: Shell, server: Server) -> None:
    rules = 'freezes.always = { begins = "0 0 1 1 *", hours = 8784 }'
    shell.configure(rules=rules)
    target = f"{server.namespace}/fraud-api"
    code, _, err = await shell.run("scale", target, "3", "--yes", "--reason", "because")
    assert (code, "override it by its name: always" in err) == (5, True)
    code, _, _ = await shell.run("scale", target, "3", "--yes", "--reason", "because", "--override", "always")
    assert (code, await replicas(server)) == (0, 3)
    answers = (("Do it? [y/N]", "y"), ("by its name", "always"), ("Why", "late fix"))
    ended, _ = await shell.answer(["scale", target, "2"], *answers)
    assert (ended, await replicas(server)) == (0, 2)
