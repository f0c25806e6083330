"""Results files with the history of their windows, on a machine whose power is known at every second."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from wattview.daemon.history.sqlite import SqliteHistory

START = 1_767_268_800.0
"""2026-01-01, 12:00 UTC."""

IDLE_WATTS = 20.0
SECONDS = 10.0
SETTING = {
    "type": "streams", "streams": 2, "bitrate": "2500k", "resolution": "1280x720", "fps": 30, "encoder": "libx264",
    "preset": "veryfast", "realtime": True, "status": "done",
}  # fmt: skip


def scenario(name: str, watts: float, **fields: object) -> dict[str, object]:
    """A scenario of 10 s at that power: two streams of 720p, but for what ``fields`` say."""
    return {"name": name, "watts": watts, **SETTING, **fields}


def baseline(watts: float = IDLE_WATTS) -> dict[str, object]:
    return {"name": "baseline", "watts": watts, "type": "baseline"}


def write_runs(
    state: Path, runs: Mapping[str, Sequence[dict[str, object]]], *, off: float = 0.0, source: str = "rapl"
) -> None:
    """Runs by their stamp, one after the other with 5 s of idle time between two scenarios.

    The history has a reading at every whole second; windows begin ``off`` seconds after one and end as much after one.
    The machine uses one of its four CPUs all the time.
    """
    watts: dict[int, float] = {}
    at = 5
    for stamp, scenarios in runs.items():
        written = []
        for one in scenarios:
            power = one.pop("watts")
            assert isinstance(power, float | int)
            watts |= dict.fromkeys(range(at, at + int(SECONDS) + (1 if off else 0)), float(power))
            begin = START + at + off
            window = {"start_time": begin, "end_time": begin + SECONDS, "duration": SECONDS}
            written.append({"outputs": None, **one, **window})
            at += int(SECONDS) + 5
        results = state / "results"
        results.mkdir(parents=True, exist_ok=True)
        document = {"test_date": "2026-01-01T12:00:00+00:00", "status": "done", "scenarios": written}
        (results / f"test_results_{stamp}.json").write_text(json.dumps(document))
    asyncio.run(_record(state, watts, at + 5, source))


def record_windows(file: Path, watts: Sequence[float]) -> None:
    """What the daemon records beside a results file, of each scenario at its power: ten samples a second."""
    for place, (one, power) in enumerate(zip(json.loads(file.read_text())["scenarios"], watts, strict=True), 1):
        start, end = one["start_time"], one["end_time"]
        kept = {"start": start, "end": end, "sources": ["rapl"], "gpus": [], "reason": "", "series": []}
        (file.parent / f"{place:02d}-window.json").write_text(json.dumps(kept))
        samples = [(start + n / 10, power * n / 10) for n in range(-1, round((end - start) * 10) + 2)]
        lines = "".join(f"{time:.6f},{joules + power:.6f},{joules + power:.6f},0.001\n" for time, joules in samples)
        (file.parent / f"{place:02d}-power.csv").write_text(f"time,joules_total,joules_most,update_seconds\n{lines}")


async def _record(state: Path, watts: Mapping[int, float], seconds: int, source: str) -> None:
    history = SqliteHistory(state / "history.sqlite", 7 * 86400.0)
    joules = 0.0
    for second in range(seconds):
        await history.append(
            START + second,
            [
                (f'wattview_host_energy_joules_total{{source="{source}"}}', joules),
                (f'wattview_host_power_watts{{source="{source}"}}', watts.get(second - 1, IDLE_WATTS)),
                ("wattview_host_cpu_busy_seconds_total", float(second)),
                ("wattview_host_cpus", 4.0),
            ],
        )
        joules += watts.get(second, IDLE_WATTS)
    await history.close()
