"""A real daemon in a process of its own, on free ports, with its own state directory."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec

from tests.conftest import free_port
from wattview.analysis.attribution.idle import IdleModel
from wattview.model import ExporterHealth, Snapshot

START_SECONDS = 30.0


class DaemonProcess:
    """``python -m wattview daemon`` with the given settings. ``api`` speaks to its control socket.

    Without ``own_settings`` its paths and ports are said by a file that ``command`` names.
    """

    def __init__(
        self,
        directory: Path,
        sets: tuple[str, ...],
        command: tuple[str, ...] = ("daemon",),
        *,
        own_settings: bool = True,
        program: tuple[str, ...] = ("-m", "wattview"),
    ) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.socket = directory / "control" / "wattview.sock"
        self.log_path = directory / "daemon.log"
        ports = [f"endpoints.{name}.port=0" for name in ("rapl", "docker", "node", "containers", "nginx_rtmp",
                 "results", "qoe", "cost", "gpu", "health")]  # fmt: skip
        settings = [f"paths.state={self.state}", f"daemon.control_socket={self.socket}", *ports] if own_settings else []
        # The media server of whoever else works on this machine must not be taken for this daemon's.
        settings += [f"streams.{name}={url}" for name, url in _media_urls().items()]
        settings += sets
        self.arguments = [part for text in settings for part in ("--set", text)]
        environ = {"PATH": os.environ["PATH"], "HOME": str(directory)}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program, *command, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
            )
        self.api = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.socket)), base_url="http://wattview", timeout=30, trust_env=False
        )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}:\n{self.log}"
            with contextlib.suppress(httpx.HTTPError):
                if self.socket.exists() and self.api.get("/api/v1/runs").status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the daemon was not ready within {START_SECONDS} s:\n{self.log}")

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def exporters(self) -> dict[str, ExporterHealth]:
        answer = self.api.get("/api/v1/exporters")
        return {one.exporter: one for one in msgspec.json.decode(answer.content, type=list[ExporterHealth])}

    def snapshot(self) -> Snapshot:
        return msgspec.json.decode(self.api.get("/api/v1/snapshot").content, type=Snapshot)

    def metrics(self, exporter: str) -> str:
        """What one exporter answers now."""
        answer = httpx.get(f"{self.exporters()[exporter].url}/metrics", timeout=30, trust_env=False)
        assert answer.status_code == 200
        return answer.text

    def children(self) -> set[int]:
        """The pids of everything that descends from the daemon now."""
        return descendants(self.process.pid)

    def stop(self, number: signal.Signals = signal.SIGTERM, patience_seconds: float = 20.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.api.close()
        try:
            return self.process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the daemon did not end within {patience_seconds} s:\n{self.log}") from None


@contextlib.contextmanager
def running_daemon(
    directory: Path,
    *sets: str,
    command: tuple[str, ...] = ("daemon",),
    program: tuple[str, ...] = ("-m", "wattview"),
) -> Iterator[DaemonProcess]:
    daemon = DaemonProcess(directory, sets, command, program=program)
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.stop()


def _media_urls() -> dict[str, str]:
    return {
        "nginx_rtmp_url": f"http://127.0.0.1:{free_port()}/stat",
        "rtmp_url": f"rtmp://127.0.0.1:{free_port()}/live",
    }


_seen: dict[int, str] = {}
"""When each process that ``descendants`` has seen started: a number is another process's before long."""


def descendants(pid: int) -> set[int]:
    """Every living process below ``pid``."""
    found: set[int] = set()
    todo = [pid]
    while todo:
        for task in Path(f"/proc/{todo.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                for child in map(int, task.read_text().split()):
                    if child not in found:
                        found.add(child)
                        todo.append(child)
                        with contextlib.suppress(OSError):
                            _seen[child] = _stat(child)[19]
    return found


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not), and not another that has its number now."""
    try:
        fields = _stat(pid)
    except OSError:
        return False
    return fields[0] not in ("Z", "X") and _seen.get(pid, fields[19]) == fields[19]


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/<pid>/stat`` from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def wait_gone(pids: set[int], patience_seconds: float = 10.0) -> set[int]:
    """Those of ``pids`` that still run after at most ``patience_seconds``."""
    deadline = time.monotonic() + patience_seconds
    while (left := {pid for pid in pids if alive(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def knows_idle(state: Path, watts: float) -> None:
    """What a daemon that ran here before would have left: the truth, so that a busy machine does not spoil the test."""
    state.mkdir(parents=True)
    model = IdleModel().add_baseline(time.time(), 0.0, watts)
    (state / "idle.json").write_bytes(msgspec.json.encode({"rapl intel-rapl:0 intel-rapl:0:1": model}))
