# ruff: noqa: ASYNC240
"""The runner with the real FFmpeg, and with a real RTMP server: short scenarios from beginning to end."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.conftest import ConfigFactory
from tests.support import films
from tests.support.bench import SHORT, Bench
from tests.support.daemon import alive
from tests.support.ffmpeg import ffmpegs_of, make_clip, own_ffmpegs, rtmp_server, run, until
from wattview.daemon.lab.runner import NoSuchRun, RunBusy
from wattview.model import Phase, Run, RunRequest, Scenario, ScenarioRecord
from wattview.model.run_request import WrongField

IDLE = Scenario(name="idle", type="baseline", duration=0.5, warmup=0.1, cooldown=0.0)


@pytest.fixture
async def bench(make_config: ConfigFactory) -> AsyncIterator[Bench]:
    bench = Bench(make_config("scenarios.quality_seconds=1"))
    yield bench
    await bench.runner.close()
    assert own_ffmpegs() == set()


def record(run: Run, name: str) -> ScenarioRecord:
    return next(one for one in run.finished if one.name == name)


async def test_a_run_measures_a_baseline_and_a_stream_and_its_quality(bench: Bench) -> None:
    run_ = await bench.run(SHORT, Scenario(name="second idle", type="baseline", duration=0.3, warmup=0.0))
    assert run_.state == "done", run_.error
    short = record(run_, "short")
    assert short.status == "done"
    assert (short.bitrate, short.resolution, short.fps, short.streams) == ("300k", "320x180", 30, 1)
    assert short.duration == pytest.approx(2.0, abs=0.3)
    assert short.end_time - short.start_time == pytest.approx(short.duration, abs=0.05)
    assert short.vmaf_score is not None
    assert 0 < short.vmaf_score <= 100
    assert 20 < short.psnr_score <= 100
    assert 0.5 < short.ssim_score <= 1
    assert short.quality_frames == 30
    assert short.quality_tool
    assert short.power_source == "rapl"
    assert short.pushed is False
    assert any("no RTMP server" in note for note in short.notes or [])
    (encoder,) = short.encoders or []
    assert encoder.stream == "short-1"
    assert encoder.frames is not None
    assert encoder.frames > 20
    second = record(run_, "second idle")
    assert (second.bitrate, second.vmaf_score, second.pushed, second.encoders) == (None, None, None, None)


async def test_a_runs_duration_is_known_once_one_was_scored(bench: Bench) -> None:
    again = RunRequest(scenarios=[replace(SHORT, duration=3.0)])
    assert bench.runner.plan(again).most_seconds is None
    began = time.monotonic()
    done = await bench.run(*again.scenarios)
    took = time.monotonic() - began
    assert done.state == "done", done.error
    plan = bench.runner.plan(again)
    (scored,) = done.finished
    speed = scored.judged_pixels_per_second
    assert speed is not None, scored.notes
    windows, compared = SHORT.warmup + 3.0 + SHORT.cooldown, 3 * 30 * 320 * 180 / speed
    assert plan.least_seconds == pytest.approx(windows + compared, abs=2)
    assert plan.most_seconds == plan.seconds == pytest.approx(windows + 2 * compared, abs=2)
    assert plan.seconds < took + 2


async def test_the_window_lies_between_its_two_marks_and_nothing_else_is_marked(bench: Bench) -> None:
    run_ = await bench.run(SHORT)
    start, end = bench.marks
    short = run_.finished[0]
    assert start <= short.start_time <= start + 0.1
    assert end - 0.1 <= short.end_time <= end
    assert bench.phases_at_marks == ["warmup", "measuring"]


async def test_the_results_file_has_the_contracts_form(bench: Bench) -> None:
    run_ = await bench.run(IDLE, SHORT)
    results = bench.results(run_)
    assert results["run"] == run_.id == run_.results_id
    assert results["status"] == "done"
    assert [one["name"] for one in results["scenarios"]] == ["idle", "short"]
    assert results["scenarios"][1].items() >= {"bitrate": "300k", "resolution": "320x180", "fps": 30}.items()
    assert results["scenarios"][1]["outputs"] == [{"resolution": "320x180", "fps": 30}]
    assert results["machine"]["cpus"] == os.cpu_count()
    assert results["machine"]["kernel"] == os.uname().release


async def test_a_baseline_is_not_put_before_a_baseline(bench: Bench) -> None:
    run_ = await bench.run(IDLE, baseline=30.0)
    assert [one.name for one in run_.finished] == ["idle"]


async def test_the_phases_come_in_order_and_progress_never_goes_back(bench: Bench) -> None:
    bench.runner.start(RunRequest(scenarios=[SHORT]))
    phases: list[Phase] = []
    fractions: list[float] = []
    while current := bench.runner.current:
        progress = current.progress
        assert progress is not None
        assert progress.scenario == "short"
        assert progress.remaining_seconds is not None
        assert progress.remaining_seconds >= 0
        if not phases or phases[-1] != progress.phase:
            phases.append(progress.phase)
        fractions.append(progress.fraction)
        await asyncio.sleep(0.01)
    order = ["preparing", "warmup", "measuring", "cooldown", "quality"]
    assert [phase for phase in phases if phase in order] == order
    assert 0 <= fractions[0] < 0.1
    assert fractions[-1] > 0.8
    assert max(a - b for a, b in pairwise(fractions)) < 0.2


async def test_several_streams_are_several_encoders(bench: Bench) -> None:
    run_ = bench.runner.start(RunRequest(scenarios=[msgspec.structs.replace(SHORT, streams=3)]))
    await bench.phase("measuring")
    current = bench.runner.current
    assert current is not None
    assert [one.stream for one in current.encoders] == ["short-1", "short-2", "short-3"]
    assert len(own_ffmpegs()) == 3
    ended = await bench.ended(run_.id)
    assert len(ended.finished[0].encoders or []) == 3


async def test_encoders_do_not_run_in_the_cool_down(bench: Bench) -> None:
    bench.runner.start(RunRequest(scenarios=[msgspec.structs.replace(SHORT, cooldown=30.0)]))
    await bench.phase("cooldown")
    assert own_ffmpegs() == set()


async def test_one_run_at_a_time(bench: Bench) -> None:
    first = bench.runner.start(RunRequest(scenarios=[IDLE]))
    with pytest.raises(RunBusy, match=first.id):
        bench.runner.start(RunRequest(scenarios=[IDLE]))
    assert (await bench.ended(first.id)).state == "done"
    second = await bench.run(IDLE)
    assert second.id != first.id
    assert [run_.id for run_ in bench.runner.list()] == [second.id, first.id]


async def test_the_next_run_can_start_as_soon_as_the_end_of_one_is_reported(bench: Bench) -> None:
    brief = RunRequest(scenarios=[Scenario(name="idle", type="baseline", duration=0.1, warmup=0.0, cooldown=0.0)])
    for _ in range(3):
        begun = bench.runner.start(brief)
        while bench.runner.get(begun.id).state == "running":  # noqa: ASYNC110  as a client waits
            await asyncio.sleep(0)
        assert bench.runner.get(begun.id).state == "done"


@pytest.mark.parametrize("phase", ["preparing", "warmup", "measuring", "cooldown", "quality"])
async def test_abort_leaves_no_ffmpeg_in_any_phase(bench: Bench, phase: Phase) -> None:
    long = Scenario(
        name="long", resolution="1280x720" if phase == "quality" else "320x180", preset="ultrafast", streams=2,
        duration=2.0 if phase in {"cooldown", "quality"} else 60.0, warmup=60.0 if phase == "warmup" else 0.2,
        cooldown=60.0 if phase == "cooldown" else 0.0,
    )  # fmt: skip
    begun = bench.runner.start(RunRequest(scenarios=[IDLE, long]))
    await bench.phase(phase, 1)
    if phase == "preparing":
        await until(lambda: own_ffmpegs(), "an encoder is being started")
    if phase == "quality":
        await until(lambda: len(own_ffmpegs()) == 2, "the comparison runs")
    children = own_ffmpegs()
    before = time.monotonic()
    ended = await bench.runner.abort(begun.id)
    assert time.monotonic() - before < 4.0
    assert not any(alive(pid) for pid in children)
    assert own_ffmpegs() == set()
    assert bench.runner.current is None
    assert ended.state == "aborted"
    assert bench.runner.get(begun.id) == ended
    # What was finished is kept: the idle window, and where the stream's window was over, that too.
    names = [one["name"] for one in bench.results(ended)["scenarios"]]
    assert names == (["idle", "long"] if phase in {"cooldown", "quality"} else ["idle"])
    assert bench.results(ended)["status"] == "aborted"
    assert list(bench.folder(ended).glob("*.nut")) == []


async def test_abort_while_the_encoders_are_tried_leaves_nothing(bench: Bench) -> None:
    begun = bench.runner.start(RunRequest(scenarios=[SHORT]))
    await until(lambda: own_ffmpegs(), "an FFmpeg is asked what it can")
    ended = await bench.runner.abort(begun.id)
    assert own_ffmpegs() == set()
    assert (ended.state, ended.results_id, ended.finished) == ("aborted", None, [])


async def test_a_run_that_was_accepted_is_on_disk(bench: Bench) -> None:
    """A daemon killed at any time after its answer leaves a run that its successor calls interrupted."""
    accepted = await bench.runner.accept(RunRequest(scenarios=[IDLE]))
    journal = json.loads((bench.folder(accepted) / "run.json").read_text())
    assert (journal["id"], journal["state"]) == (accepted.id, "running")
    await bench.runner.abort(accepted.id)


async def test_abort_before_the_first_step_of_a_run_ends_it(bench: Bench) -> None:
    begun = bench.runner.start(RunRequest(scenarios=[SHORT]))
    ended = await bench.runner.abort(begun.id)
    assert ended.state == "aborted"
    assert bench.runner.current is None


async def test_aborting_a_run_that_is_over_changes_nothing(bench: Bench) -> None:
    run_ = await bench.run(IDLE)
    assert await bench.runner.abort(run_.id) == run_
    with pytest.raises(NoSuchRun, match="nothing"):
        await bench.runner.abort("nothing")


async def test_the_daemons_stop_keeps_what_is_finished(bench: Bench) -> None:
    begun = bench.runner.start(RunRequest(scenarios=[IDLE, msgspec.structs.replace(SHORT, duration=60)]))
    await bench.phase("measuring", 1)
    assert own_ffmpegs()
    await bench.runner.close()
    assert own_ffmpegs() == set()
    ended = bench.runner.get(begun.id)
    assert ended is not None
    assert ended.state == "interrupted"
    assert "daemon was stopped" in (ended.error or "")
    assert [one["name"] for one in bench.results(ended)["scenarios"]] == ["idle"]


async def test_an_encoder_that_dies_fails_its_scenario_with_the_reason(bench: Bench) -> None:
    killed = msgspec.structs.replace(SHORT, name="killed", duration=60)
    begun = bench.runner.start(RunRequest(scenarios=[killed, SHORT]))
    await bench.phase("measuring")
    os.kill(min(own_ffmpegs()), signal.SIGKILL)
    run_ = await bench.ended(begun.id)
    assert run_.state == "done"
    assert "1 of 2 scenarios failed; killed: " in (run_.error or "")
    dead = record(run_, "killed")
    assert dead.status == "failed"
    assert (dead.start_time, dead.end_time, dead.duration) == (None, None, None)
    assert "signal 9" in (dead.notes or [""])[0]
    assert record(run_, "short").status == "done"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("broken.mp4", "Invalid data found"),
        ("sound.m4a", "it has no video stream"),
        ("list.m3u8", "it is a playlist"),
    ],
)
async def test_a_file_that_cannot_be_streamed_is_refused_before_anything_is_measured(
    bench: Bench, name: str, says: str
) -> None:
    media = media_directory(bench)
    (media / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42 and then nothing that makes sense")
    (media / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nhttp://127.0.0.1:9/elsewhere.ts\n#EXT-X-ENDLIST\n"
    )
    run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", str(media / "sound.m4a"))
    ended = await bench.run(IDLE, msgspec.structs.replace(SHORT, source=name))
    assert (ended.state, ended.finished) == ("failed", [])
    assert (ended.error or "").startswith(f"scenarios[1].source: {name} cannot be streamed: ")
    assert says in (ended.error or "")
    assert bench.marks == []


async def test_a_damaged_film_gets_no_scores(bench: Bench) -> None:
    """What a decoder makes of damaged pictures is not the same each time: no frame could be compared with its own."""
    path = make_clip(media_directory(bench) / "damaged.mp4", seconds=2.0)
    content, chance = bytearray(path.read_bytes()), random.Random(3)
    for _ in range(200):
        content[chance.randrange(len(content) // 10, len(content) // 2)] = chance.randrange(256)
    path.write_bytes(content)
    ended = await bench.run(msgspec.structs.replace(SHORT, source="damaged.mp4"))
    (one,) = ended.finished
    assert (one.status, one.psnr_score, one.vmaf_score) == ("done", None, None)
    assert any("the source is damaged" in note for note in one.notes or []), one.notes


def media_directory(bench: Bench) -> Path:
    path = Path(bench.config.scenarios.media_dir)
    path.mkdir(parents=True, exist_ok=True)
    return path


async def test_an_encoder_that_is_killed_in_its_window_fails_the_scenario_at_once(bench: Bench) -> None:
    begun = bench.runner.start(RunRequest(scenarios=[msgspec.structs.replace(SHORT, duration=60, streams=2)]))
    await bench.phase("measuring")
    os.kill(min(own_ffmpegs()), signal.SIGKILL)
    run_ = await bench.ended(begun.id)
    assert run_.state == "failed"
    assert "signal 9" in (run_.error or "")
    assert own_ffmpegs() == set()


async def test_a_file_from_the_media_directory_is_streamed(bench: Bench) -> None:
    media = Path(bench.config.scenarios.media_dir)
    media.mkdir(parents=True)
    make_clip(media / "my clip.mp4", audio_seconds=0.8)
    run_ = await bench.run(msgspec.structs.replace(SHORT, source="my clip.mp4", bitrate="2M"))
    assert run_.state == "done", run_.error
    assert run_.finished[0].quality_frames == 30
    assert run_.finished[0].psnr_score > 30


@pytest.mark.slow
async def test_unusual_films_are_streamed_in_real_time_and_scored(bench: Bench) -> None:
    """Sound that is longer than the picture, a cover before it, two sizes: what is odd is said of the source."""
    media = media_directory(bench)
    plain = films.lavfi(films.picture(seconds=3.0), *films.YUV, to=media / "plain.mp4")
    films.with_sound(plain, 4.5, media / "sound.mp4")
    films.with_cover(plain, media / "cover.mp4")
    films.of_two_sizes(media)
    odd = msgspec.structs.replace(SHORT, resolution="640x360", duration=6.0, fps=25, bitrate="2M")
    names = ("sound.mp4", "cover.mp4", "sizes.ts")
    ended = await bench.run(*(msgspec.structs.replace(odd, name=name, source=name) for name in names))
    assert ended.state == "done", ended.error
    for one in ended.finished:
        assert one.realtime is True, (one.name, one.notes)
        assert one.quality_frames == 25, (one.name, one.notes)
        assert 20 < one.psnr_score < 80
    assert any(note.startswith("source: its picture is 3.0 s long") for note in record(ended, "sound.mp4").notes or [])
    assert "source: it has no sound, so the streams have none" in (record(ended, "cover.mp4").notes or [])


async def test_not_real_time_is_never_hidden(bench: Bench) -> None:
    """A setting that no small machine can encode in real time."""
    heavy = Scenario(
        name="heavy", resolution="3840x2160", fps=60, bitrate="20M", preset="placebo", duration=3.0, warmup=0.0,
        cooldown=0.0, quality=False, streams=2,
    )  # fmt: skip
    run_ = await bench.run(heavy)
    one = run_.finished[0]
    if one.status == "failed":
        assert "no frame was encoded" in (one.notes or [""])[0]
        return
    assert one.realtime is False
    assert any(note.startswith("not real time: heavy-1 ") for note in one.notes or [])
    assert all((encoder.speed or 0) < 0.97 for encoder in one.encoders or [])


async def test_a_stream_is_really_pushed(make_config: ConfigFactory, tmp_path: Path) -> None:
    with rtmp_server(tmp_path) as server:
        bench = Bench(make_config("scenarios.quality_seconds=1"), server.url + "/")
        scenario = msgspec.structs.replace(SHORT, name="pushed é", duration=6.0, streams=2)
        begun = bench.runner.start(RunRequest(scenarios=[scenario]))
        await bench.phase("measuring")
        shown = await asyncio.to_thread(
            run, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height", "-of", "json",
            f"{server.url}/pushed-e-2",
        )  # fmt: skip
        ended = await bench.ended(begun.id)
        await bench.runner.close()
    codecs = {stream["codec_name"] for stream in json.loads(shown)["streams"]}
    assert codecs == {"h264", "aac"}
    assert ended.state == "done", ended.error
    assert ended.finished[0].pushed is True
    assert ended.finished[0].vmaf_score is not None


async def test_a_dying_server_fails_the_scenario(make_config: ConfigFactory, tmp_path: Path) -> None:
    with rtmp_server(tmp_path) as server:
        bench = Bench(make_config(), server.url)
        begun = bench.runner.start(RunRequest(scenarios=[msgspec.structs.replace(SHORT, duration=60)]))
        await bench.phase("measuring")
        server.end()
        ended = await bench.ended(begun.id)
    assert ended.state == "failed"
    assert ended.finished[0].status == "failed"
    assert "FFmpeg exited" in (ended.error or "")


async def test_a_server_that_refuses_fails_the_scenario_at_once(make_config: ConfigFactory) -> None:
    bench = Bench(make_config(), "rtmp://127.0.0.1:9/live")
    ended = await bench.run(msgspec.structs.replace(SHORT, duration=60))
    assert ended.state == "failed"
    assert "Connection refused" in (ended.error or "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrapper",
    ['ffmpeg "$@"', 'ffmpeg "$@" & wait', 'setsid ffmpeg "$@" & wait', 'sleep 600 & exec ffmpeg "$@"'],
    ids=["without exec", "behind a shell", "in a session of its own", "beside another"],
)
async def test_an_ffmpeg_behind_a_wrapper_is_run_and_stopped_like_any(
    make_config: ConfigFactory, tmp_path: Path, wrapper: str
) -> None:
    program = tmp_path / "my-ffmpeg"
    program.write_text(f"#!/bin/sh\n{wrapper}\n", "utf-8")
    program.chmod(0o755)
    bench = Bench(make_config("scenarios.quality_seconds=1", f"scenarios.ffmpeg={program}"))
    done = await bench.run(SHORT)
    assert done.state == "done", done.error
    assert done.finished[0].quality_frames == 30
    begun = bench.runner.start(RunRequest(scenarios=[msgspec.structs.replace(SHORT, duration=60)]))
    await bench.phase("measuring")
    assert own_ffmpegs()
    before = time.monotonic()
    ended = await bench.runner.abort(begun.id)
    assert time.monotonic() - before < 5.0
    assert (ended.state, own_ffmpegs()) == ("aborted", set())


async def test_endless_output_of_ffmpeg_fills_neither_memory_nor_disk(
    make_config: ConfigFactory, tmp_path: Path
) -> None:
    """50 MB on standard error and a line of 300 kB on standard output, beside a scenario that is well."""
    program = tmp_path / "my-ffmpeg"
    noise = "head -c 50000000 /dev/zero | tr '\\0' x >&2; head -c 300000 /dev/zero | tr '\\0' y; echo"
    when = f'case "$*" in *-progress*) {noise} ;; esac'
    program.write_text(f'#!/bin/sh\n{when}\nexec ffmpeg "$@"\n', "utf-8")
    program.chmod(0o755)
    bench = Bench(make_config(f"scenarios.ffmpeg={program}"))
    done = await bench.run(msgspec.structs.replace(SHORT, quality=False))
    assert done.state == "done", done.error
    assert (done.finished[0].encoders or [])[0].frames
    assert sum(path.stat().st_size for path in bench.folder(done).iterdir()) < 4_000_000


async def test_a_missing_ffmpeg_is_a_clear_failure(make_config: ConfigFactory) -> None:
    bench = Bench(make_config("scenarios.ffmpeg=/nowhere/ffmpeg"))
    ended = await bench.run(SHORT)
    assert ended.state == "failed"
    assert "/nowhere/ffmpeg is not installed" in (ended.error or "")
    assert "apt-get install ffmpeg" in (ended.error or "")


async def test_a_full_disk_fails_only_the_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills up after the first results file was written: that file stays as it was."""
    results = Path(bench.config.paths.results)
    fsync, full = os.fsync, False

    def fsync_on_a_full_disk(descriptor: int) -> None:
        if full and os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(results)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_on_a_full_disk)
    begun = bench.runner.start(RunRequest(scenarios=[IDLE, SHORT]))
    await bench.phase("measuring", 1)
    full = True
    ended = await bench.ended(begun.id)
    assert ended.state == "failed"
    assert "no space left" in (ended.error or "")
    assert [one["name"] for one in bench.results(ended)["scenarios"]] == ["idle"]
    assert [path.name for path in results.iterdir()] == [f"test_results_{ended.id}.json"]
    full = False
    assert (await bench.run(IDLE)).state == "done"


