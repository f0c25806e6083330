"""What is said of figures above a baseline that was not idle, or that drifted."""

from __future__ import annotations

from msgspec.structs import replace

from tests.support.scenario_results import baseline, result
from wattview.analysis.results import compared_with_baseline
from wattview.analysis.sweeps.advice import AdviceTarget, advise
from wattview.analysis.sweeps.comparison import repeats_of
from wattview.analysis.windows.remarks import noise_floor, remarked, run_remarks, together
from wattview.model import RunResult, ScenarioResult
from wattview.model.runs import made_by
from wattview.report.html_page import html_report


def named(one: ScenarioResult, name: str, start: float, **changes: object) -> ScenarioResult:
    return replace(one, record=replace(one.record, name=name, start_time=start), **changes)


def run(cpu: float = 1.0, last: float = 20.5, watts: float = 50.0) -> list[ScenarioResult]:
    """Idle at 20 W with so much CPU time used, a load, idle again."""
    scenarios = [
        named(baseline(20.0), "baseline", 0.0, cpu_mean_percent=cpu),
        named(result(watts), "load", 100.0),
        named(baseline(last), "baseline after", 200.0, cpu_mean_percent=1.0),
    ]
    return remarked(compared_with_baseline(scenarios))


def test_idle_baselines_give_no_remarks_on_scenarios() -> None:
    assert [one.remarks for one in run()] == [{}, {}, {}]
    assert run_remarks(run()) == ["2 baselines: 20.25 W, differing by 0.50 W; from the first to the last +0.50 W"]
    assert run_remarks(run()[:2]) == []


def test_a_busy_baseline_marks_itself_and_the_scenarios_above_it() -> None:
    idle, load, after = run(cpu=25.0)
    assert idle.remarks == {
        "not idle": "the machine was NOT IDLE: 25.0 % of its CPU time was used;"
        " the increase over this baseline is underestimated"
    }
    assert load.remarks == {
        "baseline not idle": "its baseline (baseline) was not idle: the increase over it is underestimated"
    }
    assert after.remarks == {}, "the last one was idle, and nothing is compared with it"


def test_less_than_the_baselines_differ_by_says_nothing() -> None:
    _, load, _ = run(last=24.0, watts=23.0)
    assert load.remarks == {
        "within drift": "its increase over baseline is not meaningful: the baselines of the run differ by 4.00 W,"
        " which is more"
    }
    floor = noise_floor(run(last=24.0))
    assert floor is not None
    assert run(last=24.0, watts=25.0)[1].remarks == {}
    assert run(last=24.0, watts=17.0)[1].remarks.keys() == {"within drift"}


def test_combined_repeats_carry_their_remarks() -> None:
    loads = [one for last in (24.0, 24.5) for one in run(cpu=25.0, last=last, watts=23.0)[1:2]]
    said = {
        "baseline not idle": "its baseline (baseline) was not idle: the increase over it is underestimated",
        "within drift": "the increase over baseline of some of it is not meaningful:"
        " the baselines of its run differ by more",
    }
    assert together(loads) == said
    [repeats] = repeats_of(loads)
    assert repeats.group().remarks == said
    advice = advise(loads, AdviceTarget(), "power_mean_watts")
    assert advice.choices[0].remarks == said


def test_the_report_says_it_beside_the_figures() -> None:
    scenarios = run(cpu=25.0, last=24.0, watts=23.0)
    page = html_report([RunResult(id="a", path="a", test_date="", scenarios=scenarios, remarks=run_remarks(scenarios))])
    assert '<span class="warn">(baseline not idle, within drift)</span>' in page
    assert "NOT IDLE: 25.0 % of its CPU time" in page
    assert "differing by 4.00 W" in page


def test_a_run_whose_vmaf_is_of_two_models_says_so() -> None:
    models = ("vmaf_v0.6.1", "vmaf_v1.0.16_3d0h")
    old, new = (named(result(50.0, 95.0, vmaf_model=model), model, 0.0) for model in models)
    assert run_remarks([old, old]) == []
    assert run_remarks([old, result(50.0, None), new]) == [
        "VMAF is of several models (vmaf_v0.6.1, vmaf_v1.0.16_3d0h): their scores cannot be compared"
    ]
    assert made_by(new.record) == "VMAF by vmaf_v1.0.16_3d0h"
