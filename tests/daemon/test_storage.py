"""Disks that fill up, become read-only or lose a directory: noticed by writing there, and said once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from pathlib import Path

import pytest

from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.small_disk import run_on_small_disk
from wattview.daemon import storage
from wattview.daemon.storage import Unwritable


def test_a_full_and_a_read_only_disk_are_detected_with_the_fix(tmp_path: Path) -> None:
    output = run_on_small_disk(
        """
        import subprocess
        from wattview.daemon.storage import Unwritable, try_to_write

        def attempt():
            try:
                try_to_write(disk / "results", "paths.results")
                print("works")
            except Unwritable as error:
                print(error.reason.rpartition(": ")[2], "|", error.fix)

        attempt()
        (disk / "ballast").write_bytes(bytes(500 * 1024))
        attempt()
        (disk / "ballast").unlink()
        attempt()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        attempt()
        print(list(disk.iterdir()))
        """,
        tmp_path,
        kibibytes=512,
    )
    assert output.splitlines() == [
        "works",
        "No space left on device | free some space on that disk",
        "works",
        "Read-only file system | remount it read-write, or set paths.results",
        "[]",
    ]


def test_a_file_in_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    for path in (tmp_path / "runs", tmp_path / "runs" / "below"):
        with pytest.raises(Unwritable) as refusal:
            storage.try_to_write(path, "paths.state")
        assert refusal.value.fix == f"{tmp_path / 'runs'} is not a directory: move it away, or set paths.state"


async def test_each_problem_of_a_directory_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wattview.state")
    results = tmp_path / "results"
    results.mkdir()
    watching = asyncio.create_task(storage.watch({"results": (results, "paths.results")}, every=0.01))

    async def until(words: str) -> None:
        async with asyncio.timeout(10):
            while not any(words in record.getMessage() for record in caplog.records):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    await asyncio.sleep(0.1)
    results.rmdir()
    await until("is gone with its contents")
    results.write_text("in its place")
    await until("results cannot be kept")
    await asyncio.sleep(0.1)
    results.unlink()
    await until("results can be kept again")
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    assert len(caplog.records) == 3


def test_a_daemon_that_loses_its_history_and_directories_reports_it_and_continues(tmp_path: Path) -> None:
    with running_daemon(tmp_path, "history.interval=0.2s") as daemon:
        wait_for(lambda: "from 2" in finding(daemon, "history")["detail"], daemon)
        for path in daemon.state.glob("history.sqlite*"):
            path.unlink()
        wait_for(lambda: (daemon.state / "history.sqlite").exists(), daemon)
        assert "was moved, removed or replaced while it was in use" in daemon.log
        assert finding(daemon, "history")["state"] == "works"
        events = daemon.api.get("/api/v1/events").json()
        assert any("history.sqlite was moved, removed" in event["text"] for event in events)
        shutil.rmtree(daemon.state / "results", ignore_errors=True)
        (daemon.state / "results").write_text("in the way")
        assert finding(daemon, "results")["state"] == "broken"
        (daemon.state / "results").unlink()
        assert finding(daemon, "results")["state"] == "works"


def finding(daemon: DaemonProcess, source: str) -> dict[str, str]:
    [found] = [one for one in daemon.api.get("/api/v1/doctor").json() if one["source"] == source]
    return dict(found)


def wait_for(condition: object, daemon: DaemonProcess) -> None:
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, daemon.log
        time.sleep(0.1)
