"""Repeats, comparisons and advice, against numbers that are known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.scenario_results import baseline, result
from wattview.analysis.results import compared_with_baseline
from wattview.analysis.sweeps.advice import AdviceTarget, advise, pareto_front
from wattview.analysis.sweeps.comparison import compare, compare_runs, repeats_of, setting_of, setting_text
from wattview.analysis.sweeps.confidence import estimate
from wattview.analysis.windows.energy import NoData
from wattview.analysis.windows.remarks import noise_floor
from wattview.model import Efficiency, Output, RunResult, ScenarioRecord, ScenarioResult


def test_repeats_are_recognised_by_setting_and_not_by_name() -> None:
    groups = repeats_of(
        [baseline(20), result(50, name="a"), result(52, name="b"), result(70, name="a", preset="slow"),
         result(99, realtime=False)]
    )  # fmt: skip
    assert [(len(group.valid), len(group.invalid)) for group in groups] == [(2, 1), (1, 0)]
    group = groups[0].group()
    assert group.figures["power_mean_watts"].mean == 51.0
    assert group.figures["power_mean_watts"].count == 2
    assert (group.repeats, group.invalid, group.power_source) == (2, 1, "rapl")
    assert "cost_total" not in group.figures


def test_a_setting_has_a_readable_name() -> None:
    [group] = repeats_of([result(50)])
    assert group.label == "2 x 1280x720 30 fps 2500k libx264 veryfast"
    ladder = [Output(resolution="1280x720", fps=30), Output(resolution="640x360", fps=30)]
    [group] = repeats_of([result(50, outputs=ladder, source="film.mp4", viewers=3)])
    assert group.label == "2 x 1280x720, 640x360 30 fps 2500k libx264 veryfast film.mp4 3 viewers"
    [group] = repeats_of([result(50, crf=23, rate_control="crf", gop_seconds=4.0, audio="none")])
    assert group.label == "2 x 1280x720 30 fps CRF 23 libx264 veryfast GOP 4 s no audio"
    [group] = repeats_of([result(50, rate_control="capped", gop_seconds=2.0, audio="aac")])
    assert group.label == "2 x 1280x720 30 fps 2500k libx264 veryfast"
    [group] = repeats_of([ScenarioResult(record=ScenarioRecord(name="?"))])
    assert setting_text(group.setting) == "unknown setting"


def test_costs_at_the_wall_and_of_the_machine_are_not_compared() -> None:
    """The plug sees a third more than the processor's own counters: that is no difference between two settings."""
    costs: dict[str, Any] = {
        "cost_energy": 0.01, "carbon_grams": 3.0, "efficiency": Efficiency(carbon_grams_per_stream_hour=4.0),
    }  # fmt: skip
    at_wall: dict[str, Any] = {"wall_energy_joules": 4000.0, "wall_source": "meter"}
    machine = [replace(result(50.0, preset="fast"), **costs) for _ in range(2)]
    wall = [replace(result(50.0, preset="slow"), **costs, **at_wall) for _ in range(2)]
    fast, slow = repeats_of([*machine, *wall])
    found = compare(slow, fast).figures
    assert "power_mean_watts" in found
    assert not {"cost_energy", "carbon_grams", "carbon_grams_per_stream_hour"} & found.keys()
    [pair] = compare_runs(
        RunResult(id="a", path="", test_date="", scenarios=machine),
        RunResult(id="b", path="", test_date="", scenarios=[replace(one, **at_wall) for one in machine]),
    ).pairs
    assert pair.remark == "costs and carbon are not compared: one is of rapl and one is of the wall"
    with pytest.raises(NoData, match="of the wall's energy in some runs"):
        advise([*machine, *wall], AdviceTarget(), "carbon_grams_per_stream_hour")


