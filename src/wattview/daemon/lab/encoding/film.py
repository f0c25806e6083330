"""A media file as a source: its video and audio properties, and the filters that normalise its pictures.

Code values are preserved: no matrix, primaries or transfer is converted; only full range becomes limited, and the bit
depth the scenario's. The file's colour tags are passed to the encoder, and so to the viewers. The encoder and the
reference for its output use the same filters.

Pure functions; ``capabilities`` runs FFmpeg and passes its output here.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from wattview.daemon.lab.encoding.renditions import picture_size
from wattview.frame_rate import rate_text
from wattview.model import Scenario

PIXEL_FORMAT = "yuv420p"
TEN_BITS = "yuv420p10le"

DEMUXERS = (
    "mov", "mp4", "matroska", "webm", "mpegts", "mpegtsraw", "mpeg", "mpegvideo", "avi", "flv", "live_flv", "nut",
    "mxf", "mxf_opatom", "gxf", "lxf", "asf", "ogg", "ivf", "h264", "hevc", "vvc", "obu", "av1", "vc1", "m4v", "mjpeg",
    "dirac", "yuv4mpegpipe", "dv", "wtv", "rm", "gif", "apng",
)  # fmt: skip
"""Permitted formats, by FFmpeg's names: those in a single file. Playlists (HLS, DASH, concat), image sequences, SDP and
the like open files and addresses named in their text."""

ONE_FILE = ["-protocol_whitelist", "file", "-format_whitelist", ",".join(DEMUXERS)]
"""Input options that restrict reading to this file."""

STILL_SECONDS = 0.2
"""Pictures that are further apart count as a still."""

SOUND_DIFFERS_SECONDS = 0.2

HDR = {"smpte2084": "PQ", "arib-std-b67": "HLG"}

NO_COLOURS = ("unknown", "unknown", "unknown")

_ONE_NAME = "colorspace=bt709:color_primaries=bt709:color_trc=bt709"
"""Gives both sides of a filter the same colour tags: filters convert between different ones."""

SAME_COLOURS = f"setparams=range=tv:{_ONE_NAME}"


class FilmError(ValueError):
    """A file that cannot be a source. The text is the reason."""


class Film(Struct, frozen=True, kw_only=True):
    """One media file. ``stream``: the selected video stream, as in FFmpeg's ``V:0``; a cover image does not count.

    ``size`` is that of its first picture, as in ``720x576``, ``bits`` that of each value in it; ``colours`` are its
    matrix, primaries and transfer in FFmpeg's words. ``still_seconds`` is the longest time that one picture is shown.
    ``seconds`` is its length, None if it is longer than what was inspected; ``begins_again`` says whether FFmpeg can
    loop it from its first picture. ``remarks`` are for users: effects of the film on the result.
    """

    path: Path
    stream: int = 0
    sound: bool = False
    rgb: bool = False
    bits: int = 8
    interlaced: bool = False
    size: str = ""
    fps: float | None = None
    colours: tuple[str, str, str] = NO_COLOURS
    still_seconds: float = 0.0
    seconds: float | None = None
    begins_again: bool = True
    remarks: tuple[str, ...] = ()

    @property
    def picture(self) -> str:
        """FFmpeg's specifier of the picture within this file."""
        return f"V:{self.stream}"


def film_inputs(film: Film, *, sound: bool) -> list[str]:
    """The film in real time and in an endless loop: input 0 is its video and, with ``sound``, input 1 its audio.

    Each input is looped separately: FFmpeg restarts an input when its longest stream has ended, so the picture would
    freeze while the audio is longer.
    """
    source = [*ONE_FILE, "-stream_loop", "-1"]
    picture = ["-re", *picture_input(film)]
    return [*picture, "-re", *source, "-vn", "-sn", "-dn", "-i", f"file:{film.path}"] if sound else picture


def picture_input(film: Film) -> list[str]:
    """The picture in an endless loop, as fast as it is consumed.

    The filters are kept when the picture's size changes: new ones would restart their time stamps.
    """
    alone = ["-an", "-sn", "-dn", "-reinit_filter", "0"]
    return [*ONE_FILE, "-stream_loop", "-1", *alone, "-i", f"file:{film.path}"]


