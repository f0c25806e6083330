"""What can be run, with the real FFmpeg: ladders, mixed bitrates, other encoders, viewers, repeats."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.conftest import ConfigFactory
from tests.support import films
from tests.support.bench import SHORT, Bench
from tests.support.ffmpeg import own_ffmpegs, rtmp_server, until, vmaf_ffmpeg
from wattview.daemon.lab import execution
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.judging import quality
from wattview.daemon.lab.runner import RunBusy
from wattview.daemon.lab.window_trail import Meters, WindowReadings, WindowTrail
from wattview.model import Rendition, RunRequest, Scenario, TrailPoint
from wattview.model.run_request import WrongField
from wattview.model.scenarios import window
from wattview.probes.power.energy_source import Moment, moment

pytestmark = pytest.mark.slow

FFMPEG = "ffmpeg"
IDLE = Scenario(name="idle", type="baseline", duration=0.3, warmup=0.0, cooldown=0.0)


@pytest.fixture
async def bench(make_config: ConfigFactory) -> AsyncIterator[Bench]:
    bench = Bench(make_config("scenarios.quality_seconds=1"))
    yield bench
    await bench.runner.close()
    assert own_ffmpegs() == set()


async def test_a_ladder_is_one_process_and_every_rendition_is_judged(bench: Bench) -> None:
    ladder = replace(
        SHORT,
        name="ladder",
        resolution="640x360",
        bitrate="1M",
        renditions=[
            Rendition(resolution="640x360"),
            Rendition(resolution="320x180"),
            Rendition(resolution="320x180", fps=15, bitrate="60k"),
        ],
    )
    begun = bench.runner.start(RunRequest(scenarios=[ladder]))
    await bench.phase("measuring")
    assert len(own_ffmpegs()) == 1
    run = await bench.ended(begun.id)
    (record,) = run.finished
    assert record.status == "done", record.notes
    full, half, small = record.renditions or []
    assert [(one.resolution, one.fps, one.bitrate) for one in (full, half, small)] == [
        ("640x360", 30, "1000k"), ("320x180", 30, "354k"), ("320x180", 15, "60k"),
    ]  # fmt: skip
    assert [one.quality_frames for one in (full, half, small)] == [30, 30, 15]
    # Each is compared with the source at the source's size: less of everything is worse.
    assert full.vmaf_score > half.vmaf_score > small.vmaf_score
    assert full.psnr_score > half.psnr_score > small.psnr_score
    assert record.vmaf_score == full.vmaf_score
    assert full.vmaf_minimum <= full.vmaf_percentile_1 <= full.vmaf_harmonic_mean <= full.vmaf_score
    assert [output.resolution for output in record.outputs or []] == ["640x360", "320x180", "320x180"]


async def test_a_rendition_of_half_the_rate_is_compared_with_the_frames_it_was_made_of(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With bits in plenty the half-rate rendition is nearly perfect: no frame is off by one."""
    ladder = replace(
        SHORT,
        name="rates",
        bitrate="6M",
        renditions=[
            Rendition(resolution="320x180", bitrate="6M"),
            Rendition(resolution="320x180", fps=15, bitrate="6M"),
        ],
    )
    run = await bench.run(ladder)
    full, half = run.finished[0].renditions or []
    assert half.quality_frames == 15
    assert full.psnr_score > 42
    assert half.psnr_score > 42


async def test_mixed_bitrates_are_judged_one_by_one(bench: Bench) -> None:
    run = await bench.run(replace(SHORT, name="mixed", bitrates=["60k", "60k", "1M"]))
    (record,) = run.finished
    assert (record.streams, record.bitrate) == (3, "60k,60k,1M")
    first, second, third = record.renditions or []
    assert first.vmaf_score == second.vmaf_score < third.vmaf_score
    assert record.vmaf_score == pytest.approx((2 * first.vmaf_score + third.vmaf_score) / 3)
    assert first.bitrate_bps < third.bitrate_bps


OTHER_ENCODERS = ("libx265", "libsvtav1", "libvpx-vp9", "libaom-av1")
QUICK = replace(SHORT, gop_seconds=1.0, warmup=0.0, cooldown=0.0)


@pytest.mark.parametrize("encoder", OTHER_ENCODERS)
async def test_other_encoders_work_in_every_rate_control(bench: Bench, encoder: str) -> None:
    run = await bench.run(
        replace(QUICK, name="cbr", encoder=encoder, rate_control="cbr"),
        replace(QUICK, name="crf", encoder=encoder, rate_control="crf", crf=35),
    )
    assert run.state == "done", (run.error, [record.notes for record in run.finished])
    assert [(record.encoder, record.rate_control) for record in run.finished] == [(encoder, "cbr"), (encoder, "crf")]
    for record in run.finished:
        assert (record.quality_frames, record.vmaf_score > 50) == (30, True), record.notes


