"""Runs in progress, and the records in a results file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from wattview.model.scenarios import Output, Scenario

RunState = Literal["running", "done", "aborted", "failed", "interrupted"]
Phase = Literal["preparing", "warmup", "measuring", "cooldown", "quality", "saving", "finished"]

REALTIME_SPEED = 0.97
"""An encoder slower than this is behind real time; 1.0 is real time."""


class RunProgress(Struct, frozen=True, kw_only=True):
    """Progress of a run. ``remaining_seconds`` is an estimate, None while unknown."""

    phase: Phase
    scenario: str | None
    scenario_index: int
    scenario_count: int
    fraction: float
    elapsed_seconds: float
    remaining_seconds: float | None
    message: str = ""


class EncoderStatus(Struct, frozen=True, kw_only=True):
    """One encoder, as FFmpeg reports through ``-progress``. ``speed`` 1.0 is real time."""

    stream: str
    frames: int | None = None
    fps: float | None = None
    speed: float | None = None
    dropped_frames: int | None = None
    duplicated_frames: int | None = None
    bitrate_bps: float | None = None

    @property
    def behind(self) -> bool:
        """Whether it is behind real time."""
        return self.speed is not None and self.speed < REALTIME_SPEED


class Scores(Struct, frozen=True, kw_only=True):
    """How near a picture is to its source. VMAF is pooled in four ways; PSNR and XPSNR are in dB."""

    vmaf_score: float | None = None
    vmaf_harmonic_mean: float | None = None
    vmaf_percentile_1: float | None = None
    vmaf_minimum: float | None = None
    psnr_score: float | None = None
    ssim_score: float | None = None
    xpsnr_score: float | None = None
    cambi_score: float | None = None


SCORES = Scores.__struct_fields__
"""The scores, by the names of their fields in every record."""


class RenditionRecord(Scores, frozen=True, kw_only=True):
    """One stream or rendition of a scenario and its quality."""

    stream: str
    resolution: str
    fps: int | float
    bitrate: str
    bitrate_bps: float | None = None
    quality_frames: int | None = None


def scores_of(one: object) -> dict[str, float | None]:
    """The scores of a record, or of a comparison."""
    return {name: getattr(one, name) for name in SCORES}


class ContentComplexity(Struct, frozen=True, kw_only=True):
    """SI and TI of a source (ITU-T P.910): the largest of its pictures', and their means. One picture has no TI."""

    spatial_information: float | None = None
    temporal_information: float | None = None
    spatial_information_mean: float | None = None
    temporal_information_mean: float | None = None


class Playback(Struct, frozen=True, kw_only=True):
    """Playback by the viewers of a scenario: means over all of them, and the worst. A stall is a time in which a player
    with a buffer of ``buffer_seconds`` would have stopped. Ratios are of the measured window. The end-to-end delay is
    from the source's picture to the moment at which a player could have shown it, over all pictures of the window:
    mean, 95th percentile and maximum."""

    viewers: int
    start_delay_seconds: float | None = None
    start_delay_max_seconds: float | None = None
    stalls: int | None = None
    stalled_seconds: float | None = None
    received_frames_ratio: float | None = None
    buffer_seconds: float | None = None
    end_to_end_delay_seconds: float | None = None
    end_to_end_delay_percentile_95_seconds: float | None = None
    end_to_end_delay_max_seconds: float | None = None


class CommandRecord(Struct, frozen=True, kw_only=True):
    """The command of a scenario that a client ran: ``wattview measure``. ``text`` is its command line, as a shell would
    take it, with passwords and stream keys left out.

    A command that takes less than a moment is run several times in one window: ``executions``. ``seconds`` is the wall
    clock of all of them together, ``cpu_seconds`` their CPU time with that of their children, ``gpu_seconds`` the time
    in which these used the busiest unit of a GPU, over all GPUs; None where it is not known. ``exit_status`` is the
    last one's, 128 and the signal's number where a signal ended it.
    """

    text: str
    executions: int
    seconds: float
    cpu_seconds: float | None = None
    exit_status: int = 0
    gpu_seconds: float | None = None


class RecordedPart(Struct, frozen=True, kw_only=True):
    """A workload or a stream in a recorded window, and its active energy there; None if that is not known. While idle
    power was unknown it is the share of all energy: ``includes_idle``.

    ``name`` is the workload's, or the stream's as ``app/name``. ``what`` is the workload's kind, its namespace, unit or
    engine, in words.
    """

    kind: Literal["workload", "stream"]
    name: str
    what: str = ""
    energy_joules: float | None = None
    includes_idle: bool = False


class CommandReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client says of the command that it ran in a window, and what FFmpeg, if it was one, said of its work.
    ``quality`` holds scores where output and source were compared, ``content`` the source's SI and TI. The body of
    ``POST /api/v1/runs/{id}/command``."""

    command: CommandRecord
    encoder: EncoderStatus | None = None
    realtime: bool | None = None
    quality: RenditionRecord | None = None
    content: ContentComplexity | None = None
    vmaf_model: str | None = None
    encoder_tool: str | None = None
    quality_tool: str | None = None
    notes: list[str] = []


class ScenarioRecord(Scores, frozen=True, kw_only=True):
    """One scenario in a results file: the fields that all programs share, then ours. A missing field is None;
    ``realtime`` is None if the encoder was not watched.

    ``bitrate`` lists several with commas, in the order of streams or renditions. Scores are means over the streams, of
    the best rendition of each; ``renditions`` has all of them; ``vmaf_percentile_1`` and ``vmaf_minimum`` are those of
    the worst stream. ``encoder_tool`` and ``quality_tool`` are the FFmpegs that encoded and compared, with their
    versions; ``pushed_to`` is the server's address. ``setting`` is the name before the repeat's number was appended.
    ``spatial_information`` and ``temporal_information`` are the largest SI and TI of the source's pictures (ITU-T
    P.910), ``…_mean`` their means. ``judged_pixels_per_second`` is how fast the quality was judged: the pixels
    compared, and those looked at for SI and TI if those were not known yet, by the time that took.
    """

    name: str
    bitrate: str | None = None
    resolution: str | None = None
    fps: float | None = None
    duration: float | None = None
    start_time: float | None = None
    end_time: float | None = None
    outputs: list[Output] | None = None
    type: str | None = None
    streams: int | None = None
    source: str | None = None
    preset: str | None = None
    encoder: str | None = None
    pushed: bool | None = None
    realtime: bool | None = None
    encoders: list[EncoderStatus] | None = None
    vmaf_model: str | None = None
    quality_tool: str | None = None
    quality_frames: int | None = None
    viewers: int | None = None
    power_source: str | None = None
    status: str | None = None
    notes: list[str] | None = None
    setting: str | None = None
    repeat: int | None = None
    rate_control: str | None = None
    crf: int | None = None
    gop_seconds: float | None = None
    buffer_seconds: float | None = None
    audio: str | None = None
    warmup_seconds: float | None = None
    renditions: list[RenditionRecord] | None = None
    playback: Playback | None = None
    encoder_tool: str | None = None
    encoder_args: str | None = None
    bit_depth: int | None = None
    pushed_to: str | None = None
    command: CommandRecord | None = None
    parts: list[RecordedPart] | None = None
    spatial_information: float | None = None
    temporal_information: float | None = None
    spatial_information_mean: float | None = None
    temporal_information_mean: float | None = None
    judged_pixels_per_second: float | None = None

    @property
    def setting_name(self) -> str:
        """What it is called, without the number of a repeat."""
        return self.setting or self.name

    @property
    def fault(self) -> str:
        """Why it has not done the work of its setting, so that its figures are no repeat of it; "" if it has."""
        if self.realtime is False:
            return "not real time"
        return "failed" if self.command is not None and self.command.exit_status else ""


class ResultsFile(Struct, frozen=True, kw_only=True):
    """A results file, ``test_results_YYYYmmdd_HHMMSS.json``. ``run`` is its time stamp and the run's id. ``left_out``
    is how many of its scenarios were too many to read; it is not written."""

    test_date: str
    scenarios: list[ScenarioRecord]
    run: str | None = None
    status: str | None = None
    wattview_version: str | None = None
    machine: dict[str, Any] | None = None
    left_out: int = 0


class Run(Struct, frozen=True, kw_only=True):
    """A run of one or more scenarios. ``results_id`` names its results file once that is written; ``pushes_to`` is the
    destination of its streams, or ""."""

    id: str
    state: RunState
    scenarios: list[Scenario]
    started: float
    ended: float | None = None
    progress: RunProgress | None = None
    encoders: list[EncoderStatus] = []
    finished: list[ScenarioRecord] = []
    results_id: str | None = None
    error: str | None = None
    pushes_to: str = ""


_ADDRESS = re.compile(r"(?: @|:| at)? ?\b0x[0-9a-fA-F]{9,16}\b| @ 0x[0-9a-fA-F]+")
"""Of a context, of any length; elsewhere longer than what may be a codec's tag (``0x34363248``)."""


def without_addresses(text: str) -> str:
    """FFmpeg's output without memory addresses, which differ between processes: ``[libx264 @ 0x55d0c0ffee00]`` becomes
    ``[libx264]``."""
    return _ADDRESS.sub("", text)


def made_by(record: ScenarioRecord) -> str:
    """``encoded by ffmpeg 5.1.9, judged by ffmpeg 9.0.2, VMAF by vmaf_v0.6.1, pushed to rtmp://…``; "" if nothing is
    known."""
    said = (("encoded by", tool_text(record.encoder_tool)), ("judged by", tool_text(record.quality_tool)),
            ("VMAF by", record.vmaf_model or ""), ("pushed to", record.pushed_to or ""))  # fmt: skip
    return ", ".join(f"{what} {whom}" for what, whom in said if whom)


def tool_text(tool: str | None) -> str:
    """Program and version, without the program's path."""
    path, space, version = (tool or "").rpartition(" ")
    return f"{Path(path).name} {version}" if space else version
