"""The catalogue of quantities: the one description of each figure of a result.

It is the source for the dashboard's columns, command-line tables, CSV, the report, the results, QoE and cost exporters,
comparisons, advice, the axes of curves and ``docs/quantities.md``. To add a figure, compute it and add one entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from wattview.model.results import ScenarioResult
from wattview.model.sweeps import CurveDifference

Part = Literal["Energy", "Quality", "Cost"]
Family = Literal["power", "quality", "cost"]

CURRENCY = "currency"
"""As a unit: the currency of the result."""


def counted(number: int | None, word: str) -> str:
    """``1 run``, ``2 runs``, ``— processes`` if it is unknown."""
    plural = "" if number == 1 else "es" if word.endswith("s") else "s"
    return f"{'—' if number is None else number} {word}{plural}"


class Quantity(Struct, frozen=True, kw_only=True):
    """One figure of a result.

    ``path`` is its attribute path in a ``ScenarioResult``, and ``error`` that of its error; a figure with ``path`` ""
    belongs to curves only. ``title`` is a column heading, ``words`` its name in a sentence. ``scale`` converts the
    value to ``unit``, in which it is shown with ``decimals``. ``signed``: it is a difference. ``of_power``: it depends
    on the power source, so figures of two sources do not mix; ``proportional``: its relative error is that of the
    energy. ``of_vmaf``: scores of two VMAF models do not mix. ``total``: it grows with the length of the window.
    ``family``: tests of one family are corrected together. ``metric`` is its name on ``exporter`` for the newest
    results file, ``run_metric`` the one with the label ``run``; both have the help text ``help``.
    """

    name: str
    path: str
    part: Part
    title: str
    words: str
    unit: str = ""
    decimals: int = 2
    scale: float = 1.0
    signed: bool = False
    error: str = ""
    of_power: bool = False
    proportional: bool = False
    of_vmaf: bool = False
    total: bool = False
    family: Family = "power"
    exporter: Literal["", "results", "qoe", "cost"] = ""
    metric: str = ""
    run_metric: str = ""
    help: str = ""

    @property
    def billed(self) -> bool:
        """Whether it is of the energy that is paid for, which is that at the wall if it is known."""
        return self.part == "Cost" and self.of_power

    def of(self, result: ScenarioResult) -> float | None:
        """The figure of one result, in the API's unit; None if unknown."""
        return _at(result, self.path)

    def error_of(self, result: ScenarioResult) -> float | None:
        """The error of the figure; None if unknown."""
        return _at(result, self.error) if self.error else None

    def scaled(self, value: float) -> float:
        """Converts from the API's unit to ``unit``."""
        return value * self.scale

    def text(self, value: float) -> str:
        """``61.23 W``, of a figure that is no price."""
        return f"{self.scaled(value):.{self.decimals}f} {self.unit}"

    def shows(self, value: float) -> bool:
        """Whether it is more than 0 in its decimals: a percentage of less says nothing."""
        return bool(float(f"{self.scaled(value):.{self.decimals}f}"))

    def unit_in(self, currency: str | None) -> str:
        """``unit``, or the currency of a price."""
        return currency or "" if self.unit == CURRENCY else self.unit


def _at(result: ScenarioResult, path: str) -> float | None:
    value: Any = result
    for name in path.split("."):
        value = getattr(value, name, None)
    return None if value is None else float(value)


def _energy(name: str, title: str, words: str, unit: str, decimals: int = 2, **more: Any) -> Quantity:
    return Quantity(name=name, title=title, words=words, unit=unit, decimals=decimals, part="Energy",
                    **({"path": name} | more))  # fmt: skip


def _quality(name: str, title: str, words: str, unit: str = "", decimals: int = 2, **more: Any) -> Quantity:
    return Quantity(name=name, title=title, words=words, unit=unit, decimals=decimals, part="Quality",
                    **({"path": f"record.{name}", "family": "quality"} | more))  # fmt: skip


def _cost(name: str, title: str, words: str, unit: str = CURRENCY, decimals: int = 6, **more: Any) -> Quantity:
    return Quantity(name=name, title=title, words=words, unit=unit, decimals=decimals, part="Cost",
                    **({"path": name, "family": "cost" if unit == CURRENCY else "power"} | more))  # fmt: skip