async def test_free_arguments_reach_the_encoder_and_its_results(bench: Bench) -> None:
    asked = replace(QUICK, duration=1.0, quality=False)
    run = await bench.run(replace(asked, encoder_args="-tune film -x264-params ref=3:me=hex"))
    (record,) = run.finished
    assert (record.status, record.encoder_args) == ("done", "-tune film -x264-params ref=3:me=hex")
    assert "-x264-params ref=3:me=hex" in (bench.folder(run) / "01-encoder-1.log").read_text("utf-8").splitlines()[0]
    for text, reason in (("-x264-params ref=abc", "Error parsing option"), ("-tune grass", "invalid tune")):
        refused = await bench.run(replace(asked, encoder_args=text))
        assert refused.finished == []
        assert (refused.error or "").startswith(f"scenarios[0].encoder_args: libx264 does not take {text}: ")
        assert reason in (refused.error or "")
    with pytest.raises(WrongField, match=r"scenarios\[0\].encoder_args: -x264-params stats is not among"):
        await bench.run(replace(asked, encoder_args="-x264-params stats=here"))


async def test_the_newest_ffmpeg_has_the_same_encoders_and_pushes_over_enhanced_rtmp(
    make_config: ConfigFactory, tmp_path: Path
) -> None:
    with rtmp_server(tmp_path) as server:
        config = make_config("scenarios.quality_seconds=1", f"scenarios.ffmpeg={vmaf_ffmpeg()}")
        bench = Bench(config, server.url)
        run = await bench.run(*(replace(QUICK, name=encoder, encoder=encoder) for encoder in OTHER_ENCODERS))
    assert run.state == "done", (run.error, [record.notes for record in run.finished])
    for record in run.finished:
        assert (record.quality_frames, record.vmaf_score > 50) == (30, True), record.notes
        assert (record.pushed, record.pushed_to) == (True, server.url), record.notes


async def test_the_encoders_of_this_ffmpeg_are_offered_and_hardware_that_is_not_here_says_why(bench: Bench) -> None:
    offers = {one.name: one for one in await bench.runner.offers()}
    assert {"libx264", "libx265", "libvpx-vp9", "libaom-av1", "h264_nvenc", "vp9_vaapi"} <= offers.keys()
    assert "av1_nvenc" not in offers, "FFmpeg 5.1 has none"
    assert [name for name, one in offers.items() if not one.hardware and one.reason] == []
    assert (offers["libvpx-vp9"].codec, offers["h264_nvenc"].hardware) == ("vp9", True)
    works = not await Capabilities().why_not_encode(FFMPEG, replace(SHORT, encoder="h264_nvenc"))
    assert bool(offers["h264_nvenc"].reason) is not works
    begun = bench.runner.start(RunRequest(scenarios=[replace(IDLE, duration=5.0)]))
    with pytest.raises(RunBusy, match="when it has ended"):
        await bench.runner.offers()
    await bench.runner.abort(begun.id)


async def test_a_lower_crf_gives_higher_quality(bench: Bench) -> None:
    run = await bench.run(
        *(replace(SHORT, name=f"crf {crf}", bitrate="9M", rate_control="crf", crf=crf) for crf in (45, 20))
    )
    low, high = run.finished
    assert low.vmaf_score < high.vmaf_score


async def test_a_listed_but_broken_encoder_ends_the_run_before_it_starts(bench: Bench) -> None:
    """FFmpeg lists NVENC on every machine; without its hardware it cannot encode a frame."""
    if not await Capabilities().why_not_encode(FFMPEG, replace(SHORT, encoder="h264_nvenc", preset="p1")):
        pytest.fail("this machine has NVENC: the test needs an encoder that does not work here")
    run = await bench.run(IDLE, replace(SHORT, encoder="h264_nvenc", preset="p1"))
    assert run.state == "failed"
    assert (run.error or "").startswith("scenarios[1].encoder: h264_nvenc does not work on this machine: ")
    assert run.finished == []
    assert bench.marks == []


async def test_video_without_audio_is_video_only(bench: Bench) -> None:
    run = await bench.run(replace(SHORT, audio="none"))
    assert run.finished[0].audio == "none"
    log = (bench.folder(run) / "01-encoder-1.log").read_text("utf-8")
    assert "sine" not in log
    assert "-c:a" not in log


