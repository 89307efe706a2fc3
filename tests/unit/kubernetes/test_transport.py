"""What a failure is called, and what becomes of a client certificate."""

import asyncio
import base64
import gc
import json
import os
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kubernetes.aio.client import Configuration

from mlops_tui.domain.errors import Denied, Unauthenticated, Unavailable
from mlops_tui.sources.kubernetes.exec_plugin import Credential
from mlops_tui.sources.kubernetes.kubeconfig import Access, read_access
from mlops_tui.sources.kubernetes.target import KubernetesTarget
from mlops_tui.sources.kubernetes.transport import (
    LONGEST_PAUSE,
    Broken,
    Gone,
    Missing,
    Transport,
    decode,
    failure_of,
    naming_failures,
)


def certificate() -> tuple[str, str]:
    """Return a certificate that nobody signed, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "release-engineer")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return made.public_bytes(pem).decode(), private.decode()


async def test_a_plugins_certificate_is_used_and_not_left_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    access = Access(Configuration(host="https://127.0.0.1:1"), "prod-eu")
    transport = Transport(access, Credential(certificate=certificate()))
    await transport.retire()
    assert access.configuration.cert_file.startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


async def test_certificates_and_keys_of_a_kubeconfig_are_used_and_not_left_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    public, private = (base64.b64encode(pem.encode()).decode() for pem in certificate())
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority-data": public}
    user = {"client-certificate-data": public, "client-key-data": private}
    config = {
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": user}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))

    def read() -> Access:
        # In a thread, as ever: it runs an event loop of its own.
        return read_access(KubernetesTarget("kubernetes", kubeconfig=str(path)))

    access = await asyncio.to_thread(read)
    assert Path(access.configuration.key_file).read_text() == certificate_key(private)
    await Transport(access, None).retire()
    assert list(scratch.iterdir()) == []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(read).result()
    gc.collect()
    assert list(scratch.iterdir()) == []


def certificate_key(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


@pytest.mark.parametrize(
    ("code", "kind"), [(410, Gone), (404, Missing), (401, Unauthenticated), (403, Denied), (500, Unavailable)]
)
def test_statuses(code: int, kind: type[Exception]) -> None:
    assert type(failure_of(code, "", "https://prod", "list pods")) is kind


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("0", 0.0),
        (" 45 ", 45.0),
        ("99999999", LONGEST_PAUSE),
        ("9" * 500, LONGEST_PAUSE),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("²", None),
        ("soon", None),
    ],
)
def test_how_long_a_server_may_ask_to_wait(header: str, seconds: float | None) -> None:
    error = failure_of(429, "slow down", "https://prod", "list pods", header)
    assert isinstance(error, Unavailable)
    assert error.retry_after == seconds
    assert LONGEST_PAUSE <= 3600


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (TimeoutError(), "https://prod did not answer in time"),
        (aiohttp.ServerDisconnectedError(), "https://prod broke the connection (ServerDisconnectedError)"),
        (ConnectionResetError(104, "reset"), "https://prod broke the connection (ConnectionResetError)"),
        (
            aiohttp.ClientConnectorDNSError(None, socket.gaierror(-2, "?")),  # type: ignore[arg-type]
            "https://prod cannot be reached: the host name is not known",
        ),
        (
            aiohttp.ClientConnectorError(None, OSError(113, "?")),  # type: ignore[arg-type]
            f"https://prod cannot be reached: {os.strerror(113).lower()}",
        ),
    ],
)
def test_broken_connections(raised: Exception, says: str) -> None:
    with pytest.raises(Broken) as caught, naming_failures("https://prod"):
        raise raised
    assert caught.value.message == says


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b'"x"', b"\xff"])
def test_what_is_no_json_object(data: bytes) -> None:
    with pytest.raises(Unavailable, match="https://prod sent something else"):
        decode(data, "https://prod")
