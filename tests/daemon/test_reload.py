"""SIGHUP: new settings are taken whole or not at all, and no scrape is refused meanwhile."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import free_port
from tests.support.daemon import DaemonProcess, running_daemon
from wattview.config import EndpointsSettings

TOKEN = "correct-horse-battery-staple"
NOT_HERE = "192.0.2.1"
"""An address of the documentation (RFC 5737), which no machine has."""


class Settings:
    """A daemon's file: what stands in it, and how a change of it is taken."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "wattview.toml"
        self.token = directory / "token"
        self.token.write_text(TOKEN)
        self.token.chmod(0o600)
        self.port = free_port()
        self.write()

    def write(self, more: str = "", daemon: str = "", listen: str = "", token: Path | None = None) -> None:
        """``more`` stands before the table ``[daemon]``, ``daemon`` in it."""
        listen = listen or f"127.0.0.1:{self.port}"
        self.path.write_text(
            f"{more}\n[daemon]\ncontrol_listen = '{listen}'\ntoken_file = '{token or self.token}'\n{daemon}\n"
        )

    def command(self) -> tuple[str, ...]:
        return ("daemon", "--config", str(self.path))


def answers(daemon: DaemonProcess, settings: Settings, token: str = TOKEN) -> bool:
    """Whether everything that could be reached before can be reached."""
    url, headers = f"http://127.0.0.1:{settings.port}", {"Authorization": f"Bearer {token}"}
    remote = httpx.get(f"{url}/api/v1/runs", headers=headers, trust_env=False)
    exporters = daemon.exporters()
    return remote.status_code == 200 and len(exporters) == 10 and all(one.reachable for one in exporters.values())


def hang_up(daemon: DaemonProcess, said: str) -> str:
    """Sends SIGHUP and awaits a new line with these words; gives the new lines."""
    before = len(daemon.log)
    daemon.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while said not in daemon.log[before:]:
        assert time.monotonic() < deadline, daemon.log
        time.sleep(0.02)
    return daemon.log[before:]


@contextlib.contextmanager
def file_daemon(directory: Path, path: Path) -> Iterator[DaemonProcess]:
    """A daemon all of whose settings stand in a file."""
    ports = "".join(f"{name} = {{ port = 0 }}\n" for name in EndpointsSettings.__struct_fields__)
    path.write_text(
        f"[paths]\nstate = '{directory / 'state'}'\n"
        f"[daemon]\ncontrol_socket = '{directory / 'control' / 'wattview.sock'}'\n[endpoints]\n{ports}"
    )
    daemon = DaemonProcess(directory, (), ("daemon", "--config", str(path)), own_settings=False)
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.stop()


