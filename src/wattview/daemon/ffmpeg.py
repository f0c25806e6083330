"""FFmpeg's language: command lines as pure functions of a scenario, and the reading of what ``-progress`` says.

Nothing here starts a process or touches a file. Commands are argument lists for ``children.spawn``; nothing of them
ever passes through a shell. What goes into the ``tee`` muxer's own little language is escaped by its own rules.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from msgspec import Struct

from wattview.model import Scenario

TEST_SOURCE = "testsrc2"
PIXEL_FORMAT = "yuv420p"
AUDIO_BITRATE = 128_000
AUDIO_RATE = 48_000
GOP_SECONDS = 2
PROGRESS_PERIOD_SECONDS = 0.5

PUSH_QUEUE_PACKETS = 600
"""What the push may fall behind before packets are dropped: about 8 s of 30 fps video with AAC audio."""

QUEUE_FULL = "FIFO queue full"
"""What FFmpeg's fifo muxer logs when it drops packets because the server does not take them fast enough."""

_MULTIPLES = {"": 1, "k": 1_000, "M": 1_000_000}


def bits_per_second(bitrate: str) -> int:
    """``2500k`` → 2 500 000, as FFmpeg's ``-b:v`` understands it. Raises ValueError for what is no bit rate."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kM]?)", bitrate)
    if match is None:
        raise ValueError(f"not a bit rate such as 2500k or 2.5M: {bitrate!r}")
    return int(Fraction(match[1]) * _MULTIPLES[match[2]])


def picture_size(resolution: str) -> tuple[int, int]:
    """``1280x720`` → (1280, 720)."""
    width, height = resolution.split("x")
    return int(width), int(height)


def stream_name(scenario_name: str, index: int) -> str:
    """The name under which a stream is pushed: what is ASCII in the scenario's name, and a number.

    Only letters, digits, ``-`` and ``_``: safe in an RTMP URL, in the tee muxer's syntax and as a file name. Not empty.
    """
    plain = unicodedata.normalize("NFKD", scenario_name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:60].strip("-")
    return f"{words or 'stream'}-{index + 1}"


def tee_target(url: str, options: Mapping[str, str]) -> str:
    """One target of the ``tee`` muxer, ``[key=value:key=value]url``.

    The list of targets is unescaped once (``|`` parts them) and each target's options once more (``:`` and ``]`` end
    a value), so an option's value is escaped twice and the URL once: ffmpeg-formats(1), "tee"; ffmpeg-utils(1),
    "Quoting and escaping".
    """
    inside = ":".join(f"{key}={_escape(value, ':]')}" for key, value in options.items())
    return _escape(f"[{inside}]", "|") + _escape(url, "|")


def _escape(text: str, delimiters: str) -> str:
    escaped = "".join(f"\\{char}" if char in delimiters + "\\'" else char for char in text)
    head, tail = len(escaped) - len(escaped.lstrip(" \t\r\n")), len(escaped.rstrip(" \t\r\n"))
    quoted = [f"\\{char}" if index < head or index >= tail else char for index, char in enumerate(escaped)]
    return "".join(quoted)


def encode_command(
    ffmpeg: str,
    scenario: Scenario,
    *,
    media: Path | None = None,
    push_url: str | None = None,
    copy: str | None = None,
    copy_seconds: float = 0.0,
) -> list[str]:
    """The encoder of one stream, in real time until it is told to stop.

    ``media`` is the file behind ``scenario.source`` (None: the test picture). ``push_url`` receives FLV over RTMP;
    ``copy`` is a file name pattern with one ``%d`` that receives the same encoded video in segments of
    ``copy_seconds``, for the measurement of quality. With neither, the stream is encoded and thrown away.

    Each target has its own queue and thread, so that neither a slow server nor a slow disk stalls the encoder. A push
    that breaks ends FFmpeg (the scenario is then not what was asked for); a copy that breaks costs the copy only.
    """
    bits = bits_per_second(scenario.bitrate)
    gop = str(GOP_SECONDS * scenario.fps)
    return [
        ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+warning",
        "-stats_period", str(PROGRESS_PERIOD_SECONDS), "-progress", "pipe:1",
        *_source(scenario, media, realtime=True), "-vf", _picture(scenario, media),
        "-c:v", "libx264", "-preset", scenario.preset, "-b:v", str(bits), "-maxrate", str(bits),
        "-bufsize", str(2 * bits), "-g", gop, "-keyint_min", gop, "-sc_threshold", "0",
        "-pix_fmt", PIXEL_FORMAT, "-c:a", "aac", "-b:a", str(AUDIO_BITRATE), "-ar", str(AUDIO_RATE),
        *_targets(push_url, copy, copy_seconds),
    ]  # fmt: skip


def reference_command(
    ffmpeg: str, scenario: Scenario, *, media: Path | None, first_frame: int, frames: int
) -> list[str]:
    """The same pictures that ``encode_command`` gave to its encoder, unencoded, as raw frames on standard output.

    Must be run by the FFmpeg that encoded: the test picture of another build may differ. Audio is decoded and thrown
    away, because the length of one loop of a file depends on all of its streams that are decoded.
    """
    end = f"{(first_frame + frames) / scenario.fps:.3f}"
    chosen = f",trim=start_frame={first_frame}:end_frame={first_frame + frames},setpts=PTS-STARTPTS"
    audio = ["-map", "0:a:0?", "-t", end, "-f", "null", "-"] if media is not None else []
    return [
        ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+error", *_video_source(scenario, media),
        "-map", "0:v:0", "-vf", _picture(scenario, media) + chosen, "-frames:v", str(frames),
        "-pix_fmt", PIXEL_FORMAT, "-f", "rawvideo", "pipe:1", *audio,
    ]  # fmt: skip


def _source(scenario: Scenario, media: Path | None, *, realtime: bool) -> list[str]:
    pace = ["-re"] if realtime else []
    if media is not None:
        return [*pace, *_video_source(scenario, media), "-map", "0:v:0", "-map", "0:a:0?"]
    tone = f"sine=frequency=440:sample_rate={AUDIO_RATE}"
    return [
        *pace, *_video_source(scenario, media), *pace, "-f", "lavfi", "-i", tone, "-map", "0:v:0", "-map", "1:a:0",
    ]  # fmt: skip


def _video_source(scenario: Scenario, media: Path | None) -> list[str]:
    if media is not None:
        # The whitelist keeps a playlist in the media directory from naming other machines.
        return ["-protocol_whitelist", "file", "-stream_loop", "-1", "-i", f"file:{media}"]
    return ["-f", "lavfi", "-i", f"{TEST_SOURCE}=size={scenario.resolution}:rate={scenario.fps}"]


def _picture(scenario: Scenario, media: Path | None) -> str:
    """The filters between source and encoder. They number the frames 0, 1, 2 … at the asked rate from time 0, so that
    FFmpeg itself neither repeats nor drops one and the n-th frame here is the n-th frame of the encoded stream."""
    if media is None:
        return f"format={PIXEL_FORMAT}"
    width, height = picture_size(scenario.resolution)
    return (
        f"setpts=PTS-STARTPTS,fps={scenario.fps},"
        f"scale={width}:{height}:force_original_aspect_ratio=decrease:flags=bicubic,"
        f"pad={width}:{height}:(ow-iw)/2:(oh-ih)/2,setsar=1,format={PIXEL_FORMAT}"
    )


def _targets(push_url: str | None, copy: str | None, copy_seconds: float) -> list[str]:
    queue = f"queue_size={PUSH_QUEUE_PACKETS}"
    targets = []
    if push_url is not None:
        fifo = f"{queue}:drop_pkts_on_overflow=1:restart_with_keyframe=1"
        targets.append(tee_target(push_url, {"f": "flv", "onfail": "abort", "use_fifo": "1", "fifo_options": fifo}))
    if copy is not None:
        segments = {"f": "segment", "segment_format": "nut", "segment_time": f"{copy_seconds:g}", "select": "v"}
        targets.append(tee_target(copy, {**segments, "onfail": "ignore", "use_fifo": "1", "fifo_options": queue}))
    if not targets:
        return ["-f", "null", "-"]
    return ["-flags", "+global_header", "-f", "tee", "|".join(targets)]


class Progress(Struct, frozen=True, kw_only=True):
    """One block of ``-progress``: totals since FFmpeg began. What FFmpeg calls N/A is None."""

    frames: int | None = None
    fps: float | None = None
    speed: float | None = None
    dropped_frames: int | None = None
    duplicated_frames: int | None = None
    bitrate_bps: float | None = None
    out_seconds: float | None = None
    ended: bool = False


class ProgressParser:
    """Turns the lines of ``-progress`` into blocks. Lines that are not ``key=value`` are passed over."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def feed(self, line: str) -> Progress | None:
        """The block that this line completes, None in the middle of one."""
        key, equals, value = line.strip().partition("=")
        if not equals:
            return None
        self._fields[key] = value.strip()
        if key != "progress":
            return None
        fields, self._fields = self._fields, {}
        microseconds = _number(fields.get("out_time_us"))
        kilobits = _number(fields.get("bitrate", "").removesuffix("kbits/s"))
        return Progress(
            frames=_count(fields.get("frame")),
            fps=_number(fields.get("fps")),
            speed=_number(fields.get("speed", "").removesuffix("x")),
            dropped_frames=_count(fields.get("drop_frames")),
            duplicated_frames=_count(fields.get("dup_frames")),
            bitrate_bps=None if kilobits is None else kilobits * 1000,
            out_seconds=None if microseconds is None else microseconds / 1e6,
            ended=fields["progress"] == "end",
        )


_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{0,9})?(e[+-]?[0-9]{1,3})?", re.ASCII)


def _number(text: str | None) -> float | None:
    text = (text or "").strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _count(text: str | None) -> int | None:
    number = _number(text)
    return int(number) if number is not None and 0 <= number < 2**63 else None


def version(banner: str) -> str:
    """``5.1.9-0+deb12u1`` out of what ``ffmpeg -version`` prints; "" where it is no FFmpeg's."""
    match = re.match(r"ffmpeg version (\S+)", banner)
    return match[1] if match else ""