async def test_a_failed_mark_is_only_a_note(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> None:
        raise RuntimeError("the history is closed")

    monkeypatch.setattr(bench, "mark", broken)
    bench.runner = bench.make()
    run_ = await bench.run(IDLE)
    assert run_.state == "done"
    assert "no history sample at the start of the window: the history is closed" in (run_.finished[0].notes or [])


async def test_past_runs_are_known_after_a_restart(bench: Bench) -> None:
    run_ = await bench.run(SHORT)
    again = bench.make()
    assert again.get(run_.id) == run_
    assert again.list() == [run_]
    assert again.current is None


async def test_a_run_that_a_dead_daemon_left_is_marked_interrupted(bench: Bench) -> None:
    """Its journal is older than its results file: what is finished is in that."""
    done = await bench.run(IDLE, msgspec.structs.replace(IDLE, name="idle again"))
    folder = bench.folder(done)
    cut = msgspec.structs.replace(done, state="running", ended=None, finished=done.finished[:1])
    (folder / "run.json").write_bytes(msgspec.json.encode(cut))
    name = f"test_results_{done.id}.json"
    results = Path(bench.config.paths.results) / name
    results.write_text(
        results.read_text("utf-8").replace('"status": "done",\n  "wattview', '"status": "running",\n  "wattview')
    )
    assert bench.results(done)["status"] == "running"
    (folder / "02-copy-1-000.nut").write_bytes(b"x")
    (folder / "02-encoder-1.log").write_bytes(b"x")
    found = bench.make().get(done.id)
    assert found is not None
    assert found.state == "interrupted"
    assert found.ended is not None
    assert found.results_id == done.id
    assert [one.name for one in found.finished] == ["idle", "idle again"]
    assert msgspec.json.decode((folder / "run.json").read_bytes(), type=Run) == found
    assert bench.results(done)["status"] == "interrupted"
    assert [one["status"] for one in bench.results(done)["scenarios"]] == ["done", "done"]
    assert (folder / name).read_bytes() == results.read_bytes()
    assert not (folder / "02-copy-1-000.nut").exists()
    assert (folder / "02-encoder-1.log").exists()


async def test_a_dead_daemons_run_without_a_readable_results_file_is_marked_interrupted(bench: Bench) -> None:
    done = await bench.run(IDLE)
    path = bench.folder(done) / "run.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(done, state="running", ended=None)))
    results = Path(bench.config.paths.results) / f"test_results_{done.id}.json"
    results.write_text("{")
    found = bench.make().get(done.id)
    assert found is not None
    assert (found.state, found.finished) == ("interrupted", done.finished)
    assert results.read_text() == "{"


@pytest.mark.parametrize("content", [b"", b"{", b'{"id": 5}', b"\xff\xfe", b"[]"])
async def test_a_broken_journal_loses_only_that_run(
    bench: Bench, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    done = await bench.run(IDLE)
    broken = bench.folder(done).with_name("20200101_000000")
    broken.mkdir()
    (broken / "run.json").write_bytes(content)
    assert [one.id for one in bench.make().list()] == [done.id]
    assert "20200101_000000" in caplog.text


BAD_SCENARIOS: list[tuple[str, dict[str, object]]] = [
    ("scenarios[1].name", {"name": "short"}),
    ("scenarios[1].source", {"source": "missing.mp4"}),
    ("scenarios[1].source", {"source": "../secret.mp4"}),
    ("scenarios[1].source", {"source": ".."}),
    ("scenarios[1].source", {"source": "/etc/passwd"}),
    ("scenarios[1].source", {"source": "link.mp4"}),
    ("scenarios[1].source", {"source": "loop.mp4"}),
    ("scenarios[1].source", {"source": "folder"}),
    ("scenarios[1].source", {"source": "x" * 255}),
    ("scenarios[1].resolution", {"resolution": "641x360"}),
    ("scenarios[1].resolution", {"resolution": "99998x99998"}),
    ("scenarios[1].bitrate", {"bitrate": "2500"}),
    ("scenarios[1].bitrate", {"bitrate": "99999M"}),
]


@pytest.mark.parametrize(("field", "change"), BAD_SCENARIOS, ids=lambda value: str(value)[:40])
async def test_an_invalid_scenario_is_refused_by_its_field(
    bench: Bench, field: str, change: dict[str, object], tmp_path: Path
) -> None:
    media = Path(bench.config.scenarios.media_dir)
    (media / "folder").mkdir(parents=True)
    make_secret = tmp_path / "secret.mp4"
    make_secret.write_bytes(b"x")
    (media.parent / "secret.mp4").write_bytes(b"x")
    (media / "link.mp4").symlink_to(make_secret)
    (media / "loop.mp4").symlink_to("loop.mp4")
    wrong = msgspec.structs.replace(SHORT, **({"name": "other"} | change))
    with pytest.raises(WrongField) as refused:
        bench.runner.start(RunRequest(scenarios=[SHORT, wrong]))
    assert refused.value.field == field
    assert bench.runner.current is None
    assert bench.runner.list() == []


CHILD = """
import asyncio, sys
from pathlib import Path
from wattview import config
from wattview.daemon.lab.runner import Runner
from wattview.model import RunRequest, Scenario

async def main():
    state = Path(sys.argv[1])
    settings = config.load(sets=[f"paths.state={state}"], environ={"HOME": str(state)})
    async def mark(): print("mark", flush=True)
    async def rtmp(): return None
    runner = Runner(settings, rtmp_url=rtmp, mark=mark, power_source=lambda: None, state_dir=state)
    runner.start(RunRequest(scenarios=[
        Scenario(name="x", streams=2, resolution="320x180", preset="ultrafast", duration=600, warmup=0.2)]))
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_killed_daemon_leaves_no_ffmpeg_and_an_interrupted_run(bench: Bench) -> None:
    state = Path(bench.config.paths.state)
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(state), stdout=asyncio.subprocess.PIPE
    )
    assert daemon.stdout is not None
    assert (await daemon.stdout.readline()).strip() == b"mark"
    encoders = ffmpegs_of(daemon.pid)
    assert len(encoders) == 2
    daemon.kill()
    await daemon.wait()
    await until(lambda: not any(alive(pid) for pid in encoders), "the encoders are gone", seconds=5)
    (left,) = bench.make().list()
    assert left.state == "interrupted"
