"""Certificates for tests over TLS, made with openssl: a CA of one's own, and a server's that it signed."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple


class Authority(NamedTuple):
    ca_file: Path
    server: ssl.SSLContext
    """For a server that is called 127.0.0.1 or localhost."""


def authority(directory: Path) -> Authority:
    """A new CA and a server's certificate in ``directory``."""
    ca, key, csr, cert = (directory / name for name in ("ca.pem", "server.key", "server.csr", "server.pem"))
    extensions = directory / "server.ext"
    extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    _openssl("req", "-x509", *curve, "-keyout", directory / "ca.key", "-out", ca, "-days", "2", "-subj", "/CN=Test CA")
    _openssl("req", *curve, "-keyout", key, "-out", csr, "-subj", "/CN=127.0.0.1")
    _openssl(
        "x509", "-req", "-in", csr, "-CA", ca, "-CAkey", directory / "ca.key", "-CAcreateserial", "-out", cert,
        "-days", "2", "-extfile", extensions,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return Authority(ca, context)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
