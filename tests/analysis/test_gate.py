"""The gate against runs whose truth is known: it finds what is there, raises no alarm where nothing is, and says when
it cannot tell and how many repeats would."""

from __future__ import annotations

import math
import random
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from tests.support.scenario_results import baseline as idle
from tests.support.scenario_results import result
from wattview.analysis.results import compared_with_baseline
from wattview.analysis.sweeps.advice import AdviceTarget, advise
from wattview.analysis.sweeps.gate import gate, repeats_needed
from wattview.analysis.sweeps.gate_bounds import BoundError, parse_bound
from wattview.model import Bound, CommandRecord, GateReport, PerExecution, RunResult, ScenarioResult
from wattview.report.gate_summary import junit_xml, markdown_summary

pytestmark = pytest.mark.parallel

POWER = parse_bound("power=+1%", "max")
NO_MORE_POWER = parse_bound("power=0%", "max")
VMAF = parse_bound("vmaf=-0.5", "min")

STILL = (49.9, 50.0, 50.1)
"""Repeats of a mean of 50 W and a standard deviation of 0.1 W."""


def run(*scenarios: ScenarioResult, name: str = "r", prices: str = "") -> RunResult:
    return RunResult(id=name, path="", test_date="", status="done", scenarios=list(scenarios), prices=prices)


def watts(*values: float, **fields: object) -> list[ScenarioResult]:
    """One setting, which is called by its preset."""
    name = str(fields.get("preset", "x"))
    return [result(value, name=name, **fields) for value in values]  # type: ignore[arg-type]


def shifted(by: float) -> list[ScenarioResult]:
    return watts(*(value + by for value in STILL))


def drawn(chance: random.Random, repeats: int, mean: float, noise: float = 0.5, **fields: object) -> RunResult:
    return run(*watts(*(chance.gauss(mean, noise) for _ in range(repeats)), **fields))


# verdicts


@pytest.mark.parametrize(("more_watts", "verdict"), [(0.0, "within"), (0.45, "undecided"), (1.2, "exceeded")])
def test_a_bound_is_kept_exceeded_or_undecided(more_watts: float, verdict: str) -> None:
    """The standard error is 0.1 x sqrt(2 / 3) = 0.082 W, the t of 2.5 % and 4 degrees of freedom 2.78: what lies within
    0.23 W of the bound, which is 0.5 W, is not told."""
    report = gate(run(*shifted(0.0)), run(*shifted(more_watts)), [POWER])
    assert (report.verdict, report.checks[0].verdict) == (verdict, verdict)
    assert report.checks[0].difference == pytest.approx(more_watts / 50.0)


def test_the_interval_lies_on_the_side_of_the_bound_that_the_verdict_says() -> None:
    chance = random.Random("intervals")
    seen = set()
    for _ in range(200):
        bound = POWER if chance.random() < 0.5 else parse_bound("power=-1%", "min")
        [check] = gate(drawn(chance, 3, 50.0, 0.2), drawn(chance, 3, chance.uniform(48.5, 51.5), 0.2), [bound]).checks
        assert check.low is not None
        assert check.high is not None
        beyond, kept = check.low > bound.value, check.high <= bound.value
        if bound.side == "min":
            beyond, kept = check.high < bound.value, check.low >= bound.value
        assert check.verdict == ("exceeded" if beyond else "within" if kept else "undecided")
        seen.add((bound.side, check.verdict))
    assert len(seen) == 6


def test_a_minimum_of_quality_counts_downwards() -> None:
    def judged(*scores: float) -> RunResult:
        return run(*(result(50.0, score) for score in scores))

    before = judged(93.0, 93.1, 92.9)
    assert gate(before, judged(94.0, 94.1, 93.9), [VMAF]).verdict == "within"
    assert gate(before, judged(91.0, 91.1, 90.9), [VMAF]).verdict == "exceeded"


def test_constant_scores_are_not_tested() -> None:
    """The same film by the same encoder scores the same: one bound is left to be tested."""
    report = gate(run(*shifted(0.0)), run(*shifted(0.0)), [POWER, VMAF])
    assert (report.verdict, report.tests) == ("within", 1)
    assert [check.reason for check in report.checks] == ["", "no repeat varied"]
    worse = run(*(result(value, 94.0) for value in STILL))
    assert gate(run(*shifted(0.0)), worse, [VMAF]).verdict == "exceeded"