def test_two_settings_are_compared_figure_by_figure() -> None:
    fast, slow = repeats_of(
        [
            *(result(watts, 90.0) for watts in (50.0, 50.2, 49.9)),
            *(result(watts, 93.0, preset="slow") for watts in (61.0, 60.8, 61.1)),
        ]
    )
    found = compare(slow, fast).figures
    assert found["power_mean_watts"].difference == pytest.approx(10.9333, abs=1e-3)
    assert found["power_mean_watts"].differ is True
    assert found["vmaf_score"].difference == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"bitrate": "2.5M"}, {"bitrate": "2500k"}),
        ({"bitrate": "2500000"}, {"bitrate": "2500k"}),
        ({"bitrate": "5M, 1.2M"}, {"bitrate": "5000k,1200k"}),
        ({"bitrate": "1M,1000k", "streams": 2}, {"bitrate": "1M", "streams": 2}),
        ({"audio": "0.128M"}, {"audio": "128k"}),
    ],
)
def test_one_bit_rate_is_one_setting_however_it_is_written(one: dict[str, Any], other: dict[str, Any]) -> None:
    [repeats] = repeats_of([result(50.0, **one), result(51.0, **other)])
    assert len(repeats.valid) == 2


def test_an_unparsable_bitrate_is_kept_as_written() -> None:
    found = repeats_of([result(50.0, bitrate="fast"), result(50.0, bitrate="2500K"), result(50.0, bitrate="fast, 1M")])
    assert [one.setting.bitrate for one in found] == ["fast", "2500K", "fast, 1M"]


def test_an_estimate_is_not_compared_with_a_measurement() -> None:
    one, other = repeats_of([result(50), result(60, power_source="estimated", preset="slow")])
    found = compare(one, other).figures
    assert "power_mean_watts" not in found
    assert "vmaf_score" in found


def run(run_id: str, *scenarios: ScenarioResult) -> RunResult:
    return RunResult(id=run_id, path="/x", test_date="2025-01-02", scenarios=list(scenarios))


def test_two_runs_are_compared_the_second_less_the_first() -> None:
    """Each side varies by 0.02333 W^2, so that 3 repeats each give 4 degrees of freedom and 2.7764 x 0.12472 W."""
    first = [result(watts) for watts in (50.0, 50.2, 49.9)]
    second = [result(watts) for watts in (61.0, 60.8, 61.1)]
    found = compare_runs(run("a", baseline(20.0), *first), run("b", *second, baseline(21.5)))
    [pair] = found.pairs
    power = pair.differences["power_mean_watts"]
    assert (power.difference, power.low, power.high) == (
        pytest.approx(10.9333, abs=1e-4), pytest.approx(10.5871, abs=1e-4), pytest.approx(11.2796, abs=1e-4),
    )  # fmt: skip
    assert power.differ is True
    assert (found.first, found.second, found.only_first, found.only_second) == ("a", "b", [], [])
    assert found.baseline_watts is not None
    assert (found.baseline_watts.difference, found.baseline_watts.differ) == (1.5, None)


def test_settings_of_two_runs_are_paired_by_setting_then_name_then_remainder() -> None:
    first = run("a", result(50), result(60, name="hd", preset="slow"), result(70, name="left", streams=8))
    second = run("b", result(64, name="hd", preset="slower"), result(75, name="other", streams=9), result(48))
    found = compare_runs(first, second)
    gaps = [pair.differences["power_mean_watts"].difference for pair in found.pairs]
    assert gaps == [-2.0, 4.0, 5.0]
    assert (found.pairs[1].first.setting.preset, found.pairs[1].second.setting.preset) == ("slow", "slower")
    assert found.baseline_watts is None


def test_settings_that_only_one_run_has_are_named() -> None:
    found = compare_runs(run("a", result(50), result(60, name="y", preset="slow")), run("b", result(48)))
    assert len(found.pairs) == 1
    assert (found.only_first, found.only_second) == (["2 x 1280x720 30 fps 2500k libx264 slow"], [])
    assert compare_runs(run("a"), run("b")).pairs == []


def test_power_of_two_sources_is_not_compared_and_the_pair_says_so() -> None:
    [pair] = compare_runs(run("a", result(50)), run("b", result(60, power_source="estimated"))).pairs
    assert pair.remark == "power is not compared: it came from rapl and from estimated"
    assert set(pair.differences) == {"vmaf_score"}
    mixed = [result(50), result(60, power_source="estimated")]
    [pair] = compare_runs(run("a", *mixed), run("b", *mixed)).pairs
    assert "power_mean_watts" not in pair.differences
    assert "several sources" in pair.remark


