"""What befalls the embedded history's file, and how it gets on: kills, damage, removal, full disks."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from tests.support.embedded_history import NOW, WEEK, count, history_of, many
from tests.support.small_disk import run_on_small_disk
from wattview.daemon.history import database, sqlite
from wattview.daemon.history.protocol import HistoryError
from wattview.daemon.history.sqlite import SqliteHistory


def put_aside(path: Path) -> list[Path]:
    """The damaged files that lie beside a history."""
    return list(path.parent.glob(f"{path.name}.damaged-????????_??????"))


async def test_a_writer_that_is_killed_leaves_a_history_that_opens(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    script = f"""
import asyncio, pathlib
from wattview.daemon.history.sqlite import SqliteHistory
async def main():
    history = SqliteHistory(pathlib.Path({str(path)!r}), 1e9)
    at = 0
    while True:
        await history.append({NOW} + at, [("a", at), ("b", -at)])
        if at == 300:
            print("going", flush=True)
        at += 1
asyncio.run(main())
"""
    for _ in range(3):
        writer = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert await writer.stdout.readline() == b"going\n"
        writer.kill()
        await writer.wait()
    history = SqliteHistory(path, WEEK)
    await history.append(NOW + 1e5 + 1, [("a", 5), ("b", -5)])
    [a] = await history.samples("a", NOW, NOW + 1e5)
    [b] = await history.samples("b", NOW, NOW + 1e5)
    await history.close()
    assert len(a.points) >= 3 * 301
    assert [-value for _, value in b.points] == [value for _, value in a.points]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_file_that_is_not_a_database_is_set_aside_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "history.sqlite"
    content = b"not a database at all, but long enough to look at" * 100
    path.write_bytes(content)
    history = SqliteHistory(path, WEEK)
    await history.append(NOW, [("a", 1)])
    assert await count(history, NOW, NOW) == 1
    [aside] = put_aside(path)
    assert aside.read_bytes() == content
    [said] = caplog.records
    assert f"renamed to {aside.name}" in said.getMessage()
    await history.close()


async def test_a_file_that_is_damaged_inside_is_an_error_and_then_put_aside_by_the_next_write(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "history.sqlite"
    history = SqliteHistory(path, WEEK)
    for at in range(2000):
        await history.append(NOW + at, [(f"a{number}", at) for number in range(10)])
    await history.close()
    with path.open("r+b") as stream:
        for page in range(3, path.stat().st_size // 4096 - 20):
            stream.seek(page * 4096)
            stream.write(b"\xa5" * 512)
    history = history_of(path)
    with pytest.raises(HistoryError, match=r"malformed|corrupt"):
        await history.samples("a1", NOW, NOW + 2000)
    await asyncio.gather(history.append(NOW + 2000, [("a", 1)]), history.append(NOW + 2001, [("a", 2)]))
    assert await count(history, NOW, NOW + 3000) == 2
    assert len(put_aside(path)) == 1
    assert len(caplog.records) == 1
    await history.close()


async def test_damaged_files_do_not_fill_the_disk(tmp_path: Path) -> None:
    for day in range(1, 10):
        (tmp_path / f"history.sqlite.damaged-2025010{day}_000000").write_text("old")
    history = history_of(tmp_path / "history.sqlite")
    history.path.write_text("no database" * 100)
    await history.append(NOW, [("a", 1)])
    assert len(put_aside(history.path)) == 2
    await history.close()


@pytest.mark.parametrize("what", ["history.sqlite", "history.sqlite*", "directory", "history.sqlite-wal"])
async def test_a_file_removed_while_in_use_is_detected_and_recreated(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "state"
    history = history_of(directory / "history.sqlite")
    await history.append(NOW, [("a", 1)])
    assert await count(history, NOW, NOW + 10) == 1
    if what == "directory":
        shutil.rmtree(directory)
    else:
        for path in directory.glob(what):
            path.unlink()
    await history.append(NOW + 1, [("a", 2), ("b", 2)])
    await history.append(NOW + 2, [("a", 3)])
    kept = 3 if what == "history.sqlite-wal" else 2
    assert await count(history, NOW, NOW + 10) == kept, "and the log of the last writes alone costs nothing"
    await history.close()
    with sqlite3.connect(directory / "history.sqlite") as file:
        assert file.execute("SELECT count(*) FROM ticks").fetchone()[0] == kept
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    reported = ["was moved, removed or replaced" in record.getMessage() for record in caplog.records]
    assert reported == [True] * (kept == 2)


async def test_recording_continues_after_the_file_is_replaced_by_a_copy(tmp_path: Path) -> None:
    history = history_of(tmp_path / "history.sqlite")
    await history.append(NOW, [("a", 1)])
    with sqlite3.connect(history.path) as file, sqlite3.connect(tmp_path / "copy") as copy:
        file.backup(copy)
    await history.append(NOW + 1, [("a", 2)])
    for end in ("-wal", "-shm"):
        os.unlink(f"{history.path}{end}")
    os.replace(tmp_path / "copy", history.path)
    await history.append(NOW + 2, [("b", 1), ("a", 3)])
    [series] = await history.samples("a", NOW, NOW + 10)
    assert [value for _, value in series.points] == [1, 3]
    await history.close()


def test_a_disk_that_becomes_read_only_is_reported_and_retried(tmp_path: Path) -> None:
    output = run_on_small_disk(
        """
        import asyncio, subprocess
        from wattview.daemon.history.protocol import HistoryError
        from wattview.daemon.history.sqlite import SqliteHistory

        def remount(how):
            subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)

        async def main():
            history = SqliteHistory(disk / "history.sqlite", 1e9)
            await history.append(1000.0, [("a", 1)])
            subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
            await history.close()
            await history_of_a_disk(SqliteHistory(disk / "history.sqlite", 1e9))

        async def history_of_a_disk(history):
            remount("ro,bind")
            for at in range(3):
                try:
                    await history.append(1001.0 + at, [("a", 2)])
                    print("written")
                except HistoryError as error:
                    print(history.problem is error, bool(error.fix))
            remount("rw,bind")
            await history.append(1010.0, [("a", 3)])
            print(history.problem)
            [series] = await history.samples("a", 1000.0, 1020.0)
            print([value for _, value in series.points])
            await history.close()

        asyncio.run(main())
        """,
        tmp_path,
        kibibytes=512,
    )
    assert output == "True True\nTrue True\nTrue True\nNone\n[1.0, 2.0, 2.0, 2.0, 3.0]\n"


async def test_a_database_of_another_program_or_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(HistoryError, match="another program"):
        await history_of(other).append(NOW, [("a", 1)])
    newer = tmp_path / "newer.sqlite"
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(HistoryError, match="newer WattView"):
        await history_of(newer).append(NOW, [("a", 1)])


async def test_a_directory_in_the_way_is_an_error_with_its_fix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "history.sqlite").mkdir()
    for path in (tmp_path / "file" / "history.sqlite", tmp_path / "history.sqlite"):
        history = SqliteHistory(path, WEEK)
        with pytest.raises(HistoryError, match=str(path)):
            await history.append(NOW, [("a", 1)])
        await history.close()


def test_the_history_pauses_on_a_full_disk_and_resumes_with_space(tmp_path: Path) -> None:
    output = run_on_small_disk(
        """
        import asyncio
        from wattview.daemon.history.protocol import HistoryError
        from wattview.daemon.history.sqlite import SqliteHistory

        async def main():
            ballast = disk / "ballast"
            ballast.write_bytes(bytes(200_000))
            history = SqliteHistory(disk / "history.sqlite", 1e9)
            kept = 0
            try:
                while True:
                    await history.append(1000.0 + kept, [(f"series_{at}", kept) for at in range(50)])
                    kept += 1
            except HistoryError as error:
                print(error.fix)
            [series] = await history.samples("series_7", 1000.0, 1000.0 + kept)
            print(len(series.points) == kept)
            ballast.unlink()
            await history.append(1001.0 + kept, [("series_7", kept)])
            [series] = await history.samples("series_7", 1000.0, 1001.0 + kept)
            print(len(series.points) == kept + 2)  # the row that failed is written with the next
            await history.close()

        asyncio.run(main())
        """,
        tmp_path,
        kibibytes=512,
    )
    assert output == "free some space on that disk\nTrue\nTrue\n"


async def test_what_another_programs_lock_kept_from_the_file_is_written_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many of the newest samples as fit into the memory that is granted."""
    monkeypatch.setattr(sqlite, "_MOST_UNWRITTEN", 6)
    monkeypatch.setattr(database, "LOCKED_SECONDS", 0.1)
    history = SqliteHistory(tmp_path / "history.sqlite", 1e9)
    await history.append(1000.0, [("a", 0), ("b", 0)])
    other = sqlite3.connect(history.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for at in range(1, 5):
        with pytest.raises(HistoryError, match="locked") as locked:
            await history.append(1000.0 + at, [("a", at), ("b", at)])
        assert locked.value.fix == "end the program that writes to it"
    other.execute("ROLLBACK")
    other.close()
    await history.append(1005.0, [("a", 5)])
    (series,) = await history.samples("a", 1000.0, 1005.0)
    assert [value for _, value in series.points] == [0, 2, 3, 4, 5]
    await history.close()


async def test_a_damaged_row_is_skipped_and_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "history.sqlite"
    history = SqliteHistory(path, 1e9)
    for at in range(6):
        await history.append(1000.0 + at, many(500, 3.0))
    bomb = zlib.compress(bytes(64 * 2**20), 9)
    with sqlite3.connect(path) as file:
        for at, data in enumerate([b"\x00\x11\x22\x33", b"", "text", bomb, zlib.compress(bytes(8))]):
            file.execute("UPDATE ticks SET data = ? WHERE time = ?", (data, (1000 + at) * 1_000_000))
    for _ in range(2):
        found = await history.samples('rate{name="c2"}', 1000.0, 1010.0)
        assert [at for at, _ in found[0].points] == [1005.0]
    thinned = await history.thinned('rate{name="c2"}', 1000.0, 1005.0, 1.0)
    assert [at for at, _ in thinned[0].points] == [1005.0]
    assert len(await history.recent(["rate"], 1000.0, 1010.0)) == 500
    with pytest.raises(HistoryError, match="damaged"):
        await history.samples('rate{name="c2"}', 900.0, 903.0 + 40.0)
    [said] = caplog.records
    assert "damaged rows, which are skipped" in said.getMessage()
    await history.close()


async def test_a_damaged_layout_or_series_does_not_stop_recording(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    history = SqliteHistory(path, 1e9)
    await history.append(1000.0, [("a", 1)])
    await history.append(1001.0, [("b", 1)])
    await history.close()
    with sqlite3.connect(path) as file:
        file.execute("UPDATE layouts SET series = x'010203' WHERE id = 1")
        file.execute("INSERT INTO series (metric, key) VALUES ('b', 'b{')")
        file.execute("INSERT INTO layouts VALUES (77, 0, 'text')")
        file.execute("UPDATE ticks SET layout = 99 WHERE layout = 1")
    history = SqliteHistory(path, 1e9)
    for day in range(3):
        await history.append(1002.0 + day * 86400, [("b", day)])
    [series] = await history.samples("b", 1000.0, 1010.0)
    assert [value for _, value in series.points] == [1, 0]
    await history.close()


async def test_a_lack_of_threads_is_reported_as_such_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    history = SqliteHistory(tmp_path / "history.sqlite", 86400.0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(HistoryError, match="can't start new thread"):
            await history.append(1000.0, [("one", 1.0)])
    assert history.problem is not None
    await history.append(1001.0, [("one", 1.0)])
    assert history.problem is None
    await history.close()