def test_one_exceeded_bound_is_enough_and_all_must_be_kept() -> None:
    before = run(*shifted(0.0), *watts(*STILL, preset="slow"))
    one_worse = run(*shifted(0.0), *watts(*(value + 2 for value in STILL), preset="slow"))
    one_unclear = run(*shifted(0.0), *watts(48.0, 50.0, 52.0, preset="slow"))
    assert gate(before, one_worse, [POWER]).verdict == "exceeded"
    assert gate(before, one_unclear, [POWER]).verdict == "undecided"
    assert gate(before, before, [POWER]).verdict == "within"


def test_one_repeat_gives_no_verdict() -> None:
    report = gate(run(*watts(50.0)), run(*watts(90.0)), [POWER])
    assert report.verdict == "undecided"
    assert "at least two" in report.checks[0].reason


def test_a_share_of_a_baseline_below_zero_has_no_meaning() -> None:
    def net(*values: float) -> RunResult:
        return run(*(replace(one, baseline_diff_power_watts=value) for one, value in zip(watts(*STILL), values)))  # noqa: B905

    [check] = gate(
        net(-0.1, -0.2, -0.3), net(1.0, 1.1, 1.2), [parse_bound("baseline_diff_power_watts=+1%", "max")]
    ).checks
    assert check.verdict == "undecided"
    assert "absolute bound" in check.reason


# what does not compare is undecided


def test_a_setting_of_one_side_leaves_the_gate_undecided_unless_that_is_allowed() -> None:
    before = run(*shifted(0.0), *watts(*STILL, preset="slow"), *watts(*STILL, preset="slower"))
    report = gate(before, run(*shifted(0.0)), [POWER])
    assert report.verdict == "undecided"
    assert [label.rpartition(" ")[2] for label in report.only_baseline] == ["slow", "slower"]
    assert gate(before, run(*shifted(0.0)), [POWER], allow_missing=True).verdict == "within"
    nothing = run(*watts(*STILL, preset="fast"), *watts(*STILL, preset="medium"))
    assert gate(run(*shifted(0.0)), nothing, [POWER], allow_missing=True).verdict == "undecided"


@pytest.mark.parametrize(
    ("fields", "bound", "reason"),
    [
        ({"power_source": "estimated"}, POWER, "power of two sources"),
        ({"vmaf_model": "vmaf_4k_v0.6.1"}, VMAF, "two VMAF models"),
        ({"machine": "encoder-8"}, POWER, "two machines"),
        ({"vmaf": None}, VMAF, "the candidate has no VMAF"),
        ({"realtime": False}, POWER, "no repeat of the candidate counts: 3 not real time"),
    ],
    ids=["power source", "VMAF model", "machine", "no score", "late"],
)
def test_incomparable_figures_are_undecided(fields: dict[str, object], bound: Bound, reason: str) -> None:
    [check] = gate(run(*watts(*STILL, machine="encoder-7")), run(*watts(*STILL, **{"machine": "encoder-7"} | fields)),
                   [bound]).checks  # fmt: skip
    assert check.verdict == "undecided"
    assert reason in check.reason


def test_quality_compares_across_machines_and_power_only_on_request() -> None:
    before, after = run(*watts(*STILL, machine="a")), run(*watts(*STILL, machine="b"))
    assert gate(before, after, [VMAF]).verdict == "within"
    assert gate(before, after, [POWER], allow_other_machine=True).verdict == "within"


def test_costs_at_different_prices_are_not_compared() -> None:
    costly = [replace(one, cost_total=1.0 + at / 100, currency="EUR") for at, one in enumerate(watts(*STILL))]
    bound = parse_bound("cost=+5%", "max")
    before = run(*costly, prices="0.12 EUR/kWh")
    assert "prices" not in gate(before, run(*costly, prices="0.12 EUR/kWh"), [bound]).checks[0].reason
    [check] = gate(before, run(*costly, prices="0.30 EUR/kWh"), [bound]).checks
    assert "different prices" in check.reason


def test_energies_of_different_lengths_of_time_are_not_compared() -> None:
    def lasting(seconds: float) -> RunResult:
        return run(*(replace(one, duration_seconds=seconds, energy_joules=seconds * at)
                     for one, at in zip(watts(*STILL), STILL, strict=True)))  # fmt: skip

    [energy, power] = gate(lasting(60.0), lasting(30.0), [parse_bound("energy=+1%", "max"), POWER]).checks
    assert energy.verdict == "undecided"
    assert "totals over 60 s and over 30 s" in energy.reason
    assert power.verdict == "within"