def _per_unit(name: str) -> dict[str, Any]:
    """Energy per unit of work."""
    return {"path": f"efficiency.{name}", "of_power": True, "proportional": True}


_CATALOGUE = (
    _energy("duration_seconds", "Length s", "length", "s", 1, exporter="results", metric="scenario_duration_seconds",
            run_metric="wattview_run_scenario_duration_seconds",
            help="Length of the scenario by its results file, else of its window."),
    _energy("energy_joules", "Energy J", "energy", "J", 1, error="energy_error_joules", of_power=True,
            exporter="results", metric="scenario_energy_joules", run_metric="wattview_run_scenario_energy_joules",
            help="Energy of the host, from its counter.", total=True),
    _energy("net_energy_joules", "Net J", "energy above baseline", "J", 1, of_power=True, total=True),
    _energy("power_mean_watts", "Mean W", "mean power", "W", error="power_error_watts", of_power=True,
            exporter="results", metric="scenario_power_mean_watts", run_metric="wattview_run_scenario_power_mean_watts",
            help="Mean power of the host: energy by duration."),
    _energy("power_max_watts", "Max W", "maximum power", "W", of_power=True, exporter="results",
            metric="scenario_power_max_watts", run_metric="wattview_run_scenario_power_max_watts",
            help="Largest power of the host inside the window."),
    _energy("wall_energy_joules", "Wall J", "energy at the wall", "J", 1, error="wall_energy_error_joules",
            exporter="results", metric="wattview_scenario_wall_energy_joules",
            run_metric="wattview_run_scenario_wall_energy_joules",
            help="Energy that the machine drew from the wall, by a meter or a calibration.", total=True),
    _energy("wall_power_mean_watts", "Wall W", "mean power at the wall", "W", error="wall_power_error_watts",
            exporter="results", metric="wattview_scenario_wall_power_mean_watts",
            run_metric="wattview_run_scenario_wall_power_mean_watts",
            help="Mean power that the machine drew from the wall: energy by duration."),
    _energy("baseline_diff_power_watts", "Δ base W", "power above baseline", "W", signed=True, of_power=True,
            exporter="results", metric="scenario_baseline_diff_power_watts",
            run_metric="wattview_run_scenario_baseline_diff_power_watts",
            help="Mean power less the mean power of the baseline scenario of the same results file."),
    _energy("net_watts_per_stream", "Δ/stream W", "power above baseline per stream", "W", signed=True, of_power=True,
            path="net_efficiency.watts_per_stream"),
    _energy("watts_per_stream", "W/stream", "power per stream", "W", **_per_unit("watts_per_stream")),
    _energy("joules_per_frame", "J/frame", "energy per frame", "J", 3, **_per_unit("joules_per_frame")),
    _energy("joules_per_megapixel", "J/Mpixel", "energy per megapixel", "J", 4, **_per_unit("joules_per_megapixel")),
    _energy("joules_per_gigabyte", "kJ/GB", "energy per gigabyte", "kJ", scale=1e-3,
            **_per_unit("joules_per_gigabyte")),
    _energy("joules_per_viewer_hour", "Wh/viewer-h", "energy per viewer-hour", "Wh", 3, scale=1 / 3600,
            **_per_unit("joules_per_viewer_hour")),
    _energy("cpu_mean_percent", "CPU %", "CPU use", "%", 1, family="cost", exporter="results",
            metric="scenario_cpu_mean_percent", run_metric="wattview_run_scenario_cpu_mean_percent",
            help="CPU use, as a share of the whole machine."),
    _energy("cpu_seconds", "CPU s", "CPU time", "s", 1, family="cost", exporter="results",
            metric="wattview_scenario_cpu_seconds", run_metric="wattview_run_scenario_cpu_seconds",
            help="CPU time that was used, over all CPUs.", total=True),
    _energy("gpu_energy_joules", "GPU J", "GPU energy", "J", 1, of_power=True, exporter="results",
            metric="wattview_scenario_gpu_energy_joules", run_metric="wattview_run_scenario_gpu_energy_joules",
            help="Energy of the GPUs, from their counters.", total=True),
    _energy("seconds_per_execution", "Command s", "time of the command", "s", 3, path="per_execution.seconds",
            family="cost"),
    _energy("cpu_seconds_per_execution", "Command CPU s", "CPU time of the command", "s", 3,
            path="per_execution.cpu_seconds", family="cost"),
    _energy("gpu_seconds_per_execution", "Command GPU s", "GPU time of the command", "s", 2,
            path="per_execution.gpu_seconds", family="cost"),
    _energy("joules_per_execution", "Command J", "energy of the command", "J", 2, path="per_execution.joules",
            of_power=True),
    _energy("machine_joules_per_execution", "Machine J", "energy of the machine during the command", "J", 2,
            path="per_execution.machine_joules", of_power=True),
    _quality("vmaf_score", "VMAF", "VMAF", of_vmaf=True, exporter="qoe", metric="quality_vmaf",
             run_metric="wattview_run_scenario_quality_vmaf",
             help="VMAF of the encoded picture against its source, 0 to 100."),
    _quality("vmaf_harmonic_mean", "Harmonic", "VMAF, harmonic mean", of_vmaf=True),
    _quality("vmaf_percentile_1", "Worst 1 %", "VMAF, first percentile", of_vmaf=True),
    _quality("vmaf_minimum", "Worst", "VMAF of the worst frame", of_vmaf=True),
    _quality("psnr_score", "PSNR dB", "PSNR", "dB", exporter="qoe", metric="quality_psnr",
             run_metric="wattview_run_scenario_quality_psnr",
             help="Peak signal-to-noise ratio against the source, decibels."),
    _quality("xpsnr_score", "XPSNR dB", "XPSNR", "dB", exporter="qoe", metric="quality_xpsnr",
             run_metric="wattview_run_scenario_quality_xpsnr",
             help="Perceptually weighted PSNR (XPSNR) against the source, decibels."),
    _quality("cambi_score", "CAMBI", "banding (CAMBI)", exporter="qoe", metric="quality_cambi",
             run_metric="wattview_run_scenario_quality_cambi",
             help="CAMBI of the encoded picture: banding; 0 is none, from about 5 on it is annoying."),
    _quality("ssim_score", "SSIM", "SSIM", "", 4, exporter="qoe", metric="quality_ssim",
             run_metric="wattview_run_scenario_quality_ssim", help="Structural similarity with the source, 0 to 1."),
    _quality("qoe_score", "QoE 1-5", "QoE score", path="qoe_score", of_vmaf=True, exporter="qoe", metric="qoe_score",
             run_metric="wattview_run_scenario_qoe_score", help="Viewers' opinion on the five-point ACR scale."),
    _quality("spatial_information", "SI", "spatial information of the source", decimals=1,
             exporter="qoe", metric="wattview_scenario_spatial_information",
             run_metric="wattview_run_scenario_spatial_information",
             help="SI of the source (ITU-T P.910): detail, the largest of its pictures."),
    _quality("spatial_information_mean", "SI mean", "spatial information of the source, mean", decimals=1,
             exporter="qoe", metric="wattview_scenario_spatial_information_mean",
             run_metric="wattview_run_scenario_spatial_information_mean",
             help="SI of the source (ITU-T P.910): detail, mean over its pictures."),
    _quality("temporal_information", "TI", "temporal information of the source", decimals=1,
             exporter="qoe", metric="wattview_scenario_temporal_information",
             run_metric="wattview_run_scenario_temporal_information",
             help="TI of the source (ITU-T P.910): change from picture to picture, the largest of its pictures."),
    _quality("temporal_information_mean", "TI mean", "temporal information of the source, mean", decimals=1,
             exporter="qoe", metric="wattview_scenario_temporal_information_mean",
             run_metric="wattview_run_scenario_temporal_information_mean",
             help="TI of the source (ITU-T P.910): change from picture to picture, mean over its pictures."),
    _quality("start_delay_seconds", "Start s", "start-up delay", "s", path="record.playback.start_delay_seconds"),
    _quality("end_to_end_delay_seconds", "End to end s", "end-to-end delay", "s", 3,
             path="record.playback.end_to_end_delay_seconds"),
    _quality("stalls", "Stalls", "stalls", "", 0, path="record.playback.stalls", total=True),
    _quality("stalled_seconds", "Stalled s", "time stalled", "s", path="record.playback.stalled_seconds", total=True),
    _quality("received_frames_ratio", "Received %", "frames that viewers received", "%", 1, scale=100.0,
             path="record.playback.received_frames_ratio"),
    _cost("cost_total", "Total", "cost", of_power=True, exporter="cost", metric="cost_total_load_aware",
          run_metric="wattview_run_scenario_cost", help="Cost of the scenario: energy and computing time.", total=True),
    _cost("cost_energy", "Energy", "energy cost", of_power=True, exporter="cost", metric="cost_energy_load_aware",
          run_metric="wattview_run_scenario_energy_cost",
          help="Cost of the scenario's energy, with the building's overhead (PUE).", total=True),
    _cost("cost_compute", "Compute", "compute cost", exporter="cost", metric="cost_compute_load_aware",
          run_metric="wattview_run_scenario_compute_cost", help="Cost of the scenario's CPU and GPU time.", total=True),
    _cost("cost_egress", "Egress", "egress cost", total=True),
    _cost("cost_per_stream_hour", "Stream-hour", "cost per stream-hour", of_power=True,
          path="efficiency.cost_per_stream_hour"),
    _cost("cost_per_viewer_hour", "Viewer-hour", "cost per viewer-hour", of_power=True,
          path="efficiency.cost_per_viewer_hour"),
    _cost("cost_per_execution", "Command", "cost of the command", of_power=True, path="per_execution.cost"),
    _cost("carbon_grams_per_execution", "Command g", "carbon of the command", "g", 3, of_power=True,
          path="per_execution.carbon_grams"),
    _cost("carbon_grams", "CO₂e g", "carbon", "g", 3, of_power=True, exporter="cost",
          metric="wattview_scenario_carbon_grams", run_metric="wattview_run_scenario_carbon_grams",
          help="CO2 equivalent of the scenario's energy.", total=True),
    _cost("carbon_grams_per_stream_hour", "g/stream-h", "carbon per stream-hour", "g", 2,
          **_per_unit("carbon_grams_per_stream_hour")),
    _cost("sci_grams_per_stream_hour", "SCI g/str-h", "software carbon intensity per stream-hour", "g", 2,
          path="efficiency.sci_grams_per_stream_hour", of_power=True),
    _quality("bitrate_bps", "kbit/s", "bitrate", "kbit/s", 0, scale=1e-3, path=""),
)  # fmt: skip

