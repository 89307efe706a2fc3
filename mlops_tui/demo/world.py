"""The world's process: `python -m mlops_tui.demo.world --home DIR`.

It listens first and thinks later: the addresses are known, and connections held, within a moment of its start; what
takes seconds to import comes after. It ends on the end of its standard input and on SIGTERM, SIGINT and SIGHUP.
"""

import argparse
import asyncio
import contextlib
import functools
import importlib.util
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlops_tui.demo import GITHUB_READONLY_TOKEN, GITHUB_TOKEN, Addresses
from mlops_tui.demo.clock import utc_now
from mlops_tui.demo.configuration import write_kubeconfig, write_settings
from mlops_tui.demo.leash import remove_tree, watch

KUBERNETES_TOKENS: Final = {"admin": "demo-admin", "oncall": "demo-oncall"}
LOG_NAME: Final = "world.log"
_NEEDED: Final = ("flask", "graphql", "httpx", "sqlalchemy", "starlette", "uvicorn")
_BACKLOG: Final = 128
"""Connections that a socket holds until its server is up."""
_GRACE: Final = 5.0
"""Seconds for an orderly end before the process ends anyhow."""
_LOOK_SECONDS: Final = 0.5
"""Between two looks at whether MLflow's process is alive."""
_READY_SECONDS: Final = 120.0
"""How long the slowest of the servers may take to answer for the first time."""

_logger = logging.getLogger(__name__)


class StartError(Exception):
    """The world cannot begin; the message is one line for whoever started it."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """The sockets, bound to free ports of the loopback and listening."""

    github: socket.socket
    kubernetes: socket.socket
    mlflow: socket.socket


def main(arguments: list[str] | None = None) -> int:
    """Run a world and return the exit code."""
    options = _parse(arguments)
    # Until the event loop takes over, a signal unwinds the stack, and so cleans up.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _exit_on_signal)
    try:
        with _home(options.home):
            return _run(options)
    except StartError as error:
        print(f"mlops-tui demo: {error}", file=_Terminal.stream)
        return 1


class _Terminal:
    """Standard error as it was at the start; afterwards it is the log."""

    stream = sys.stderr


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mlops_tui.demo.world", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the world's folder, removed when it ends")
    parser.add_argument("--seed", type=int, default=1, help="the same seed tells the same story")
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of the world a second")
    parser.add_argument("--format", choices=("json",), default="json", help="of the line that says where everything is")
    return parser.parse_args(arguments)


def _exit_on_signal(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _home(folder: Path) -> Iterator[None]:
    """Own an empty folder, and remove it in the end."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StartError(f"{folder} is not empty")
    except OSError as error:
        raise StartError(f"{folder}: {error.strerror}") from None
    try:
        yield
    finally:
        remove_tree(folder)


def _run(options: argparse.Namespace) -> int:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise StartError(f"{', '.join(missing)} not installed: pip install 'mlops-tui[demo]'")
    home: Path = options.home.resolve()
    listeners = Listeners(_listen(), _listen(), _listen())
    mlflow = _url(listeners.mlflow)
    _log_to(home / LOG_NAME)
    with _registry_server(home, listeners.mlflow) as registry:
        addresses = _publish(home, _url(listeners.github), _url(listeners.kubernetes), mlflow)
        return asyncio.run(_live(options, listeners, registry, addresses))


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


def _publish(home: Path, github: str, kubernetes: str, mlflow: str) -> Addresses:
    kubeconfig = home / "kubeconfig"
    write_kubeconfig(kubeconfig, kubernetes, KUBERNETES_TOKENS)
    config = write_settings(home, github=f"{github}/api/v3", mlflow=mlflow, kubeconfig=kubeconfig)
    return Addresses(
        github_api_url=f"{github}/api/v3",
        github_token=GITHUB_TOKEN,
        github_readonly_token=GITHUB_READONLY_TOKEN,
        mlflow_tracking_uri=mlflow,
        kubeconfig=str(kubeconfig),
        config=str(config),
    )


def _listen() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(_BACKLOG)
    return listener


def _log_to(path: Path) -> None:
    """Send logging and standard error to a file: whoever started us may be drawing on the terminal."""
    _Terminal.stream = os.fdopen(os.dup(2), "w", encoding="utf-8")
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


