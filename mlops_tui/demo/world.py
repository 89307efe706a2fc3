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
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlops_tui.demo import GITHUB_READONLY_TOKEN, GITHUB_TOKEN, Addresses
from mlops_tui.demo.configuration import Places, write_kubeconfig, write_settings
from mlops_tui.demo.leash import remove_tree, watch
from mlops_tui.domain.clock import ScaledClock

if TYPE_CHECKING:
    from mlops_tui.demo.kubernetes.tls import Certificate

KUBERNETES_TOKENS: Final = {"admin": "demo-admin", "oncall": "demo-oncall"}
API_PATH: Final = "/api/v3"
"""Of GitHub's REST API, as on GitHub Enterprise Server."""
LOG_NAME: Final = "world.log"
_NEEDED: Final = ("flask", "graphql", "httpx", "promql_parser", "sqlalchemy", "starlette", "trustme", "uvicorn")
_BACKLOG: Final = 128
"""Connections that a socket holds until its server is up."""
_GRACE: Final = 5.0
"""Seconds for an orderly end before the process ends anyhow."""
_FAST: Final = 60.0
"""The speed of a story from which monitoring looks less often."""
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
    prometheus: socket.socket


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
        print(error, file=_Terminal.stream)
        return 1


class _Terminal:
    """Standard error as it was at the start; afterwards it is the log."""

    stream = sys.stderr


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mlops_tui.demo.world", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the world's folder, removed when it ends")
    parser.add_argument("--seed", type=int, default=1, help="the same seed tells the same story")
    parser.add_argument("--clock", type=ScaledClock.parse, required=True, help="the world's time: START/SPEED/SINCE")
    parser.add_argument("--size", choices=("normal", "large"), default="normal", help="of the world")
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
    listeners = Listeners(_listen(), _listen(), _listen(), _listen())
    urls = {name: _url(getattr(listeners, name)) for name in ("github", "mlflow", "prometheus")}
    cluster = _url(listeners.kubernetes, "https")
    _log_to(home / LOG_NAME)
    with _registry_server(home, listeners.mlflow) as registry:
        # Only now, as it takes a moment to import: MLflow does so too by now, on the other core.
        from mlops_tui.demo.kubernetes.tls import certificate

        proof = certificate(home)
        addresses = _publish(home, options, urls, cluster, proof)
        return asyncio.run(_live(_Stage(options, listeners, registry, addresses, proof)))


def _url(listener: socket.socket, scheme: str = "http") -> str:
    host, port = listener.getsockname()
    return f"{scheme}://{host}:{port}"


def _publish(
    home: Path, options: argparse.Namespace, urls: dict[str, str], cluster: str, proof: "Certificate"
) -> Addresses:
    kubeconfig = home / "kubeconfig"
    write_kubeconfig(kubeconfig, cluster, KUBERNETES_TOKENS, proof.ca_pem)
    github = urls["github"] + API_PATH
    places = Places(github=github, mlflow=urls["mlflow"], kubeconfig=kubeconfig)
    config = write_settings(home, places, options.size)
    return Addresses(
        github_api_url=github,
        github_token=GITHUB_TOKEN,
        github_readonly_token=GITHUB_READONLY_TOKEN,
        mlflow_tracking_uri=urls["mlflow"],
        prometheus_url=urls["prometheus"],
        kubeconfig=str(kubeconfig),
        config=str(config),
    )


def _listen() -> socket.socket:
    # Named, as asyncio lets answers go out undelayed (TCP_NODELAY) only where the protocol is known to be TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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


@dataclass(frozen=True, slots=True)
class _Stage:
    """What a world plays on."""

    options: argparse.Namespace
    listeners: Listeners
    registry: "subprocess.Popen[bytes]"
    addresses: Addresses
    proof: "Certificate"