def test_a_failed_command_does_not_repeat_a_successful_one() -> None:
    """It used less only because it did less."""

    def ended(status: int, *values: float) -> list[ScenarioResult]:
        command = CommandRecord(text="x", executions=1, seconds=3.0, exit_status=status)
        return watts(*values, type="command", setting="encode", realtime=None, command=command)

    before, bad = ended(0, *STILL), ended(255, 5.0)
    report = gate(run(*before), run(*before, *bad), [parse_bound("power=-20%", "max")])
    [check] = report.checks
    assert check.candidate is not None
    assert (check.candidate.count, check.candidate.mean) == (3, pytest.approx(50.0))
    assert "candidate, encode: left out of the repeats: 1 failed" in report.remarks
    [check] = gate(run(*before), run(*bad), [POWER]).checks
    assert (check.verdict, check.reason) == ("undecided", "no repeat of the candidate counts: 1 failed")
    [choice] = advise(bad, AdviceTarget(), "power_mean_watts").rejected
    assert choice.reason == "1 failed"


def test_the_command_of_least_energy_is_advised() -> None:
    """They are no streams, whose power could be told for each."""

    def command(name: str, joules: float) -> ScenarioResult:
        done = CommandRecord(text="x", executions=1, seconds=3.0)
        one = result(50.0, name=name, type="command", realtime=None, command=done)
        return replace(one, per_execution=PerExecution(seconds=3.0, joules=joules))

    advice = advise([command("slow", 90.0), command("fast", 60.0), command("idle", -1.0)], AdviceTarget())
    assert (advice.best, advice.objective, advice.unit) == ("fast", "joules_per_execution", "J")
    assert advice.verdict.startswith("fast takes the lowest energy of the command: 60 J, 33.3 % less than the next")
    assert [choice.label for choice in advice.rejected] == ["idle"]


def test_a_candidate_that_falls_behind_real_time_does_not_pass_by_its_other_repeats() -> None:
    report = gate(run(*shifted(0.0)), run(*shifted(0.0), *watts(50.0, realtime=False)), [POWER])
    assert report.verdict == "undecided"
    assert "of 4 repeats of the candidate 1 not real time" in report.checks[0].reason


# how often it is right


def alarms(scenarios: int, repeats: int, bounds: list[Bound], trials: int, distance: float = 0.0) -> float:
    """In how many gates a bound was found exceeded; the truth lies on the bound, or so much beyond."""
    chance = random.Random(f"{scenarios} {repeats} {len(bounds)}")
    presets = [f"p{at}" for at in range(scenarios)]

    def measured(mean: float) -> RunResult:
        return run(*(one for preset in presets for one in drawn(chance, repeats, mean, preset=preset).scenarios))

    return (
        sum(gate(measured(50.0), measured(50.0 + distance), bounds).verdict == "exceeded" for _ in range(trials))
        / trials
    )


@pytest.mark.parametrize(("scenarios", "repeats"), [(1, 2), (1, 5), (3, 3)])
def test_gates_within_bounds_raise_at_most_5_percent_false_alarms(scenarios: int, repeats: int) -> None:
    assert alarms(scenarios, repeats, [NO_MORE_POWER], 200) <= 0.05


def verdict_with_what_was_asked_for(chance: random.Random, repeats: int, bound: Bound, excess: float) -> str:
    """The gate's word on 1 % of noise, after a second measurement with the repeats that it asked for."""

    def judged(count: int) -> GateReport:
        return gate(drawn(chance, count, 50.0), drawn(chance, count, 50.0 * (1 + excess)), [bound])

    first = judged(repeats)
    if first.verdict != "undecided":
        return first.verdict
    assert first.repeats_needed is not None
    assert first.repeats_needed > repeats
    return judged(first.repeats_needed).verdict


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bound", "excess", "verdict"), [("0%", 0.01, "exceeded"), ("+1%", 0.0, "within"), ("+1%", 0.02, "exceeded")]
)
@pytest.mark.parametrize("repeats", [3, 5, 10])
def test_the_requested_repeats_detect_one_percent_in_95_percent_of_cases(
    repeats: int, bound: str, excess: float, verdict: str
) -> None:
    chance = random.Random(f"{bound} {excess} {repeats}")
    asked = parse_bound(f"power={bound}", "max")
    said = [verdict_with_what_was_asked_for(chance, repeats, asked, excess) for _ in range(300)]
    assert said.count(verdict) / len(said) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("repeats", [3, 10])
