"""A certificate for the cluster's server, and the authority that clients verify it with.

kubectl sends no token over plain HTTP, so that roles can only be told apart over TLS. Both keys are made anew for each
world and are good for nothing but its loopback addresses.
"""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

NAMES = ("127.0.0.1", "localhost", "::1")
"""Whom the certificate is for."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server needs to speak TLS, and its clients to believe it.

    Attributes:
        certfile: The certificate with its chain, in PEM.
        keyfile: Its private key, readable by its owner only.
        ca_pem: The authority's certificate: `certificate-authority-data` of a kubeconfig, before base64.
    """

    certfile: Path
    keyfile: Path
    ca_pem: bytes

    def client_context(self) -> ssl.SSLContext:
        """Return what an HTTP client needs to verify the server."""
        return ssl.create_default_context(cadata=self.ca_pem.decode())


def certificate(folder: Path) -> Certificate:
    """Make an authority, let it sign a certificate for the loopback, and write certificate and key into `folder`.

    The authority's own key is not kept.

    Raises:
        OSError: The folder cannot be written to.
    """
    authority = trustme.CA(organization_name="mlops-tui demo")
    leaf = authority.issue_cert(*NAMES)
    made = Certificate(folder / "kubernetes.crt", folder / "kubernetes.key", authority.cert_pem.bytes())
    _write(made.certfile, b"".join(part.bytes() for part in leaf.cert_chain_pems))
    _write(made.keyfile, leaf.private_key_pem.bytes())
    return made


def _write(path: Path, content: bytes) -> None:
    # The mode of a file that is there already does not change, so that it must not be there.
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