@contextlib.contextmanager
def _registry_server(home: Path, listener: socket.socket) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-P", "-m", "mlops_tui.demo.registry_server"]
    command += ["--home", str(home), "--socket", str(listener.fileno())]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[listener.fileno()], cwd=home
    )
    # From now on the port is its own: when it ends, connections are refused.
    listener.close()
    try:
        yield process
    finally:
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_GRACE / 2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _live(
    options: argparse.Namespace,
    listeners: Listeners,
    registry: "subprocess.Popen[bytes]",
    addresses: Addresses,
) -> int:
    """Serve and play until the end is asked for; return the exit code."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    # A person at a terminal ends it by a signal; reading there would stop a process in the background.
    if not os.isatty(0):
        watch(0, functools.partial(loop.call_soon_threadsafe, ended.set))
    tasks = [
        asyncio.create_task(_play(options, listeners, registry, addresses)),
        asyncio.create_task(_outlive(registry)),
    ]
    end = asyncio.create_task(ended.wait())
    await asyncio.wait([end, *tasks], return_when=asyncio.FIRST_COMPLETED)
    # From here nothing may hang: whoever waits for the end gets it.
    last_resort = threading.Timer(_GRACE, os._exit, (1,))
    last_resort.daemon = True
    last_resort.start()
    failures = [task.exception() for task in tasks if task.done() and not task.cancelled()]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for failure in failures:
        if failure is not None:
            _logger.error("the world ends: %s", "".join(traceback.format_exception(failure)))
            raise StartError(f"{type(failure).__name__}: {failure}") from failure
    return 0


async def _outlive(registry: "subprocess.Popen[bytes]") -> None:
    """Return never; raise when the registry's process is gone."""
    while True:
        if registry.poll() is not None:
            raise StartError(f"MLflow's server ended with exit code {registry.returncode}")
        await asyncio.sleep(_LOOK_SECONDS)


async def _play(
    options: argparse.Namespace,
    listeners: Listeners,
    registry: "subprocess.Popen[bytes]",
    addresses: Addresses,
) -> None:
    """Build the world, then serve and play it."""
    # Here and not above: by now the addresses are known, and MLflow imports on the other core.
    from mlops_tui.demo import github, kubernetes
    from mlops_tui.demo.past import build
    from mlops_tui.demo.registry import RestRegistry
    from mlops_tui.demo.registry_server import past_line
    from mlops_tui.demo.scenario import Scenario
    from mlops_tui.demo.serving import answer, serve
    from mlops_tui.demo.story import OPERATOR

    began = utc_now()
    world = await build(seed=options.seed, speed=options.speed, began=began)
    assert registry.stdin is not None
    registry.stdin.write(past_line(world.past.all_releases, seed=options.seed, began=began))
    registry.stdin.flush()
    world.github.tokens[GITHUB_TOKEN] = github.Token(OPERATOR)
    world.github.tokens[GITHUB_READONLY_TOKEN] = github.Token(OPERATOR, "read-only")
    roles = {token: role for role, token in KUBERNETES_TOKENS.items()}
    world.clock.go_live()
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(github.create_app(world.github), listeners.github))
        group.create_task(serve(kubernetes.create_app(world.cluster, roles), listeners.kubernetes))
        play = Scenario(world, RestRegistry(addresses["mlflow_tracking_uri"]), seed=options.seed)
        group.create_task(play.run())
        await answer(_questions(addresses), _READY_SECONDS)
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(addresses), flush=True)  # noqa: T201


def _questions(addresses: Addresses) -> dict[str, str]:
    """Return what to ask to see that each system answers, with the token to show."""
    settings = json.loads(Path(addresses["kubeconfig"]).read_text(encoding="utf-8"))
    return {
        f"{addresses['github_api_url']}/rate_limit": addresses["github_token"],
        f"{settings['clusters'][0]['cluster']['server']}/version": settings["users"][0]["user"]["token"],
        f"{addresses['mlflow_tracking_uri']}/api/2.0/mlflow/registered-models/search?max_results=1": "",
    }


if __name__ == "__main__":
    sys.exit(main())
