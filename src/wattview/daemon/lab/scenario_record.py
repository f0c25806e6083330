"""The record of a finished scenario: settings, measured window, scores. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from wattview import __version__
from wattview.daemon.lab.encoding.renditions import EncodedStream, Variant, streams_of
from wattview.daemon.lab.judging.scores import Quality
from wattview.daemon.lab.scenario_check import Planned
from wattview.model import (
    CommandReport,
    ContentComplexity,
    Output,
    Playback,
    RenditionRecord,
    ResultsFile,
    Run,
    Scenario,
    ScenarioRecord,
)
from wattview.model.runs import SCORES, scores_of


class MeasuredWindow(Struct, frozen=True, kw_only=True):
    """A measured window: Unix times of its ends, its length by the monotonic clock, the length of its warm-up, the
    viewers' playback, whether the wall clock was set in it, and its problems."""

    start_time: float
    end_time: float
    seconds: float
    warmup_seconds: float
    playback: Playback | None = None
    clock_set: bool = False
    notes: tuple[str, ...] = ()


class Score(Struct, frozen=True):
    """The quality of one output, and its actual bits per second (video only)."""

    quality: Quality
    bits_per_second: float | None


def record_of(
    planned: Planned, window: MeasuredWindow | None, *, power_source: str | None, notes: Sequence[str] = ()
) -> ScenarioRecord:
    """The record without its scores. A scenario without a window has failed: it has no times, and so no energy."""
    scenario = planned.scenario
    all_notes = [*notes, *(window.notes if window else ())]
    record = ScenarioRecord(
        name=scenario.name,
        type=scenario.type,
        duration=window.seconds if window else None,
        start_time=window.start_time if window else None,
        end_time=window.end_time if window else None,
        warmup_seconds=round(window.warmup_seconds, 3) if window else None,
        power_source=power_source if window else None,
        playback=window.playback if window else None,
        status="done" if window else "failed",
        notes=all_notes or None,
        setting=planned.setting,
        repeat=planned.repeat,
        streams=0,
    )
    return _with_settings(record, scenario) if scenario.type == "streams" else record


def _with_settings(record: ScenarioRecord, scenario: Scenario) -> ScenarioRecord:
    streams = streams_of(scenario)
    ladder = streams[0].variants
    if scenario.renditions is not None:
        bitrate = ",".join(variant.bitrate for variant in ladder)
    else:
        bitrate = ",".join(scenario.bitrates or [scenario.bitrate])
    return replace(
        record,
        bitrate=bitrate,
        resolution=scenario.resolution,
        fps=scenario.fps,
        outputs=[Output(resolution=variant.resolution, fps=variant.fps) for variant in ladder],
        streams=len(streams),
        source=scenario.source,
        preset=scenario.preset,
        encoder=scenario.encoder,
        encoder_args=scenario.encoder_args or None,
        bit_depth=scenario.bit_depth,
        viewers=scenario.viewers or None,
        rate_control=scenario.rate_control,
        crf=scenario.crf,
        gop_seconds=scenario.gop_seconds,
        buffer_seconds=scenario.buffer_seconds,
        audio=scenario.audio_bitrate if scenario.audio != "none" else "none",
    )


def results_of(run: Run, measured_on: dict[str, Any]) -> ResultsFile:
    """The results file of a run, with what is finished of it."""
    return ResultsFile(
        test_date=datetime.fromtimestamp(run.started).astimezone().isoformat(timespec="seconds"),
        scenarios=run.finished,
        run=run.id,
        status=run.state,
        wattview_version=__version__,
        machine=measured_on,
    )


def with_report(record: ScenarioRecord, report: CommandReport) -> ScenarioRecord:
    """The record of a command with what its client says of it. One in real time counts as one stream."""
    quality = report.quality or RenditionRecord(stream="", resolution="", fps=0, bitrate="")
    return replace(
        with_content(record, report.content),
        command=report.command,
        streams=1 if report.realtime is not None else 0,
        realtime=report.realtime,
        encoders=[report.encoder] if report.encoder else None,
        resolution=quality.resolution or None,
        fps=quality.fps or None,
        **scores_of(quality),
        quality_frames=quality.quality_frames,
        vmaf_model=report.vmaf_model,
        encoder_tool=report.encoder_tool,
        quality_tool=report.quality_tool,
    )


def with_content(record: ScenarioRecord, content: ContentComplexity | None) -> ScenarioRecord:
    """The record with its source's SI and TI."""
    return record if content is None else replace(record, **asdict(content))


OF_THE_WORST = ("vmaf_percentile_1", "vmaf_minimum")
"""Scores that are the minimum over the streams, and not the mean."""


def with_scores(
    record: ScenarioRecord, streams: Sequence[EncodedStream], scores: Mapping[tuple[str, float, int], Score]
) -> ScenarioRecord:
    """The record with the quality of its outputs; ``scores`` are by ``Variant.setting``.

    A scenario's own score is the mean over its streams, of the best rendition of each: what a viewer with enough
    bandwidth gets. It is None if one of them is missing.
    """
    best = [scores.get(stream.best.setting) for stream in streams]
    qualities = [score.quality for score in best if score is not None]
    if not qualities or len(qualities) < len(best):
        qualities = []
    values = {name: _all([getattr(quality, name) for quality in qualities]) for name in SCORES}
    return replace(
        record,
        **{name: min(found, default=None) if name in OF_THE_WORST else _mean(found) for name, found in values.items()},
        vmaf_model=qualities[0].vmaf_model if qualities else None,
        quality_tool=qualities[0].tool if qualities else None,
        quality_frames=min((quality.frames for quality in qualities), default=None),
        renditions=[
            _rendition(variant, scores.get(variant.setting)) for stream in streams for variant in stream.variants
        ],
    )


def _rendition(variant: Variant, score: Score | None) -> RenditionRecord:
    record = RenditionRecord(
        stream=variant.name, resolution=variant.resolution, fps=variant.fps, bitrate=variant.bitrate
    )
    if score is None:
        return record
    quality = score.quality
    return replace(record, bitrate_bps=score.bits_per_second, quality_frames=quality.frames, **scores_of(quality))


def _all(values: Sequence[float | None]) -> list[float]:
    """The values if every stream has one; a score of some streams would not be the scenario's."""
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else []


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
