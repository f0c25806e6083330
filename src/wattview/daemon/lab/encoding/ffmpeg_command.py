"""FFmpeg command lines as pure functions of a scenario, and a parser for ``-progress``.

Nothing here starts a process or touches a file. Commands are argument lists for ``children.spawn`` and never pass
through a shell. Arguments of the ``tee`` muxer are escaped by its own rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from wattview.daemon.lab.encoding import encoder_options, film
from wattview.daemon.lab.encoding.destination import RTMP, Transport
from wattview.daemon.lab.encoding.film import Film, pixel_format
from wattview.daemon.lab.encoding.renditions import EncodedStream, Variant, picture_size
from wattview.frame_rate import rate_text
from wattview.model import Scenario
from wattview.model.run_request import bits_per_second
from wattview.model.runs import without_addresses

TEST_SOURCES = ("testsrc2", "testsrc", "smptehdbars", "mandelbrot")
"""FFmpeg's test pictures that are identical each time they are generated."""

AUDIO_RATE = 48_000
PROGRESS_PERIOD_SECONDS = 0.5

PUSH_QUEUE_PACKETS = 600
"""How far the push may fall behind before packets are dropped: about 8 s of 30 fps video with AAC audio."""

ARRIVAL_STAMP = "setts=pts=PTS:dts=DTS:duration=time(0)*1000000"
"""Bitstream filter that replaces a packet's duration by the Unix time in microseconds."""

QUEUE_FULL = "FIFO queue full"
"""What FFmpeg's fifo muxer logs when it drops packets because the server is too slow."""


class OutputTarget(Struct, frozen=True, kw_only=True):
    """Destinations of one output. ``push_url`` receives the stream over ``transport``; ``copy`` is a file name pattern
    with one ``%d`` that receives the same encoded video in segments of ``copy_seconds``; ``packets`` is a file that
    receives the packet list. Without any of them the output is discarded."""

    push_url: str | None = None
    transport: Transport = RTMP
    copy: str | None = None
    copy_seconds: float = 0.0
    packets: str | None = None