def film_filters(film: Film, scenario: Scenario) -> str:
    """From the film's pictures to the scenario's: frames 0, 1, 2 … at its rate from time 0, at its size with square
    pixels and the film's aspect ratio between black bars, progressive, in its bit depth, limited range.

    FFmpeg itself then neither repeats nor drops a frame, and frame n of the reference is frame n of the stream.
    """
    width, height = picture_size(scenario.resolution)
    matrix, primaries, transfer = film.colours
    if film.rgb:
        before, convert, matrix = [], ":out_color_matrix=bt709", "bt709"
    else:
        before, convert = [f"setparams={_ONE_NAME}"], ""
    if film.interlaced:
        # The deinterlacer accepts only one picture size; if the film never changes it, this scaler does nothing.
        before.append(f"scale={film.size}:interl=-1")
        before.append(f"bwdif=mode={'send_field' if takes_fields(film, scenario) else 'send_frame'}:deint=interlaced")
    size = f"w='{_even(f'min({width},{height}*dar)')}':h='{_even(f'min({height},{width}/dar)')}'"
    filters = [
        *before,
        f"setpts=PTS-STARTPTS,fps={rate_text(scenario.fps)}",
        f"scale={size}:eval=frame:flags=bicubic:out_range=tv{convert}",
        f"pad={width}:{height}:(ow-iw)/2:(oh-ih)/2:eval=frame,setsar=1,format={pixel_format(scenario)}",
        f"setparams=range=tv:colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}",
    ]
    return ",".join(filters)


def takes_fields(film: Film, scenario: Scenario) -> bool:
    """Whether each field of an interlaced film becomes a picture."""
    return film.interlaced and film.fps is not None and scenario.fps > 1.5 * film.fps


def pixel_format(scenario: Scenario) -> str:
    """Of the pictures before the encoder, and of their reference."""
    return TEN_BITS if scenario.bit_depth == 10 else PIXEL_FORMAT


def _even(expression: str) -> str:
    return f"max(2,2*round({expression}/2))"


def look_at_packets(path: Path, seconds: float) -> list[str]:
    """FFmpeg's arguments to list the packets of a file's video and audio, for this many seconds."""
    return [
        "-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", *ONE_FILE, "-t", f"{seconds:g}", "-i",
        f"file:{path}", "-map", "0:V", "-map", "0:a:0?", "-c", "copy", "-f", "framecrc", "pipe:1",
    ]  # fmt: skip


def look_at_the_loop(path: Path, stream: int) -> list[str]:
    """FFmpeg's arguments to list the packets of one video stream twice."""
    return [
        "-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", *ONE_FILE, "-stream_loop", "1", "-i",
        f"file:{path}", "-map", f"0:V:{stream}", "-c", "copy", "-f", "framecrc", "pipe:1",
    ]  # fmt: skip


def begins_again(text: str) -> bool:
    """Parses ``look_at_the_loop``: whether the second pass has the packets of the first. In a transport stream FFmpeg
    may seek to a point after the first few, and all pictures up to the next key frame are then broken."""
    packets = re.findall(r"^0, *-?[0-9]+, *-?[0-9]+, *[0-9]+, *([0-9]+, 0x[0-9a-f]{8})", text, re.MULTILINE)
    half = len(packets) // 2
    return half > 0 and packets[:half] == packets[half:]


def look_at_pictures(path: Path, stream: int, frames: int) -> list[str]:
    """FFmpeg's arguments to describe some decoded pictures."""
    return [
        "-hide_banner", "-nostdin", "-nostats", "-loglevel", "info", *ONE_FILE, "-i", f"file:{path}",
        "-filter_complex", f"[0:V:{stream}]showinfo=checksum=0", "-frames:v", str(frames), "-f", "null", "-",
    ]  # fmt: skip


class Listed(Struct, frozen=True):
    """Parsed packet list: the selected video stream, its number of pictures, whether there is audio, the frame rate,
    the longest time that one picture is shown, and the length of video and audio. None is unknown."""

    stream: int
    pictures: int
    sound: bool
    fps: float | None
    still_seconds: float
    picture_seconds: float | None
    sound_seconds: float | None


_HEAD = re.compile(r"#(media_type|dimensions|tb) ([0-9]{1,3}): (\S+)")
_PACKET = re.compile(r"([0-9]{1,3}), *(-?[0-9]{1,18}), *(-?[0-9]{1,19}), *([0-9]{1,18}), *[0-9]{1,10}, 0x")
_NO_TIME = -(1 << 63)


