"""MLflow's own server in one lean process: `python -m mlops_tui.demo.registry_server --home DIR --socket FD …`.

It listens on a socket that it is given. Its standard input brings one line, the past to seed, and then is its leash:
it lives as long as somebody holds that open. It is the last of the world's processes to end, whoever of them is killed,
and so the one that removes the world's folder.
"""

import argparse
import json
import os
import queue
import random
import signal
import socket
import time
import uuid
import warnings
from collections.abc import Iterable, MutableMapping
from pathlib import Path
from typing import Final

from mlops_tui.demo import Size
from mlops_tui.demo.leash import remove_tree, watch
from mlops_tui.demo.seeding import date_default, seed_bulk, seed_registry, write_models
from mlops_tui.demo.story import Release
from mlops_tui.domain.clock import ScaledClock

ARTIFACTS: Final = "artifacts"
"""The folder of the artifact store, in the world's."""


def server_environment(environment: MutableMapping[str, str], home: Path) -> None:
    """Set what `mlflow server` sets for its worker, and drop every setting of the user's own MLflow."""
    for name in [name for name in environment if name.startswith(("MLFLOW_", "_MLFLOW_"))]:
        del environment[name]
    database = f"sqlite:///{home.resolve()}/mlflow.db"
    environment.update(
        # A temporary folder of its own: MLflow leaves lock files there.
        TMPDIR=str(home),
        MLFLOW_DISABLE_TELEMETRY="true",
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
        MLFLOW_CONFIGURE_LOGGING="false",
        _MLFLOW_SERVER_FILE_STORE=database,
        _MLFLOW_SERVER_REGISTRY_STORE=database,
        _MLFLOW_SERVER_ARTIFACT_ROOT="mlflow-artifacts:/",
        _MLFLOW_SERVER_ARTIFACT_DESTINATION=str(home / ARTIFACTS),
        _MLFLOW_SERVER_SERVE_ARTIFACTS="true",
    )


def main() -> None:
    """Seed the database and serve it until standard input ends."""
    parser = argparse.ArgumentParser(prog="registry_server")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--socket", type=int, required=True)
    options = parser.parse_args()
    home: Path = options.home

    def end() -> None:
        remove_tree(home)
        os._exit(0)

    # A terminal's interrupt reaches the whole group; the pipe says when it is this process's turn.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    watch(0, end, pieces.put)
    server_environment(os.environ, home)
    _serve(home, socket.socket(fileno=options.socket), pieces)


def _live_in(clock: ScaledClock, seed: int) -> None:
    """Let MLflow stamp what it writes with the world's time, and draw its ids from the world's seed."""
    drawn = random.Random(f"{seed}/mlflow")
    machine_time = time.time
    time.time = lambda: clock.start.timestamp() + (machine_time() - clock.since) * clock.speed
    uuid.uuid4 = lambda: uuid.UUID(int=drawn.getrandbits(128), version=4)


def _first_line(pieces: "queue.SimpleQueue[bytes]") -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += pieces.get()
    return line


def past_line(past: Iterable[Release], *, seed: int, clock: ScaledClock, size: Size) -> bytes:
    """Return the line that a registry server waits for."""
    document = {"seed": seed, "clock": str(clock), "size": size, "releases": [release.to_json() for release in past]}
    return json.dumps(document).encode() + b"\n"


def _serve(home: Path, listener: socket.socket, pieces: "queue.SimpleQueue[bytes]") -> None:
    import uvicorn

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server import handlers
        from mlflow.server.fastapi_app import app

    # The store that the server itself will use: its schema is then made and checked once.
    store = handlers._get_tracking_store()
    past = json.loads(_first_line(pieces))
    clock, seed = ScaledClock.parse(past["clock"]), past["seed"]
    releases = [Release.from_json(release) for release in past["releases"]]
    seed_registry(store, releases, seed=seed, began=clock.start)
    write_models(home / ARTIFACTS, releases)
    date_default(store, clock.start)
    if past["size"] == "large":
        seed_bulk(store, seed=seed, began=clock.start)
    _live_in(clock, seed)
    # Without its start-up tasks, which look after containers and home folders of other servers of the user's.
    config = uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