def tee_target(url: str, options: Mapping[str, str]) -> str:
    """One target of the ``tee`` muxer, ``[key=value:key=value]url``.

    The list of targets is unescaped once (``|`` separates them) and each target's options once more (``:`` and ``]``
    end a value), so an option's value is escaped twice and the URL once: ffmpeg-formats(1), "tee"; ffmpeg-utils(1),
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
    stream: EncodedStream,
    targets: Mapping[Variant, OutputTarget],
    *,
    film: Film | None,
    clock: str | None = None,
) -> list[str]:
    """The encoder of one stream, in real time until it is stopped: one decoder, and an output for each variant.

    ``film`` is the file behind ``scenario.source``, None for a test picture; ``clock`` is the file name for
    ``source_clock``, if any. Each target has its own queue and thread, so that neither a slow server nor a slow disk
    stalls the encoder. A failing push ends FFmpeg (the scenario is then not as requested); a failing copy does not.
    """
    outputs: list[str] = []
    for number, variant in enumerate(stream.variants):
        outputs += [
            "-map", f"[v{number}]", *encoder_options.encoder_arguments(scenario, bits=variant.bits, fps=variant.fps),
            *_audio(scenario, film), *_target(targets.get(variant, OutputTarget())),
        ]  # fmt: skip
    return [
        ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+warning",
        "-stats_period", str(PROGRESS_PERIOD_SECONDS), "-progress", "pipe:1",
        *encoder_options.entry_of(scenario.encoder).device, *_inputs(scenario, film),
        "-filter_complex", _ladder(scenario, stream, film, clock), *outputs,
    ]  # fmt: skip


def reference_command(
    ffmpeg: str, scenario: Scenario, *, fps: float, film: Film | None, first_frame: int, frames: int
) -> list[str]:
    """The pictures that ``encode_command`` gave to its encoder at ``fps``: at the size of the source, unencoded, raw on
    standard output.

    Must be run by the FFmpeg that encoded: the test picture of another build may differ.
    """
    rate = f",fps={rate_text(fps)}" if fps != scenario.fps else ""
    chosen = f"{rate},trim=start_frame={first_frame}:end_frame={first_frame + frames},setpts=PTS-STARTPTS"
    return [
        ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+error", *_picture_input(scenario, film),
        "-filter_complex", f"{_source(film)}{_picture(scenario, film)}{chosen}[v0]", "-map", "[v0]",
        "-frames:v", str(frames), "-pix_fmt", pixel_format(scenario), "-f", "rawvideo", "pipe:1",
    ]  # fmt: skip


def viewer_command(ffmpeg: str, url: str, packets: str | None = None) -> list[str]:
    """A player that receives a stream and discards it without decoding: the load that one more viewer is for the
    server.

    With ``packets`` the video packets are listed in that file, with the server's time stamps and with the arrival time
    (Unix microseconds) in place of the duration.
    """
    listed = ["-map", "0:v:0", "-c", "copy", "-bsf:v", ARRIVAL_STAMP, "-flush_packets", "1", "-f", "framecrc"]
    return [
        ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+warning",
        "-stats_period", str(PROGRESS_PERIOD_SECONDS), "-progress", "pipe:1",
        *(["-copyts"] if packets else []), *(["-rtsp_transport", "tcp"] if url.startswith("rtsp") else []),
        "-i", url, "-map", "0", "-c", "copy", "-f", "null", "-",
        *([*listed, packets] if packets else []),
    ]  # fmt: skip


def _inputs(scenario: Scenario, source: Film | None) -> list[str]:
    if source is not None:
        return film.film_inputs(source, sound=_has_sound(scenario, source))
    paced = ["-re", *_picture_input(scenario, None)]
    if scenario.audio != "none":
        paced += ["-re", "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate={AUDIO_RATE}"]
    return paced


def _picture_input(scenario: Scenario, source: Film | None) -> list[str]:
    if source is not None:
        return film.picture_input(source)
    return ["-f", "lavfi", "-i", f"{scenario.source}=size={scenario.resolution}:rate={rate_text(scenario.fps)}"]


def _source(source: Film | None) -> str:
    """The pad of the source's picture."""
    return f"[0:{source.picture}]" if source is not None else "[0:v:0]"


def _picture(scenario: Scenario, source: Film | None) -> str:
    """The filters after the source."""
    return f"format={pixel_format(scenario)}" if source is None else film.film_filters(source, scenario)


def source_clock(file: str, fps: float) -> str:
    """Filters that write, for one picture a second, Unix time less the picture's time stamp in microseconds (as its
    ``pts``): the Unix time of the source's time 0, as the source is paced by the clock. The branch ends here."""
    return (
        f"select='not(mod(n\\,{round(fps)}))',settb=1/1000000,setpts='(time(0)-T)/TB',"
        f"metadata=mode=add:key=source:value=1,metadata=mode=print:file={file}:direct=1,nullsink"
    )


def _ladder(scenario: Scenario, stream: EncodedStream, film: Film | None, clock: str | None) -> str:
    """The filter graph from the source picture to the encoders' pads ``[v0]``, ``[v1]`` …"""
    upload = encoder_options.upload(scenario)
    count = len(stream.variants)
    source, picture = _source(film), _picture(scenario, film)
    if clock is not None:
        begin = "setpts=PTS-STARTPTS," if film is not None else ""
        source = f"{source}{begin}split[clock][source];[clock]{source_clock(clock, scenario.fps)};[source]"
    if count == 1:
        return f"{source}{picture}{_step(scenario, stream.variants[0])}{upload}[v0]"
    split = f"{source}{picture},split={count}" + "".join(f"[s{number}]" for number in range(count))
    steps = [
        f"[s{number}]null{_step(scenario, variant)}{upload}[v{number}]"
        for number, variant in enumerate(stream.variants)
    ]
    return ";".join([split, *steps])


