"""TLS and passwords by exporter-toolkit's web configuration file: what it says, and who gets in."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import httpx
import pytest

from tests.support.certificates import Authority, authority
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.prometheus import program, prometheus
from wattview.daemon.http import web_config
from wattview.daemon.http.guard import Passwords
from wattview.daemon.http.web_config import WebConfigError, WebConfigFile

PASSWORD = "swordfish"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4, b"2a")).decode().replace("$2a$", "$2y$")
TOKEN = "correct-horse-battery-staple"
AUTH = ("prometheus", PASSWORD)


def write(directory: Path, text: str, name: str = "web.yml") -> Path:
    path = directory / name
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Authority]:
    directory = tmp_path_factory.mktemp("certificates")
    return directory, authority(directory)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, certificates: tuple[Path, Authority]) -> Iterator[DaemonProcess]:
    directory = tmp_path_factory.mktemp("web")
    for name in ("server.pem", "server.key"):
        shutil.copy(certificates[0] / name, directory / name)
    file = write(
        directory,
        "tls_server_config: {cert_file: server.pem, key_file: server.key, min_version: TLS12}\n"
        "http_server_config: {http2: true, headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=60}}\n"
        f"basic_auth_users: {{prometheus: {HASH}}}\n",
    )
    token = directory / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    with running_daemon(
        directory, f"daemon.web_config_file={file}", f"daemon.token_file={token}", "daemon.control_listen=127.0.0.1:0",
        f"docker.host=unix://{directory}/no-docker.sock",
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
def node(daemon: DaemonProcess) -> str:
    return daemon.exporters()["node-exporter"].url


@pytest.fixture
def control(daemon: DaemonProcess) -> str:
    port = next(line for line in daemon.log.splitlines() if "control API on" in line).rpartition(":")[2]
    return f"https://127.0.0.1:{port}"


@pytest.fixture
def client(certificates: tuple[Path, Authority]) -> Iterator[httpx.Client]:
    with httpx.Client(verify=ssl.create_default_context(cafile=certificates[1].ca_file), trust_env=False) as one:
        yield one


def test_exporters_require_tls_and_the_password(node: str, client: httpx.Client) -> None:
    assert node.startswith("https://")
    for wrong in (None, ("prometheus", "wrong"), ("nobody", PASSWORD), ("", "")):
        answer = client.get(f"{node}/metrics", auth=wrong)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Basic"
        assert "node_" not in answer.text
    good = client.get(f"{node}/metrics", auth=AUTH)
    assert good.status_code == 200
    assert "node_cpu_seconds_total" in good.text
    assert good.headers["x-frame-options"] == "deny"
    with pytest.raises(httpx.HTTPError):
        httpx.get(node.replace("https", "http"), trust_env=False)


def test_the_control_port_takes_the_token_or_a_password(control: str, client: httpx.Client) -> None:
    assert client.get(f"{control}/api/v1/runs").status_code == 401
    assert client.get(f"{control}/api/v1/runs", auth=AUTH).status_code == 200
    assert client.get(f"{control}/api/v1/runs", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_pages_of_other_sites_and_other_names_do_not_reach_the_control_port(control: str, client: httpx.Client) -> None:
    def asked(**headers: str) -> int:
        return client.post(f"{control}/api/v1/plan", json={"scenarios": []}, auth=AUTH, headers=headers).status_code

    own = control.removeprefix("https://")
    assert asked() == asked(Origin=control) == asked(Host=own.replace("127.0.0.1", "localhost")) == 422
    assert asked(Origin="https://evil.example") == 403
    assert asked(Origin="null") == 403
    assert asked(Host="evil.example") == 421
    assert asked(Host="evil.example", Origin="https://evil.example") == 421


def test_the_daemons_own_checks_need_no_password(daemon: DaemonProcess, node: str, client: httpx.Client) -> None:
    assert {name: one.healthy for name, one in daemon.exporters().items()} == dict.fromkeys(daemon.exporters(), True)
    command = [sys.executable, "-m", "wattview", "check", "--json", *daemon.arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert all(one["healthy"] for one in json.loads(result.stdout))


def test_service_discovery_says_that_tls_is_spoken(daemon: DaemonProcess, client: httpx.Client) -> None:
    health = daemon.exporters()["exporter-health-checker"].url
    groups = client.get(f"{health}/discovery", auth=AUTH).json()
    assert {group["labels"]["__scheme__"] for group in groups} == {"https"}


def test_curl_gets_in_as_curl_does(node: str, certificates: tuple[Path, Authority]) -> None:
    command = ["curl", "--silent", "--show-error", "--fail", "--cacert", str(certificates[1].ca_file)]
    good = _run(*command, "-u", ":".join(AUTH), f"{node}/metrics")
    assert good.returncode == 0, good.stderr
    checked = _run(program("promtool"), "check", "metrics", text=good.stdout)
    said = (checked.stdout + checked.stderr).splitlines()
    assert [line for line in said if line.startswith(("wattview_", "error"))] == []
    assert _run(*command, f"{node}/metrics").returncode == 22
    assert _run("curl", "--silent", f"{node}/metrics").returncode == 60


def _run(*command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@pytest.mark.slow
async def test_a_real_prometheus_scrapes_over_tls_with_its_password(
    daemon: DaemonProcess, certificates: tuple[Path, Authority], tmp_path: Path
) -> None:
    targets = [one.url.removeprefix("https://") for one in daemon.exporters().values()]
    more = (
        f"  scheme: https\n  tls_config: {{ca_file: {certificates[1].ca_file}}}\n"
        f"  basic_auth: {{username: prometheus, password: {PASSWORD}}}\n"
    )
    async with prometheus(tmp_path, targets, "500ms", more=more) as url, httpx.AsyncClient(trust_env=False) as http:
        async with asyncio.timeout(60):
            while True:
                found = (await http.get(f"{url}/api/v1/targets")).json()["data"]["activeTargets"]
                if [one["health"] for one in found] == ["up"] * len(targets):
                    break
                await asyncio.sleep(0.2)
        assert [one["lastError"] for one in found] == [""] * len(targets)


def test_a_valid_new_certificate_or_password_applies_at_once_and_an_invalid_one_is_rejected(
    certificates: tuple[Path, Authority], tmp_path: Path
) -> None:
    for name in ("server.pem", "server.key"):
        shutil.copy(certificates[0] / name, tmp_path / name)
    text = "tls_server_config: {cert_file: server.pem, key_file: server.key}\nbasic_auth_users: {prometheus: %s}\n"
    file = write(tmp_path, text % HASH)
    with running_daemon(tmp_path, f"daemon.web_config_file={file}") as daemon:
        url = daemon.exporters()["cost-exporter"].url

        def status(ca: Path, password: str = PASSWORD) -> int:
            verify = ssl.create_default_context(cafile=ca)
            return httpx.get(
                f"{url}/metrics", verify=verify, auth=("prometheus", password), trust_env=False
            ).status_code

        assert status(certificates[1].ca_file) == 200
        (tmp_path / "new").mkdir()
        renewed = authority(tmp_path / "new")
        (tmp_path / "server.key").write_text("half writ")
        assert status(certificates[1].ca_file) == 200, "a renewal that is going on takes nothing away"
        for name in ("server.key", "server.pem"):
            shutil.copy(tmp_path / "new" / name, tmp_path / name)
        assert status(renewed.ca_file) == 200
        with pytest.raises(httpx.ConnectError):
            status(certificates[1].ca_file)
        file.write_text(text % bcrypt.hashpw(b"another", bcrypt.gensalt(4)).decode())
        assert status(renewed.ca_file) == 401
        assert status(renewed.ca_file, "another") == 200
        file.write_text("tls_server_config: [")
        assert status(renewed.ca_file, "another") == 200
        assert "stays" in daemon.log
        assert "Traceback" not in daemon.log


async def test_client_certificates_are_requested_verified_and_checked(
    certificates: tuple[Path, Authority], tmp_path: Path
) -> None:
    directory, known = certificates
    tls = (
        f"tls_server_config: {{cert_file: {directory}/server.pem, key_file: {directory}/server.key, "
        f"client_auth_type: RequireAndVerifyClientCert, client_ca_file: {known.ca_file}"
    )
    strict = write(tmp_path, tls + ", client_allowed_sans: [encoder.example]}\n", "strict.yml")
    file = write(tmp_path, tls + ", client_allowed_sans: [localhost]}\n")

    def asked(url: str, certified: bool) -> int:
        context = ssl.create_default_context(cafile=known.ca_file)
        if certified:
            context.load_cert_chain(directory / "server.pem", directory / "server.key")
        with httpx.Client(verify=context, trust_env=False) as client:
            return client.get(f"{url}/metrics").status_code

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with running_daemon(tmp_path / "one", f"daemon.web_config_file={file}") as daemon:
        url = daemon.exporters()["cost-exporter"].url
        assert asked(url, True) == 200
        with pytest.raises(httpx.HTTPError):
            asked(url, False)
        assert all(one.healthy for one in daemon.exporters().values())
    with running_daemon(tmp_path / "two", f"daemon.web_config_file={strict}") as daemon:
        with pytest.raises(httpx.HTTPError):
            asked(daemon.exporters()["cost-exporter"].url, True)
        assert "Traceback" not in daemon.log


def test_tls_is_switched_on_by_a_sighup(certificates: tuple[Path, Authority], tmp_path: Path) -> None:
    file = write(
        tmp_path,
        f"tls_server_config: {{cert_file: {certificates[0]}/server.pem, key_file: {certificates[0]}/server.key}}",
    )
    settings = tmp_path / "wattview.toml"
    settings.write_text("")
    with running_daemon(tmp_path, command=("daemon", "--config", str(settings))) as daemon:
        url = daemon.exporters()["cost-exporter"].url
        with httpx.Client(trust_env=False) as plain:
            assert plain.get(url).status_code == 200
            settings.write_text(f"[daemon]\nweb_config_file = '{file}'\n")
            daemon.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 20
            while daemon.log.count("ready: control socket") < 2:
                assert time.monotonic() < deadline, daemon.log
                time.sleep(0.05)
            with pytest.raises(httpx.HTTPError):
                plain.get(url)
        verify = ssl.create_default_context(cafile=certificates[1].ca_file)
        assert httpx.get(url.replace("http:", "https:"), verify=verify, trust_env=False).status_code == 200
        assert daemon.exporters()["cost-exporter"].url == url.replace("http:", "https:")


# What the file says.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tls_server_config: [", "web.yml"),
        ("nonsense: 1", "nonsense"),
        ("tls_server_config: {nonsense: 1}", "nonsense"),
        ("tls_server_config: {cert_file: server.pem}", "expected one of key and key_file"),
        ("tls_server_config: {key_file: server.key}", "expected one of cert and cert_file"),
        ("tls_server_config: {cert_file: none.pem, key_file: server.key}", "none.pem: No such file"),
        ("tls_server_config: {cert_file: server.pem, key_file: none.key}", "none.key: No such file"),
        ("tls_server_config: {cert_file: server.key, key_file: server.pem}", "not a certificate and its key"),
        ("tls_server_config: {cert_file: ca.pem, key_file: server.key}", "not a certificate and its key"),
        ("tls_server_config: {cert_file: server.pem, key_file: secret.key}", "the key is encrypted"),
        ("tls_server_config: {cert_file: server.pem, key_file: server.key, min_version: TLS14}", "min_version"),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, min_version: TLS13, max_version: TLS12}",
            "above max_version",
        ),
        ("tls_server_config: {cert_file: server.pem, key_file: server.key, cipher_suites: [TLS_OLD]}", "TLS_OLD"),
        ("tls_server_config: {cert_file: server.pem, key_file: server.key, curve_preferences: [P0]}", "P0"),
        ("tls_server_config: {cert_file: server.pem, key_file: server.key, client_auth_type: Maybe}", "Maybe"),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem}",
            "client_auth_type",
        ),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, client_allowed_sans: [a]}",
            "client_allowed_sans",
        ),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, client_auth_type: RequireAnyClientCert}",
            "takes a certificate from anybody",
        ),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: server.key, "
            "client_auth_type: RequireAndVerifyClientCert}",
            "client_ca_file server.key",
        ),
        ("basic_auth_users: {alice: secret}", "basic_auth_users.alice: expected a bcrypt hash"),
        ("http_server_config: {headers: {X-Mine: 1}}", "X-Mine"),
        ("http_server_config: {headers: {X-Frame-Options: allow}}", "deny or sameorigin"),
        ("rate_limit: {interval: soon, burst: 1}", "soon"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_what_is_wrong(
    certificates: tuple[Path, Authority], tmp_path: Path, text: str, said: str
) -> None:
    for name in ("server.pem", "server.key", "ca.pem"):
        shutil.copy(certificates[0] / name, tmp_path / name)
    subprocess.run(
        ["openssl", "ec", "-in", "server.key", "-aes256", "-passout", "pass:x", "-out", "secret.key"],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
    with pytest.raises(WebConfigError) as caught:
        web_config.read(write(tmp_path, text))
    assert said in str(caught.value)
    assert "daemon.web_config_file" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_file_ends_the_start_with_status_2(tmp_path: Path) -> None:
    for name, text in (("web.yml", "basic_auth_users: {alice: secret}"), ("gone.yml", None)):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        daemon = DaemonProcess(tmp_path, (f"daemon.web_config_file={path}",))
        assert daemon.process.wait(20) == 2
        daemon.api.close()
        assert str(path) in daemon.log
        assert "Traceback" not in daemon.log


def test_the_example_of_exporter_toolkit_is_read_as_it_is(certificates: tuple[Path, Authority], tmp_path: Path) -> None:
    for name, as_name in (("server.pem", "server.crt"), ("server.key", "server.key")):
        shutil.copy(certificates[0] / name, tmp_path / as_name)
    read = web_config.read(
        write(
            tmp_path,
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
            "basic_auth_users:\n  alice: $2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze\n"
            "  bob: $2y$10$hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m\n"
            'rate_limit:\n  interval: "1s"\n  burst: 20\n',
        )
    )
    assert read.tls is not None
    assert read.tls.minimum_version == ssl.TLSVersion.TLSv1_2
    assert set(read.users) == {"alice", "bob"}
    assert (read.rate_interval_seconds, read.rate_burst) == (1.0, 20)


def test_certificates_may_be_inline_and_cipher_suites_use_go_names(
    certificates: tuple[Path, Authority], tmp_path: Path
) -> None:
    directory, _ = certificates
    document = {
        "tls_server_config": {
            "cert": (directory / "server.pem").read_text(), "key": (directory / "server.key").read_text(),
            "max_version": "TLS12", "cipher_suites": ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
            "curve_preferences": ["CurveP256"],
        }
    }  # fmt: skip
    read = web_config.read(write(tmp_path, json.dumps(document)))
    assert read.tls is not None
    names = [cipher["name"] for cipher in read.tls.get_ciphers() if cipher["protocol"] == "TLSv1.2"]
    assert names == ["ECDHE-ECDSA-AES256-GCM-SHA384"]


def test_an_empty_web_configuration_requires_nothing(tmp_path: Path) -> None:
    file = WebConfigFile(write(tmp_path, "basic_auth_users:\n# nobody\n"))
    assert file.current().tls is None
    assert file.current().users == {}


# Passwords.


def basic(user: str, password: str | bytes) -> bytes:
    given = password.encode() if isinstance(password, str) else password
    return b"Basic " + base64.b64encode(user.encode() + b":" + given)


async def test_a_correct_password_runs_bcrypt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    really = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        asked.append(hashed)
        return really(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    passwords = Passwords()
    users = {"alice": HASH}
    for _ in range(5):
        assert await passwords.right(basic("alice", PASSWORD), users)
    assert len(asked) == 1
    assert not await passwords.right(basic("alice", "wrong"), users)
    assert not await passwords.right(basic("nobody", PASSWORD), users)
    assert len(asked) == 3, "an unknown user costs as much as a known one"
    changed = {"alice": bcrypt.hashpw(b"new", bcrypt.gensalt(4)).decode()}
    assert not await passwords.right(basic("alice", PASSWORD), changed)


async def test_bcrypt_does_not_block_the_event_loop() -> None:
    passwords = Passwords()
    slow = {"alice": bcrypt.hashpw(b"x", bcrypt.gensalt(10)).decode()}
    task = asyncio.create_task(passwords.right(basic("alice", "wrong"), slow))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert not task.result()
    assert turns > 100


@pytest.mark.parametrize(
    "given",
    [b"", b"Basic", b"Basic ", b"Basic !!!", b"Basic " + base64.b64encode(b"alice"), b"Bearer x", b"Basic \xff",
     basic("alice", b"\xff\xfe"), basic("alice", "a" * 10_000), basic("alice", b"\0"), basic("", "")],
)  # fmt: skip
async def test_a_malformed_password_is_refused(given: bytes) -> None:
    assert not await Passwords().right(given, {"alice": HASH})


async def test_of_a_long_password_72_bytes_count_as_everywhere() -> None:
    long = b"p" * 100
    users = {"alice": bcrypt.hashpw(long[:72], bcrypt.gensalt(4)).decode()}
    assert await Passwords().right(basic("alice", long), users)


def test_a_peer_without_tls_gets_nothing_and_affects_no_other(node: str, daemon: DaemonProcess) -> None:
    port = int(node.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
        plain.settimeout(15)
        with contextlib.suppress(ConnectionError):
            assert b"node_" not in plain.recv(65536)
    assert "Traceback" not in daemon.log
