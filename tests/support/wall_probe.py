"""The wall probe with the meters that a test describes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wattview.config import load
from wattview.model import WallReading
from wattview.probes.meters.wall import WallProbe


@contextlib.contextmanager
def wall(tmp_path: Path, *meters: dict[str, Any]) -> Iterator[WallProbe]:
    """Each meter has been asked once."""
    file = tmp_path / "wattview.toml"
    tables = ["\n".join(f"{key} = {_toml(value)}" for key, value in meter.items()) for meter in meters]
    file.write_text("".join(f"[[power.meters]]\n{table}\n" for table in tables))
    probe = WallProbe(load(file, [f"paths.rootfs={tmp_path}"], environ={"HOME": str(tmp_path)}))
    try:
        probe.await_first()
        yield probe
    finally:
        probe.close()


def read(tmp_path: Path, **meter: Any) -> WallReading:
    """One reading. Raises SourceError."""
    with wall(tmp_path, meter) as probe:
        return probe.read()


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
