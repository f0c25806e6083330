"""Figures of a recorded scenario: energy, cost, carbon and quality, each with the reason if it is unknown."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from wattview.model.power.meters import WallSource
from wattview.model.runs import ScenarioRecord


class ExportFormat(NamedTuple):
    """An export format: name and file extension, media type, description, and the optional dependency that it needs.
    Formats with one are available only through ``wattview results export``."""

    name: str
    media_type: str
    words: str
    extra: str = ""


EXPORT_FORMATS: tuple[ExportFormat, ...] = (
    ExportFormat("csv", "text/csv", "every figure, one row per scenario"),
    ExportFormat("json", "application/json", "all data"),
    ExportFormat("parquet", "application/vnd.apache.parquet", "every figure, one row per scenario", extra="parquet"),
    ExportFormat("html", "text/html", "a report with plots"),
)

MEDIA_TYPES = {form.name: form.media_type for form in EXPORT_FORMATS if not form.extra}
"""Formats that the daemon exports."""


class Efficiency(Struct, frozen=True, kw_only=True):
    """Energy, cost and carbon per unit of work. None is unknown.

    ``sci_grams_per_stream_hour`` is the Software Carbon Intensity (ISO/IEC 21031), which includes embodied carbon.
    """

    watts_per_stream: float | None = None
    joules_per_frame: float | None = None
    joules_per_megapixel: float | None = None
    joules_per_gigabyte: float | None = None
    joules_per_viewer_hour: float | None = None
    cost_per_stream_hour: float | None = None
    cost_per_viewer_hour: float | None = None
    carbon_grams_per_stream_hour: float | None = None
    sci_grams_per_stream_hour: float | None = None


class PerExecution(Struct, frozen=True, kw_only=True):
    """What one execution of a measured command took, in the mean over those of its window.

    ``machine_joules`` is the energy of the whole machine. ``joules`` is the command's own: the part of the energy above
    the baseline that its CPU time has of the CPU time above the baseline. ``cost`` and ``carbon_grams`` are of
    ``joules``, at the window's mean price and intensity.
    """

    seconds: float
    cpu_seconds: float | None = None
    gpu_seconds: float | None = None
    machine_joules: float | None = None
    joules: float | None = None
    cost: float | None = None
    carbon_grams: float | None = None


class Estimate(Struct, frozen=True, kw_only=True):
    """Mean of ``count`` repeats; ``low`` to ``high`` is its 95 % confidence interval, None for one repeat."""

    mean: float
    count: int
    low: float | None = None
    high: float | None = None
    standard_deviation: float | None = None

    @property
    def half(self) -> float | None:
        """Half of the interval, which accompanies the mean as ±."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


class Difference(Struct, frozen=True, kw_only=True):
    """Difference of two means with its confidence interval and significance test.

    ``differ``: the test is significant at the joint level of 5 %, that is, ``low`` to ``high`` excludes 0; None if
    there are too few repeats. ``p_value`` is that of this test alone. For differences that are read together,
    ``p_adjusted`` is Bonferroni-corrected for ``judged_together`` tests, and the interval has the matching
    ``confidence`` (0.95 for a single test), so that all intervals hold jointly with 95 %. ``family`` is power, quality
    or cost.
    """

    difference: float
    differ: bool | None
    verdict: str
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    standard_error: float | None = None
    degrees_of_freedom: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    judged_together: int = 1
    family: str = ""


class ScenarioResult(Struct, frozen=True, kw_only=True):
    """Figures of one recorded scenario. An unknown figure is None, with the reason in ``reasons``; one that does not
    apply to this machine or to an idle window is in ``inapplicable`` instead.

    ``window_seconds`` is ``start_time`` to ``end_time``, over which energy and means are computed. ``duration_seconds``
    is the file's own value, or the same. The true energy is within ``energy_error_joules`` of ``energy_joules``: 0 if
    the counter was read exactly at the ends of the window, more if it was interpolated there.
    ``power_percentile_watts`` is by ``"5"``, ``"50"``, ``"95"`` and ``"99"``. Net figures exclude what the baseline's
    power would have used in the same time. ``machine`` describes the machine that was measured; None if the file does
    not say. ``baseline_watts`` is the mean power that was subtracted, ``baselines_watts`` that of every baseline of the
    file. ``wall_…`` is drawn from the wall, by ``wall_source``: if it is known, costs and carbon are of it.
    ``remarks`` are warnings, by a short name, on how far to trust the figures above baseline.
    """

    record: ScenarioRecord
    machine: str | None = None
    duration_seconds: float | None = None
    window_seconds: float | None = None
    energy_joules: float | None = None
    energy_error_joules: float | None = None
    power_mean_watts: float | None = None
    power_max_watts: float | None = None
    power_percentile_watts: dict[str, float] | None = None
    power_source: str | None = None
    wall_energy_joules: float | None = None
    wall_energy_error_joules: float | None = None
    wall_power_mean_watts: float | None = None
    wall_source: WallSource | None = None
    cpu_seconds: float | None = None
    cpu_mean_percent: float | None = None
    gpu_energy_joules: float | None = None
    baseline: str | None = None
    baseline_watts: float | None = None
    baselines_watts: tuple[float, ...] = ()
    baseline_diff_power_watts: float | None = None
    net_energy_joules: float | None = None
    efficiency: Efficiency | None = None
    net_efficiency: Efficiency | None = None
    qoe_score: float | None = None
    qoe_method: str | None = None
    cost_energy: float | None = None
    cost_compute: float | None = None
    cost_total: float | None = None
    cost_egress: float | None = None
    carbon_grams: float | None = None
    currency: str | None = None
    per_execution: PerExecution | None = None
    reasons: dict[str, str] = {}
    inapplicable: dict[str, str] = {}
    remarks: dict[str, str] = {}

    @property
    def power_error_watts(self) -> float | None:
        """How far the true mean power may be from ``power_mean_watts``."""
        if self.energy_error_joules is None or not self.window_seconds:
            return None
        return self.energy_error_joules / self.window_seconds

    @property
    def billed_at(self) -> Literal["wall", "machine"]:
        """Which energy costs and carbon are of: those of the two are not to be compared."""
        return "machine" if self.wall_energy_joules is None else "wall"

    @property
    def wall_power_error_watts(self) -> float | None:
        """The same at the wall."""
        if self.wall_energy_error_joules is None or not self.window_seconds:
            return None
        return self.wall_energy_error_joules / self.window_seconds


class RunResult(Struct, frozen=True, kw_only=True):
    """A results file with its figures. ``id`` is the time stamp in its file name; ``error`` says why it has no figures.
    ``remarks`` are on the run as a whole: how stable the machine was, and how many scenarios were ``left_out`` because
    one answer cannot hold them all. ``prices`` are the prices behind its costs, as text."""

    id: str
    path: str
    test_date: str
    status: str | None = None
    history: str = ""
    scenarios: list[ScenarioResult] = []
    error: str | None = None
    remarks: list[str] = []
    left_out: int = 0
    prices: str = ""