async def test_repeats_are_interleaved_between_baselines_and_each_is_recorded(bench: Bench) -> None:
    short = replace(SHORT, duration=0.6, warmup=0.0, cooldown=0.0, quality=False)
    run = await bench.run(IDLE, replace(short, name="a"), replace(short, name="b"), repeat=2, pause=0.1)
    assert run.state == "done"
    assert [record.name for record in run.finished] == ["idle #1", "a #1", "b #1", "idle #2", "a #2", "b #2"]
    assert [(record.setting, record.repeat) for record in run.finished][1:3] == [("a", 1), ("b", 1)]
    times = [record.start_time for record in run.finished]
    assert times == sorted(times)
    results = bench.results(run)["scenarios"]
    assert [(one["setting"], one["repeat"]) for one in results] == [
        ("idle", 1), ("a", 1), ("b", 1), ("idle", 2), ("a", 2), ("b", 2),
    ]  # fmt: skip


async def test_a_run_keeps_what_is_needed_to_judge_and_repeat_it(bench: Bench) -> None:
    run = await bench.run(SHORT)
    names = {path.name for path in bench.folder(run).iterdir()}
    assert {"run.json", "01-encoder-1.log", "01-copy-1-000-vmaf.json"} <= names
    assert not any(name.endswith(".nut") for name in names)
    command = (bench.folder(run) / "01-encoder-1.log").read_text("utf-8").splitlines()[0]
    assert command.startswith("# ")
    assert "libx264 -preset ultrafast" in command
    results = bench.folder(run) / f"test_results_{run.id}.json"
    assert results.read_bytes() == (Path(bench.config.paths.results) / results.name).read_bytes()
    machine = bench.results(run)["machine"]
    assert machine["ffmpeg"].startswith("ffmpeg ")
    assert machine["cpus"] == os.cpu_count()


# warm-up and samples


@pytest.mark.slow
async def test_a_warm_up_ends_when_the_machine_is_steady(make_config: ConfigFactory) -> None:
    async def load() -> tuple[float | None, float | None]:
        return 50.0, 25.0

    bench = Bench(make_config(), load=load)
    run = await bench.run(replace(IDLE, steady=60.0))
    (record,) = run.finished
    assert record.warmup_seconds == pytest.approx(10, abs=1.5)
    assert record.notes is None


async def test_a_machine_that_never_settles_is_measured_all_the_same_and_noted(make_config: ConfigFactory) -> None:
    async def load() -> tuple[float | None, float | None]:
        return None, None

    bench = Bench(make_config(), load=load)
    run = await bench.run(replace(IDLE, steady=1.5))
    (record,) = run.finished
    assert record.warmup_seconds == pytest.approx(1.5, abs=0.5)
    assert record.notes == ["power or CPU use was not steady 1.5 s after the warm-up"]


async def test_the_samples_of_a_window_are_kept_at_full_rate(make_config: ConfigFactory) -> None:
    async def trail(epoch: float) -> list[TrailPoint]:
        now = int((epoch + moment().boottime) * 10)
        return [TrailPoint((now - back) / 10, (now - back) * 2.0, (now - back) * 2.0) for back in range(11, -1, -1)]

    async def sample() -> Moment:
        return moment()

    async def readings() -> WindowReadings:
        return WindowReadings([], "rapl")

    bench = Bench(make_config(), meters=Meters(trail, sample, readings))
    run = await bench.run(replace(IDLE, duration=3.0))
    lines = (bench.folder(run) / "01-power.csv").read_text("ascii").splitlines()
    times = [float(line.split(",")[0]) for line in lines[1:]]
    assert times == sorted(set(times))
    assert times[0] <= run.finished[0].start_time + 0.6
    assert times[-1] >= run.finished[0].end_time
    gaps = [after - before for before, after in pairwise(times)]
    assert max(gaps) < 0.15


# servers and viewers


async def test_viewers_pull_each_stream_and_see_what_is_sent(make_config: ConfigFactory, tmp_path: Path) -> None:
    with rtmp_server(tmp_path) as server:
        bench = Bench(make_config(), server.url)
        scenario = replace(SHORT, name="watched", streams=2, viewers=2, duration=5.0, quality=False)
        begun = bench.runner.start(RunRequest(scenarios=[scenario]))
        await bench.phase("measuring")
        assert len(own_ffmpegs()) == 2 + 4
        run = await bench.ended(begun.id)
    (record,) = run.finished
    assert record.status == "done", record.notes
    assert record.viewers == 2
    seen = record.playback
    assert seen is not None
    assert seen.viewers == 4
    assert seen.received_frames_ratio == pytest.approx(1.0, abs=0.1)
    assert seen.start_delay_seconds is not None
    assert 0 < seen.start_delay_seconds <= seen.start_delay_max_seconds < 5
    assert seen.stalls == 0
    assert own_ffmpegs() == set()


