"""What a recorded scenario means: its energy, cost, carbon and quality, each figure with its reason where it lacks."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from wattview.model.runs import ScenarioRecord


class ExportFormat(NamedTuple):
    """A form in which runs can be had: its name and ending, its media type, what is in it, and the optional part of
    the package that makes it, which only ``wattview results export`` asks for."""

    name: str
    media_type: str
    words: str
    extra: str = ""


EXPORT_FORMATS: tuple[ExportFormat, ...] = (
    ExportFormat("csv", "text/csv", "every figure, a row a scenario"),
    ExportFormat("json", "application/json", "everything that the daemon knows"),
    ExportFormat("parquet", "application/vnd.apache.parquet", "every figure, a row a scenario", extra="parquet"),
    ExportFormat("html", "text/html", "a report with pictures"),
)

MEDIA_TYPES = {form.name: form.media_type for form in EXPORT_FORMATS if not form.extra}
"""Of what the daemon exports."""


class Efficiency(Struct, frozen=True, kw_only=True):
    """Energy, cost and carbon by what a scenario delivered. None where that is not known.

    ``sci_grams_per_stream_hour`` is the Software Carbon Intensity (ISO/IEC 21031): with the machine's embodied carbon.
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


class Estimate(Struct, frozen=True, kw_only=True):
    """A mean of ``count`` repeats; ``low`` to ``high`` is its 95 % confidence interval, None with one repeat."""

    mean: float
    count: int
    low: float | None = None
    high: float | None = None
    standard_deviation: float | None = None


class Difference(Struct, frozen=True, kw_only=True):
    """The difference of two means with its confidence interval and the test of its being 0.

    ``differ`` is that the test is significant at the joint level of 5 %, which is the same as that ``low`` to ``high``
    does not hold 0; None where there are too few repeats to test it. ``p_value`` is of this one alone. Of several that
    were read together ``p_adjusted`` is Bonferroni-corrected for ``judged_together`` tests, and the interval has the
    ``confidence`` that goes with it (0.95 for one test by itself): together they hold with 95 %. ``family`` is the
    question that this one helps to answer: power, quality or cost.
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
    """What one recorded scenario means. A figure that cannot be had is None, and ``reasons`` says why, by figure; one
    that is not to be had here, as the machine or an idle window has no such thing, stands in ``inapplicable`` instead.

    ``window_seconds`` is from ``start_time`` to ``end_time``: what energy and means are over. ``duration_seconds`` is
    the file's own word, else that.
    The true energy lies within ``energy_error_joules`` of ``energy_joules``: 0 where the counter was read at the very
    ends of the window, more where it had to be interpolated there. ``power_percentile_watts`` is by ``"5"``, ``"50"``,
    ``"95"`` and ``"99"``. What is called net is less what the baseline's power would have been over the same time.
    ``machine`` names the machine that was measured, for people; None where the file does not say which it was.
    ``baseline_watts`` is the mean power that was subtracted, ``baselines_watts`` that of every baseline of the file.
    ``remarks`` are warnings, by a short name, about how far to trust the figures above baseline.
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
    reasons: dict[str, str] = {}
    inapplicable: dict[str, str] = {}
    remarks: dict[str, str] = {}

    @property
    def power_error_watts(self) -> float | None:
        """How far the true mean power may lie from ``power_mean_watts``."""
        if self.energy_error_joules is None or not self.window_seconds:
            return None
        return self.energy_error_joules / self.window_seconds


class RunResult(Struct, frozen=True, kw_only=True):
    """A results file with its meaning. ``id`` is the stamp in its file name; ``error`` says why it has none.
    ``remarks`` are on the run as a whole: how still the machine was, and how many of its scenarios were ``left_out``
    as they are too many for one answer. ``prices`` says in words what its costs were computed with."""

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
