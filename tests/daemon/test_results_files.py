"""Results files: whole or not at all when written, and patient when read."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import stat
import time
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.small_disk import run_on_small_disk
from wattview.daemon import results_files
from wattview.daemon.results_files import ResultsFileError
from wattview.model import EncoderStatus, Output, ResultsFile, ScenarioRecord

STAMP = "20250102_030405"

FULL = ResultsFile(
    test_date="2025-01-02T03:04:05",
    run=STAMP,
    status="done",
    wattview_version="0.1.0",
    machine={"cpu": "Xeon", "cpus": 8},
    scenarios=[
        ScenarioRecord(
            name='two "streams"\n✓',
            bitrate="2500k",
            resolution="1280x720",
            fps=30,
            duration=60.0,
            start_time=1735786000.25,
            end_time=1735786060.25,
            outputs=[Output(resolution="640x360", fps=30)],
            vmaf_score=93.5,
            psnr_score=41.0,
            ssim_score=0.98,
            type="streams",
            streams=2,
            pushed=True,
            realtime=False,
            encoders=[EncoderStatus(stream="s1", frames=1800, speed=0.98)],
            notes=["encoder fell behind"],
        ),
        ScenarioRecord(name="baseline", type="baseline"),
    ],
)


def put(directory: Path, content: str | bytes, stamp: str = STAMP) -> Path:
    path = directory / f"test_results_{stamp}.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def put_scenario(directory: Path, **fields: object) -> Path:
    return put(directory, json.dumps({"test_date": "2025", "scenarios": [fields, {"name": "good", "duration": 5}]}))


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = results_files.write(tmp_path / "made" / "here", FULL, STAMP)
    assert path.name == "test_results_20250102_030405.json"
    assert results_files.read(path) == FULL


def test_required_fields_are_always_written_and_ours_only_when_known(tmp_path: Path) -> None:
    path = results_files.write(tmp_path, FULL, STAMP)
    idle = json.loads(path.read_text())["scenarios"][1]
    assert idle == {
        "name": "baseline", "bitrate": None, "resolution": None, "fps": None, "duration": None, "start_time": None,
        "end_time": None, "outputs": None, "vmaf_score": None, "psnr_score": None, "ssim_score": None,
        "type": "baseline",
    }  # fmt: skip


def test_a_file_is_replaced_atomically_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    results_files.write(tmp_path, FULL, STAMP)
    later = ResultsFile(test_date="2026", scenarios=[])
    results_files.write(tmp_path, later, STAMP)
    assert os.listdir(tmp_path) == ["test_results_20250102_030405.json"]
    assert results_files.read(tmp_path / "test_results_20250102_030405.json").scenarios == []


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_disk_error_leaves_the_old_file_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = results_files.write(tmp_path, FULL, STAMP)
    before = path.read_bytes()

    def full(*arguments: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        results_files.write(tmp_path, ResultsFile(test_date="2026", scenarios=[]), STAMP)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_a_full_file_system_leaves_the_old_file_untouched(tmp_path: Path) -> None:
    output = run_on_small_disk(
        """
        import errno, os
        from wattview.daemon import results_files
        from wattview.model import ResultsFile, ScenarioRecord

        small = ResultsFile(test_date="2025", scenarios=[ScenarioRecord(name="kept")])
        path = results_files.write(disk, small, "20250102_030405")
        huge = ResultsFile(test_date="2026", scenarios=[ScenarioRecord(name="x", notes=["y" * 1000] * 500)])
        try:
            results_files.write(disk, huge, "20250102_030405")
        except OSError as error:
            print(errno.errorcode[error.errno], os.listdir(disk), results_files.read(path).scenarios[0].name)
        """,
        tmp_path,
        kibibytes=128,
    )
    assert output == "ENOSPC ['test_results_20250102_030405.json'] kept\n"


def test_a_link_planted_in_the_temporary_files_place_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of this source knows the form of the name; here it even guesses the random part."""
    monkeypatch.setattr(secrets, "token_hex", lambda count: "00" * count)
    precious = tmp_path / "precious"
    precious.write_text("kept")
    directory = tmp_path / "results"
    directory.mkdir()
    (directory / f".test_results_{STAMP}.json.00000000.tmp").symlink_to(precious)
    with pytest.raises(FileExistsError):
        results_files.write(directory, FULL, STAMP)
    assert precious.read_text() == "kept"


