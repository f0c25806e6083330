"""Films as people have them, made with the real FFmpeg: tagged, turned, interlaced, anamorphic, of two sizes."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from tests.support.ffmpeg import need, run

LOSSLESS = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "0"]
YUV = ["-pix_fmt", "yuv420p"]


def lavfi(picture: str, *arguments: str, to: Path) -> Path:
    """A film of one of FFmpeg's test pictures, lossless in H.264 unless ``arguments`` say otherwise."""
    shutil.copyfile(_made_once(picture, arguments, to.suffix), to)
    return to


@cache
def _made_once(picture: str, arguments: tuple[str, ...], suffix: str) -> Path:
    handle, path = tempfile.mkstemp(suffix, dir=_folder().name)
    os.close(handle)
    run(need("ffmpeg", "ffmpeg"), "-v", "error", "-y", "-f", "lavfi", "-i", picture, *LOSSLESS, *arguments, path)
    return Path(path)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """It is gone at the end of the process."""
    return tempfile.TemporaryDirectory(prefix="wattview-films-")


def picture(size: str = "320x180", fps: int = 25, seconds: float = 2.0) -> str:
    return f"testsrc2=size={size}:rate={fps}:duration={seconds}"


def tagged(matrix: str, primaries: str, transfer: str, colour_range: str = "tv") -> list[str]:
    """The code values stay as they are; only the names change."""
    return ["-colorspace", matrix, "-color_primaries", primaries, "-color_trc", transfer, "-color_range", colour_range]


def with_sound(film: Path, seconds: float, to: Path) -> Path:
    tone = ["-f", "lavfi", "-i", f"sine=frequency=300:duration={seconds}"]
    run("ffmpeg", "-v", "error", "-y", "-i", str(film), *tone, "-c:v", "copy", "-c:a", "aac", str(to))
    return to


def with_cover(film: Path, to: Path) -> Path:
    """A red square as the first video stream, an attached picture."""
    cover = to.with_name("cover.png")
    run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "color=red:size=300x300", "-frames:v", "1", str(cover))
    run("ffmpeg", "-v", "error", "-y", "-i", str(cover), "-i", str(film), "-map", "0", "-map", "1", "-c", "copy",
        "-disposition:v:0", "attached_pic", str(to))  # fmt: skip
    return to


def with_title(film: Path, title: str, to: Path) -> Path:
    run("ffmpeg", "-v", "error", "-y", "-i", str(film), "-c", "copy", "-metadata", f"title={title}", str(to))
    return to


def of_two_sizes(folder: Path, first: str = "640x360", second: str = "320x240", *arguments: str) -> Path:
    """A transport stream whose picture changes its size after two seconds."""
    one = lavfi(picture(first), *YUV, *arguments, "-f", "mpegts", to=folder / "one.ts")
    two = lavfi(picture(second), *YUV, *arguments, "-output_ts_offset", "2", "-f", "mpegts", to=folder / "two.ts")
    both = folder / "sizes.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    return both
