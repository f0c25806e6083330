"""The meters of a run, on times and counts made by hand: pace, stalls, steadiness, progress, ladders, options."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from wattview.analysis.efficiency import pixels
from wattview.analysis.windows.energy import percentile
from wattview.daemon.lab import window_trail
from wattview.daemon.lab.encoding import encoder_options, ffmpeg_command
from wattview.daemon.lab.encoding.encoder_process import Pace, PaceMeter
from wattview.daemon.lab.encoding.renditions import streams_of
from wattview.daemon.lab.encoding.viewers import StallMeter
from wattview.daemon.lab.judging.scores import Quality, harmonic_mean
from wattview.daemon.lab.run_progress import JudgingSpeed, ProgressClock, duration_of, judging_speed
from wattview.daemon.lab.scenario_check import Planned
from wattview.daemon.lab.scenario_record import MeasuredWindow, Score, record_of, with_scores
from wattview.daemon.lab.steadiness import Steadiness
from wattview.daemon.lab.window_trail import (
    Meters,
    WindowReadings,
    WindowTrail,
    own_evidence,
    read_trail,
    read_window,
)
from wattview.model import Rendition, Run, Scenario, ScenarioRecord, TrailPoint, VideoEncoder
from wattview.probes.power.energy_source import Moment

LADDER = Scenario(
    name="l",
    bitrate="4M",
    resolution="1920x1080",
    renditions=[
        Rendition(resolution="1920x1080"),
        Rendition(resolution="960x540"),
        Rendition(resolution="640x360", fps=15),
    ],
)


def pace(reports: list[tuple[float, int]], fps: int = 30, dropped: int = 0, duplicated: int = 0) -> Pace:
    """The verdict on a window of these reports; the last one says what was dropped and duplicated by then."""
    meter = PaceMeter(fps)
    meter.note(0.0, ffmpeg_command.Progress(frames=1, dropped_frames=0, duplicated_frames=0))
    meter.open_window()
    for number, (when, frames) in enumerate(reports):
        last = number == len(reports) - 1
        meter.note(
            when,
            ffmpeg_command.Progress(
                frames=frames, dropped_frames=dropped if last else 0, duplicated_frames=duplicated if last else 0
            ),
        )
    return meter.close_window()


def steady_reports(fps: float, seconds: float = 60.0) -> list[tuple[float, int]]:
    return [(10 + step / 2, round(100 + fps * step / 2)) for step in range(int(seconds * 2) + 1)]


def test_an_encoder_at_its_rate_is_in_real_time() -> None:
    verdict = pace(steady_reports(30))
    assert verdict.realtime
    assert verdict.speed == pytest.approx(1.0)
    assert verdict.complaints() == []
    assert (verdict.first_frame, verdict.last_frame) == (100, 1900)


@pytest.mark.parametrize(("fps", "realtime"), [(30.0, True), (29.7, True), (29.2, False), (15.0, False)])
def test_a_slow_encoder_is_not_in_real_time(fps: float, realtime: bool) -> None:
    """Over a minute 29.7 frames a second leave the encoder 0.6 s behind, 29.2 leave it 1.6 s behind."""
    verdict = pace(steady_reports(fps))
    assert verdict.realtime is realtime
    assert verdict.speed == pytest.approx(fps / 30, abs=0.001)


def test_an_encoder_that_waits_for_its_source_is_not_behind() -> None:
    """A film with a picture every two seconds gives 60 frames at once; one that is slow for longer is behind."""
    reports = [(10 + step / 2, 100 + 60 * (step // 4)) for step in range(120)]
    for still_seconds, realtime in ((2.0, True), (0.0, False)):
        meter = PaceMeter(30, still_seconds)
        meter.open_window()
        for when, frames in reports:
            meter.note(when, ffmpeg_command.Progress(frames=frames, dropped_frames=0, duplicated_frames=0))
        assert meter.close_window().realtime is realtime
    meter = PaceMeter(30, 2.0)
    meter.open_window()
    for when, frames in steady_reports(28):
        meter.note(when, ffmpeg_command.Progress(frames=frames, dropped_frames=0, duplicated_frames=0))
    assert not meter.close_window().realtime


def test_what_happened_before_the_window_does_not_count() -> None:
    """An encoder that was slow while it warmed up and then kept real time has kept real time."""
    meter = PaceMeter(30)
    for when, frames in [(0.5, 1), (5.0, 20), (10.0, 60)]:
        meter.note(when, ffmpeg_command.Progress(frames=frames))
    meter.open_window()
    for step in range(21):
        meter.note(10.5 + step, ffmpeg_command.Progress(frames=75 + 30 * step))
    assert meter.close_window().realtime


def test_a_stall_that_is_caught_up_is_still_a_stall() -> None:
    reports = [(when, frames) for when, frames in steady_reports(30) if not 20 < when < 23]
    stalled = [(22.9, 100 + 300), *[(when, frames) for when, frames in reports if when > 20]]
    verdict = pace([report for report in reports if report[0] <= 20] + stalled)
    assert verdict.speed == pytest.approx(1.0)
    assert verdict.behind_seconds == pytest.approx(2.9, abs=0.05)
    assert not verdict.realtime
    assert verdict.complaints() == ["fell up to 2.9 s behind the clock"]


@pytest.mark.parametrize(("dropped", "duplicated", "says"), [(2, 0, "dropped 2 frames"), (0, 3, "duplicated 3 frames")])
def test_lost_and_repeated_frames_are_not_real_time(dropped: int, duplicated: int, says: str) -> None:
    verdict = pace(steady_reports(30), dropped=dropped, duplicated=duplicated)
    assert not verdict.realtime
    assert says in verdict.complaints()


@pytest.mark.parametrize("reports", [[], [(10.0, 100)]])
def test_an_encoder_that_reports_nothing_is_not_in_real_time(reports: list[tuple[float, int]]) -> None:
    verdict = pace(reports)
    assert verdict.speed is None
    assert not verdict.realtime
    assert verdict.complaints() == ["reported no progress in the measured window"]


def test_a_short_window_is_not_failed_by_the_error_of_looking() -> None:
    assert pace([(10.0, 100), (11.9, 155)]).realtime  # 2 frames late of 57
    assert not pace([(10.0, 100), (11.9, 150)]).realtime


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 10**9) | st.none()), max_size=30))
def test_no_reports_break_the_pace_meter(reports: list[tuple[float, int | None]]) -> None:
    meter = PaceMeter(30)
    meter.open_window()
    for when, frames in reports:
        meter.note(when, ffmpeg_command.Progress(frames=frames))
    meter.status("x")
    verdict = meter.close_window()
    assert verdict.behind_seconds >= 0


# viewers


def stalls(arrivals: list[tuple[float, float]], buffer: float = 1.0) -> tuple[int, float]:
    meter = StallMeter(buffer)
    for when, received in arrivals:
        meter.note(when, received)
    return meter.stalls, round(meter.stalled_seconds, 6)


def test_a_stream_that_comes_in_real_time_never_stalls() -> None:
    assert stalls([(step / 2, step / 2) for step in range(200)]) == (0, 0.0)


def test_start_up_delay_does_not_count_as_a_stall() -> None:
    assert stalls([(0.0, 0.0), (5.0, 0.0), (6.0, 0.5), (7.0, 1.5), (8.0, 2.5)]) == (0, 0.0)


def test_a_gap_longer_than_the_buffer_is_one_stall_of_known_length() -> None:
    """Playing from second 1 with 1 s in hand; nothing comes from 10 to 14; at 14 the buffer fills up again."""
    before = [(float(step), float(step)) for step in range(11)]
    assert stalls([*before, (14.0, 10.0), (15.0, 11.0), (16.0, 12.0)]) == (1, 4.0)


def test_a_gap_bridged_by_the_buffer_is_not_a_stall() -> None:
    before = [(float(step), float(step)) for step in range(11)]
    assert stalls([*before, (10.9, 10.0), (11.0, 11.0), (12.0, 12.0)]) == (0, 0.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), max_size=40))
def test_playback_stalls_never_exceed_elapsed_time(steps: list[tuple[float, float]]) -> None:
    times = list(itertools.accumulate(step for step, _ in steps))
    received = list(itertools.accumulate(step for _, step in steps))
    meter = StallMeter()
    for when, media in zip(times, received, strict=True):
        meter.note(when, media)
    assert 0 <= meter.stalled_seconds <= (times[-1] - times[0] if times else 0) + 1e-6


# steadiness


def settled_after(readings: list[tuple[float | None, float | None]]) -> int | None:
    meter = Steadiness()
    return next((number for number, reading in enumerate(readings, start=1) if meter.note(*reading)), None)


def test_a_steady_machine_is_found_steady_after_ten_seconds() -> None:
    assert settled_after([(50.0 + (-1) ** n * 0.2, 30.0) for n in range(20)]) == 10


def test_a_machine_that_is_warming_up_is_not_steady() -> None:
    assert settled_after([(50.0 + n, 30.0) for n in range(60)]) is None
    assert settled_after([(50.0, 30.0 + n) for n in range(60)]) is None


def test_power_is_steady_once_a_rise_has_left_both_halves() -> None:
    settled = settled_after([(20.0 + min(10, n) * 3, None) for n in range(60)])
    assert settled is not None
    assert 13 <= settled <= 20


def test_without_any_figure_nothing_is_steady() -> None:
    assert settled_after([(None, None)] * 60) is None
    assert settled_after([(None, 20.0)] * 60) == 10


# ladders and encoders


def test_the_renditions_of_a_ladder_get_the_bits_of_their_pixels() -> None:
    (stream,) = streams_of(LADDER)
    full, half, small = stream.variants
    assert (full.bits, full.bitrate) == (4_000_000, "4000k")
    assert half.bits == 1_414_000  # a quarter of the pixels: 4 000 000 × 0.25^0.75
    assert small.bits == round(4_000 * (640 * 360 * 15 / (1920 * 1080 * 30)) ** 0.75) * 1000
    assert stream.best is full
    assert len({variant.name for variant in stream.variants}) == 3


def test_mixed_bitrates_are_one_stream_each() -> None:
    streams = streams_of(Scenario(name="m", bitrates=["1M", "2.5M"]))
    assert [[variant.bits for variant in stream.variants] for stream in streams] == [[1_000_000], [2_500_000]]


def test_a_baseline_has_no_streams() -> None:
    assert streams_of(Scenario(name="b", type="baseline")) == []


@pytest.mark.parametrize(
    ("encoder", "preset", "native"),
    [("libx264", "fast", "fast"), ("libx265", "slow", "slow"), ("libsvtav1", "veryfast", "9"),
     ("libsvtav1", "12", "12"), ("hevc_nvenc", "medium", "p4"), ("av1_nvenc", "p7", "p7"),
     ("h264_vaapi", "fast", None), ("h264_qsv", "placebo", "veryslow"),
     ("libvpx-vp9", "ultrafast", "8"), ("libaom-av1", "5", "5")],
)  # fmt: skip
def test_presets_are_translated_to_each_encoders_scale(encoder: str, preset: str, native: str | None) -> None:
    assert encoder_options.native_preset(encoder, preset) == native
    assert encoder_options.accepts_preset(encoder, preset)


@pytest.mark.parametrize("encoder", get_args(VideoEncoder))
@pytest.mark.parametrize("mode", ["capped", "cbr", "crf"])
def test_every_encoder_has_options_for_every_rate_control(encoder: str, mode: str) -> None:
    scenario = Scenario(
        name="x", encoder=encoder, rate_control=mode, crf=30 if mode == "crf" else None, gop_seconds=1.5
    )
    arguments = encoder_options.encoder_arguments(scenario, bits=1_000_000, fps=30)
    assert arguments[:2] == ["-c:v", encoder]
    assert arguments[arguments.index("-g") + 1] == "45"
    assert bool({"30", "120"} & set(arguments)) == (mode == "crf"), "VAAPI counts quantisers of VP9 and AV1 by fours"
    assert all(isinstance(part, str) and part for part in arguments)
    assert encoder_options.codec(encoder) in {"h264", "hevc", "vp9", "av1"}


# records


def score(vmaf: float | None, psnr: float = 40.0) -> Score:
    return Score(Quality(frames=60, psnr_score=psnr, ssim_score=0.9, vmaf_score=vmaf, vmaf_model="m", tool="t"), 1e6)


WINDOW = MeasuredWindow(start_time=100.0, end_time=160.0, seconds=60.0, warmup_seconds=5.0)


def test_a_ladders_score_is_that_of_its_best_rendition() -> None:
    streams = streams_of(LADDER)
    vmafs = dict(zip((variant.setting for variant in streams[0].variants), (95.0, 80.0, 60.0), strict=True))
    record = record_of(Planned(scenario=LADDER, field=""), WINDOW, power_source="rapl")
    record = with_scores(record, streams, {setting: score(vmaf) for setting, vmaf in vmafs.items()})
    assert record.vmaf_score == 95.0
    assert [one.vmaf_score for one in record.renditions or []] == [95.0, 80.0, 60.0]
    assert record.bitrate == "4000k,1414k,458k"
    assert [output.resolution for output in record.outputs or []] == ["1920x1080", "960x540", "640x360"]


def test_the_score_of_mixed_streams_is_their_mean_and_none_where_one_is_missing() -> None:
    scenario = Scenario(name="m", bitrates=["1M", "1M", "4M"])
    streams = streams_of(scenario)
    record = record_of(Planned(scenario=scenario, field=""), WINDOW, power_source=None)
    low, _, high = (stream.variants[0].setting for stream in streams)
    assert with_scores(record, streams, {low: score(80.0), high: score(95.0)}).vmaf_score == pytest.approx(85.0)
    partial = with_scores(record, streams, {low: score(80.0)})
    assert (partial.vmaf_score, partial.psnr_score, partial.quality_frames) == (None, None, None)
    assert [one.vmaf_score for one in partial.renditions or []] == [80.0, 80.0, None]


def test_without_libvmaf_the_other_scores_remain() -> None:
    scenario = Scenario(name="x")
    streams = streams_of(scenario)
    record = record_of(Planned(scenario=scenario, field=""), WINDOW, power_source=None)
    record = with_scores(record, streams, {streams[0].variants[0].setting: score(None)})
    assert (record.vmaf_score, record.psnr_score, record.ssim_score) == (None, 40.0, 0.9)


def test_a_failed_scenario_has_no_times_and_so_no_energy() -> None:
    record = record_of(Planned(scenario=Scenario(name="x"), field=""), None, power_source="rapl", notes=["why"])
    assert (record.start_time, record.end_time, record.duration, record.power_source) == (None, None, None, None)
    assert (record.status, record.notes) == ("failed", ["why"])


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300))
def test_pooled_vmaf_is_in_order(values: list[float]) -> None:
    ordered = sorted(values)
    mean = sum(values) / len(values)
    assert ordered[0] - 1e-6 <= percentile(ordered, 1.0) <= ordered[-1] + 1e-6
    assert ordered[0] - 1e-6 <= harmonic_mean(values) <= mean + 1e-6


def test_the_first_percentile_lies_between_two_frames() -> None:
    assert percentile([float(number) for number in range(101)], 1.0) == 1.0
    assert percentile([10.0, 20.0], 1.0) == pytest.approx(10.1)


# progress


class HandClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_is_the_time_that_is_left() -> None:
    clock = HandClock()
    idle = Scenario(name="i", type="baseline", duration=20.0, warmup=0.0, cooldown=0.0)
    work = Scenario(name="w", duration=60.0, warmup=5.0, cooldown=5.0, quality=False)
    progress = ProgressClock([idle, work], 20.0, clock=clock)
    whole = progress.now().remaining_seconds
    assert whole == pytest.approx(20 + 70, abs=3)
    progress.enter(0, "measuring")
    clock.now += 20
    progress.enter(1, "warmup")
    clock.now += 5
    progress.enter(1, "measuring")
    clock.now += 30
    now = progress.now()
    assert now.remaining_seconds == pytest.approx(35, abs=1)
    assert now.fraction == pytest.approx(55 / 90, abs=0.03)
    assert now.elapsed_seconds == 55
    assert (now.scenario, now.scenario_index, now.scenario_count) == ("w", 1, 2)
    over = progress.finished()
    assert (over.phase, over.fraction, over.remaining_seconds, over.scenario) == ("finished", 1.0, 0.0, "w")


def test_the_speed_of_a_comparison_is_learnt() -> None:
    clock = HandClock()
    works = [Scenario(name=str(n), duration=20.0, warmup=0.0, cooldown=0.0) for n in range(2)]
    progress = ProgressClock(works, 20.0, clock=clock)
    progress.enter(0, "quality")
    clock.now += 40
    progress.advance(0.5)
    assert progress.now().remaining_seconds == pytest.approx(40 + 20 + 27, rel=0.5)
    clock.now += 40
    progress.advance(1.0)
    progress.enter(1, "measuring")
    # The first looked at the source too, which is half as many pixels.
    assert progress.now().remaining_seconds == pytest.approx(20 + 80 / 1.5, abs=2)


def judged(*speeds: float | None) -> Run:
    finished = [ScenarioRecord(name="w", judged_pixels_per_second=speed) for speed in speeds]
    return Run(id="r", state="done", scenarios=[], started=0.0, finished=finished)


def test_scoring_speed_is_learned_from_the_last_runs() -> None:
    assert judging_speed([]) is None
    assert judging_speed([judged(None)]) is None
    assert judging_speed([judged(4e6, None), judged(2e6, 9e6)]) == JudgingSpeed(2e6, 4e6, 9e6)
    long_ago = [judged(1.0)]
    assert judging_speed([judged(*[3e6] * 15), judged(*[3e6] * 15), *long_ago]) == JudgingSpeed(3e6, 3e6, 3e6)


def test_a_runs_duration_ranges_over_past_judging_speeds() -> None:
    work = Scenario(name="w", duration=30.0, warmup=5.0, cooldown=5.0, resolution="1000x1000", fps=25)
    windows, compared, looked_at = 40.0, 20.0 * 25 * 1e6, 10.0 * 25 * 1e6
    speed = JudgingSpeed(slowest=5e6, usual=10e6, fastest=20e6)
    known = duration_of([work], 20.0, 0.0, speed)
    judged = [(compared + looked_at) / 10e6, compared / 20e6, (compared + looked_at) / 5e6]
    assert known == pytest.approx([windows + seconds for seconds in judged], abs=3)
    twice = duration_of([work, replace(work, name="v", preset="slow")], 20.0, 0.0, speed)
    most = 2 * windows + (2 * compared + looked_at) / 5e6
    assert twice.most_seconds == pytest.approx(most, abs=5), "a source is looked at once"
    new = duration_of([work], 20.0, 0.0, None)
    assert new.least_seconds == pytest.approx(windows, abs=3)
    assert new.seconds > new.least_seconds
    assert new.most_seconds is None
    unjudged = duration_of([replace(work, quality=False)], 20.0, 0.0, None)
    assert unjudged == pytest.approx([windows] * 3, abs=3)


def test_a_warm_up_may_end_at_once_or_last_as_long_as_it_may() -> None:
    work = Scenario(name="w", duration=30.0, warmup=5.0, cooldown=5.0, quality=False, steady=100.0)
    assert duration_of([work], 20.0, 0.0, None) == pytest.approx([55.0, 40.0, 140.0], abs=3)


# samples


class Recent:
    """Meters with a short memory of the power, of which the last twelve samples are left."""

    def __init__(self) -> None:
        self.memory: list[TrailPoint] = []
        self.meters = Meters(self.trail, self.sample, self.readings)

    async def trail(self, epoch: float) -> list[TrailPoint]:
        assert epoch == 0.0
        return self.memory[-12:]

    async def sample(self) -> Moment | None:
        return self.now() if self.memory else None

    def now(self) -> Moment:
        """Of the last sample, on clocks that all began at once."""
        return Moment(*3 * [self.memory[-1].time])

    async def readings(self) -> WindowReadings:
        return WindowReadings([(1000.0 + len(self.memory), "wattview_host_cpus", 8.0)], "rapl")


async def test_the_trail_of_a_window_has_every_sample_once(tmp_path: Path) -> None:
    recent = Recent()
    trail = WindowTrail(recent.meters, recent.now)
    for number in range(50):
        recent.memory.append(TrailPoint(1000.0 + number / 10, 5.0 * number, 5.0 * number + 0.5, 0.001))
        if number == 10:
            assert await trail.open() == 1001.0
        elif number == 40:
            assert await trail.close() == 1004.0
        elif number % 5 == 0:
            await trail.look()
    await trail.closed()
    trail.write(tmp_path, 3)
    assert read_trail(tmp_path / "03-power.csv") == recent.memory
    kept = read_window(tmp_path, 3)
    assert kept is not None
    assert (kept.start, kept.end, kept.sources, kept.gpus) == (1001.0, 1004.0, ["rapl"], [])
    assert [series.name for series in kept.series] == ["wattview_host_cpus"]


async def test_what_was_recorded_is_of_its_own_window_and_of_no_other(tmp_path: Path) -> None:
    recent = Recent()
    recent.memory = [TrailPoint(1000.0 + at / 10, 5.0 * at, 5.0 * at) for at in range(12)]
    trail = WindowTrail(recent.meters, recent.now)
    await trail.open()
    recent.memory += [TrailPoint(1001.2 + at / 10, 60 + 5.0 * at, 60 + 5.0 * at) for at in range(12)]
    await trail.close()
    await trail.closed()
    trail.write(tmp_path, 1)
    own = ScenarioRecord(name="own", start_time=1001.1, end_time=1002.3)
    found = own_evidence(tmp_path, 1, own)
    assert found is not None
    assert found.own is not None
    assert found.own.source == "rapl"
    assert own_evidence(tmp_path, 1, replace(own, end_time=1002.4)) is None
    assert own_evidence(tmp_path, 2, own) is None
    (tmp_path / "01-window.json").write_text("no JSON")
    with pytest.raises(ValueError, match=r"01-window\.json"):
        own_evidence(tmp_path, 1, own)


async def test_a_hanging_or_failing_source_does_not_delay_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(*_: object) -> Any:
        await asyncio.sleep(60)

    async def fails(*_: object) -> Any:
        raise OSError("gone")

    monkeypatch.setattr(window_trail, "READINGS_SECONDS", 0.0)
    for source in (hangs, fails):
        async with asyncio.timeout(2):
            assert await WindowTrail(Meters(source, source, source)).look() is False


async def test_a_window_without_meters_leaves_no_file(tmp_path: Path) -> None:
    trail = WindowTrail(None)
    assert await trail.open() <= await trail.close()
    trail.write(tmp_path, 1)
    assert not (tmp_path / "01-window.json").exists()


def test_pixels() -> None:
    assert pixels("1280x720") == 921_600