def test_a_link_in_the_results_files_place_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / f"test_results_{STAMP}.json").symlink_to(precious)
    path = results_files.write(tmp_path, FULL, STAMP)
    assert precious.read_text() == "kept"
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) & 0o133 == 0


def test_what_is_being_written_is_never_swept(tmp_path: Path) -> None:
    killed, written = tmp_path / ".test_results_x.json.1.tmp", tmp_path / ".test_results_y.json.2.tmp"
    killed.write_text("{")
    with written.open("w") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        results_files.sweep(tmp_path)
        assert os.listdir(tmp_path) == [written.name]
    results_files.sweep(tmp_path)
    assert os.listdir(tmp_path) == []


def test_what_a_killed_writer_left_behind_is_swept_by_the_next(tmp_path: Path) -> None:
    old, young = tmp_path / ".test_results_x.json.1.tmp", tmp_path / ".test_results_y.json.2.tmp"
    old.write_text("{")
    young.write_text("{")
    os.utime(old, (time.time() - 3600, time.time() - 3600))
    results_files.write(tmp_path, FULL, STAMP)
    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize(
    "stamp", ["", "../x", "20250102_030405/..", "20250102-030405", "20250102_030405\n", "٢0250102_030405"]
)
def test_an_invalid_results_id_never_becomes_a_path(tmp_path: Path, stamp: str) -> None:
    assert not results_files.is_stamp(stamp)
    with pytest.raises(ValueError, match="not a results stamp"):
        results_files.write(tmp_path, FULL, stamp)
    assert os.listdir(tmp_path) == []


def test_results_are_listed_newest_first_and_only_results_files(tmp_path: Path) -> None:
    for name in ("20250102_030405", "20241231_235959", "20250102_030406"):
        put(tmp_path, "{}", name)
    os.utime(tmp_path / "test_results_20241231_235959.json")
    for other in ("test_results_latest.json", "test_results_20250102_030405.json.bak", "notes.txt"):
        (tmp_path / other).write_text("{}")
    stamps = [results_files.stamp_of(path) for path in results_files.listing(tmp_path)]
    assert stamps == ["20250102_030406", "20250102_030405", "20241231_235959"]


def test_a_missing_directory_lists_nothing_and_an_unusable_one_says_why(tmp_path: Path) -> None:
    assert results_files.listing(tmp_path / "none") == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsFileError, match="Not a directory"):
        results_files.listing(tmp_path / "file")


def test_a_file_of_another_program_is_read(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        """{"test_date": "2024-05-06T07:08:09", "scenarios": [
            {"name": "1 stream", "bitrate": "2500k", "resolution": "1280x720", "fps": 30, "duration": 60,
             "start_time": 1715000000, "end_time": 1715000060.5, "outputs": null, "vmaf_score": 95.5,
             "ffmpeg_command": "ffmpeg -re", "container": {"id": 3}}], "version": 7}""",
    )
    scenario = results_files.read(path).scenarios[0]
    assert (scenario.start_time, scenario.end_time, scenario.vmaf_score) == (1715000000.0, 1715000060.5, 95.5)
    assert scenario.psnr_score is None
    assert scenario.notes is None


def test_iso_times_are_understood_and_a_time_without_a_zone_is_local(tmp_path: Path) -> None:
    path = put_scenario(tmp_path, name="a", start_time="2024-05-06T07:08:09.5", end_time="2024-05-06T07:09:09+00:00")
    scenario = results_files.read(path).scenarios[0]
    assert scenario.start_time == datetime(2024, 5, 6, 7, 8, 9, 500000).timestamp()
    assert scenario.end_time == 1714979349.0
    put_scenario(tmp_path, name="a", start_time="2024-05-06T07:08:09Z")
    assert results_files.read(path).scenarios[0].start_time == 1714979289.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start_time", "yesterday"), ("start_time", True), ("start_time", -5), ("end_time", 1.7e12),
        ("end_time", [1]), ("duration", "60"), ("duration", -1), ("fps", {}), ("vmaf_score", "95"),
        ("vmaf_score", float("nan")), ("psnr_score", float("inf")), ("ssim_score", 10**400), ("streams", 1.5),
        ("bitrate", 2500), ("outputs", [{"resolution": 3}]), ("outputs", {}), ("encoders", [1]), ("pushed", "yes"),
        ("notes", "one"), ("resolution", 720), ("duration", -(10**30)),
    ],
)  # fmt: skip
def test_an_invalid_field_only_loses_itself_and_is_noted(tmp_path: Path, field: str, value: object) -> None:
    path = put_scenario(tmp_path, **{"name": "bad", "duration": 7, "vmaf_score": 90.0, field: value})
    bad, good = results_files.read(path).scenarios
    assert getattr(bad, field) is None or field == "notes"
    assert bad.name == "bad"
    assert bad.notes is not None
    assert len(bad.notes) == 1
    assert bad.notes[0].startswith(f"{field}: expected ")
    assert len(bad.notes[0]) < 200
    assert (good.name, good.duration, good.notes) == ("good", 5, None)


