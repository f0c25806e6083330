"""Results through the control API: what two runs differ by, what is advised, and the report, from measured windows."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.measured_runs import baseline, scenario, write_runs
from wattview.cli.commands import main
from wattview.client import CallRefused, Client
from wattview.model import Question

A, B, BROKEN, FOREIGN = "20260101_120000", "20260101_130000", "20260101_140000", "20250101_000000"
SWEEP = "20260101_150000"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    directory = tmp_path_factory.mktemp("results_api")
    state = directory / "state"
    state.mkdir()
    write_runs(state, {
        A: [baseline(), *(scenario(f"fast at {watts}", watts, vmaf_score=94.0) for watts in (50.0, 50.2, 49.9))],
        B: [baseline(),
            *(scenario(f"slow at {watts}", watts, vmaf_score=96.0, preset="slow") for watts in (61.0, 60.8, 61.1))],
        SWEEP: [
            baseline(),
            *(scenario(f"x264 {rate}", watts, bitrate=f"{rate}M", vmaf_score=vmaf)
              for rate, watts, vmaf in ((1, 40.0, 80.0), (2, 44.0, 90.0), (4, 50.0, 96.0))),
            *(scenario(f"x265 {rate}", watts, bitrate=f"{rate}M", vmaf_score=vmaf, encoder="libx265")
              for rate, watts, vmaf in ((0.5, 50.0, 80.0), (1, 54.0, 90.0), (2, 60.0, 96.0))),
            *(scenario(f"{streams} streams", 20.0 + 10.0 * streams, streams=streams, preset="ultrafast", bitrate="2M")
              for streams in (1, 2, 4)),
        ],
    })  # fmt: skip
    (state / "results" / f"test_results_{BROKEN}.json").write_text("{")
    (state / "results" / f"test_results_{FOREIGN}.json").write_text(
        '{"test_date": "2025-01-01", "scenarios": [{"name": "old", "start_time": 1735700000, "end_time": 1735700060}]}'
    )
    with running_daemon(directory, "history.retention=3650d", "scenarios.exported_runs=3") as running:
        yield running


@pytest.fixture
async def client(daemon: DaemonProcess) -> Iterator[Client]:  # type: ignore[misc]
    async with Client(f"unix://{daemon.socket}", timeout_seconds=30) as one:
        yield one


async def test_two_runs_are_compared_with_their_interval(client: Client) -> None:
    found = await client.compare(A, B)
    [pair] = found.pairs
    power = pair.differences["power_mean_watts"]
    # Welch: 4 degrees of freedom, one of two tests: 3.4954 x sqrt(2 x 0.02333 / 3)
    assert power.difference == pytest.approx(10.9333, abs=1e-3)
    assert (power.low, power.high) == (pytest.approx(10.497, abs=1e-2), pytest.approx(11.369, abs=1e-2))
    assert power.differ is True
    assert found.baseline_watts is not None
    assert found.baseline_watts.difference == pytest.approx(0.0, abs=1e-6)


async def test_the_advice_is_the_one_that_the_numbers_give(client: Client) -> None:
    advice = await client.advice(vmaf=93.0, streams=2, runs=[A, B])
    assert advice.best == "2 x 1280x720 30 fps 2500k libx264 veryfast"
    assert advice.choices[0].value == pytest.approx(15.0167, abs=1e-3)
    assert advice.choices[1].above_best == pytest.approx(10.9333 / 2, abs=1e-3)
    better = await client.advice(vmaf=95.0, objective="power", runs=[A, B])
    assert (better.best or "").endswith("slow")
    assert (await client.advice(vmaf=99.0)).best is None
    assert ((await client.advice(runs=[B])).best or "").endswith("slow")


async def test_each_runs_settings_come_with_their_intervals_and_the_front(client: Client) -> None:
    found = await client.measurements([A, B])
    assert [(one.run, one.scenarios) for one in found.measured] == [(A, (1, 2, 3)), (B, (1, 2, 3))]
    assert (found.figure, found.unit) == ("net_watts_per_stream", "W")
    fast, slow = (one.group.figures["power_mean_watts"] for one in found.measured)
    assert fast.mean == pytest.approx(50.0333, abs=1e-3)
    assert fast.high is not None
    assert fast.high - fast.mean == pytest.approx(4.3027 * 0.15275 / 3**0.5, abs=1e-2)  # Student's t, 2 degrees
    assert slow.mean > fast.mean
    assert [one.on_front for one in found.measured] == [True, True], "the better picture costs more: neither is beaten"


async def test_any_number_of_scenarios_are_compared_side_by_side(client: Client) -> None:
    found = await client.side_by_side([(A, (1, 2, 3)), (B, (1, 2, 3)), (A, (0,))])
    assert [column.repeats for column in found.columns] == [3, 3, 1]
    assert found.columns[2].label == "baseline"
    power = found.differences[0]["power_mean_watts"]
    assert (power.difference, power.differ) == (pytest.approx(10.9333, abs=1e-3), True)
    assert found.differences[1]["power_mean_watts"].differ is None, "once is not enough to say"
    assert "vmaf_score" not in found.differences[1]
    assert found.remarks == ["", ""]


def test_an_export_is_what_the_command_line_writes(daemon: DaemonProcess) -> None:
    said, written = {}, {}
    for kind in ("json", "csv"):
        arguments = ["results", "export", A, "--format", kind, *daemon.arguments]
        written[kind] = CliRunner().invoke(main, arguments, catch_exceptions=False).output
        said[kind] = daemon.api.get(f"/api/v1/export?format={kind}&runs={A}").text
    assert json.loads(said["json"]) == json.loads(written["json"])
    ours, theirs = (list(csv.DictReader(io.StringIO(text))) for text in (said["csv"], written["csv"]))
    assert [row["energy_joules"] for row in ours] == [row["energy_joules"] for row in theirs]
    assert ours[0].keys() == theirs[0].keys()
    page = daemon.api.get(f"/api/v1/export?format=html&runs={A},{B}").text
    assert A in page
    assert B in page


async def test_two_encoders_are_compared_over_their_bitrates(client: Client) -> None:
    """libx265 takes half the bitrate and 10 W more; at every bitrate, it is VMAF 4 better at the least."""
    found = await client.curves(first="libx264", second="libx265", runs=[SWEEP])
    [pair] = found.pairs
    gaps = {one.price: one for one in pair.differences}
    assert gaps["bitrate_bps"].percent == pytest.approx(-50.0)
    assert (gaps["bitrate_bps"].quality_from, gaps["bitrate_bps"].quality_to) == (80.0, 96.0)
    # net of 20 W, by stream: 10, 12, 15 W against 15, 17, 20 W; the mean of the logarithms lies between the ends
    assert 33.4 < (gaps["net_watts_per_stream"].percent or 0) < 50.0
    assert len(found.curves) == 2
    with pytest.raises(CallRefused, match="no curve is called 'libx265'; measured were: none with this quality"):
        await client.curves(second="libx265", quality="psnr")


async def test_the_power_between_two_measured_loads_is_predicted(client: Client) -> None:
    """20 W idle and 10 W a stream of 720p at 2 Mbit/s."""
    found = await client.predict(Question(streams=3, preset="ultrafast"), [SWEEP])
    assert found.watts == pytest.approx(50.0, abs=1e-6)
    assert found.fit.settings == 4
    assert found.extrapolated is False
    beyond = await client.predict(Question(streams=9, preset="ultrafast", extrapolate=True), [SWEEP])
    assert (beyond.extrapolated, beyond.watts) == (True, pytest.approx(110.0, abs=1e-6))


@pytest.mark.parametrize(
    ("call", "status", "field"),
    [
        ("side-by-side", 422, "of"),
        (f"side-by-side?of={A}", 422, "of"),
        (f"side-by-side?of={A}:9", 422, "of"),
        (f"side-by-side?of={A}:0,1", 422, "of"),
        (f"side-by-side?of={A}:-1", 422, "of"),
        ("side-by-side?of=../x:1", 404, "of"),
        ("export?format=exe", 422, "format"),
        ("measurements?runs=20260202_000000", 404, "runs"),
        (f"compare?a={A}", 422, "b"),
        (f"compare?a={A}&b=20200101_000000", 404, "b"),
        (f"compare?a=../../etc/passwd&b={A}", 404, "a"),
        (f"compare?a={BROKEN}&b={A}", 422, "a"),
        ("advice?objective=beauty", 422, "objective"),
        ("advice?vmaf=good", 422, "vmaf"),
        ("advice?vmaf=200", 422, "vmaf"),
        ("advice?qoe=0", 422, "qoe"),
        ("advice?streams=nan", 422, "streams"),
        ("advice?runs=20200101_000000", 404, "runs"),
        ("advice?machine=nobody", 422, "runs"),
        ("curves?quality=beauty", 422, "runs"),
        (f"curves?first=av2&runs={A}", 422, "runs"),
        ("curves?runs=20200101_000000", 404, "runs"),
        ("prediction", 422, "streams"),
        ("prediction?streams=1.5", 422, "streams"),
        ("prediction?streams=1&fps=0", 422, "fps"),
        ("prediction?streams=1&resolution=HD", 422, "runs"),
        (f"prediction?streams=9&runs={SWEEP}", 422, "runs"),
        ("results/20200101_000000/report", 404, ""),
    ],
)
def test_what_cannot_be_answered_names_the_field(daemon: DaemonProcess, call: str, status: int, field: str) -> None:
    answer = daemon.api.get(f"/api/v1/{call}")
    assert (answer.status_code, answer.json()["field"]) == (status, field), answer.text
    assert answer.json()["error"]


async def test_the_report_has_the_power_over_time(daemon: DaemonProcess, client: Client) -> None:
    page = await client.report(A)
    assert page.startswith("<!doctype html>")
    assert page.count('class="window"') == 4
    assert '<polyline class="line"' in page
    # the mean of 500, 502 and 499 J, and 4.3027 x 1.5275 / sqrt(3)
    assert "500.3 ± 3.8 J" in page
    assert "25.02 ± 0.19 W" in page, "the efficiency is in it"
    answer: httpx.Response = daemon.api.get(f"/api/v1/results/{A}/report")
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_run_that_the_history_does_not_hold_says_so_in_its_report(client: Client) -> None:
    page = await client.report(FOREIGN)
    assert "<polyline" not in page
    assert "The history has no power over time for this run." in page
    assert re.search("<li>no energy[ ,:]", page)


def test_the_report_states_its_prices_and_target(daemon: DaemonProcess) -> None:
    page = daemon.api.get(f"/api/v1/results/{A}/report?vmaf=95").text
    assert "No measured setting meets VMAF ≥ 95" in page
    assert "<dt>Prices</dt><dd>0.12 USD/kWh, CPU 0.5 USD/h</dd>" in page
    assert "meets VMAF ≥ 93 at the lowest" in daemon.api.get(f"/api/v1/export?format=html&runs={A}&vmaf=93").text
    refused = daemon.api.get(f"/api/v1/results/{A}/report?vmaf=200")
    assert (refused.status_code, refused.json()["field"]) == (422, "vmaf")


async def test_a_report_of_a_broken_file_says_what_is_broken(client: Client) -> None:
    assert f"test_results_{BROKEN}.json" in await client.report(BROKEN)


async def test_the_report_of_an_unknown_run_is_refused_with_404(client: Client) -> None:
    with pytest.raises(CallRefused) as caught:
        await client.report("20200101_000000")
    assert caught.value.status == 404


def test_the_exporters_show_the_newest_run_by_name_and_the_newest_three_by_run(daemon: DaemonProcess) -> None:
    """The one between the two is broken: it has no scenarios."""
    text = daemon.metrics("results-exporter")
    assert re.findall(r'^scenario_energy_joules{scenario="baseline"} (\S+)$', text, re.MULTILINE) == ["200.0"]
    by_run = re.findall(
        r'^wattview_run_scenario_energy_joules{run="(\w+)",scenario="baseline"} (\S+)$', text, re.MULTILINE
    )
    assert by_run == [(SWEEP, "200.0"), (B, "200.0")]
    assert f'wattview_run_scenario_quality_vmaf{{run="{B}",scenario="slow at 61.0"}} 96' in daemon.metrics(
        "qoe-exporter"
    )
    assert f'wattview_run_scenario_cost{{run="{B}",scenario="slow at 61.0",currency="USD"}}' in daemon.metrics(
        "cost-exporter"
    )


def test_the_command_line_says_the_same_through_the_daemon_as_without_it(daemon: DaemonProcess) -> None:
    def call(*words: str, socket: Path) -> Result:
        sets = [f"paths.state={daemon.state}", f"daemon.control_socket={socket}", "history.retention=3650d"]
        return CliRunner().invoke(main, [*words, *(part for text in sets for part in ("--set", text))])

    for words in (
        ("results", "show", A), ("results", "compare", A, B), ("results", "advise", A, B, "--vmaf", "93"),
        ("results", "curves", SWEEP), ("results", "predict", SWEEP, "--streams", "3", "--preset", "ultrafast"),
        ("results", "export", A, B, "--format", "html"),
    ):  # fmt: skip
        through = call(*words, socket=daemon.socket)
        alone = call(*words, socket=daemon.directory / "none.sock")
        assert through.exit_code == alone.exit_code == 0, through.output
        assert through.output == alone.output


def test_the_calls_are_described(daemon: DaemonProcess) -> None:
    paths = daemon.api.get("/openapi.json").json()["paths"]
    page = paths["/api/v1/results/{id}/report"]["get"]["responses"]["200"]["content"]
    assert page == {"text/html": {"schema": {"type": "string"}}}
    assert {one["name"] for one in paths["/api/v1/compare"]["get"]["parameters"]} == {"a", "b", "together"}
    assert {one["name"] for one in paths["/api/v1/advice"]["get"]["parameters"]} == {
        "vmaf", "qoe", "streams", "objective", "most", "machine", "runs",
    }  # fmt: skip
    assert {one["name"] for one in paths["/api/v1/prediction"]["get"]["parameters"]} == {
        "streams", "resolution", "fps", "encoder", "preset", "extrapolate", "machine", "runs", "bitrate", "source",
        "si", "ti",
    }  # fmt: skip
    curves = paths["/api/v1/curves"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert curves == {"$ref": "#/components/schemas/CurveComparison"}
