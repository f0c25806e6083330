"""What systemd hears of the daemon: the same datagrams, read here in systemd's place."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wattview.config import EndpointsSettings
from wattview.daemon.sd_notify import Supervisor, writes_to_the_journal


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(20)

    def heard(self) -> dict[str, str]:
        """The next message."""
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())

    def next(self, name: str) -> dict[str, str]:
        """The next message that says ``name``; signs of life before it are passed over."""
        while name not in (message := self.heard()):
            assert set(message) == {"WATCHDOG"}, f"{message} before {name}"
        return message

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    with tempfile.TemporaryDirectory(prefix="wv-") as directory:
        listener = Systemd(f"{directory}/notify")
        yield listener
        listener.close()


def daemon(tmp_path: Path, systemd: Systemd, **environ: str) -> subprocess.Popen[bytes]:
    settings = tmp_path / "wattview.toml"
    settings.write_text(
        f'[paths]\nstate = "{tmp_path}/state"\n[daemon]\ncontrol_socket = "{tmp_path}/wv.sock"\n[endpoints]\n'
        + "".join(f"{name} = {{port = 0}}\n" for name in EndpointsSettings.__struct_fields__)
    )
    return subprocess.Popen(
        [sys.executable, "-m", "wattview", "daemon", "--config", str(settings)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NOTIFY_SOCKET": systemd.address, **environ},
        stdin=subprocess.DEVNULL,
        stderr=(tmp_path / "log").open("wb"),
    )


def test_systemd_hears_that_the_daemon_is_ready_lives_takes_settings_and_stops(
    tmp_path: Path, systemd: Systemd
) -> None:
    process = daemon(tmp_path, systemd, WATCHDOG_USEC="200000")
    try:
        assert systemd.next("READY")["READY"] == "1"
        assert (tmp_path / "wv.sock").is_socket(), "ready before it can be used"
        began = time.monotonic()
        for _ in range(4):
            systemd.next("WATCHDOG")
        assert time.monotonic() - began < 4 * 0.2, "systemd would have killed it"

        process.send_signal(signal.SIGHUP)
        assert int(systemd.next("RELOADING")["MONOTONIC_USEC"]) > 0
        assert systemd.next("READY")["STATUS"] == ""

        (tmp_path / "wattview.toml").write_text("[power]\nsample_hz = 0\n")
        process.send_signal(signal.SIGHUP)
        systemd.next("RELOADING")
        assert "power.sample_hz" in systemd.next("READY")["STATUS"], "wrong settings, and it goes on with those it has"

        process.terminate()
        assert systemd.next("STOPPING")["STOPPING"] == "1"
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_a_watchdog_that_is_meant_for_the_parent_is_not_answered() -> None:
    ours = {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}
    assert Supervisor(ours).watchdog_seconds == 1.0
    assert Supervisor({**ours, "WATCHDOG_PID": str(os.getppid())}).watchdog_seconds is None


@pytest.mark.parametrize("text", ["", "0", "-5", "soon"])
def test_an_invalid_watchdog_time_disables_the_watchdog(text: str) -> None:
    assert Supervisor({"WATCHDOG_USEC": text}).watchdog_seconds is None


def test_an_abstract_socket_is_reached() -> None:
    listener = Systemd(f"@wattview-test-{os.getpid()}")
    Supervisor({"NOTIFY_SOCKET": listener.address}).ready("up")
    assert listener.heard() == {"READY": "1", "STATUS": "up"}
    listener.close()


@pytest.mark.parametrize("address", ["", "/nowhere/notify"])
def test_without_a_listener_nothing_is_sent(address: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": address} if address else {})
    supervisor.ready()
    supervisor.stopping()
    assert supervisor.watchdog_seconds is None


def test_the_journal_is_known_by_the_file_that_it_names_and_not_by_a_parent_s_variable(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        there = os.fstat(log.fileno())
        assert writes_to_the_journal(log.fileno(), {"JOURNAL_STREAM": f"{there.st_dev}:{there.st_ino}"})
        assert not writes_to_the_journal(log.fileno(), {"JOURNAL_STREAM": f"{there.st_dev}:{there.st_ino + 1}"})
        assert not writes_to_the_journal(log.fileno(), {})
