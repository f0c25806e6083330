"""The state directory: one daemon's alone, closed to others, and clean after a kill."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ConfigFactory
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.small_disk import run_on_small_disk
from wattview.cli import attach
from wattview.config import Config
from wattview.config.loading import load
from wattview.daemon import state_directory
from wattview.daemon.http.addresses import Addresses
from wattview.daemon.state_directory import StateError, StateLock, StateTaken


def second_daemon(daemon: DaemonProcess, control_socket: Path) -> subprocess.CompletedProcess[str]:
    """One with the settings of the first and another control socket, to its end."""
    command = [sys.executable, "-m", "wattview", "daemon", *daemon.arguments]
    return subprocess.run(
        [*command, "--set", f"daemon.control_socket={control_socket}"],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def test_a_second_daemon_on_a_state_directory_is_refused(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        elsewhere = tmp_path / "elsewhere" / "other.sock"
        second = second_daemon(daemon, elsewhere)
        assert second.returncode == 1
        assert f"(process {daemon.process.pid})" in second.stderr
        assert str(daemon.state) in second.stderr
        assert f"wattview tui --url unix://{daemon.socket}" in second.stderr
        assert "Traceback" not in second.stderr
        assert not elsewhere.exists()
        assert daemon.api.get("/api/v1/runs").status_code == 200


def test_a_second_daemon_leaves_a_current_run_alone(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        scenario = {"name": "idle", "type": "baseline", "duration": 30}
        run = daemon.api.post("/api/v1/runs", json={"scenarios": [scenario]}).json()
        copy = daemon.state / "runs" / run["id"] / "01-copy-1-000.nut"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(b"being written")
        second = second_daemon(daemon, tmp_path / "other.sock")
        assert second.returncode == 1
        assert copy.exists()
        assert daemon.api.get(f"/api/v1/runs/{run['id']}").json()["state"] == "running"


def config_of(daemon: DaemonProcess, *sets: str) -> Config:
    return load(None, [*daemon.arguments[1::2], *sets], {"HOME": str(daemon.directory)})


def test_up_attaches_to_the_daemon_that_holds_the_state_directory(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        config = config_of(daemon, f"daemon.control_socket={tmp_path / 'other.sock'}")
        with attach.daemon_for(config, []) as reached:
            assert reached.daemon.control_socket == str(daemon.socket)
        assert daemon.process.poll() is None


def test_two_simultaneous_starts_share_one_daemon(tmp_path: Path) -> None:
    sets = [f"paths.state={tmp_path / 'state'}", f"daemon.control_socket={tmp_path / 'control' / 'w.sock'}"]
    exporters = ("rapl", "docker", "node", "containers", "nginx_rtmp", "results", "qoe", "cost", "gpu", "health")
    sets += [f"endpoints.{key}.port=0" for key in exporters]
    sets += ["streams.managed=never"]
    config = load(None, sets, {"HOME": str(tmp_path)})
    arguments = [part for text in sets for part in ("--set", text)]
    both, reached = threading.Barrier(2), []

    def attached() -> None:
        with attach.daemon_for(config, arguments) as found:
            reached.append(found.daemon.control_socket)
            both.wait(30)

    threads = [threading.Thread(target=attached) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert reached == [config.daemon.control_socket] * 2
    assert state_directory.holder(tmp_path / "state") is None


def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    assert state_directory.holder(tmp_path) is None
    lock = StateLock(tmp_path, Path("/run/wattview.sock"))
    found = state_directory.holder(tmp_path)
    assert found is not None
    assert (found.pid, found.control_socket) == (os.getpid(), "/run/wattview.sock")
    with pytest.raises(StateTaken, match=str(os.getpid())):
        StateLock(tmp_path, Path("/run/other.sock"))
    lock.close()
    assert state_directory.holder(tmp_path) is None
    StateLock(tmp_path, Path("/run/other.sock")).close()


def test_a_removed_lock_file_lets_nobody_else_in_and_is_made_again(tmp_path: Path) -> None:
    lock = StateLock(tmp_path, Path("/run/wattview.sock"))
    (tmp_path / state_directory.LOCK_NAME).unlink()
    assert state_directory.holder(tmp_path) is not None
    with pytest.raises(StateTaken):
        StateLock(tmp_path, Path("/run/other.sock"))
    assert lock.keep()
    assert not lock.keep()
    with pytest.raises(StateTaken, match=str(os.getpid())):
        StateLock(tmp_path, Path("/run/other.sock"))
    lock.close()


def test_a_replaced_state_directory_is_locked_again_unless_another_was_faster(tmp_path: Path) -> None:
    state = tmp_path / "state"
    lock = StateLock(state, Path("/run/wattview.sock"))
    state.rename(tmp_path / "moved")
    assert lock.keep()
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    with pytest.raises(StateTaken, match=str(os.getpid())):
        StateLock(state, Path("/run/other.sock"))
    StateLock(tmp_path / "moved", Path("/run/other.sock")).close()
    shutil.rmtree(state)
    other = StateLock(state, Path("/run/other.sock"))
    with pytest.raises(StateTaken, match=r"/run/other\.sock"):
        lock.keep()
    lock.close()
    other.close()


def test_a_full_or_read_only_disk_can_be_locked(tmp_path: Path) -> None:
    said = run_on_small_disk(
        """
        import subprocess
        from wattview.daemon import state_directory
        from wattview.daemon.state_directory import StateLock, StateTaken

        def lock():
            try:
                return StateLock(disk, disk / "w.sock")
            except StateTaken:
                return None

        disk.chmod(0o700)
        for how in ("full", "ro"):
            if how == "full":
                try:
                    (disk / "big").write_bytes(bytes(2**20))
                except OSError:
                    pass
            else:
                subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            held = lock()
            print(how, held is not None, lock() is None, state_directory.holder(disk) is not None)
            held.close()
        """,
        tmp_path,
        64,
    )
    assert said.splitlines() == ["full True True True", "ro True True True"]


def test_whoever_asks_for_the_holder_does_not_keep_a_daemon_from_starting(tmp_path: Path) -> None:
    """The question locks the directory for a moment."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    asked = threading.Timer(0.05, os.close, (descriptor,))
    asked.start()
    StateLock(tmp_path, Path("/run/w.sock")).close()
    asked.join()


