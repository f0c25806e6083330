"""What a newcomer does: ``make up`` in a real terminal, a key or two, a measured stream, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.support.daemon import alive, descendants, wait_gone
from wattview.config import EndpointsSettings

ROOT = Path(__file__).resolve().parent.parent


class Terminal:
    """A real terminal (tmux, on a socket of its own) that runs one command and is looked at as text."""

    def __init__(self, directory: Path, command: str, size: tuple[int, int]) -> None:
        tmux = shutil.which("tmux")
        assert tmux, "tmux is not installed; run: make test"
        self._tmux = [tmux, "-S", str(directory / "tmux.sock"), "-f", "/dev/null"]
        environ = {"PATH": os.environ["PATH"], "HOME": str(directory), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        width, height = map(str, size)
        start = ["new-session", "-d", "-s", "up", "-x", width, "-y", height, "-c", str(ROOT), command]
        subprocess.run([*self._tmux, *start], check=True, env=environ)
        self.pid = int(self._ask("display-message", "-p", "-t", "up", "#{pane_pid}"))

    def _ask(self, *arguments: str) -> str:
        return subprocess.run([*self._tmux, *arguments], check=True, capture_output=True, text=True).stdout

    def press(self, *keys: str) -> None:
        self._ask("send-keys", "-t", "up", *keys)

    def screen(self) -> str:
        return self._ask("capture-pane", "-p", "-t", "up")

    def wait(self, true: Callable[[str], bool], what: str, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while not true(screen := self.screen()):
            assert time.monotonic() < deadline, f"{what} did not come within {seconds} s:\n{screen}"
            time.sleep(0.25)
        return screen

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    ports = [f"--set endpoints.{name}.port=0" for name in EndpointsSettings.__struct_fields__]
    media = [
        f"--set streams.nginx_rtmp_url=http://127.0.0.1:{free_port()}/stat",
        f"--set streams.rtmp_url=rtmp://127.0.0.1:{free_port()}/live",
        "--set scenarios.quality_seconds=2",
    ]
    opened = Terminal(tmp_path, f"make up ARGS='{' '.join([*ports, *media])}'; sleep 600", (120, 40))
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_make_up_opens_a_dashboard_measures_a_stream_and_leaves_nothing(terminal: Terminal, tmp_path: Path) -> None:
    terminal.wait(lambda screen: "Power now" in screen and " W" in screen, "the dashboard", 180)
    everything = descendants(terminal.pid)
    terminal.press("n")
    terminal.wait(lambda screen: "1 stream 720p 2.5 Mbit/s" in screen, "the launch dialog", 10)
    terminal.press("Down")
    terminal.wait(lambda screen: "15 s" in screen, "the quick preset", 10)
    terminal.press("Enter")
    terminal.wait(lambda screen: "measuring" in screen, "the measured window", 60)
    terminal.wait(lambda screen: "1280x720" in screen, "the stream with its picture size", 60)
    everything |= descendants(terminal.pid)
    results = tmp_path / ".local/state/wattview/results"
    terminal.wait(lambda _: _has_quality(results), "a results file with its quality", 150)
    runs = tmp_path / ".local/state/wattview/runs"
    terminal.wait(lambda _: _has_ended(runs), "the end of the run", 60)
    terminal.press("7")
    row = terminal.wait(lambda screen: "VMAF" in screen and "baseline" in screen, "the results", 20)
    assert "720p" in row
    time.sleep(2.0)  # the dashboard learns each second what runs, and asks before it ends a run
    terminal.press("q")
    terminal.wait(lambda screen: "Power now" not in screen and "VMAF" not in screen, "the end of the dashboard", 30)
    ours = {pid for pid in everything if alive(pid) and _name(pid) not in ("sh", "bash", "sleep", "make")}
    assert wait_gone(ours, 30.0) == set(), [(pid, _name(pid)) for pid in ours if alive(pid)]


def _has_quality(results: Path) -> bool:
    for file in results.glob("test_results_*.json"):
        scenarios = json.loads(file.read_text())["scenarios"]
        return len(scenarios) == 2 and scenarios[1]["vmaf_score"] is not None
    return False


def _has_ended(runs: Path) -> bool:
    return [json.loads(file.read_text())["state"] for file in runs.glob("*/run.json")] == ["done"]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
