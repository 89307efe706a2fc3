"""The certificate of the cluster's server."""

import ssl
import stat
from pathlib import Path

import httpx
import pytest

from mlops_tui.demo.kubernetes import create_app
from mlops_tui.demo.kubernetes.tls import certificate
from tests.support.serving import serving
from tests.unit.demo_kubernetes.test_server import TOKENS
from tests.unit.demo_kubernetes.worlds import World


def test_the_key_is_its_owners_only_even_where_another_was_before(tmp_path: Path) -> None:
    (tmp_path / "kubernetes.key").write_text("old")
    (tmp_path / "kubernetes.key").chmod(0o644)
    made = certificate(tmp_path)
    assert stat.S_IMODE(made.keyfile.stat().st_mode) == 0o600
    assert b"PRIVATE KEY" in made.keyfile.read_bytes()
    assert b"PRIVATE KEY" not in made.certfile.read_bytes() + made.ca_pem


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_clients_believe_the_authority_and_nobody_else(tmp_path: Path, host: str) -> None:
    made = certificate(tmp_path)
    async with serving(create_app(World().cluster, TOKENS), made) as address:
        address = address.replace("127.0.0.1", host)
        async with httpx.AsyncClient(verify=made.client_context(), trust_env=False) as client:
            assert (await client.get(f"{address}/version")).status_code == 200
            assert (await client.get(f"{address}/api")).status_code == 403
        async with httpx.AsyncClient(verify=ssl.create_default_context(), trust_env=False) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(f"{address}/version")