def test_machines_do_not_mix() -> None:
    groups = repeats_of([result(50, machine="a"), result(52, machine="a"), result(90, machine="b")])
    assert [(group.machine, len(group.valid)) for group in groups] == [("a", 2), ("b", 1)]
    found = compare_runs(run("a", result(50, machine="a")), run("b", result(90, machine="b")))
    assert found.remark == "the runs are of two machines, so the difference between the machines is included: a, and b"
    assert len(found.pairs) == 1, "who names two runs of two machines wants them compared"
    assert compare_runs(run("a", result(50, machine="a")), run("b", result(51, machine="a"))).remark == ""


def test_every_requested_option_distinguishes_settings() -> None:
    """A change in any field of the record that the encoders were given is another setting."""
    other = {
        "streams": 3, "resolution": "640x360", "fps": 25.0, "bitrate": "1M", "encoder": "libx265", "preset": "slow",
        "source": "film.mp4", "rate_control": "cbr", "crf": 30, "gop_seconds": 4.0, "buffer_seconds": 1.0,
        "audio": "none", "viewers": 2, "pushed": False, "outputs": [Output(resolution="640x360", fps=30)],
        "encoder_args": "-tune film", "bit_depth": 10, "pushed_to": "srt://host:10080",
    }  # fmt: skip
    assert {*other, "name"} - {"pushed_to"} | {"protocol"} == set(msgspec.structs.asdict(setting_of(result(50).record)))
    assert len(repeats_of([result(50), result(50, name="b")])) == 1, "a name tells commands and recordings apart alone"
    assert len(repeats_of([result(50, type="command"), result(50, name="b", type="command")])) == 2
    for field, value in other.items():
        assert len(repeats_of([result(50), result(50, **{field: value})])) == 2, field
        [_, group] = repeats_of([result(50), result(50, **{field: value})])
        assert field == "rate_control" or group.label != repeats_of([result(50)])[0].label, field


def test_scores_of_two_vmaf_models_are_never_averaged_nor_compared() -> None:
    first, second = result(50, 90.0, vmaf_model="hd"), result(50, 99.0, vmaf_model="phone")
    [group] = repeats_of([first, second])
    assert (group.group().figures["vmaf_score"].mean, group.group().figures["vmaf_score"].count) == (90.0, 1)
    assert group.group().figures["power_mean_watts"].count == 2
    [pair] = compare_runs(run("a", first), run("b", second)).pairs
    assert "vmaf_score" not in pair.differences
    assert "power_mean_watts" in pair.differences


def test_figures_that_are_read_at_once_are_tested_at_once() -> None:
    """Power differs beyond doubt, SSIM at p = 0.03: alone significant, among the tests of power and quality not."""
    first = [result(watts, ssim_score=ssim) for watts, ssim in ((50.0, 0.970), (50.2, 0.971), (49.9, 0.972))]
    second = [result(watts, ssim_score=ssim) for watts, ssim in ((61.0, 0.973), (60.8, 0.974), (61.1, 0.9735))]
    found = compare_runs(run("a", *first), run("b", *second))
    power, ssim = (found.pairs[0].differences[name] for name in ("power_mean_watts", "ssim_score"))
    assert (power.differ, power.judged_together, power.family) == (True, 2, "power")
    assert ssim.p_value is not None
    assert 0.05 / 2 < ssim.p_value < 0.05
    assert ssim.low is not None
    assert ssim.low < 0, "the interval has the level of the test"
    assert (ssim.differ, ssim.verdict) == (False, "not significant: p = 0.06, Bonferroni-corrected for 2 tests")
    assert found.correction == (
        "all tests hold together at the 5 % level (Bonferroni-corrected): power: 2 tests, 97.5 % intervals,"
        " quality: 2 tests, 97.5 % intervals"
    )


def test_a_clear_energy_difference_stays_significant_beside_an_equal_figure() -> None:
    """181.6 ±1.4 J against 204.2 ±2.3 J, beside a maximum that does not differ at all."""
    first = [(181.1, 25.0), (181.5, 31.0), (182.2, 28.0)]
    second = [(203.2, 27.0), (204.4, 30.0), (205.0, 26.0)]

    def runs_of(repeats: list[tuple[float, float]]) -> list[ScenarioResult]:
        return [
            msgspec.structs.replace(result(joules / 8), energy_joules=joules, power_max_watts=most)
            for joules, most in repeats
        ]

    [pair] = compare_runs(run("a", *runs_of(first)), run("b", *runs_of(second))).pairs
    energy, most = pair.differences["energy_joules"], pair.differences["power_max_watts"]
    assert energy.differ is True
    assert most.differ is False
    for gap in pair.differences.values():
        if gap.low is not None and gap.high is not None:
            assert gap.differ is not (gap.low <= 0 <= gap.high)


