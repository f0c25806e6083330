"""A recorded scenario's figures against cases that were worked out by hand."""

from __future__ import annotations

import pytest

from tests.support.analysis_cases import PRICES, START, evidence, flat, line, record
from wattview.analysis.results import analyse, compared_with_baseline, is_baseline
from wattview.analysis.windows.series import FIRST, INSTEAD, Evidence
from wattview.model import HistorySeries, ScenarioRecord, ScenarioResult

RAPL = (
    line('wattview_host_energy_joules_total{source="rapl"}', 50.0),
    flat('wattview_host_power_watts{source="rapl"}', 50.0, (20, 58.0)),
)
CPU = (line("wattview_host_cpu_busy_seconds_total", 2.0), flat("wattview_host_cpus", 8.0))


def test_the_figures_of_a_minute_at_50_watts() -> None:
    result = analyse(record(vmaf_score=80.0), evidence(*RAPL, *CPU), PRICES)
    assert result.duration_seconds == 60.0
    assert result.energy_joules == pytest.approx(3000.0)
    # Whether the sample at the window's very end showed its last second, a store does not tell.
    assert result.energy_error_joules == pytest.approx(2 * 5 * 50.0)
    assert result.power_mean_watts == pytest.approx(50.0)
    assert result.power_max_watts == 58.0
    assert result.power_source == "rapl"
    assert result.cpu_seconds == pytest.approx(120.0)
    assert result.cpu_mean_percent == pytest.approx(25.0)
    # 3000 J / 3.6e6 x 0.30 x 1.5
    assert result.cost_energy == pytest.approx(0.000375)
    # 120 s / 3600 x 0.50
    assert result.cost_compute == pytest.approx(0.0166666667)
    assert result.cost_total == pytest.approx(0.0170416667)
    # 3000 J / 3.6e6 x 1.5 x 400 g
    assert result.carbon_grams == pytest.approx(0.5)
    assert result.qoe_score == pytest.approx(4.0)
    assert result.currency == "EUR"
    assert result.reasons == {}
    assert result.inapplicable == {"gpu_energy_joules": "no GPU could be read on this machine"}


def test_percentiles_of_power_are_of_its_readings() -> None:
    """12 readings, eleven of 50 W and one of 58: the 95th lies at place 10.45 of 11, the 99th at 10.89. The reading at
    the very start is the mean over a second before it."""
    found = analyse(record(), evidence(*RAPL, *CPU), PRICES).power_percentile_watts
    assert found == {
        "5": 50.0, "50": 50.0, "95": pytest.approx(50 + 0.45 * 8), "99": pytest.approx(50 + 0.89 * 8),
    }  # fmt: skip


def test_ends_between_samples_carry_their_uncertainty() -> None:
    result = analyse(record(start=2.5, end=57.5), evidence(*RAPL), PRICES)
    assert result.energy_joules == pytest.approx(55 * 50.0)
    assert result.energy_error_joules == pytest.approx(5 * 50.0)


def test_a_peak_between_two_records_counts_and_one_from_before_the_window_does_not() -> None:
    key = 'wattview_host_power_peak_watts{source="rapl"}'
    inside = HistorySeries(key, [(START + 1.0, 99.0), (START + 6, 71.0), (START + 59.9, 60.0), (START + 65, 99.0)])
    assert analyse(record(), evidence(*RAPL, inside), PRICES).power_max_watts == 71.0
    straddling = HistorySeries(key, [(START - 0.42, 99.0), (START + 2, 90.0), (START + 7, 60.0)])
    assert analyse(record(), evidence(*RAPL, straddling), PRICES).power_max_watts == 60.0


def test_a_reading_from_before_the_window_is_not_its_maximum() -> None:
    spike = flat('wattview_host_power_watts{source="rapl"}', 50.0, (0.5, 375.0))
    assert analyse(record(), evidence(RAPL[0], spike), PRICES).power_max_watts == pytest.approx(50.0)


