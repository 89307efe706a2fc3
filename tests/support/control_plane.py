"""A real Kubernetes control plane for tests: etcd, kube-apiserver and kube-controller-manager on loopback.

There is no kubelet in it; `tests.support.kubelet` stands in for one.
"""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

UP_TIMEOUT = 180.0
"""Seconds for a start on a loaded machine; an idle one takes about ten."""


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane.

    Attributes:
        kubeconfig: Has the contexts `admin` (the current one) and `oncall`, who may only get, list and watch.
        server: `https://127.0.0.1:PORT`.
        ca: The certificate that the server is verified with.
    """

    kubeconfig: Path
    server: str
    ca: Path
    admin_token: str = field(default="admin-token", repr=False)
    oncall_token: str = field(default="oncall-token", repr=False)

    def ssl_context(self) -> ssl.SSLContext:
        """Return what an HTTP client needs to verify the server."""
        return ssl.create_default_context(cafile=str(self.ca))


def script() -> Path | None:
    """Return the script that starts the control plane; `None` where nothing names one."""
    named = os.environ.get("MLOPS_TUI_CONTROL_PLANE")
    return Path(named) if named else None


def available() -> bool:
    """Return whether the control plane can be started here: script, etcd and built binaries are there."""
    cache = Path(os.environ.get("KUBE_CACHE") or Path.home() / ".cache" / "kube-control-plane")
    starter = script()
    if starter is None:
        return False
    binaries = (cache / "kube-apiserver", cache / "kube-controller-manager", starter)
    return all(os.access(path, os.X_OK) for path in binaries) and shutil.which("etcd") is not None


def _free_ports() -> tuple[int, int]:
    """Return a port for the API server and the first of two neighbouring ones for etcd."""
    while True:
        with closing(socket.socket()) as first, closing(socket.socket()) as second, closing(socket.socket()) as third:
            first.bind(("127.0.0.1", 0))
            second.bind(("127.0.0.1", 0))
            port = second.getsockname()[1]
            try:
                third.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return first.getsockname()[1], port


def start(folder: Path) -> ControlPlane:
    """Start a control plane that keeps everything in `folder`, and wait until it answers."""
    kube_port, etcd_port = _free_ports()
    environment = os.environ | {"KUBE_PORT": str(kube_port), "ETCD_PORT": str(etcd_port)}
    done = subprocess.run(
        [str(script()), "up", str(folder)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=UP_TIMEOUT,
        check=False,
    )
    if done.returncode:
        stop(folder)
        raise RuntimeError(f"the control plane did not start: {done.stderr.strip()}")
    return ControlPlane(folder / "kubeconfig", f"https://127.0.0.1:{kube_port}", folder / "certs" / "apiserver.crt")


def stop(folder: Path) -> None:
    """Stop what `start` started in `folder`, and erase it."""
    subprocess.run([str(script()), "down", str(folder)], stdin=subprocess.DEVNULL, capture_output=True, check=True)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane for the whole session; each test makes itself a namespace in it."""
    folder = tmp_path_factory.mktemp("control-plane") / "data"
    plane = start(folder)
    yield plane
    stop(folder)