def net_run(run_id: str, idle: list[float], watts: list[float], **fields: Any) -> RunResult:
    """The first baseline, the repeats, the other baselines."""
    results = [baseline(idle[0]), *(result(one, **fields) for one in watts), *map(baseline, idle[1:])]
    results = [msgspec.structs.replace(one, window_seconds=60.0) for one in results]
    return run(run_id, *compared_with_baseline(results))


def test_one_baseline_gives_unknown_noise_and_no_verdict_above_it() -> None:
    first = net_run("a", [20.0], [50.0, 50.1, 49.9])
    found = compare_runs(first, net_run("b", [21.0], [50.0, 50.2, 49.8]))
    above = found.pairs[0].differences["baseline_diff_power_watts"]
    assert (above.difference, above.differ, above.low) == (pytest.approx(-1.0), None, None)
    assert above.verdict == "too few baselines: a run needs at least two to estimate their noise (--baseline-after)"
    assert found.pairs[0].differences["power_mean_watts"].differ is False
    figures = found.pairs[0].first.figures
    assert (figures["baseline_diff_power_watts"].mean, figures["baseline_diff_power_watts"].low) == (30.0, None)


def test_the_noise_of_baselines_is_in_the_interval_above_them() -> None:
    """Baselines of 20.0 and 21.0, and of 20.5 and 21.5 W: their variance is 0.5 W^2 with 2 degrees of freedom, and of
    each run one is in the difference. The repeats add 2 x 0.01 / 3."""
    first = net_run("a", [20.0, 21.0], [50.0, 50.1, 49.9])
    found = compare_runs(first, net_run("b", [20.5, 21.5], [52.0, 52.1, 51.9]))
    above = found.pairs[0].differences["baseline_diff_power_watts"]
    assert above.difference == pytest.approx(1.5)
    assert above.standard_error == pytest.approx((2 * 0.5 + 2 * 0.01 / 3) ** 0.5)
    assert above.degrees_of_freedom == pytest.approx(1.00667**2 / (1.0 / 2 + 2 * (0.01 / 3) ** 2 / 2), rel=1e-3)
    assert above.differ is False
    assert found.pairs[0].differences["power_mean_watts"].differ is True
    energy = found.pairs[0].differences["net_energy_joules"]
    assert energy.standard_error == pytest.approx(60 * (above.standard_error or 0.0))


def test_the_noise_of_a_shared_baseline_cancels() -> None:
    shared = net_run("a", [20.0], [50.0, 50.1, 49.9, 52.0, 52.1, 51.9])
    others = [msgspec.structs.replace(one, record=msgspec.structs.replace(one.record, preset="slow"))
              for one in shared.scenarios[4:]]  # fmt: skip
    fast, slow = repeats_of([*shared.scenarios[:4], *others])
    found = compare(slow, fast).figures
    above, power = found["baseline_diff_power_watts"], found["power_mean_watts"]
    assert (above.difference, above.low, above.high) == pytest.approx((power.difference, power.low, power.high))


def test_repeats_with_a_baseline_each_are_independent() -> None:
    """One repeat in each of several runs: the baselines differ as the repeats do, and their spread holds both."""
    three = [net_run(str(at), [idle], [watts]).scenarios for at, (idle, watts) in
             enumerate([(20.0, 50.0), (20.4, 50.2), (19.8, 50.1)])]  # fmt: skip
    [repeats] = repeats_of([one for scenarios in three for one in scenarios])
    found = repeats.group().figures["baseline_diff_power_watts"]
    assert found.mean == pytest.approx((30.0 + 29.8 + 30.3) / 3)
    assert found.low == pytest.approx(estimate([30.0, 29.8, 30.3]).low)


def test_window_length_is_not_compared() -> None:
    longer = [msgspec.structs.replace(result(50), duration_seconds=seconds) for seconds in (60.0, 60.1)]
    [pair] = compare_runs(run("a", *longer), run("b", *longer)).pairs
    assert "duration_seconds" not in pair.differences