async def _live(stage: _Stage) -> int:
    """Serve and play until the end is asked for; return the exit code."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    # A person at a terminal ends it by a signal; reading there would stop a process in the background.
    if not os.isatty(0):
        watch(0, functools.partial(loop.call_soon_threadsafe, ended.set))
    tasks = [asyncio.create_task(_play(stage)), asyncio.create_task(_outlive(stage.registry))]
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
            raise _as_start_error(failure) from failure
    return 0


def _as_start_error(failure: BaseException) -> StartError:
    """Return what ended the world, in one line."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure if isinstance(failure, StartError) else StartError(f"{type(failure).__name__}: {failure}")


async def _outlive(registry: "subprocess.Popen[bytes]") -> None:
    """Return never; raise when the registry's process is gone."""
    while True:
        if registry.poll() is not None:
            raise StartError(f"MLflow's server ended with exit code {registry.returncode}")
        await asyncio.sleep(_LOOK_SECONDS)


async def _play(stage: _Stage) -> None:
    """Build the world, then serve and play it."""
    # Here and not above: by now the addresses are known, and MLflow imports on the other core.
    from mlops_tui.demo import github, kubernetes, prometheus
    from mlops_tui.demo.past import build
    from mlops_tui.demo.registry import RestRegistry
    from mlops_tui.demo.registry_server import past_line
    from mlops_tui.demo.scenario import Scenario
    from mlops_tui.demo.serving import answer, serve
    from mlops_tui.demo.story import OPERATOR
    from mlops_tui.demo.traffic import REHEARSED_SCRAPE_SECONDS, SCRAPE_SECONDS

    seed, size, clock = stage.options.seed, stage.options.size, stage.options.clock
    web = stage.addresses["github_api_url"].removesuffix(API_PATH)
    world = await build(seed=seed, speed=clock.speed, began=clock.start, size=size, web=web)
    assert stage.registry.stdin is not None
    stage.registry.stdin.write(past_line(world.past.all_releases, seed=seed, clock=clock, size=size))
    stage.registry.stdin.flush()
    world.github.tokens[GITHUB_TOKEN] = github.Token(OPERATOR)
    readable = ("actions", "contents", "deployments", "issues", "metadata", "pull_requests", "statuses")
    world.github.tokens[GITHUB_READONLY_TOKEN] = github.Token(OPERATOR, permissions=dict.fromkeys(readable, "read"))
    roles = {token: role for role, token in KUBERNETES_TOKENS.items()}
    listeners = stage.listeners
    async with asyncio.TaskGroup() as group:
        # Faster stories are looked at less often, but never so seldom that a rate over a minute has nothing to go by.
        every = SCRAPE_SECONDS if clock.speed <= _FAST else REHEARSED_SCRAPE_SECONDS
        registry = RestRegistry(stage.addresses["mlflow_tracking_uri"])
        group.create_task(Scenario(world, registry, seed=seed, scrape_seconds=every).run())
        # Everybody is at their place before the clock runs: however long the start took, the story begins the same.
        await world.clock.advance(0)
        world.clock.go_live(time.time() - clock.since)
        group.create_task(serve(github.create_app(world.github), listeners.github))
        group.create_task(serve(kubernetes.create_app(world.cluster, roles), listeners.kubernetes, stage.proof))
        group.create_task(serve(prometheus.create_app(world.traffic), listeners.prometheus))
        await answer(_questions(stage.addresses), _READY_SECONDS, stage.proof.client_context())
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(stage.addresses), flush=True)  # noqa: T201


def _questions(addresses: Addresses) -> dict[str, str]:
    """Return what to ask to see that each system answers, with the token to show."""
    settings = json.loads(Path(addresses["kubeconfig"]).read_text(encoding="utf-8"))
    return {
        f"{addresses['github_api_url']}/rate_limit": addresses["github_token"],
        f"{settings['clusters'][0]['cluster']['server']}/version": settings["users"][0]["user"]["token"],
        f"{addresses['prometheus_url']}/-/ready": "",
        f"{addresses['mlflow_tracking_uri']}/api/2.0/mlflow/registered-models/search?max_results=1": "",
    }


if __name__ == "__main__":
    sys.exit(main())
