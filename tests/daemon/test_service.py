"""The daemon as a whole: how it starts, that there is one of it, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.support.daemon import DaemonProcess, running_daemon, wait_gone
from wattview.daemon import process_limits, service


def test_sigterm_ends_it_cleanly_and_takes_the_socket_away(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        assert daemon.stop() == 0
        assert not daemon.socket.exists()
        assert "Traceback" not in daemon.log


def test_a_second_daemon_with_the_same_socket_says_so_and_ends(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        second = subprocess.run(
            [sys.executable, "-m", "wattview", "daemon", *daemon.arguments], capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert "a daemon already runs" in second.stderr
        assert daemon.api.get("/api/v1/runs").status_code == 200, "the first one must not be disturbed"


def test_a_daemon_starts_although_a_killed_one_has_left_its_socket(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        daemon.stop(signal.SIGKILL)
        assert daemon.socket.exists()
    with running_daemon(tmp_path) as again:
        assert again.api.get("/api/v1/runs").status_code == 200


def test_a_file_in_place_of_the_socket_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    obstacle = tmp_path / "control" / "wattview.sock"
    obstacle.write_text("precious")
    daemon = DaemonProcess(tmp_path, ())
    assert daemon.process.wait(20) == 1
    daemon.api.close()
    assert obstacle.read_text() == "precious"
    assert "is not a socket" in daemon.log
    assert "Traceback" not in daemon.log


def test_sighup_takes_new_settings_and_keeps_the_old_ones_when_they_are_wrong(tmp_path: Path) -> None:
    file = tmp_path / "wattview.toml"
    file.write_text("[cost]\ncurrency = 'USD'\n")
    with running_daemon(tmp_path, command=("daemon", "--config", str(file))) as daemon:
        assert daemon.snapshot().currency == "USD"
        file.write_text("[cost]\ncurrency = 5.5.5\n")
        daemon.process.send_signal(signal.SIGHUP)
        _await_log(daemon, "the settings are invalid and were not applied")
        assert daemon.snapshot().currency == "USD"
        file.write_text("[cost]\ncurrency = 'EUR'\n")
        daemon.process.send_signal(signal.SIGHUP)
        _await_log(daemon, "restarting with the new settings")
        daemon.wait_ready()
        assert daemon.snapshot().currency == "EUR"


@pytest.mark.parametrize(
    ("setting", "said"),
    [("power.sample_hz=fast", "power.sample_hz: expected float"), ("nonsense=1", "nonsense: no such setting")],
)
def test_a_wrong_setting_is_one_line_and_status_2(tmp_path: Path, setting: str, said: str) -> None:
    daemon = DaemonProcess(tmp_path, (setting,))
    assert daemon.process.wait(20) == 2
    daemon.api.close()
    assert said in daemon.log
    assert "Traceback" not in daemon.log


def test_a_state_directory_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    daemon = DaemonProcess(tmp_path, ())
    assert daemon.process.wait(20) == 1
    daemon.api.close()
    assert str(tmp_path / "state") in daemon.log
    assert "Traceback" not in daemon.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_daemon_that_ends_in_the_middle_of_a_run_leaves_no_child_and_no_half_written_file(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running_daemon(tmp_path, command=("up", "--headless")) as daemon:
        scenario = {"name": "left alone", "resolution": "320x180", "bitrate": "300k", "duration": 60, "warmup": 0,
                    "preset": "ultrafast"}  # fmt: skip
        answer = daemon.api.post("/api/v1/runs", json={"scenarios": [scenario]})
        assert answer.status_code == 201
        _await(lambda: _names(daemon) >= {"ffmpeg", "nginx"}, daemon)
        children = daemon.children()
        daemon.stop(number)
        assert wait_gone(children) == set()
        for file in (tmp_path / "state").rglob("*.json"):
            assert file.read_text().rstrip().endswith("}"), f"{file} is half-written"
        assert list((tmp_path / "state").rglob("*.tmp*")) == []


def _names(daemon: DaemonProcess) -> set[str]:
    names = set()
    for pid in daemon.children():
        try:
            names.add(Path(f"/proc/{pid}/comm").read_text().strip())
        except OSError:
            continue
    return names


def _await(condition: object, daemon: DaemonProcess, patience_seconds: float = 20.0) -> None:
    deadline = time.monotonic() + patience_seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, daemon.log
        time.sleep(0.05)


def _await_log(daemon: DaemonProcess, text: str) -> None:
    _await(lambda: text in daemon.log, daemon)


def test_a_reload_during_the_start_does_not_end_it(tmp_path: Path) -> None:
    """The kernel would end a process that does not say what SIGHUP is to do."""
    daemon = DaemonProcess(tmp_path, ())
    status = Path(f"/proc/{daemon.process.pid}/status")

    def says(what: str) -> bool:
        [mask] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith(what)]
        return bool(int(mask, 16) & 1 << signal.SIGHUP - 1)

    try:
        while not says("SigIgn"):
            assert not says("SigCgt"), "it is ignored before the daemon's modules are imported"
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_ready()
    finally:
        assert daemon.stop() == 0


def test_a_limit_of_open_files_that_is_too_low_is_one_line(tmp_path: Path) -> None:
    started = subprocess.run(
        ["sh", "-c", 'ulimit -n 32; exec "$@"', "sh", sys.executable, "-m", "wattview", "daemon",
         "--set", f"paths.state={tmp_path}"],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert started.returncode == 1
    assert started.stderr == "Error: this process may open only 32 files; raise ulimit -n to 64 or more\n"


def no_thread(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_work_in_threads_needs_no_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = process_limits.workers()
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pool:
        assert [one.result(10) for one in [pool.submit(abs, -number) for number in range(50)]] == list(range(50))


def test_too_few_threads_end_the_start_with_their_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(process_limits.LimitTooLow, match="can't start new thread; raise ulimit -u"):
        process_limits.workers()


BUSY = """
import sys, threading
from wattview.cli.commands import main
from wattview.daemon import service

def parse():
    while True:
        pass

service.SWITCH_SECONDS = float(sys.argv.pop(1))
threading.Thread(target=parse, daemon=True).start()
main()
"""
"""A daemon with a thread that parses without end, as one does whose peer sends without end."""


@pytest.mark.slow
def test_a_thread_that_parses_holds_up_answers_less_than_with_pythons_own_setting(tmp_path: Path) -> None:
    def slowest(switch_seconds: float) -> float:
        """Of forty scrapes of the node's metrics, whose files are read one by one."""
        took = []
        with running_daemon(tmp_path, program=("-c", BUSY, str(switch_seconds))) as daemon:
            url = f"{daemon.exporters()['node-exporter'].url}/metrics"
            for _ in range(40):
                began = time.monotonic()
                assert httpx.get(url, timeout=30, trust_env=False).status_code == 200
                took.append(time.monotonic() - began)
        return max(took)

    pythons, ours = sys.getswitchinterval(), service.SWITCH_SECONDS
    assert slowest(ours) < slowest(pythons)