def test_the_noise_floor_is_what_the_baselines_disagree_by() -> None:
    floor = noise_floor([baseline(20.0), result(50), baseline(21.0), baseline(20.5)])
    assert floor is not None
    assert (floor.spread_watts, floor.drift_watts, floor.mean_watts.mean) == (1.0, 0.5, 20.5)
    assert noise_floor([baseline(20.0), result(50)]) is None


# the Pareto front and advice


def test_the_front_is_the_undominated_settings() -> None:
    points = [(10.0, 90.0), (12.0, 89.0), (15.0, 95.0), (15.0, 94.0), (20.0, 95.0), (8.0, 70.0)]
    assert pareto_front(points) == [5, 0, 2]
    assert pareto_front([]) == []


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30))
def test_exactly_the_undominated_settings_are_on_the_front(points: list[tuple[int, int]]) -> None:
    front = pareto_front([(float(price), float(worth)) for price, worth in points])

    def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return one[0] <= other[0] and one[1] >= other[1] and one != other

    for at, point in enumerate(points):
        beaten = any(beats(other, point) for other in points)
        if at in front:
            assert not beaten
        else:
            assert beaten or any(points[other] == point for other in front)


SWEEP = [
    *(result(50 + wobble, 92.0, net=15 + wobble, bitrate="1500k") for wobble in (-0.1, 0.0, 0.1)),
    *(result(52 + wobble, 94.0, net=16 + wobble, bitrate="2500k") for wobble in (-0.1, 0.0, 0.1)),
    *(result(60 + wobble, 96.0, net=20 + wobble, preset="slow") for wobble in (-0.1, 0.0, 0.1)),
    result(40, 99.0, net=1.0, preset="placebo", realtime=False),
    result(None, 99.0, preset="medium"),
]


def test_the_cheapest_setting_that_is_good_enough_is_advised() -> None:
    advice = advise(SWEEP, AdviceTarget(vmaf_at_least=93.0))
    assert advice.best == "2 x 1280x720 30 fps 2500k libx264 veryfast"
    assert [choice.above_best for choice in advice.choices] == [0.0, pytest.approx(4.0)]
    assert advice.choices[1].difference is not None
    assert advice.choices[1].difference.differ is True
    assert "20.0 % less than the next" in advice.verdict
    assert advice.verdict.endswith("; significant: p < 0.0001")
    assert {choice.reason for choice in advice.rejected} == {
        "VMAF 92.0",
        "not real time: the encoders did not keep up",
        "its power above baseline per stream is unknown: no samples",
    }


def test_another_objective_and_a_limit_are_respected() -> None:
    groups = SWEEP
    assert advise(groups, AdviceTarget(), "power_mean_watts").choices[0].value == pytest.approx(50.0)
    limited = advise(groups, AdviceTarget(vmaf_at_least=95.0, most=55.0), "power_mean_watts")
    assert limited.best is None
    assert limited.verdict == (
        "no measured setting is known to meet VMAF ≥ 95, at most 55: the mean power of 1 setting is not known;"
        " 2 x 1280x720 30 fps 2500k libx264 medium: its mean power is unknown: no samples"
    )
    with pytest.raises(NoData, match="no such objective"):
        advise(groups, AdviceTarget(), "beauty")


def test_stream_counts_and_missing_quality_are_considered() -> None:
    groups = [result(50, None, net=1.0), result(60, 95.0, net=2.0, streams=4)]
    advice = advise(groups, AdviceTarget(vmaf_at_least=90, streams_at_least=3))
    assert advice.best is not None
    assert advice.best.startswith("4 x")
    assert [choice.reason for choice in advice.rejected] == ["2 streams"]
    assert advise(groups, AdviceTarget(vmaf_at_least=90)).rejected[0].reason == "no VMAF was measured"


def test_a_setting_below_its_baseline_is_not_advised() -> None:
    """Something else was at work in the baseline: how much the streams took is not known."""
    advice = advise([result(50, net=-3.0), result(60, net=12.0, preset="slow")], AdviceTarget())
    assert (advice.best or "").endswith("slow")
    assert "was not idle" in advice.rejected[0].reason