def test_a_number_of_thousands_of_digits_only_loses_its_own_field(tmp_path: Path) -> None:
    path = put(tmp_path, '{"scenarios": [{"name": "a", "duration": ' + "9" * 5000 + ', "fps": 30}]}')
    scenario = results_files.read(path).scenarios[0]
    assert (scenario.duration, scenario.fps) == (None, 30)


@pytest.mark.parametrize("scenario", [None, 3, "x", [], True])
def test_a_scenario_that_is_not_an_object_keeps_its_number(tmp_path: Path, scenario: object) -> None:
    path = put(tmp_path, json.dumps({"scenarios": [{"name": "a"}, scenario]}))
    second = results_files.read(path).scenarios[1]
    assert second.name == "scenario 2"
    assert second.notes is not None
    assert "expected an object" in second.notes[0]


@pytest.mark.parametrize("name", [None, "", "  ", 5, {"a": 1}])
def test_an_unnamed_scenario_is_called_by_its_position(tmp_path: Path, name: object) -> None:
    scenario = results_files.read(put_scenario(tmp_path, name=name, duration=3)).scenarios[0]
    assert (scenario.name, scenario.duration) == ("scenario 1", 3)
    assert scenario.notes is not None
    assert scenario.notes[0].startswith("name: ")


def test_a_lone_surrogate_does_not_reach_the_wire(tmp_path: Path) -> None:
    path = put(tmp_path, '{"scenarios": [{"name": "a\\ud800b"}]}')
    assert results_files.read(path).scenarios[0].name.encode() == b"a?b"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file is empty"), ("{", "not valid JSON"), ('{"scenarios": [{"name": "a"', "not valid JSON"),
        ("[]", "expected an object, got a list"), ("3", "got a number"), ("{}", "no list of scenarios"),
        ('{"scenarios": {}}', "no list of scenarios"), (b"\xff\xfe\x00", "not UTF-8"),
        (b"\x00" * 100, "not valid JSON"),
        ("[" * 200_000, "nested too deeply"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_results_file_is_refused_with_the_reason(
    tmp_path: Path, content: str | bytes, reason: str
) -> None:
    with pytest.raises(ResultsFileError, match=reason) as refusal:
        results_files.read(put(tmp_path, content))
    assert str(refusal.value).startswith("test_results_20250102_030405.json: ")


def test_a_file_with_a_byte_order_mark_or_without_a_date_is_read(tmp_path: Path) -> None:
    results = results_files.read(put(tmp_path, b'\xef\xbb\xbf{"scenarios": []}'))
    assert results.test_date == "2025-01-02T03:04:05"


def test_a_fifo_a_directory_and_a_giant_are_refused_without_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "test_results_20250102_030405.json"
    os.mkfifo(fifo)
    with pytest.raises(ResultsFileError, match="not a regular file"):
        results_files.read(fifo)
    fifo.unlink()
    fifo.mkdir()
    with pytest.raises(ResultsFileError):
        results_files.read(fifo)
    fifo.rmdir()
    monkeypatch.setattr(results_files, "MAX_FILE_BYTES", 1024 * 1024)
    with pytest.raises(ResultsFileError, match="larger than 1 MiB"):
        results_files.read(put(tmp_path, " " * 1024 * 1024 + "{}"))
    with pytest.raises(ResultsFileError, match="No such file"):
        results_files.read(tmp_path / "test_results_20200101_000000.json")


def test_every_field_of_the_record_is_read() -> None:
    assert set(results_files._FIELDS) == set(ScenarioRecord.__struct_fields__)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from(ScenarioRecord.__struct_fields__), JSON) | JSON, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_in_the_place_of_scenarios_gives_records_that_can_be_written_again(
    tmp_path: Path, scenarios: list[object]
) -> None:
    results = results_files.read(put(tmp_path, json.dumps({"test_date": "x", "scenarios": scenarios})))
    assert len(results.scenarios) == len(scenarios)
    again = results_files.read(results_files.write(tmp_path, results, STAMP))
    assert again.scenarios == results.scenarios


@given(content=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_results_file_or_are_refused(tmp_path: Path, content: bytes) -> None:
    try:
        results = results_files.read(put(tmp_path, content))
    except ResultsFileError:
        return
    assert isinstance(results.scenarios, list)


def test_the_zeros_of_an_idle_window_are_not_shown_as_figures(tmp_path: Path) -> None:
    """As psantana5/ffmpeg-rtmp writes one that encoded nothing."""
    fields = {"bitrate": "0k", "resolution": "0x0", "vmaf_score": 0, "psnr_score": 0.0, "ssim_score": 0, "duration": 60}
    idle = results_files.read(put_scenario(tmp_path, name="baseline idle", **fields)).scenarios[0]
    assert (idle.resolution, idle.bitrate, idle.duration, idle.notes) == (None, None, 60, None)
    assert (idle.vmaf_score, idle.psnr_score, idle.ssim_score) == (None, None, None)


@pytest.mark.parametrize(
    ("fields", "scores"),
    [
        ({"vmaf_score": 0.0, "psnr_score": 0.0, "ssim_score": 0.0}, (None, None, None)),  # never measured
        ({"vmaf_score": 0.0, "psnr_score": 11.5, "ssim_score": 0.2}, (0.0, 11.5, 0.2)),  # a picture like no other
        ({"vmaf_score": 0.0}, (0.0, None, None)),
        ({"vmaf_score": 0.0, "resolution": "0x0"}, (None, None, None)),
        ({"vmaf_score": 0.0, "fps": 0}, (None, None, None)),
        ({"vmaf_score": 95.0, "psnr_score": 0, "ssim_score": 0}, (95.0, None, None)),
        ({"vmaf_score": -1, "psnr_score": -1, "ssim_score": 0.5}, (None, None, 0.5)),
        # Beyond the scale, and FFmpeg's second figure of SSIM, which is in decibels.
        ({"vmaf_score": 250.0, "psnr_score": 41.5, "ssim_score": 17.3}, (None, 41.5, None)),
        ({"vmaf_score": 100, "ssim_score": 1}, (100, None, 1)),
    ],
)
def test_a_score_of_zero_is_kept_only_if_it_is_possible(
    tmp_path: Path, fields: dict[str, object], scores: tuple[float | None, ...]
) -> None:
    one = results_files.read(put_scenario(tmp_path, name="one", **fields)).scenarios[0]
    assert (one.vmaf_score, one.psnr_score, one.ssim_score) == scores


def test_of_a_file_with_too_many_scenarios_the_first_are_read_and_the_others_counted(tmp_path: Path) -> None:
    path = put(tmp_path, json.dumps({"scenarios": [{"name": f"{at}"} for at in range(10)]}))
    results = results_files.read(path, limit=3)
    assert [one.name for one in results.scenarios] == ["0", "1", "2"]
    assert results.left_out == 7
    assert "left_out" not in results_files.write(tmp_path, results, "20250102_030406").read_text()


@pytest.mark.parametrize(
    ("member", "costs"),
    [
        ('"vmaf_score": NaN', "vmaf_score"), ('"vmaf_score": -Infinity', "vmaf_score"),
        ('"vmaf_score": 1e999', "vmaf_score"), ('"bitrate": "\\ud800"', None),
        ('"fps": "\\"}NaN"', "fps"), ('"unknown": [NaN, {"a": Infinity}]', None),
    ],
)  # fmt: skip
def test_nan_and_infinity_in_json_only_lose_their_field(tmp_path: Path, member: str, costs: str | None) -> None:
    path = put(tmp_path, '{"scenarios": [{"name": "NaN", "duration": 3, ' + member + '}, {"name": "b"}]}')
    first, second = results_files.read(path).scenarios
    assert (first.name, first.duration, second.name) == ("NaN", 3, "b")
    assert [note.partition(":")[0] for note in first.notes or []] == ([costs] if costs else [])