async def test_a_disk_that_hangs_does_not_hold_up_the_event_loop(
    make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a network's disk whose server is away, a question about a file has no answer."""
    addresses = await Addresses.of(make_config(), {})
    assert addresses.state is not None
    stat, asked, back = os.stat, threading.Event(), threading.Event()

    def hanging(path: Any, **options: Any) -> os.stat_result:
        if addresses.state is not None and path == addresses.state.directory:
            asked.set()
            assert back.wait(10)
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", hanging)
    keeping = asyncio.create_task(addresses.keep())
    assert await asyncio.to_thread(asked.wait, 10)
    assert not keeping.done()
    back.set()
    await keeping
    await addresses.close()


@pytest.mark.slow
def test_a_daemon_whose_state_directory_is_removed_stays_reachable_and_alone(tmp_path: Path) -> None:
    sets = ("history.interval=1s", f"daemon.control_socket={tmp_path / 'state' / 'wattview.sock'}")
    daemon = DaemonProcess(tmp_path, ("streams.managed=never", *sets))
    config = config_of(daemon, *sets)
    try:
        wait_until(lambda: attach.answers(config))
        shutil.rmtree(daemon.state)
        wait_until(lambda: attach.answers(config))
        wait_until(lambda: "is locked again" in daemon.log)
        second = second_daemon(daemon, tmp_path / "other.sock")
        assert second.returncode == 1
        assert f"(process {daemon.process.pid})" in second.stderr
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the settings have not changed" in daemon.log)
    finally:
        assert daemon.stop() == 0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("obstacle", ["fifo", "directory", "link"])
def test_a_special_file_as_the_lock_neither_hangs_nor_is_followed(tmp_path: Path, obstacle: str) -> None:
    path = tmp_path / state_directory.LOCK_NAME
    precious = tmp_path / "precious"
    precious.write_text("kept")
    match obstacle:
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "link":
            path.symlink_to(precious)
    assert state_directory.holder(tmp_path) is None
    if obstacle != "fifo":
        with pytest.raises(StateError, match=str(path)):
            StateLock(tmp_path, Path("/run/w.sock"))
        assert state_directory.holder(tmp_path) is None
    assert precious.read_text() == "kept"


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o750, 0o701])
def test_a_state_directory_open_to_others_is_made_private(tmp_path: Path, mode: int) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "history.sqlite").touch()
    state.chmod(mode)
    state_directory.private(state)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_a_shared_directory_is_refused_with_the_fix(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "letters.txt").touch()
    shared.chmod(0o1777)
    with pytest.raises(StateError, match=f"chmod 700 {shared}, or set paths.state"):
        state_directory.private(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
    shared.chmod(0o700)
    state_directory.private(shared)


def test_a_fifo_as_a_journal_and_a_file_as_the_runs_do_not_stop_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "runs" / "20250101_000000"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "run.json")
    with running_daemon(tmp_path) as daemon:
        assert daemon.api.get("/api/v1/runs").json() == []
        assert "run.json: not a journal of a run: not a regular file" in daemon.log
    (folder / "run.json").unlink()
    folder.rmdir()
    folder.parent.rmdir()
    folder.parent.write_text("no directory")
    with running_daemon(tmp_path) as daemon:
        assert daemon.api.get("/api/v1/runs").json() == []
        assert "no runs can be read or kept" in daemon.log
        answer = daemon.api.post("/api/v1/runs", json={"scenarios": [{"name": "idle", "type": "baseline"}]})
        assert answer.status_code < 500


def test_what_a_killed_daemon_left_half_written_is_gone_after_the_next_start(tmp_path: Path) -> None:
    results, folder = tmp_path / "state" / "results", tmp_path / "state" / "runs" / "20250101_000000"
    left = [
        results / ".test_results_20250101_000000.json.1234.tmp",
        folder / ".run.json.1234abcd.tmp",
        folder / "01-copy-1-000.nut",
        folder / "01-source-1.txt",
    ]
    with running_daemon(tmp_path) as daemon:
        daemon.stop(signal.SIGKILL)
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
    with running_daemon(tmp_path):
        assert [path for path in left if path.exists()] == []