QUANTITIES: dict[str, Quantity] = {quantity.name: quantity for quantity in _CATALOGUE}
"""By the API's name, in the order of a results sheet."""

ENERGY, POWER = QUANTITIES["energy_joules"], QUANTITIES["power_mean_watts"]

OF_RESULTS = tuple(quantity for quantity in _CATALOGUE if quantity.path)
"""Figures of a scenario's result: those that are averaged over repeats and compared between settings."""

EFFICIENCY = (
    "watts_per_stream", "joules_per_frame", "joules_per_megapixel", "joules_per_gigabyte", "joules_per_viewer_hour",
)  # fmt: skip
EFFICIENCY_PRICES = (
    "cost_per_stream_hour", "cost_per_viewer_hour", "carbon_grams_per_stream_hour", "sci_grams_per_stream_hour",
)  # fmt: skip
PER_EXECUTION = tuple(quantity.name for quantity in _CATALOGUE if quantity.path.startswith("per_execution."))
"""Figures of one execution of a command."""


def exported(exporter: str) -> list[Quantity]:
    """The quantities on one exporter."""
    return [quantity for quantity in _CATALOGUE if quantity.exporter == exporter]


_OTHER_WORDS = {
    "energy_error_joules": "its error", "power_percentile_watts": "percentiles of power", "cost_total": "cost",
    "efficiency": "efficiency",
}  # fmt: skip


def unknown_by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """The words of a result's unknown figures by their reason: those with the same reason are named together."""
    found: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        quantity = QUANTITIES.get(name)
        words = quantity.words if quantity is not None else _OTHER_WORDS.get(name, name.replace("_", " "))
        found.setdefault(reason, []).append(words)
    return found


def unknown_differences(differences: Iterable[CurveDifference]) -> Iterator[str]:
    """What is not known of the differences of two curves, and why: a line for each reason."""
    reasons: dict[str, list[str]] = {}
    for one in differences:
        if one.percent is None:
            reasons.setdefault(one.verdict, []).append(QUANTITIES[one.price].words)
        elif one.low is None:
            reasons.setdefault(f"interval {one.verdict}", [])
    for reason, names in reasons.items():
        yield f"{', '.join(names)}: {reason}" if names else reason
