"""The columns of the results screen, by tab, and which to drop first on a narrow terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wattview.model import Measurements, RunResult
from wattview.model.quantities import QUANTITIES
from wattview.tui.plots.bars import BarAxis, extent, interval_bar
from wattview.tui.plots.plot import SERIES
from wattview.tui.results.rows import ResultRow, name_of, notes, run_notes
from wattview.tui.results.values import Value, around, written
from wattview.tui.text import UNKNOWN, number, span
from wattview.tui.widgets.column import Column

Columns = tuple[Column[ResultRow], ...]

BARS = (
    "power_mean_watts", "net_watts_per_stream", "watts_per_stream", "energy_joules", "joules_per_frame",
    "cost_per_stream_hour", "carbon_grams_per_stream_hour", "vmaf_score", "qoe_score",
)  # fmt: skip
"""The figures for bars, in the order of key ``f``."""


def _scenario(width: int) -> Column[ResultRow]:
    return Column("Scenario", width, name_of, lambda row: name_of(row).casefold(), left=True)


def _run(rank: int) -> Column[ResultRow]:
    return Column("Run", 15, lambda row: row.run.id, lambda row: row.run.id, left=True, rank=rank)


NOTES: Column[ResultRow] = Column(
    "Notes", 24, notes, notes, left=True, rank=10, tone=lambda row: "warn" if notes(row) else "", grow=24
)


def _figure(
    name: str, width: int, half: int = 0, *, rank: int = 0, guess: bool = False, unit: str = ""
) -> Column[ResultRow]:
    """``half``: cells for the ±, which is aligned separately. ``guess``: the figure depends on the power source, and
    gets a ``~`` for an estimate. A figure above baseline gets a ``!`` if there is a remark on it."""
    quantity = QUANTITIES[name]

    def parts(row: ResultRow) -> tuple[str, str]:
        value = row.value(name)
        text = written(quantity, value.value)
        text = f"~{text}" if guess and row.estimated and value.value is not None else text
        if quantity.signed and value.value is not None and row.remarks:
            text = f"!{text}"
        return text, around(quantity, value.half) if half else ""

    def draw(row: ResultRow, room: int) -> str:
        text, spread = parts(row)
        return f"{text:>{max(0, room - half - 1)}} {spread:<{half}}" if half else f"{text:>{room}}"

    heading = quantity.title + (f" {unit}" if unit else "") + (" ±" if half else "")
    return Column(
        heading, width + (half + 1 if half else 0), lambda row: " ".join(filter(None, parts(row))),
        lambda row: row.value(name).value, rank=rank, draw=draw,
    )  # fmt: skip


ENERGY: Columns = (
    _scenario(20),
    _run(3),
    Column("Length", 7, lambda row: span(row.value("duration_seconds").value), rank=9),
    _figure("energy_joules", 9, 6, guess=True),
    _figure("power_mean_watts", 7, 6, guess=True),
    _figure("power_max_watts", 7, rank=5, guess=True),
    _figure("baseline_diff_power_watts", 8, 6, rank=1),
    _figure("net_watts_per_stream", 10, rank=6),
    _figure("joules_per_frame", 7, rank=7),
    _figure("cpu_mean_percent", 6, rank=4),
    _figure("vmaf_score", 6, rank=2),
    NOTES,
)

QUALITY: Columns = (
    _scenario(20),
    _run(8),
    _figure("vmaf_score", 6, 5),
    _figure("vmaf_harmonic_mean", 8, rank=5),
    _figure("vmaf_percentile_1", 9, rank=1),
    _figure("vmaf_minimum", 6, rank=3),
    _figure("psnr_score", 7, rank=4),
    _figure("ssim_score", 7, rank=4),
    _figure("qoe_score", 7),
    _figure("stalls", 6, rank=2),
    _figure("stalled_seconds", 9, rank=6),
    _figure("start_delay_seconds", 7, rank=2),
    _figure("received_frames_ratio", 10, rank=7),
    Column("Real time", 9, lambda row: _realtime(row), left=True, rank=1,
           tone=lambda row: "bad" if _realtime(row).startswith("no") else ""),
    NOTES._replace(rank=11),
)  # fmt: skip


def _realtime(row: ResultRow) -> str:
    known = [one.record.realtime for one in row.scenarios if one.record.realtime is not None]
    if not known:
        return UNKNOWN
    return "yes" if all(known) else "no" if not any(known) else f"no: {known.count(False)} of {len(known)}"


def cost_columns(currency: str) -> Columns:
    return (
        _scenario(20),
        _run(8),
        _figure("cost_total", 12, unit=currency),
        _figure("cost_energy", 9, rank=1),
        _figure("cost_compute", 9, rank=1),
        _figure("cost_egress", 9, rank=6),
        _figure("cost_per_stream_hour", 11),
        _figure("cost_per_viewer_hour", 11, rank=3),
        _figure("carbon_grams", 8, rank=4, guess=True),
        _figure("carbon_grams_per_stream_hour", 10, rank=2, guess=True),
        _figure("sci_grams_per_stream_hour", 11, rank=5, guess=True),
        NOTES,
    )


def encoder_of(row: ResultRow) -> str:
    return (row.first.record.encoder or "") if row.first is not None else ""


def encoder_tones(rows: Sequence[ResultRow]) -> dict[str, str]:
    """Each encoder's colour, in the order of their names."""
    names = sorted({encoder_of(row) for row in rows} - {""})
    return {name: SERIES[at % len(SERIES)] for at, name in enumerate(names)}


