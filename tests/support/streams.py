"""Real RTMP streams: FFmpeg pushing its test picture, and FFmpeg watching."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

_FFMPEG = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error"]


class _Running:
    def __init__(self, command: list[str]) -> None:
        assert shutil.which("ffmpeg"), "these tests need FFmpeg: apt-get install ffmpeg"
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(10)

    @property
    def running(self) -> bool:
        return self._process.poll() is None


class Publisher(_Running):
    """Pushes a small moving picture with a tone at ``url``, in real time, until it is stopped.

    ``copy``: a file that gets the same FLV bytes, the truth about what was sent.
    """

    def __init__(self, url: str, *, kilobits: int = 400, fps: int = 25, copy: Path | None = None) -> None:
        rate = f"{kilobits}k"
        source = ["-re", "-f", "lavfi", "-i", f"testsrc2=size=320x180:rate={fps}", "-f", "lavfi", "-i", "sine"]
        video = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", str(fps)]
        bitrate = ["-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", f"{kilobits // 4}k"]
        sound = ["-c:a", "aac", "-b:a", "64k", "-shortest"]
        to = ["-f", "flv", url]
        if copy is not None:
            to = [
                "-map",
                "0:v",
                "-map",
                "1:a",
                "-flags",
                "+global_header",
                "-f",
                "tee",
                f"[f=flv]{url}|[f=flv:flush_packets=1]{copy}",
            ]
        super().__init__([*_FFMPEG, "-y", *source, *video, *bitrate, *sound, *to])


class Player(_Running):
    """Watches ``url`` and throws the picture away."""

    def __init__(self, url: str) -> None:
        super().__init__([*_FFMPEG, "-i", url, "-c", "copy", "-f", "null", "-"])
