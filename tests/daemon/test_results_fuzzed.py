"""Whatever a results file says, what is made of it is a figure or a reason: no answer on results fails for one file.

Every field has values that are nearly right, and some that no program should write.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.analysis_cases import PRICES, START, evidence, flat, line
from wattview.analysis.results import analyse, compared_with_baseline
from wattview.analysis.sweeps.advice import WORDS, AdviceTarget, advise
from wattview.analysis.sweeps.comparison import compare_runs
from wattview.analysis.sweeps.prediction import Question, predict
from wattview.analysis.sweeps.rd_curves import QUALITIES, compare_curves
from wattview.analysis.sweeps.side_by_side import measurements
from wattview.analysis.windows.energy import NoData
from wattview.config import Cost
from wattview.daemon import results_files
from wattview.daemon.exporters.results_families import cost_families, qoe_families, results_families, runs_families
from wattview.exposition import render
from wattview.model import RunResult
from wattview.report.html_page import html_report
from wattview.report.result_rows import csv_text

STAMP = "20250102_030405"
KNOWN = evidence(
    line('wattview_host_energy_joules_total{source="rapl"}', 50.0),
    flat('wattview_host_power_watts{source="rapl"}', 50.0),
    line("wattview_host_cpu_busy_seconds_total", 2.0),
    flat("wattview_host_cpus", 8.0),
)

ODD = st.sampled_from([None, 0, -1, 1e308, 10**30, "", "x" * 300, "<b>", "\ud800", True, [], {}])
NUMBER = st.sampled_from([0, 1, 2, 30, 93.5, 1e-300, 1e300]) | ODD
RESOLUTION = st.sampled_from(["1280x720", "0x0", "99999x99999", "640x360"]) | ODD
OUTPUT = st.fixed_dictionaries({"resolution": RESOLUTION, "fps": st.sampled_from([0, -5, 30, 15, 10**18])})
STATUS = st.fixed_dictionaries({"stream": st.just("s"), "frames": NUMBER, "bitrate_bps": NUMBER})
FIELDS: dict[str, st.SearchStrategy[object]] = {
    "name": st.sampled_from(["a", "baseline", "a #1", "\x00\x1b[31m"]) | ODD,
    "type": st.sampled_from(["baseline", "streams"]) | ODD,
    "bitrate": st.sampled_from(["2500k", "1M", "0k", "1M,2M", "9" * 200 + "M", ",", "4M"]) | ODD,
    "resolution": RESOLUTION,
    "fps": NUMBER,
    "duration": NUMBER,
    "start_time": st.sampled_from([START, START + 10, "2023-11-14T22:13:20+00:00"]) | ODD,
    "end_time": st.sampled_from([START + 60, START + 60, START - 1]) | ODD,
    "outputs": st.lists(OUTPUT, max_size=2) | ODD,
    "vmaf_score": NUMBER,
    "psnr_score": NUMBER,
    "ssim_score": NUMBER,
    "streams": NUMBER,
    "viewers": NUMBER,
    "crf": NUMBER,
    "encoder": st.sampled_from(["libx264", "libx265"]) | ODD,
    "preset": st.sampled_from(["fast", "slow"]) | ODD,
    "realtime": st.sampled_from([True, False, None]),
    "encoders": st.lists(STATUS, max_size=2) | ODD,
    "renditions": st.lists(
        st.fixed_dictionaries({
            "stream": st.just("s"), "resolution": st.just("1x1"), "fps": st.just(1), "bitrate": st.just("1k"),
            "bitrate_bps": NUMBER,
        }), max_size=2,
    ) | ODD,
    "playback": st.fixed_dictionaries({"viewers": NUMBER, "stalls": NUMBER, "stalled_seconds": NUMBER}) | ODD,
    "setting": ODD,
    "repeat": ODD,
}  # fmt: skip
USUAL = {
    "name": "a", "type": "streams", "bitrate": "2500k", "resolution": "1280x720", "fps": 30, "start_time": START,
    "end_time": START + 60, "streams": 2, "vmaf_score": 93.5, "encoder": "libx264",
}  # fmt: skip
SCENARIO = st.fixed_dictionaries({}, optional=FIELDS).map(lambda wrong: USUAL | wrong)
MACHINE = st.none() | st.dictionaries(st.sampled_from(["hostname", "cpu", "cpus", "governor"]), ODD | st.just("h"))


def answered(ask: Callable[[], object]) -> None:
    """It answers, or says why it cannot."""
    try:
        ask()
    except NoData as lack:
        assert lack.reason


@given(scenarios=st.lists(SCENARIO, min_size=1, max_size=6), machine=MACHINE)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_answer_on_any_results_is_an_answer_or_a_reason(
    tmp_path: Path, scenarios: list[dict[str, object]], machine: object
) -> None:
    path = tmp_path / f"test_results_{STAMP}.json"
    path.write_text(json.dumps({"test_date": "x", "machine": machine, "scenarios": scenarios}))
    file = results_files.read(path)
    prices = Cost(**{name: getattr(PRICES, name) for name in ("energy_per_kwh", "pue")}, egress_per_gb=0.1)
    found = compared_with_baseline([analyse(record, KNOWN, prices) for record in file.scenarios])
    run = RunResult(id=STAMP, path=str(path), test_date="x", scenarios=found)
    assert html_report([run], {STAMP: [(START, 50.0), (START + 60, 50.0)]}).endswith("</html>\n")
    assert csv_text([run])
    families = [*results_families(run), *qoe_families(run), *cost_families(run), *runs_families("results", [run])]
    assert render(families)
    compare_runs(run, run)
    measurements([run])
    for objective in WORDS.values():
        answered(lambda objective=objective: advise(found, AdviceTarget(vmaf_at_least=90.0), objective))
    for quality in QUALITIES:
        answered(lambda quality=quality: compare_curves(found, quality=quality))
    answered(lambda: predict(found, Question(streams=3, extrapolate=True)))