def bar_columns(name: str, rows: Sequence[ResultRow], currency: str) -> Columns:
    """One figure as bars over one axis, which is in the heading."""
    quantity = QUANTITIES[name]
    unit = quantity.unit_in(currency)
    tones = encoder_tones(rows)

    def scaled(row: ResultRow) -> Value:
        value, half = row.value(name)
        return Value(None if value is None else quantity.scaled(value), None if half is None else quantity.scaled(half))

    low, high = extent([scaled(row) for row in rows])
    return (
        _scenario(22),
        _run(8),
        Column("Encoder", 11, lambda row: encoder_of(row) or UNKNOWN, encoder_of, left=True, rank=9,
               tone=lambda row: tones.get(encoder_of(row), "")),
        _figure(name, 9, 8, guess=unit in ("W", "J", "g")),
        Column(
            f"bar, {unit}", 20, lambda row: "", left=True, head=lambda room: BarAxis(low, high, room).head(unit),
            draw=lambda row, room: interval_bar(scaled(row), BarAxis(low, high, room)),
            tone=lambda row: tones.get(encoder_of(row), "graph"),
        ),
    )  # fmt: skip


def point_columns(measurements: Measurements) -> Columns:
    """The points of the scatter plot in numbers."""
    return (
        _scenario(24),
        _run(8),
        _figure(measurements.figure, 9, 6, guess=True),
        _figure("vmaf_score", 6, 5),
        Column("On the front", 12, front, front, left=True),
        NOTES,
    )


def front(row: ResultRow) -> str:
    return "● yes" if row.on_front else "○ no" if row.group is not None else UNKNOWN


def _baseline_watts(run: RunResult) -> float | None:
    """Power of the first idle window; the run's other figures belong to its scenarios."""
    idle = next((one for one in run.scenarios if one.record.type == "baseline"), None)
    return idle.power_mean_watts if idle is not None else None


def _names(run: RunResult) -> str:
    settings = [one.record.setting_name for one in run.scenarios if one.record.type != "baseline"]
    return ", ".join(dict.fromkeys(settings))


def _of_run(title: str, width: int, text: Callable[[RunResult], str], rank: int = 0, **more: Any) -> Column[RunResult]:
    return Column(title, width, text, text, left=True, rank=rank, **more)


RUNS: tuple[Column[RunResult], ...] = (
    _of_run("Run", 15, lambda run: run.id or run.path),
    _of_run("Date", 16, lambda run: run.test_date[:16].replace("T", " ") or UNKNOWN, 2),
    _of_run("State", 11, lambda run: "unreadable" if run.error else run.status or UNKNOWN,
            tone=lambda run: "bad" if run.error else "" if run.status in (None, "done") else "warn"),
    Column("Scenarios", 9, lambda run: str(len(run.scenarios)), lambda run: len(run.scenarios), rank=3),
    Column("Idle W", 7, lambda run: number(_baseline_watts(run)), _baseline_watts, rank=1),
    _of_run("What", 37, lambda run: run.error or _names(run), grow=40),
    _of_run("Notes", 26, run_notes, 1, tone=lambda run: "warn" if run_notes(run) else ""),
)  # fmt: skip