def test_unusable_settings_change_nothing_and_give_one_line(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    open_token, short = tmp_path / "open", tmp_path / "short"
    open_token.write_text(TOKEN)
    open_token.chmod(0o640)
    short.write_text("short")
    short.chmod(0o600)
    (tmp_path / "web.yml").write_text("basic_auth_users: {alice: secret}")
    (tmp_path / "a-file").write_text("")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    with socket.socket() as other, running_daemon(tmp_path, command=settings.command()) as daemon:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        pid, urls = daemon.process.pid, {name: one.url for name, one in daemon.exporters().items()}
        tried: list[tuple[Callable[[], None], str]] = [
            (lambda: settings.write(listen=f"127.0.0.1:{taken}"), f"daemon.control_listen: port {taken} is taken"),
            (lambda: settings.write(listen=f"{NOT_HERE}:9700"), f"daemon.control_listen: {NOT_HERE} is not an address"),
            (lambda: settings.write(listen="nonsense"), "daemon.control_listen: expected HOST:PORT"),
            (lambda: settings.write(listen="127.0.0.1:99999"), "daemon.control_listen: expected HOST:PORT"),
            (lambda: settings.write(listen="no.such.host.invalid:9700"), "no.such.host.invalid is not an address"),
            (lambda: settings.write(token=tmp_path / "none"), f"daemon.token_file {tmp_path}/none: No such file"),
            (lambda: settings.write(token=open_token), f"run: chmod 600 {open_token}"),
            (lambda: settings.write(token=short), "at least 16 characters"),
            (lambda: settings.write(daemon=f"listen = '{NOT_HERE}'"), f"daemon.listen: {NOT_HERE} is not an address"),
            (lambda: settings.write(daemon="web_config_file = '/none.yml'"), "/none.yml: No such file"),
            (lambda: settings.write(daemon=f"web_config_file = '{tmp_path}/web.yml'"), "expected a bcrypt hash"),
            (lambda: settings.write(token=fifo), f"{fifo}: not a regular file"),
            (lambda: settings.write(daemon=f"web_config_file = '{fifo}'"), f"{fifo}: not a regular file"),
            (lambda: settings.path.write_text("[daemon"), "not valid TOML"),
            (lambda: settings.path.unlink(), "No such file"),
            (lambda: os.mkfifo(settings.path), "a pipe that nobody writes to"),
        ]  # fmt: skip
        for change, said in tried:
            change()
            lines = hang_up(daemon, said).strip().splitlines()
            assert len(lines) == 1, lines
            assert "were not applied" in lines[0]
            assert answers(daemon, settings)
        assert {name: one.url for name, one in daemon.exporters().items()} == urls
        assert daemon.process.pid == pid
        settings.path.unlink()
        settings.write("[cost]\ncurrency = 'EUR'")
        hang_up(daemon, "ready: control socket")
        assert daemon.snapshot().currency == "EUR"
        assert answers(daemon, settings)


def test_a_reload_that_needs_a_taken_port_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wattview.toml"
    with socket.socket() as other, file_daemon(tmp_path, path) as daemon:
        other.bind(("127.0.0.1", 0))
        other.listen()
        urls = {name: one.url for name, one in daemon.exporters().items()}
        text = path.read_text()
        path.write_text(text.replace("node = { port = 0 }", f"node = {{ port = {other.getsockname()[1]} }}"))
        assert "endpoints.node.port" in hang_up(daemon, "were not applied")
        assert {name: one.url for name, one in daemon.exporters().items()} == urls
        path.write_text(text.replace("node = { port = 0 }", f"node = {{ port = {free_port()} }}"))
        hang_up(daemon, "ready: control socket")
        now = {name: one.url for name, one in daemon.exporters().items()}
        assert {name for name in urls if urls[name] != now[name]} == {"node-exporter"}
        assert all(one.reachable for one in daemon.exporters().values())


def test_another_daemons_state_directory_is_refused_before_anything_stops(tmp_path: Path) -> None:
    path = tmp_path / "wattview.toml"
    (tmp_path / "other").mkdir()
    with running_daemon(tmp_path / "other") as other, file_daemon(tmp_path, path) as daemon:
        url = daemon.exporters()["node-exporter"].url
        text = path.read_text()
        path.write_text(text.replace(str(daemon.state), str(other.state)))
        lines = hang_up(daemon, "were not applied")
        assert f"a daemon already runs with the state directory {other.state}" in lines
        assert "ready:" not in lines
        assert daemon.exporters()["node-exporter"].url == url
        assert daemon.socket.exists()
        path.write_text(text + "[cost]\ncurrency = 'EUR'\n")
        hang_up(daemon, "ready: control socket")
        assert daemon.snapshot().currency == "EUR"
        assert "Traceback" not in daemon.log


def test_a_token_is_read_again_with_unchanged_settings(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    with running_daemon(tmp_path, command=settings.command()) as daemon:
        assert answers(daemon, settings)
        settings.token.write_text("another-horse-another-staple")
        hang_up(daemon, "have not changed")
        assert not answers(daemon, settings)
        assert answers(daemon, settings, "another-horse-another-staple")


def test_an_abandoned_address_is_closed_and_the_new_one_serves(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    with running_daemon(tmp_path, command=settings.command()) as daemon:
        before = settings.port
        settings.port = free_port()
        settings.write()
        hang_up(daemon, "ready: control socket")
        assert answers(daemon, settings)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{before}/api/v1/runs", trust_env=False)
        settings.path.write_text("")
        hang_up(daemon, "ready: control socket")
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{settings.port}/api/v1/runs", trust_env=False)


@pytest.mark.slow
def test_no_scrape_is_refused_or_cut_off_by_reloads(tmp_path: Path) -> None:
    """New connections and kept ones, on every exporter and the control socket, through ten reloads."""
    settings = Settings(tmp_path)
    with running_daemon(tmp_path, command=settings.command()) as daemon:
        urls = [one.url for one in daemon.exporters().values()]
        problems: list[str] = []
        scrapes = [0]
        ended = threading.Event()

        def scrape(url: str, keep: bool) -> None:
            limits = httpx.Limits(max_keepalive_connections=1 if keep else 0)
            client = httpx.Client(trust_env=False, timeout=30, limits=limits)
            while not ended.is_set():
                try:
                    answer = client.get(f"{url}/metrics")
                    if answer.status_code != 200:
                        problems.append(f"{url}: {answer.status_code}")
                except httpx.HTTPError as error:
                    problems.append(f"{url}: {error!r}")
                scrapes[0] += 1
                time.sleep(0.05)
            client.close()

        threads = [threading.Thread(target=scrape, args=(url, keep)) for url in urls for keep in (True, False)]
        for thread in threads:
            thread.start()
        try:
            for number in range(10):
                settings.write(f"[cost]\nenergy_per_kwh = 0.{number + 1}")
                hang_up(daemon, "ready: control socket")
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        assert problems == []
        assert scrapes[0] > 100, "scrapes went on all the time"
        assert "Traceback" not in daemon.log


def test_an_address_of_another_machine_stops_the_start_with_a_reason(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path, (f"daemon.listen={NOT_HERE}",))
    assert daemon.process.wait(20) == 1
    daemon.api.close()
    assert re.search(rf"daemon\.listen: {NOT_HERE} is not an address of this machine; set daemon\.listen", daemon.log)
    assert "Traceback" not in daemon.log


@pytest.mark.parametrize(
    ("mode", "text", "said"), [(0o644, TOKEN, "chmod 600"), (0o600, "short", "at least 16"), (0o600, None, "umask 077")]
)
def test_a_missing_or_open_token_file_stops_the_start_with_its_fix(
    tmp_path: Path, mode: int, text: str | None, said: str
) -> None:
    token = tmp_path / "token"
    if text is not None:
        token.write_text(text)
        token.chmod(mode)
    daemon = DaemonProcess(tmp_path, (f"daemon.token_file={token}", "daemon.control_listen=127.0.0.1:0"))
    assert daemon.process.wait(20) == 1
    daemon.api.close()
    assert str(token) in daemon.log
    assert said in daemon.log
    assert "Traceback" not in daemon.log
