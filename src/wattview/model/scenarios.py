"""Scenarios to run: their types and valid values."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from wattview.frame_rate import FrameRate


class Output(Struct, frozen=True, kw_only=True):
    """One rendition of a scenario in a results file."""

    resolution: str
    fps: int | float


MAX_NAME = 100
"""Characters of a scenario's name."""

LONGEST_SECONDS = 86400.0
"""The longest window. One that a client closes, or somebody by hand, is asked for with it."""

MOST_REPEATS = 500
"""Of one run."""

ScenarioName = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, pattern=r"^[^\x00-\x1f\x7f]+$")]
VMAF_MODEL = r"^(hd|phone|4k|neg|newest|(version=)?vmaf_[a-z0-9_.]{1,60})$"
"""A short name, or a version's as in libvmaf."""

Bitrate = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,11}(\.[0-9]{1,12})?[kM]?$")]
Resolution = Annotated[str, Meta(pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$")]
Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
    "p1", "p2", "p3", "p4", "p5", "p6", "p7",
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13",
]  # fmt: skip
"""x264's names, which every encoder accepts (they are mapped to its own scale); then NVENC's, and those of
SVT-AV1, libaom and libvpx."""

VideoEncoder = Literal[
    "libx264", "libx265", "libsvtav1", "libaom-av1", "libvpx-vp9",
    "h264_nvenc", "hevc_nvenc", "av1_nvenc", "h264_vaapi", "hevc_vaapi", "vp9_vaapi", "av1_vaapi",
    "h264_qsv", "hevc_qsv", "vp9_qsv", "av1_qsv",
]  # fmt: skip
ScenarioType = Literal["baseline", "streams", "recording", "command"]
RateControl = Literal["capped", "cbr", "crf"]


class Rendition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One output of a ladder. ``fps`` defaults to the scenario's; ``bitrate`` to the scenario's times (pixel rate /
    that of the scenario) ** 0.75, a rule of thumb for equal quality."""

    resolution: Resolution
    fps: FrameRate | None = None
    bitrate: Bitrate | None = None


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scenario: N concurrent streams of one setting (``streams``); an idle window (``baseline``); a window of
    whatever is running (``recording``); or a window that a client opens and closes around a command that it runs
    (``command``). The last three have no encoders: only name and times apply, and ``duration`` is the longest that a
    command may take.

    ``bitrate`` is as in FFmpeg's ``-b:v`` (``2500k``); ``bitrates`` gives each stream its own instead. ``renditions``
    makes each stream a ladder: one decoder, several outputs. ``source`` is one of FFmpeg's test pictures (``testsrc2``)
    or the name of a file in the media directory. Durations are seconds: ``warmup`` before the measured window of
    ``duration``, ``cooldown`` after it; ``steady`` extends the warm-up by up to that long until power and CPU use are
    steady.

    ``rate_control``: ``capped`` limits the mean and, over ``buffer_seconds``, the maximum to the bitrate; ``cbr`` also
    pads up to it; ``crf`` is constant quality ``crf`` with the bitrate as its maximum. ``viewers`` players pull each
    stream (each rendition of a ladder). Without ``push`` the streams are encoded and thrown away; ``target`` is where
    they are pushed instead of to the RTMP server: an address without secrets (``srt://``, ``rtsp://``, ``rtmp://``), or
    the name of one in the settings. ``encoder_args`` are further settings of the encoder, as on FFmpeg's command line.
    ``bit_depth`` is by default the source's: 10 for more than 8, where the encoder takes it. ``vmaf_model`` overrides
    the setting of that name.
    """

    name: ScenarioName
    type: ScenarioType = "streams"
    streams: Annotated[int, Meta(ge=1, le=64)] = 1
    bitrate: Bitrate = "2500k"
    resolution: Resolution = "1280x720"
    fps: FrameRate = 30
    duration: Annotated[float, Meta(gt=0, le=LONGEST_SECONDS)] = 60.0
    warmup: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    cooldown: Annotated[float, Meta(ge=0, le=3600)] = 3.0
    source: Annotated[str, Meta(min_length=1, max_length=255)] = "testsrc2"
    preset: Preset = "veryfast"
    quality: bool = True
    encoder: VideoEncoder = "libx264"
    encoder_args: Annotated[str, Meta(max_length=500, pattern=r"^[ -~]*$")] = ""
    bit_depth: Literal[8, 10] | None = None
    bitrates: Annotated[list[Bitrate], Meta(min_length=1, max_length=64)] | None = None
    renditions: Annotated[list[Rendition], Meta(min_length=1, max_length=12)] | None = None
    rate_control: RateControl = "capped"
    crf: Annotated[int, Meta(ge=0, le=63)] | None = None
    gop_seconds: Annotated[float, Meta(gt=0, le=20)] = 2.0
    buffer_seconds: Annotated[float, Meta(ge=0.1, le=20)] = 2.0
    audio: Literal["aac", "none"] = "aac"
    audio_bitrate: Bitrate = "128k"
    viewers: Annotated[int, Meta(ge=0, le=50)] = 0
    push: bool = True
    target: Annotated[str, Meta(max_length=300)] = ""
    steady: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    vmaf_model: Annotated[str, Meta(pattern=VMAF_MODEL)] | None = None


def window(name: str, kind: Literal["recording", "command"], seconds: float = LONGEST_SECONDS) -> Scenario:
    """A scenario without encoders: nothing before its window, nothing after it."""
    return Scenario(name=name, type=kind, duration=seconds, warmup=0.0, cooldown=0.0, quality=False)


class RunRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/runs``. ``baseline`` adds an idle window of that many seconds at the start (0: none),
    ``baseline_after`` one at the end. ``repeat`` runs the whole list that many times, so that the repeats of one
    setting are spread over the run, and ``alternate`` runs every second time in reverse order, so that a steady drift
    falls on all settings alike; ``pause`` is the idle time between two scenarios."""

    scenarios: Annotated[list[Scenario], Meta(min_length=1, max_length=1000)]
    baseline: Annotated[float, Meta(ge=0, le=LONGEST_SECONDS)] = 0.0
    baseline_after: bool = False
    repeat: Annotated[int, Meta(ge=1, le=MOST_REPEATS)] = 1
    alternate: bool = False
    pause: Annotated[float, Meta(ge=0, le=3600)] = 0.0


class RecordingRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/recordings``: a window of the past, from ``start`` to ``end`` (Unix seconds), that
    becomes a result."""

    name: ScenarioName
    start: Annotated[float, Meta(gt=0, lt=1e11)]
    end: Annotated[float, Meta(gt=0, lt=1e11)]


class ScenarioPreset(Struct, frozen=True, kw_only=True):
    """A preset of the launch dialog: its title, request and duration, as in ``RunPlan``.

    ``suite``: it is a suite file, which states its own baseline; one that cannot be read has no scenarios, and
    ``error`` says why.
    """

    id: str
    title: str
    scenarios: list[Scenario]
    baseline: float = 0.0
    baseline_after: bool = False
    repeat: int = 1
    pause: float = 0.0
    alternate: bool = False
    seconds: float | None = None
    least_seconds: float | None = None
    most_seconds: float | None = None
    suite: bool = False
    error: str = ""


class EncoderOffer(Struct, frozen=True, kw_only=True):
    """A video encoder that the FFmpeg of scenarios has. ``reason``: why it does not work on this machine; "" if it
    does. That is tried with those of ``hardware``."""

    name: str
    codec: str
    hardware: bool = False
    reason: str = ""


class RunPlan(Struct, frozen=True, kw_only=True):
    """What a request would run, in order, its approximate duration (windows, preparation and quality comparison), and
    where its streams would be pushed, as text; "" for nowhere.

    ``seconds`` is likely; it is ``least_seconds`` if quality is judged as fast as it ever was in the last runs of this
    machine, and ``most_seconds`` if as slowly: None if it has not been judged here yet, ``least_seconds`` then has no
    time for it. A warm-up that waits for a steady machine takes from none to all of the time that it may.
    """

    scenarios: list[Scenario]
    seconds: float
    least_seconds: float | None = None
    most_seconds: float | None = None
    pushes_to: str = ""