def test_a_setting_indistinguishable_from_its_baseline_is_not_advised() -> None:
    noisy = [result(50, net=net) for net in (0.1, -0.2, 0.3)]
    advice = advise([*noisy, *(result(60, net=net, preset="slow") for net in (12.0, 12.1, 11.9))], AdviceTarget())
    assert (advice.best or "").endswith("slow")
    assert advice.rejected[0].reason == "its power above baseline per stream is not distinguishable from 0: 0.0667 W"
    once = msgspec.structs.replace(result(50, net=0.1), net_energy_joules=2.0, energy_error_joules=3.0)
    assert advise([once], AdviceTarget()).best is None


def test_advice_has_its_unit() -> None:
    assert ": 12 W;" in advise([result(60, net=12.0)], AdviceTarget()).verdict
    priced = msgspec.structs.replace(result(60), efficiency=Efficiency(cost_per_stream_hour=0.25), currency="EUR")
    assert ": 0.25 EUR;" in advise([priced], AdviceTarget(), "cost_per_stream_hour").verdict


def test_advice_is_of_one_machine_and_says_which_were_left_out() -> None:
    mixed = [result(50, net=12.0, machine="new"), result(30, net=5.0, machine="old", preset="slow")]
    advice = advise(mixed, AdviceTarget())
    assert (advice.machine, (advice.best or "").endswith("veryfast")) == ("new", True)
    assert advice.left_out == "only scenarios of new were used, not 1 of old: machines cannot be compared"
    assert (advise(mixed, AdviceTarget(), machine="OLD").best or "").endswith("slow")
    with pytest.raises(NoData, match="no machine is called 'other'; measured were: new; old"):
        advise(mixed, AdviceTarget(), machine="other")
    with pytest.raises(NoData, match="more than one machine is called 'e'"):
        advise([*mixed, result(1, machine="newer")], AdviceTarget(), machine="e")
    assert advise([*mixed, result(1, machine="newer")], AdviceTarget(), machine="new").machine == "new"


def test_vmaf_of_two_models_gives_no_common_target() -> None:
    mixed = [result(50, net=12.0, vmaf_model="hd"), result(60, net=13.0, vmaf_model="phone", preset="slow")]
    with pytest.raises(NoData, match=r"VMAF is of several models \(hd, phone\)"):
        advise(mixed, AdviceTarget(vmaf_at_least=90))
    assert advise(mixed, AdviceTarget()).best is not None


def test_the_best_setting_is_tested_as_picked_from_all_pairs() -> None:
    """Each against the best at p = 0.04 or so: significant if there is no other, and not where three could be best."""

    def three(net: float, preset: str) -> list[ScenarioResult]:
        return [result(50, net=net + wobble, preset=preset) for wobble in (-1.0, 0.0, 1.0)]

    alone = advise([*three(10.0, "fast"), *three(12.5, "slow")], AdviceTarget()).choices[1].difference
    both = (
        advise([*three(10.0, "fast"), *three(12.5, "slow"), *three(12.5, "slower")], AdviceTarget())
        .choices[1]
        .difference
    )
    assert alone is not None
    assert both is not None
    assert (alone.differ, both.differ, both.judged_together) == (True, False, 3)


def test_single_repeats_are_advised_with_a_warning() -> None:
    groups = [result(50, net=10.0), result(60, net=12.0, preset="slow")]
    assert advise(groups, AdviceTarget()).verdict.endswith("; too few repeats: each side needs at least two")


def test_a_good_enough_setting_without_power_does_not_miss_the_target() -> None:
    measured = [result(50, 94.0, net=-1.0), result(50, 95.0, net=0.0, preset="slow"), result(60, 80.0, preset="fast")]
    advice = advise(measured, AdviceTarget(vmaf_at_least=90))
    assert advice.verdict == (
        "no measured setting is known to meet VMAF ≥ 90: the power above baseline per stream of 2 settings is not"
        " known; 2 x 1280x720 30 fps 2500k libx264 veryfast: it drew no more than its baseline: the machine was not"
        " idle during the baseline"
    )
    assert advise(measured, AdviceTarget(vmaf_at_least=99)).verdict == "no measured setting meets VMAF ≥ 99"