def test_a_window_between_two_records_has_a_maximum_and_it_is_not_below_the_mean() -> None:
    low = flat('wattview_host_power_watts{source="rapl"}', 20.0)
    result = analyse(record(start=11.0, end=13.0), evidence(RAPL[0], low), PRICES)
    assert (result.power_mean_watts, result.power_max_watts) == (pytest.approx(50.0), pytest.approx(50.0))


def test_a_gpu_is_added_to_what_does_not_contain_it() -> None:
    gpu = (
        line('wattview_host_energy_joules_total{source="nvml"}', 100.0),
        flat('wattview_host_power_watts{source="nvml"}', 100.0, (20, 130.0)),
    )
    result = analyse(record(), evidence(*RAPL, *gpu), PRICES)
    assert result.power_source == "rapl+nvml"
    assert result.energy_joules == pytest.approx(9000.0)
    assert result.gpu_energy_joules == pytest.approx(6000.0)
    assert result.power_max_watts == 188.0
    battery = line('wattview_host_energy_joules_total{source="battery"}', 70.0)
    assert analyse(record(), evidence(battery, *gpu), PRICES).energy_joules == pytest.approx(4200.0)


def test_an_estimate_is_marked_and_never_replaces_a_measurement() -> None:
    estimate = (
        line('wattview_host_energy_joules_total{source="estimated"}', 30.0),
        flat('wattview_host_power_watts{source="estimated"}', 30.0),
    )
    assert analyse(record(), evidence(*RAPL, *estimate), PRICES).power_source == "rapl"
    alone = analyse(record(), evidence(*estimate), PRICES)
    assert (alone.power_source, alone.energy_joules) == ("estimated", pytest.approx(1800.0))


def test_two_sources_of_the_same_host_are_never_added() -> None:
    other = line('wattview_host_energy_joules_total{source="hwmon"}', 80.0)
    assert analyse(record(), evidence(*RAPL, other), PRICES).energy_joules == pytest.approx(3000.0)


def test_gpu_energy_and_gpu_time_come_from_each_gpu() -> None:
    def gpu(metric: str, number: int) -> str:
        return f'{metric}{{gpu="{number}",UUID="GPU-{number}",modelName="H100"}}'

    found = [
        *RAPL, *CPU,
        line(gpu("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 0), 100_000.0),
        line(gpu("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 1), 50_000.0),
        flat(gpu("DCGM_FI_DEV_GPU_UTIL", 0), 50.0),
        flat(gpu("DCGM_FI_DEV_GPU_UTIL", 1), 25.0),
    ]  # fmt: skip
    result = analyse(record(), evidence(*found), PRICES)
    assert result.gpu_energy_joules == pytest.approx(9000.0)
    # 120 CPU-seconds at 0.50 an hour and 45 GPU-seconds at 2.00 an hour
    assert result.cost_compute == pytest.approx(120 / 3600 * 0.5 + 45 / 3600 * 2.0)


def test_a_window_that_is_not_covered_has_reasons_and_no_figures() -> None:
    short = line('wattview_host_energy_joules_total{source="rapl"}', 50.0, span=(-5, 40))
    result = analyse(record(vmaf_score=60.0), evidence(short, *CPU), PRICES)
    assert result.energy_joules is result.power_mean_watts is result.power_max_watts is result.cost_total is None
    assert "rapl: no sample at or after the end: the last came 20.0 s before it" in result.reasons["energy_joules"]
    assert result.reasons["cost_total"] == result.reasons["energy_joules"]
    assert result.cost_compute == pytest.approx(120 / 3600 * 0.5)
    assert result.qoe_score == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"start_time": None, "end_time": START}, "start_time is missing"),
        ({"start_time": START}, "end_time is missing"),
        ({"start_time": START, "end_time": START}, "end_time is not after start_time"),
        ({"start_time": START, "end_time": START + 3e6}, "more than 31 days"),
        (
            {"start_time": START, "notes": ["end_time: expected Unix seconds, got 'x'"]},
            "end_time: expected Unix seconds, got 'x'",
        ),
    ],
)
def test_a_scenario_without_a_window_says_what_is_wrong(wrong: dict[str, object], reason: str) -> None:
    bad = ScenarioRecord(name="bad", duration=60.0, vmaf_score=100.0, **wrong)  # type: ignore[arg-type]
    result = analyse(bad, evidence(*RAPL, *CPU), PRICES)
    assert result.energy_joules is result.cpu_seconds is result.cost_total is None
    assert reason in result.reasons["energy_joules"]
    assert (result.duration_seconds, result.qoe_score) == (60.0, 5.0)


