"""TLS and passwords of the daemon's HTTP servers, from the Prometheus project's web configuration file.

The format is exporter-toolkit's (https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md),
so that one file serves node_exporter and WattView. As there, the file and its certificates are checked for changes at
each connection and request: changes apply without a restart, and invalid ones are logged and ignored.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from wattview import whole_file
from wattview.config import ConfigError, seconds
from wattview.daemon.http.throttled_log import ThrottledLog
from wattview.decoding import why_unreadable

said = ThrottledLog("wattview.web_config")

HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The headers that may be set, and their valid values, if restricted."""

CIPHERS = {
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
}
"""Go's names (crypto/tls, CipherSuites) and OpenSSL's. Neither lets users choose TLS 1.3's."""

CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": ""}
"""Go's names and OpenSSL's; "" if Python has no way to select it."""

VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]

_BCRYPT = re.compile(r"\$2[abxy]?\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
MAX_BYTES = 1 << 20

_SAN_KINDS = ("DNS", "email", "IP Address", "URI")


class WebConfigError(ConfigError):
    """An unusable web configuration. The text names the file, the problem, and how to fix it."""


class _Part(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Tls(_Part, frozen=True):
    """``tls_server_config``."""

    cert: str = ""
    key: str = ""
    client_ca: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_auth_type: Literal[
        "", "NoClientCert", "RequestClientCert", "RequireClientCert", "RequireAnyClientCert",
        "VerifyClientCertIfGiven", "RequireAndVerifyClientCert",
    ] = ""  # fmt: skip
    client_ca_file: str = ""
    client_allowed_sans: list[str] = []
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: list[str] = []
    prefer_server_cipher_suites: bool = True
    curve_preferences: list[str] = []

    @property
    def wanted(self) -> bool:
        return any((self.cert, self.key, self.client_ca, self.cert_file, self.key_file, self.client_ca_file,
                    self.client_auth_type))  # fmt: skip


class Http(_Part, frozen=True):
    """``http_server_config``. Only HTTP/1.1 is served, whatever ``http2`` says."""

    http2: bool = True
    headers: dict[str, str] = {}


class RateLimit(_Part, frozen=True):
    """``rate_limit``: a token bucket for all requests together; none if ``interval`` is 0."""

    interval: str = "0"
    burst: int = 0


class Document(_Part, frozen=True):
    """The whole file."""

    tls_server_config: Tls | None = None
    http_server_config: Http | None = None
    basic_auth_users: dict[str, str] | None = None
    rate_limit: RateLimit | None = None


class WebConfig(Struct, frozen=True):
    """A parsed file, ready for use."""

    tls: ssl.SSLContext | None
    allowed_sans: frozenset[str]
    headers: tuple[tuple[bytes, bytes], ...]
    users: dict[str, str]
    rate_interval_seconds: float
    rate_burst: int
    files: tuple[Path, ...]
    """The files it was read from; a change of any triggers a reload."""


class WebConfigFile:
    """A watched file. ``current()`` is its content now, or when it was last valid."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._config = read(path)
        self._seen = _stamps(self._config.files)

    @property
    def encrypted(self) -> bool:
        return self._config.tls is not None

    def current(self) -> WebConfig:
        seen = _stamps(self._config.files)
        if seen != self._seen:
            self._seen = seen
            try:
                changed = read(self.path)
                if (changed.tls is None) != (self._config.tls is None):
                    raise WebConfigError(f"{self.path}: TLS is switched on and off by a reload (SIGHUP)")
                self._config, self._seen = changed, _stamps(changed.files)
            except WebConfigError as error:
                said.warning(
                    "wrong", "the change is rejected, and the previous configuration stays in force: %s", error
                )
        return self._config

    def tls(self) -> ssl.SSLContext | None:
        return self.current().tls

    def admits(self, transport: asyncio.BaseTransport) -> bool:
        """Whether a peer's verified certificate is one of the allowed ones."""
        allowed = self._config.allowed_sans
        certificate = transport.get_extra_info("peercert") if allowed else None
        names = {value for kind, value in (certificate or {}).get("subjectAltName", ()) if kind in _SAN_KINDS}
        return not allowed or not allowed.isdisjoint(names)


def read(path: Path) -> WebConfig:
    """Raises WebConfigError, whose text is one line."""
    import yaml

    try:
        # Scalars stay text, as in Go's parser: a user may be called 1234.
        tree = yaml.load(whole_file.read(path, MAX_BYTES), Loader=yaml.BaseLoader)  # noqa: S506  # it makes nothing but text
        return _made_of(msgspec.convert(_without_empty(tree) or {}, Document, strict=False), path)
    except OSError as error:
        raise WebConfigError(f"daemon.web_config_file {error.filename or path}: {error.strerror or error}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise WebConfigError(f"daemon.web_config_file {path}: {why_unreadable(error)}") from None


def _without_empty(tree: object) -> object:
    """Drops keys without a value, as if they were absent."""
    if isinstance(tree, dict):
        return {key: _without_empty(value) for key, value in tree.items() if value != ""}
    return tree


def _made_of(document: Document, path: Path) -> WebConfig:
    http, rate = document.http_server_config or Http(), document.rate_limit or RateLimit()
    tls = document.tls_server_config or Tls()
    users = document.basic_auth_users or {}
    for name, value in http.headers.items():
        if name not in HEADERS:
            raise ValueError(f"http_server_config.headers: {name} cannot be set; only {', '.join(HEADERS)}")
        if HEADERS[name] and value not in HEADERS[name]:
            raise ValueError(f"http_server_config.headers.{name}: expected {' or '.join(HEADERS[name])}, got {value!r}")
        if not value.isprintable() or not value.isascii():
            raise ValueError(f"http_server_config.headers.{name}: expected one line of ASCII")
    for user, hashed in users.items():
        if _BCRYPT.fullmatch(hashed) is None:
            raise ValueError(f"basic_auth_users.{user}: expected a bcrypt hash; make one with: htpasswd -nBC 10 {user}")
    interval = 0.0 if rate.interval in ("0", "0s") else seconds(rate.interval)
    files = [path, *(_beside(path, name) for name in (tls.cert_file, tls.key_file, tls.client_ca_file) if name)]
    return WebConfig(
        tls=_context(tls, path) if tls.wanted else None,
        allowed_sans=frozenset(tls.client_allowed_sans),
        headers=tuple((name.lower().encode(), value.encode()) for name, value in http.headers.items() if value),
        users=users,
        rate_interval_seconds=interval,
        rate_burst=rate.burst,
        files=tuple(files),
    )


def _context(tls: Tls, path: Path) -> ssl.SSLContext:
    for inline, file, name in ((tls.cert, tls.cert_file, "cert"), (tls.key, tls.key_file, "key")):
        if bool(inline) == bool(file):
            raise ValueError(f"tls_server_config: expected one of {name} and {name}_file")
    if tls.client_ca and tls.client_ca_file:
        raise ValueError("tls_server_config: expected one of client_ca and client_ca_file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if VERSIONS[tls.min_version] > VERSIONS[tls.max_version]:
        raise ValueError(f"tls_server_config.min_version: {tls.min_version} is above max_version, {tls.max_version}")
    context.minimum_version, context.maximum_version = VERSIONS[tls.min_version], VERSIONS[tls.max_version]
    context.set_alpn_protocols(["http/1.1"])
    _load_certificate(context, tls, path)
    _choose(context, tls)
    _ask_for_certificates(context, tls, path)
    return context


def _load_certificate(context: ssl.SSLContext, tls: Tls, path: Path) -> None:
    def no_passphrase() -> str:
        raise ValueError("tls_server_config: the key is encrypted; give one that is not, in a file of mode 0600")

    cert_file, key_file = _beside(path, tls.cert_file), _beside(path, tls.key_file)
    for name, file in ((tls.cert_file, cert_file), (tls.key_file, key_file)):
        if name:
            whole_file.read(file, MAX_BYTES)  # OpenSSL does not say which of the two it could not read
    with _as_file(tls.cert, cert_file) as cert, _as_file(tls.key, key_file) as key:
        try:
            context.load_cert_chain(cert, key, no_passphrase)
        except ssl.SSLError as error:
            raise ValueError(f"tls_server_config: {tls.cert_file or 'cert'} and {tls.key_file or 'key'} are not "
                             f"a certificate and its key: {error.reason or error}") from None  # fmt: skip


def _choose(context: ssl.SSLContext, tls: Tls) -> None:
    for key, names, known in (("cipher_suites", tls.cipher_suites, CIPHERS),
                              ("curve_preferences", tls.curve_preferences, CURVES)):  # fmt: skip
        if unknown := [name for name in names if name not in known]:
            raise ValueError(
                f"tls_server_config.{key}: {unknown[0]!r} is not one of Go's names; use one such as {next(iter(known))}"
            )
    suites = [CIPHERS[name] for name in tls.cipher_suites if CIPHERS[name]]
    if suites:
        context.set_ciphers(":".join(suites))
    if tls.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    curves = [CURVES[name] for name in tls.curve_preferences]
    if len(curves) == 1 and curves[0]:
        context.set_ecdh_curve(curves[0])
    elif curves:
        said.warning("curves", "curve_preferences: Python chooses one NIST curve or none; OpenSSL's own order is used")


def _ask_for_certificates(context: ssl.SSLContext, tls: Tls, path: Path) -> None:
    asked, ca = tls.client_auth_type, bool(tls.client_ca or tls.client_ca_file)
    required = asked in ("RequireAndVerifyClientCert", "RequireAnyClientCert", "RequireClientCert")
    if ca and asked in ("", "NoClientCert"):
        raise ValueError("tls_server_config.client_auth_type: expected one that asks for a certificate, with client_ca")
    if asked in ("RequireAnyClientCert", "RequireClientCert") and not ca:
        raise ValueError(
            f"tls_server_config.client_auth_type: {asked} takes a certificate from anybody; "
            "give client_ca_file, and certificates are verified"
        )
    if tls.client_allowed_sans and not required:
        raise ValueError("tls_server_config.client_allowed_sans: needs client_auth_type RequireAndVerifyClientCert")
    if required:
        context.verify_mode = ssl.CERT_REQUIRED
    elif asked == "VerifyClientCertIfGiven":
        context.verify_mode = ssl.CERT_OPTIONAL
    if tls.client_ca:
        context.load_verify_locations(cadata=tls.client_ca)
    elif tls.client_ca_file:
        try:
            context.load_verify_locations(_beside(path, tls.client_ca_file))
        except ssl.SSLError as error:
            raise ValueError(f"tls_server_config.client_ca_file {tls.client_ca_file}: {error.reason}") from None
    elif context.verify_mode is not ssl.CERT_NONE:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)


def _beside(path: Path, name: str) -> Path:
    """A path relative to the web configuration's directory."""
    return path.parent / Path(name)


@contextlib.contextmanager
def _as_file(text: str, file: Path) -> Iterator[Path]:
    """``file``, or an in-memory file with ``text``: OpenSSL's call accepts only files."""
    if not text:
        yield file
        return
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, text.encode())
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _stamps(files: tuple[Path, ...]) -> list[tuple[int, int, int] | None]:
    """Stamps that change when a file does."""
    found: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            there = file.stat()
            found.append((there.st_mtime_ns, there.st_ino, there.st_size))
        except OSError:
            found.append(None)
    return found