def _step(scenario: Scenario, variant: Variant) -> str:
    """From the source's picture to one rendition's. Frames are dropped before scaling."""
    step = f",fps={rate_text(variant.fps)}" if variant.fps != scenario.fps else ""
    if variant.resolution != scenario.resolution:
        width, height = picture_size(variant.resolution)
        step += f",scale={width}:{height}:flags=bicubic,setsar=1"
    return step


def _has_sound(scenario: Scenario, film: Film | None) -> bool:
    return scenario.audio != "none" and (film is None or film.sound)


def _audio(scenario: Scenario, film: Film | None) -> list[str]:
    if not _has_sound(scenario, film):
        return []
    bits = bits_per_second(scenario.audio_bitrate)
    return ["-map", "1:a:0", "-c:a", "aac", "-b:a", str(bits), "-ar", str(AUDIO_RATE)]


def _target(target: OutputTarget) -> list[str]:
    queue = f"queue_size={PUSH_QUEUE_PACKETS}"
    targets = []
    if target.push_url is not None:
        fifo = f"{queue}:drop_pkts_on_overflow=1:restart_with_keyframe=1"
        pushed = {**target.transport.muxer, "onfail": "abort", "use_fifo": "1", "fifo_options": fifo}
        targets.append(tee_target(target.push_url, pushed))
    if target.copy is not None:
        segments = {"f": "segment", "segment_format": "nut", "segment_time": f"{target.copy_seconds:g}", "select": "v"}
        targets.append(
            tee_target(target.copy, {**segments, "onfail": "ignore", "use_fifo": "1", "fifo_options": queue})
        )
    if target.packets is not None:
        listed = {"f": "framecrc", "select": "v", "onfail": "ignore", "use_fifo": "1", "fifo_options": queue}
        targets.append(tee_target(target.packets, listed))
    if not targets:
        return ["-f", "null", "-"]
    return ["-flags", "+global_header", "-f", "tee", "|".join(targets)]


class Progress(Struct, frozen=True, kw_only=True):
    """One block of ``-progress``: totals since FFmpeg started. FFmpeg's N/A is None."""

    frames: int | None = None
    fps: float | None = None
    speed: float | None = None
    dropped_frames: int | None = None
    duplicated_frames: int | None = None
    bitrate_bps: float | None = None
    out_seconds: float | None = None
    ended: bool = False


MAX_FIELDS = 1000


class ProgressParser:
    """Parses the lines of ``-progress`` into blocks. Lines that are not ``key=value`` are skipped."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def feed(self, line: str) -> Progress | None:
        """The block that this line completes; None within a block."""
        key, equals, value = line.strip().partition("=")
        if not equals:
            return None
        if len(self._fields) > MAX_FIELDS:  # no FFmpeg's: a block has 12, and a few for each stream
            self._fields.clear()
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
    """``5.1.9-0+deb12u1`` from the output of ``ffmpeg -version``; "" if it is not FFmpeg's."""
    match = re.match(r"ffmpeg version (\S+)", banner)
    return match[1] if match else ""


def listed_encoders(text: str) -> frozenset[str]:
    """The names of the video encoders in the output of ``ffmpeg -encoders``."""
    return frozenset(re.findall(r"^ V[A-Z.]{5} (\S+) ", text, re.MULTILINE))


_LEFT_OUT = re.compile(
    "Error parsing option|Unknown option|has not been used for any stream|Invalid value for|muxed as a private data"
)


def left_out(text: str) -> str:
    """The first line in FFmpeg's output that says that an encoder's option was left out, or that a container has no
    place for the codec; "" if there is none."""
    return next((line.strip() for line in without_addresses(text).splitlines() if _LEFT_OUT.search(line)), "")