def test_meets_may_meet_and_does_not_meet_are_distinguished() -> None:
    def three(vmaf: float, net: float, preset: str) -> list[ScenarioResult]:
        return [result(50, vmaf + wobble, net=net + wobble / 10, preset=preset) for wobble in (-0.5, 0.0, 0.5)]

    sweep = [*three(89.6, 10.0, "fast"), *three(90.2, 12.0, "medium"), *three(85.0, 5.0, "faster")]
    advice = advise(sweep, AdviceTarget(vmaf_at_least=90))
    assert (advice.best, advice.choices) == (None, [])
    assert [(one.label.split()[-1], one.meets) for one in advice.undecided] == [
        ("fast", "may meet"), ("medium", "may meet"),
    ]  # fmt: skip
    assert [(one.meets, one.reason) for one in advice.rejected] == [
        ("does not meet", "VMAF 85.0 (95 % interval 83.8 to 86.2)")
    ]
    assert advice.verdict == (
        "no measured setting demonstrably meets VMAF ≥ 90; 2 settings may meet it within the 95 % interval, the"
        " cheapest is 2 x 1280x720 30 fps 2500k libx264 fast with VMAF 89.6 (95 % interval 88.4 to 90.8):"
        " more repeats would decide"
    )
    with_better = advise([*sweep, *three(95.0, 20.0, "slow")], AdviceTarget(vmaf_at_least=90))
    assert (with_better.best or "").endswith("slow")
    assert "2 x 1280x720 30 fps 2500k libx264 fast may meet it for 10 W: VMAF 89.6" in with_better.verdict


def test_a_limit_on_the_objective_is_judged_with_its_interval_too() -> None:
    sweep = [result(watts) for watts in (54.0, 55.0, 56.0)]
    for most, meets in ((60.0, "meets"), (55.5, "may meet"), (50.0, "does not meet")):
        advice = advise(sweep, AdviceTarget(most=most), "power_mean_watts")
        [choice] = [*advice.choices, *advice.undecided, *advice.rejected]
        assert choice.meets == meets


def test_an_impossible_target_is_refused() -> None:
    assert AdviceTarget(vmaf_at_least=200).wrong() == ("vmaf_at_least", "0 to 100")
    assert AdviceTarget(vmaf_at_least=float("nan")).wrong() == ("vmaf_at_least", "0 to 100")
    assert AdviceTarget(qoe_at_least=0.5).wrong() == ("qoe_at_least", "1 to 5")
    assert AdviceTarget(streams_at_least=0).wrong() == ("streams_at_least", "1 or more")
    assert AdviceTarget(most=-1).wrong() == ("most", "0 or more")
    assert AdviceTarget(vmaf_at_least=93, qoe_at_least=4, streams_at_least=4, most=10).wrong() is None


def test_scores_of_two_vmaf_models_are_not_compared_or_mixed_with_a_reason() -> None:
    old = [result(50, 95.0, vmaf_model="vmaf_v0.6.1") for _ in range(2)]
    new = [result(50, 88.0, vmaf_model="vmaf_v1.0.16_3d0h") for _ in range(2)]
    runs = [RunResult(id=name, path=name, test_date="", scenarios=scenarios)
            for name, scenarios in (("a", old), ("b", new))]  # fmt: skip
    [pair] = compare_runs(*runs).pairs
    assert "vmaf_score" not in pair.differences
    assert pair.remark == "VMAF and QoE are not compared: they are of vmaf_v0.6.1 and of vmaf_v1.0.16_3d0h"
    assert "power_mean_watts" in pair.differences
    assert compare_runs(runs[0], runs[0]).pairs[0].remark == ""
    [mixed] = repeats_of([*old, *new])
    group = mixed.group()
    assert (group.figures["vmaf_score"].mean, group.figures["vmaf_score"].count) == (95.0, 2)
    assert group.vmaf_model == "vmaf_v0.6.1"
    assert group.remarks["VMAF models"] == (
        "VMAF is of vmaf_v0.6.1 alone: scores of vmaf_v1.0.16_3d0h are not mixed with it"
    )
    [unknown] = repeats_of([result(50, 95.0, vmaf_model=None), *new])
    assert unknown.group().remarks["VMAF models"] == (
        "VMAF is of an unknown model alone: scores of vmaf_v1.0.16_3d0h are not mixed with it"
    )
    with pytest.raises(NoData, match=r"VMAF is of several models \(vmaf_v0\.6\.1, vmaf_v1\.0\.16_3d0h\)"):
        advise([*old, *new], AdviceTarget(vmaf_at_least=90.0))