def test_a_second_test_keeps_false_alarms_within_5_percent(repeats: int) -> None:
    chance = random.Random(f"again {repeats}")
    said = [verdict_with_what_was_asked_for(chance, repeats, NO_MORE_POWER, 0.0) for _ in range(400)]
    assert said.count("exceeded") / len(said) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 400)


def test_the_repeats_asked_for_are_those_of_the_textbook_where_the_noise_is_well_known() -> None:
    """2 (z(0.975) + z(0.95))^2 / 1^2 = 26.0 for a difference of one standard deviation, and one more for t."""
    assert repeats_needed(1.0, 2.0, 0.0, 1e6, 1000) in (26, 27, 28)
    assert repeats_needed(0.5, 2.0, 0.0, 1e6, 1000) in range(104, 107)


def test_few_repeats_or_many_tests_require_more_repeats() -> None:
    known, guessed, shared = (
        repeats_needed(1.0, 2.0, 0.0, freedom, 5, tests) for freedom, tests in ((1000.0, 1), (8.0, 1), (8.0, 10))
    )
    assert known is not None
    assert guessed is not None
    assert shared is not None
    assert known < guessed < shared


def test_repeats_do_not_reduce_the_noise_of_idle_windows() -> None:
    assert repeats_needed(1.0, 2.0, 1.0, 8.0, 5) is None


def test_noise_of_the_baselines_counts_in_a_bound_on_what_is_above_them() -> None:
    """Both runs' idle windows differ by 2 W: 1 W more above the baseline is nothing, though the repeats are still."""

    def measured(mean: float, off: float) -> RunResult:
        scenarios = [idle(19.0 + off), *watts(mean - 0.01, mean, mean + 0.01), idle(21.0 + off)]
        return run(*compared_with_baseline(scenarios))

    [check] = gate(
        measured(50.0, 0.0), measured(51.0, 0.1), [parse_bound("baseline_diff_power_watts=+0.5", "max")]
    ).checks
    assert check.verdict == "undecided"
    assert "idle windows" in check.reason


# bounds


def test_a_bound_is_a_percentage_or_an_absolute_difference() -> None:
    assert (POWER.figure, POWER.value, POWER.relative) == ("power_mean_watts", 0.01, True)
    assert (VMAF.figure, VMAF.value, VMAF.relative) == ("vmaf_score", -0.5, False)
    assert parse_bound("joules_per_gigabyte=+2", "max").value == pytest.approx(2000.0), "it is shown in kJ"
    assert parse_bound("cpu=+1", "max").text == "CPU use ≤ +1 percentage points"
    assert parse_bound("vmaf=\u22120.5", "min").value == -0.5


@pytest.mark.parametrize(
    "text",
    ["energy", "energy=", "energy=1%", "energy=+1%%", "speed=+1%", "energy=+nan", "energy=+inf", "energy=-100%",
     "bitrate_bps=+1", "duration_seconds=+1", "energy=+" + "9" * 400, "=+1", "energy=+1e3", "energy=+\u0661%"],
)  # fmt: skip
def test_an_invalid_bound_is_refused(text: str) -> None:
    with pytest.raises(BoundError):
        parse_bound(text, "max")


# for other programs

EVIL = "a|b <script>`@all` [x](http://e) *_~\n\x1b[31m\x00\u202e]]>&"


def test_no_name_is_markup_in_the_xml_or_the_markdown() -> None:
    scenarios = watts(*STILL, preset=EVIL)
    report = gate(run(*scenarios, name=EVIL), run(*scenarios, *watts(*STILL), name=EVIL), [POWER])
    suite = ElementTree.fromstring(junit_xml(report))[0]
    assert "a|b <script>`@all` [x](http://e) *_~·" in suite[0].get("classname", "")
    assert all(ord(one) >= 32 and one != "\u202e" for case in suite for one in case.get("classname", ""))
    text = markdown_summary(report)
    assert not any(one in text.replace("<code>", "").replace("</code>", "") for one in "<>`@[]*\x1b\x00\u202e")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {8}


def test_junit_counts_an_exceeded_bound_as_a_failure_and_what_is_undecided_as_an_error() -> None:
    before = run(*shifted(0.0), *watts(*STILL, preset="slow"), *watts(*STILL, preset="slower"))
    report = gate(before, run(*shifted(2.0), *watts(*STILL, preset="fast")), [POWER])
    suite = ElementTree.fromstring(junit_xml(report))[0]
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "1", "3", "0"]
    allowed = ElementTree.fromstring(junit_xml(report, allow_missing=True))[0]
    assert [allowed.get(name) for name in ("errors", "skipped")] == ["0", "3"]