def listed(text: str) -> Listed | None:
    """Parses ``look_at_packets``. Of several video streams, the one with the largest picture; None if there is none."""
    kinds: dict[int, str] = {}
    areas: dict[int, int] = {}
    bases: dict[int, float] = {}
    packets: dict[int, list[tuple[int, int]]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            if head := _HEAD.match(line):
                number, value = int(head[2]), head[3]
                if head[1] == "media_type":
                    kinds[number] = value
                elif head[1] == "dimensions":
                    width, _, height = value.partition("x")
                    areas[number] = int(width) * int(height)
                else:
                    numerator, _, denominator = value.partition("/")
                    bases[number] = int(numerator) / int(denominator)
        elif packet := _PACKET.match(line):
            # A raw stream has no presentation times.
            decoded, presented = int(packet[2]), int(packet[3])
            when = decoded if presented == _NO_TIME else presented
            packets.setdefault(int(packet[1]), []).append((when, int(packet[4])))
    pictures = [number for number, kind in kinds.items() if kind == "video" and packets.get(number)]
    if not pictures:
        return None
    taken = max(pictures, key=lambda number: (areas.get(number, 0), -number))
    sound = next((number for number, kind in kinds.items() if kind == "audio" and packets.get(number)), None)
    times = sorted(when for when, _ in packets[taken])
    gaps = [(later - earlier) * bases[taken] for earlier, later in pairwise(times)]
    length = (times[-1] - times[0]) * bases[taken]
    return Listed(
        stream=[number for number, kind in kinds.items() if kind == "video"].index(taken),
        pictures=len(pictures),
        sound=sound is not None,
        fps=len(gaps) / length if length > 0 else None,
        still_seconds=max(gaps, default=0.0),
        picture_seconds=_length(packets[taken], bases[taken]),
        sound_seconds=None if sound is None else _length(packets[sound], bases[sound]),
    )


def _length(packets: list[tuple[int, int]], base: float) -> float:
    return (max(when + lasts for when, lasts in packets) - min(when for when, _ in packets)) * base


_LINE = 1024
"""The longest line of FFmpeg's own."""

_FRAME = re.compile(r"\] n: *[0-9]+ .*? fmt:(\S+) .*? s:([0-9]+x[0-9]+) i:(.) ")
_COLOURS = re.compile(r"color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)")
_BITS = re.compile(r"(?:p0?|gray|rgb|bgr|y2|x2rgb|x2bgr|xv|rgba|bgra)(9|10|12|14|16|48|64)(?:le|be)$")
_RGB = re.compile(r"[0ax]?2?(rgb|bgr|gbr)|[ab]*rgb|abgr|pal8|bgr0|rgb0")


def film_of(path: Path, packets: Listed, pictures: str, *, whole: bool) -> Film:
    """The film, from its packets and from the output of ``look_at_pictures``. ``whole``: the list has all of its
    packets.

    Raises FilmError.
    """
    lines = _shown(pictures)
    frames = [found.groups() for line in lines if (found := _FRAME.search(line))]
    if not frames:
        raise FilmError("not one of its pictures could be decoded")
    found = next(filter(None, map(_COLOURS.search, lines)), None)
    colours = _known(found.groups()) if found else NO_COLOURS
    interlaced = any(order in "TB" for _, _, order in frames)
    remarks = []
    if packets.pictures > 1:
        remarks.append(f"it has {packets.pictures} pictures; the largest was taken")
    if colours[2] in HDR:
        remarks.append(
            f"it is HDR ({HDR[colours[2]]}); its code values and tags were kept, without tone mapping, and the scores "
            "are made for SDR"
        )
    if packets.still_seconds > STILL_SECONDS:
        remarks.append(f"its picture stands still for up to {packets.still_seconds:.1f} s")
    picture, sound = packets.picture_seconds, packets.sound_seconds
    if whole and picture and sound and abs(picture - sound) > SOUND_DIFFERS_SECONDS:
        remarks.append(f"its picture is {picture:.1f} s long and its sound {sound:.1f} s; each was looped by itself")
    return Film(
        path=path,
        stream=packets.stream,
        sound=packets.sound,
        rgb=_RGB.match(frames[0][0]) is not None,
        bits=bits_of(frames[0][0]),
        interlaced=interlaced,
        size=frames[0][1],
        fps=packets.fps,
        colours=colours,
        still_seconds=packets.still_seconds,
        seconds=packets.picture_seconds if whole else None,
        remarks=tuple(remarks),
    )


def bits_of(pixel_format: str) -> int:
    """Bits of each value of a pixel format: 10 of ``yuv420p10le`` and ``p010le``."""
    found = _BITS.search(pixel_format)
    return 8 if found is None else 16 if found[1] in ("48", "64") else int(found[1])


def _shown(pictures: str) -> list[str]:
    """What the filter showinfo says. What a film says of itself, such as its title, stands in other lines, is of any
    length and may look like a picture's."""
    return [line[:_LINE] for line in pictures.split("\n") if line.startswith("[Parsed_showinfo_")]


def _known(colours: tuple[str | None, ...]) -> tuple[str, str, str]:
    matrix, primaries, transfer = ("unknown" if one in {None, "reserved", "gbr"} else str(one) for one in colours)
    return matrix, primaries, transfer
