"""How a recorded scenario came about, in words."""

from __future__ import annotations

import re
from pathlib import Path

from wattview.model import ScenarioRecord

_ADDRESS = re.compile(r" @ 0x[0-9a-fA-F]+")


def without_addresses(text: str) -> str:
    """What FFmpeg says, without where its contexts lie in its memory, which differs with every process:
    ``[libx264 @ 0x55d0c0ffee00]`` becomes ``[libx264]``."""
    return _ADDRESS.sub("", text)


def made_by(record: ScenarioRecord) -> str:
    """``encoded by ffmpeg 5.1.9, judged by ffmpeg 9.0.2, pushed to rtmp://…``; "" where nothing of it is known."""
    said = (("encoded by", tool_text(record.encoder_tool)), ("judged by", tool_text(record.quality_tool)),
            ("pushed to", record.pushed_to or ""))  # fmt: skip
    return ", ".join(f"{what} {whom}" for what, whom in said if whom)


def tool_text(tool: str | None) -> str:
    """Program and version, without the program's path."""
    path, space, version = (tool or "").rpartition(" ")
    return f"{Path(path).name} {version}" if space else version