async def test_viewers_without_a_server_are_reported_as_none(bench: Bench) -> None:
    run = await bench.run(replace(SHORT, viewers=1, quality=False))
    (record,) = run.finished
    assert record.playback is None
    assert "there were no viewers: nothing was pushed" in (record.notes or [])


async def test_a_viewer_that_ends_fails_the_scenario(make_config: ConfigFactory, tmp_path: Path) -> None:
    with rtmp_server(tmp_path) as server:
        bench = Bench(make_config(), server.url)
        begun = bench.runner.start(RunRequest(scenarios=[replace(SHORT, viewers=1, duration=60.0)]))
        await bench.phase("measuring")
        os.kill(max(own_ffmpegs()), signal.SIGKILL)
        run = await bench.ended(begun.id)
    assert run.state == "failed"
    assert "viewer 1 of short-1: FFmpeg exited (signal 9)" in (run.error or "")


@pytest.mark.slow
async def test_a_hanging_server_is_reported_and_does_not_stall_the_encoder(
    make_config: ConfigFactory, tmp_path: Path
) -> None:
    """The server stops reading in the window. Kernel buffers and the queue fill up, then packets are dropped; the
    encoder keeps its pace, and the result says that the stream was not delivered in real time."""
    with rtmp_server(tmp_path) as server:
        bench = Bench(make_config(), server.url)
        scenario = replace(
            SHORT, bitrate="40M", resolution="1280x720", duration=20.0, quality=False, rate_control="cbr"
        )
        begun = bench.runner.start(RunRequest(scenarios=[scenario]))
        await bench.phase("measuring")
        server.freeze()
        run = await bench.ended(begun.id)
    (record,) = run.finished
    assert record.status == "done", record.notes
    assert record.realtime is False
    assert any("received short-1 too slowly" in note for note in record.notes or [])
    (encoder,) = record.encoders or []
    assert encoder.speed == pytest.approx(1.0, abs=0.1)


async def test_an_encoder_that_stalls_and_catches_up_is_not_in_real_time(bench: Bench) -> None:
    begun = bench.runner.start(RunRequest(scenarios=[replace(SHORT, duration=7.0, quality=False)]))
    await bench.phase("measuring")
    await asyncio.sleep(1.0)
    (pid,) = own_ffmpegs()
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(2.5)
    os.kill(pid, signal.SIGCONT)
    run = await bench.ended(begun.id)
    (record,) = run.finished
    assert record.realtime is False
    assert any("behind the clock" in note for note in record.notes or []), record.notes


async def test_a_codec_that_flv_cannot_carry_is_pushed_over_srt_or_discarded(
    make_config: ConfigFactory, tmp_path: Path
) -> None:
    """Debian's FFmpeg 5.1 has neither HEVC nor VP9 in FLV; MPEG-TS has HEVC."""
    with rtmp_server(tmp_path) as server:
        bench = Bench(make_config(), server.url)
        ladder = [Rendition(resolution="320x180"), Rendition(resolution="160x90")]
        quick = replace(SHORT, quality=False, cooldown=0.0)
        run = await bench.run(
            replace(quick, name="hevc", encoder="libx265", renditions=ladder),
            replace(quick, name="vp9", encoder="libvpx-vp9", viewers=1),
        )
    hevc, vp9 = run.finished
    assert (hevc.status, hevc.pushed, hevc.pushed_to) == ("done", True, "srt://127.0.0.1"), hevc.notes
    assert any("to WattView's own receiver, as this FFmpeg does not put hevc" in one for one in hevc.notes or [])
    assert (vp9.status, vp9.pushed, vp9.playback) == ("done", False, None)
    assert any("nor into SRT's MPEG-TS" in one for one in vp9.notes or [])


async def test_the_static_ffmpeg_runs_scenarios_too(make_config: ConfigFactory, tmp_path: Path) -> None:
    """A current FFmpeg takes the same commands as Debian's, and gives the same reports."""
    with rtmp_server(tmp_path) as server:
        bench = Bench(make_config(f"scenarios.ffmpeg={vmaf_ffmpeg()}", "scenarios.quality_seconds=1"), server.url)
        run = await bench.run(replace(SHORT, streams=2, duration=3.0, viewers=1))
    (record,) = run.finished
    assert run.state == "done", (run.error, record.notes)
    assert record.pushed
    assert record.quality_frames == 30
    assert record.psnr_score > 25
    assert all((encoder.frames or 0) > 50 for encoder in record.encoders or [])