def test_a_history_that_failed_is_the_reason_of_every_figure_that_needs_it() -> None:
    silent = Evidence(failures=dict.fromkeys(FIRST, "http://prometheus did not answer in time"))
    result = analyse(record(vmaf_score=100.0, psnr_score=40.0), silent, PRICES)
    for figure in ("energy_joules", "power_mean_watts", "power_max_watts", "cpu_seconds", "cost_total"):
        assert getattr(result, figure) is None
        assert result.reasons[figure] == "http://prometheus did not answer in time"
    assert (result.qoe_score, result.duration_seconds) == (5.0, 60.0)
    assert silent.also_wanted() == ()


def test_without_vmaf_there_is_no_qoe_score_and_a_reason() -> None:
    result = analyse(record(), Evidence(), PRICES)
    assert (result.qoe_score, result.qoe_method) == (None, None)
    assert result.reasons["qoe_score"] == "no VMAF was measured"


def test_figures_impossible_here_are_not_missing() -> None:
    """An idle window has no picture. A GPU is missing only where nobody can say that there is none."""
    power = line('wattview_host_energy_joules_total{source="rapl"}', 50.0)
    idle = analyse(record(type="baseline"), evidence(power), PRICES)
    assert idle.inapplicable["qoe_score"] == "an idle window has no video"
    assert {"qoe_score", "gpu_energy_joules"}.isdisjoint(idle.reasons)
    nothing = analyse(record(), Evidence(), PRICES)
    assert "gpu_energy_joules" in nothing.reasons
    energy = "wattview_host_energy_joules_total"
    silent = Evidence({energy: [power]}, {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": "no answer"})
    assert analyse(record(), silent, PRICES).reasons["gpu_energy_joules"] == "no answer"
    late = HistorySeries(f'{energy}{{source="nvml"}}', [(START + 30, 1.0), (START + 65, 2.0)])
    gap = analyse(record(), Evidence({energy: [power, late]}), PRICES)
    assert "no sample at or before the start" in gap.reasons["gpu_energy_joules"]


def test_energy_after_a_counter_restart_is_not_guessed() -> None:
    key = 'wattview_host_energy_joules_total{source="rapl"}'
    points = [(START + at, (90_000.0 if at < 30 else 5_000.0) + 50 * at) for at in range(-5, 70, 5)]
    result = analyse(record(), evidence(HistorySeries(key, points)), PRICES)
    assert result.energy_joules is None
    assert "restarted 30 s into the window" in result.reasons["energy_joules"]


# what other exporters and servers give


def scraped(series: HistorySeries, instance: str) -> HistorySeries:
    name, brace, rest = series.name.partition("{")
    labels = f'instance="{instance}",job="j"'
    return HistorySeries(f"{name}{{{labels},{rest}" if brace else f"{name}{{{labels}}}", series.points)


def test_a_node_exporter_gives_cpu_time_where_our_own_is_not_there() -> None:
    cpus = [
        line(f'node_cpu_seconds_total{{cpu="{cpu}",mode="{mode}",instance="a"}}', rate)
        for cpu in range(4)
        for mode, rate in (("user", 0.25), ("system", 0.25), ("idle", 0.5), ("iowait", 0.3), ("guest", 0.2))
    ]
    found = evidence(*RAPL, *cpus)
    assert found.also_wanted() == INSTEAD["wattview_host_cpu_busy_seconds_total"]
    result = analyse(record(), found, PRICES)
    assert result.cpu_seconds == pytest.approx(120.0)
    assert result.cpu_mean_percent == pytest.approx(50.0)


def test_a_rapl_exporter_gives_energy_and_no_zone_counts_twice() -> None:
    zones = [
        line(f'rapl_energy_joules_total{{package="{package}",zone="{zone}"}}', watts)
        for package, zone, watts in (
            ("package-0", "package-0", 40.0), ("package-0", "core", 30.0), ("package-0", "dram", 5.0),
            ("package-1", "package-1", 20.0), ("package-1", "uncore", 3.0), ("package-1", "dram", 4.0),
        )
    ]  # fmt: skip
    result = analyse(record(), evidence(*zones), PRICES)
    assert (result.energy_joules, result.power_source) == (pytest.approx(69 * 60.0), "rapl")
    platform = line('rapl_energy_joules_total{package="psys",zone="psys"}', 90.0)
    assert analyse(record(), evidence(*zones, platform), PRICES).energy_joules == pytest.approx(90 * 60.0)


@pytest.mark.parametrize("missing", ["package-1/package-1", "package-1/dram", "package-0/package-0"])
def test_a_part_without_a_counter_makes_host_energy_unknown(missing: str) -> None:
    """Its power is there, its neighbours are, or its own parts."""
    known = [
        (package, zone) for package in ("package-0", "package-1") for zone in (package, "dram", "core")
        if f"{package}/{zone}" != missing
    ]  # fmt: skip
    zones = [line(f'rapl_energy_joules_total{{package="{package}",zone="{zone}"}}', 25.0) for package, zone in known]
    result = analyse(record(), evidence(*zones), PRICES)
    assert (result.energy_joules, result.power_mean_watts, result.power_max_watts) == (None, None, None)
    assert missing.replace("/", " ").split(" ")[0] in result.reasons["energy_joules"]
    package, zone = missing.split("/")
    watts = flat(f'rapl_power_watts{{package="{package}",zone="{zone}"}}', 25.0)
    only = line('rapl_energy_joules_total{package="package-0",zone="package-0"}', 25.0)
    if package == "package-1":
        assert analyse(record(), evidence(only, watts), PRICES).energy_joules is None


def test_what_the_daemon_did_not_know_is_not_summed_up_from_the_zones_that_are_left() -> None:
    """A package that could not be read from the daemon's start: its own figure is missing, the other zones are not."""
    zone = '{package="package-0",zone="package-0"}'
    left = (line(f"rapl_energy_joules_total{zone}", 25.0), flat(f"rapl_power_watts{zone}", 25.0))
    result = analyse(record(), evidence(*left, *CPU), PRICES)
    assert (result.energy_joules, result.cost_total) == (None, None)
    assert "a part of it could not be read" in result.reasons["energy_joules"]


def test_unknown_gpus_make_the_total_unknown() -> None:
    joules = 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-0"}'
    lost = analyse(record(), evidence(*RAPL, line(joules, 100_000.0)), PRICES)
    assert lost.energy_joules is None
    assert "GPUs" in lost.reasons["energy_joules"]
    half = line('wattview_host_energy_joules_total{source="nvml"}', 100.0, span=(-5, 40))
    assert analyse(record(), evidence(*RAPL, half), PRICES).energy_joules is None
    whole = HistorySeries('wattview_machine_power_watts{source="rapl+nvml"}', [(START - 5, 150.0), (START + 65, 150.0)])
    nvml = line('wattview_host_energy_joules_total{source="nvml"}', 100.0)
    assert analyse(record(), evidence(*RAPL, nvml, whole), PRICES).energy_joules is None, "not known in the window"


def test_a_gpu_counter_that_fell_is_unknown_and_not_its_lifetime_total() -> None:
    points = [(START + at, 2e8 + 100.0 * at if at < 30 else 100.0 * (at - 30)) for at in range(-5, 70, 5)]
    fell = HistorySeries('wattview_host_energy_joules_total{source="nvml"}', points)
    result = analyse(record(), evidence(*RAPL, fell), PRICES)
    assert (result.gpu_energy_joules, result.energy_joules) == (None, None)
    each = HistorySeries('DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-0"}', points)
    assert analyse(record(), evidence(each), PRICES).gpu_energy_joules is None


def test_of_two_gpus_one_without_a_counter_makes_their_energy_unknown() -> None:
    energy = line('DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-0"}', 100_000.0)
    use = [flat(f'DCGM_FI_DEV_GPU_UTIL{{gpu="{at}",UUID="GPU-{at}"}}', 50.0) for at in (0, 1)]
    result = analyse(record(), evidence(*CPU, energy, *use), PRICES)
    assert result.gpu_energy_joules is None
    assert "GPU-1" in result.reasons["gpu_energy_joules"]


def test_the_duration_is_the_files_own_and_means_are_over_the_window() -> None:
    result = analyse(record(duration=23.4), evidence(*RAPL), PRICES)
    assert (result.duration_seconds, result.window_seconds) == (23.4, 60.0)
    assert result.power_mean_watts == pytest.approx(50.0)
    assert analyse(record(duration=0.0), evidence(*RAPL), PRICES).duration_seconds == 60.0


def test_cpu_time_that_a_hypervisor_gave_to_others_is_not_used() -> None:
    modes = [line(f'node_cpu_seconds_total{{cpu="0",mode="{mode}"}}', share)
             for mode, share in (("user", 0.4), ("steal", 0.5), ("idle", 0.1))]  # fmt: skip
    assert analyse(record(), evidence(*modes), PRICES).cpu_seconds == pytest.approx(24.0)


def test_power_readings_are_integrated_only_where_there_is_no_counter_and_it_says_so() -> None:
    watts = [
        flat('rapl_power_watts{package="package-0",zone="package-0"}', 45.0, (30, 55.0)),
        flat('rapl_power_watts{package="package-0",zone="core"}', 30.0),
    ]
    result = analyse(record(), evidence(*watts), PRICES)
    # 45 W for a minute and a triangle of 10 W over 10 s
    assert result.energy_joules == pytest.approx(45 * 60 + 50)
    assert result.power_max_watts == 55.0
    assert result.power_source == "rapl (power readings)"
    counter = line('rapl_energy_joules_total{package="package-0",zone="package-0"}', 44.0)
    assert analyse(record(), evidence(*watts, counter), PRICES).energy_joules == pytest.approx(44 * 60)


def test_one_machine_scraped_twice_is_one_and_two_machines_are_not_mixed() -> None:
    twice = [scraped(one, instance) for one in (*RAPL, *CPU) for instance in ("a:9500", "b:9500")]
    result = analyse(record(), evidence(*twice), PRICES)
    assert (result.energy_joules, result.cpu_seconds) == (pytest.approx(3000.0), pytest.approx(120.0))
    assert result.power_max_watts == 58.0
    other = scraped(line('wattview_host_energy_joules_total{source="rapl"}', 80.0), "c:9500")
    mixed = analyse(record(), evidence(*twice, other), PRICES)
    assert mixed.energy_joules is None
    assert "several machines have data and disagree" in mixed.reasons["energy_joules"]
    assert "c:9500" in mixed.reasons["energy_joules"]


def test_an_instance_renamed_long_ago_is_not_a_second_machine() -> None:
    old = scraped(line('wattview_host_energy_joules_total{source="rapl"}', 80.0, span=(-5, 10)), "old:9500")
    result = analyse(record(), evidence(*[scraped(one, "new:9500") for one in RAPL], old), PRICES)
    assert result.energy_joules == pytest.approx(3000.0)


def test_a_cpu_counter_that_grows_faster_than_time_is_refused() -> None:
    mad = (line("wattview_host_cpu_busy_seconds_total", 20.0), CPU[1])
    result = analyse(record(), evidence(*RAPL, *mad), PRICES)
    assert result.cpu_mean_percent is None
    assert "is implausible" in result.reasons["cpu_seconds"]


# the baseline


def measured(name: str, watts: float | None, start: float = 0.0, source: str = "rapl", **fields: str) -> ScenarioResult:
    return ScenarioResult(
        record=record(name, start, start + 60, **fields), power_mean_watts=watts, power_source=source if watts else None
    )


def test_the_difference_is_the_scenario_less_the_baseline() -> None:
    idle, load = compared_with_baseline([measured("idle", 20.0, type="baseline"), measured("load", 52.5, 100)])
    assert (load.baseline, load.baseline_diff_power_watts) == ("idle", 32.5)
    assert idle.baseline_diff_power_watts == 0.0


def test_files_without_types_recognise_the_baseline_by_name() -> None:
    assert is_baseline(record("Baseline (no streams)"))
    assert is_baseline(record("idle"))
    assert not is_baseline(record("2 streams, not idle"))
    assert not is_baseline(record("baseline", type="streams"))
    [_, load] = compared_with_baseline([measured("baseline", 20.0), measured("load", 30.0)])
    assert load.baseline_diff_power_watts == 10.0


def test_of_two_baselines_the_last_one_before_the_scenario_counts() -> None:
    results = compared_with_baseline(
        [measured("baseline", 20.0, 0), measured("a", 50.0, 100), measured("baseline", 22.0, 200),
         measured("b", 50.0, 300)]
    )  # fmt: skip
    assert [result.baseline_diff_power_watts for result in results] == [0.0, 30.0, 0.0, 28.0]


def test_a_difference_that_cannot_be_computed_has_a_reason() -> None:
    [alone] = compared_with_baseline([measured("a", 50.0)])
    assert (alone.baseline_diff_power_watts, alone.baseline) == (None, None)
    assert alone.reasons["baseline_diff_power_watts"] == "this results file has no baseline scenario"
    [_, load] = compared_with_baseline([measured("baseline", None), measured("a", 50.0, 100)])
    assert "the baseline's power is unknown" in load.reasons["baseline_diff_power_watts"]
    [_, mixed] = compared_with_baseline([measured("baseline", 20.0, source="estimated"), measured("a", 50.0, 100)])
    assert mixed.baseline_diff_power_watts is None
    assert "came from estimated, this scenario's from rapl" in mixed.reasons["baseline_diff_power_watts"]


METER = (
    line('wattview_wall_energy_joules_total{source="meter"}', 90.0),
    flat('wattview_wall_power_error_watts{source="meter"}', 1.4),
)
MODEL = line('wattview_wall_energy_joules_total{source="calibrated"}', 85.0)


def test_costs_and_carbon_use_wall_energy_if_known() -> None:
    result = analyse(record(), evidence(*RAPL, *CPU, *METER, MODEL), PRICES)
    assert (result.energy_joules, result.power_source) == (pytest.approx(3000.0), "rapl")
    assert (result.wall_energy_joules, result.wall_source) == (pytest.approx(5400.0), "meter")
    assert result.wall_power_mean_watts == pytest.approx(90.0)
    assert result.wall_power_error_watts == pytest.approx(1.4)
    assert result.cost_energy == pytest.approx(0.000375 * 90 / 50)
    assert result.carbon_grams == pytest.approx(0.5 * 90 / 50)


def test_a_calibration_bridges_a_gap_of_the_meter() -> None:
    key = METER[0].name
    begun_anew = HistorySeries(key, [(START + at, 90.0 * (at if at < 30 else at - 30)) for at in range(0, 65, 5)])
    result = analyse(record(), evidence(*RAPL, *CPU, begun_anew, MODEL), PRICES)
    assert (result.wall_energy_joules, result.wall_source) == (pytest.approx(5100.0), "calibrated")
    alone = analyse(record(), evidence(*RAPL, *CPU, begun_anew), PRICES)
    assert alone.wall_energy_joules is None
    assert "restarted" in alone.reasons["wall_energy_joules"]
    assert alone.cost_energy == pytest.approx(0.000375), "the host's energy, as without a meter"


def test_the_wall_is_known_where_the_processors_counter_is_not() -> None:
    result = analyse(record(), evidence(*CPU, *METER), PRICES)
    assert result.energy_joules is None
    assert result.cost_energy == pytest.approx(0.000375 * 90 / 50)
    assert "cost_energy" not in result.reasons
