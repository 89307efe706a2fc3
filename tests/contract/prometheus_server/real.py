"""A real Prometheus, and how it is given samples of the past: through its remote-write receiver."""

import contextlib
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.contract.prometheus_server.samples import Samples

START_TIMEOUT = 60.0
"""Seconds for its first answer, on a busy machine."""
_GRACE = 10.0


@contextlib.contextmanager
def prometheus(folder: Path, scrape_configs: str = "[]") -> Iterator[str]:
    """Run Prometheus on a free port of the loopback with its data in `folder`, and yield its address."""
    settings = folder / "prometheus.yml"
    settings.write_text(f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs: {scrape_configs}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*probe.getsockname())
    command = ["prometheus", f"--config.file={settings}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={address}", "--web.enable-remote-write-receiver", "--log.level=warn"]
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    try:
        _wait(f"http://{address}/-/ready", process, log)
        yield f"http://{address}"
    finally:
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, trust_env=False).is_success:
                return
        time.sleep(0.05)
    raise RuntimeError(f"Prometheus does not answer:\n{log.read_text(errors='replace')}")


def write(address: str, samples: Samples) -> None:
    """Give samples to a Prometheus; the marks of ended series are kept as they are."""
    series = []
    for labels, own in samples.items():
        body = b"".join(_field(1, _text(1, name) + _text(2, value)) for name, value in labels)
        body += b"".join(_field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(at)) for at, value in own)
        series.append(_field(1, body))
    headers = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    answer = httpx.post(
        f"{address}/api/v1/write", content=_snappy(b"".join(series)), headers=headers, timeout=30, trust_env=False
    )
    answer.raise_for_status()


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _field(number: int, body: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(body)) + body


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _snappy(body: bytes) -> bytes:
    """Return the body in the block format of Snappy, as literals alone: nothing is compressed."""
    made = bytearray(_varint(len(body)))
    for begin in range(0, len(body), 1 << 16):
        chunk = body[begin : begin + (1 << 16)]
        made += bytes([61 << 2]) + struct.pack("<H", len(chunk) - 1) + chunk
    return bytes(made)