async def test_the_encoded_bitrate_is_recorded(bench: Bench) -> None:
    run = await bench.run(replace(SHORT, bitrate="400k", duration=4.0, rate_control="cbr"))
    (rendition,) = run.finished[0].renditions or []
    assert rendition.bitrate_bps == pytest.approx(400_000, rel=0.3)


@pytest.mark.slow
async def test_a_copy_is_cut_into_segments_that_are_dropped_in_a_long_window(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a window is, only its beginning and its newest piece lie on the disk."""
    monkeypatch.setattr("wattview.daemon.lab.encoding.encoder_group.COPY_SLACK_SECONDS", 1.5)
    begun = bench.runner.start(RunRequest(scenarios=[replace(SHORT, warmup=0.0, duration=12.0, gop_seconds=0.5)]))
    await bench.phase("measuring")
    most = 0

    def segments() -> int:
        folder = Path(bench.config.paths.state) / "runs" / begun.id
        return len(list(folder.glob("*.nut")))

    while bench.runner.current and bench.runner.current.progress.phase == "measuring":
        most = max(most, segments())
        await asyncio.sleep(0.1)
    assert 2 <= most <= 4
    run = await bench.ended(begun.id)
    assert run.finished[0].quality_frames == 30


def _priorities() -> list[int]:
    return [os.getpriority(os.PRIO_PROCESS, pid) for pid in own_ffmpegs()]


async def test_quality_runs_at_the_lowest_priority(bench: Bench) -> None:
    begun = bench.runner.start(RunRequest(scenarios=[replace(SHORT, resolution="1280x720", duration=2.0)]))
    await bench.phase("quality")
    # What an FFmpeg can do is asked before; only the two that decode and compare go on.
    await until(lambda: _priorities() == [quality.NICE] * 2, "the comparison runs, and nothing beside it")
    await bench.runner.abort(begun.id)


async def test_films_of_ten_bits_fifty_frames_and_fields_run_as_what_they_are(
    make_config: ConfigFactory, tmp_path: Path
) -> None:
    fields = ["-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags", "+ilme+ildct", *films.YUV]
    hlg = ["-pix_fmt", "yuv420p10le", *films.tagged("bt2020nc", "bt2020", "arib-std-b67")]
    films.lavfi(films.picture(fps=50), *hlg, to=tmp_path / "hlg.mkv")
    films.lavfi(films.picture(fps=50), *fields, to=tmp_path / "fields.mkv")
    bench = Bench(make_config("scenarios.quality_seconds=1", f"scenarios.media_dir={tmp_path}"))
    film = replace(QUICK, audio="none")
    run = await bench.run(
        replace(film, name="hlg", source="hlg.mkv", fps=50, encoder="libx265"),
        replace(film, name="fields", source="fields.mkv", fps=50),
        replace(film, name="frames", source="fields.mkv", fps=25),
    )
    assert run.state == "done", (run.error, [record.notes for record in run.finished])
    hlg_50, fields_50, frames_25 = run.finished
    assert [record.bit_depth for record in run.finished] == [10, 8, 8]
    assert any("it is HDR (HLG)" in note for note in hlg_50.notes or [])
    assert any(note.endswith("each field became a picture") for note in fields_50.notes or [])
    assert any(note.endswith("the two fields became one picture") for note in frames_25.notes or [])
    for record, fps in ((hlg_50, 50), (fields_50, 50), (frames_25, 25)):
        assert record.quality_frames == fps
        assert record.vmaf_score > 50
        (encoder,) = record.encoders or []
        assert encoder.frames == pytest.approx(fps * record.duration, rel=0.2)


async def test_of_a_recording_in_which_the_clock_was_set_the_workloads_are_unknown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history's times are by the clock, and so would be of other moments."""
    monkeypatch.setattr(WindowTrail, "clock_set", -3.0)
    run = await bench.run(window("all", "recording", 0.3))
    (record,) = run.finished
    assert record.parts is None
    assert record.notes == [
        "the clock was set by -3.0 s in the window, whose times are by the clock before",
        "the energy of workloads and streams is unknown: the clock was set",
    ]


async def test_a_run_lasts_as_long_as_it_did_however_the_clock_is_set(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([Moment(5000.0, 5.0, 50.0), Moment(10.0, 20.0, 65.0)])
    monkeypatch.setattr(execution, "moment", lambda: next(moments))
    run = await bench.run(IDLE)
    assert (run.started, run.ended) == (5000.0, 5015.0)
