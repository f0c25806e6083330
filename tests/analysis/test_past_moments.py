"""What is made of one moment's samples: text in labels, rates of counters, and runs as they stood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from wattview.daemon.history import past_machine, past_workloads
from wattview.daemon.history.past_run import run_at
from wattview.daemon.history.sample_index import SampleIndex, size_of, spacing, whole
from wattview.exposition import label_text
from wattview.model import HistorySeries, Run, Scenario, ScenarioRecord

METRICS = (
    "docker_container_info", "docker_container_cpu_percent", "docker_container_processes", "docker_engine_info",
    "nginx_rtmp_stream_info", "nginx_rtmp_stream_players", "nginx_rtmp_stream_publishers", "nginx_rtmp_connections",
    "nginx_rtmp_stream_avsync_seconds", "wattview_gpu_power_watts", "DCGM_FI_DEV_POWER_USAGE", "rapl_power_watts",
    "wattview_zone_counted", "wattview_host_power_watts", "wattview_host_energy_joules_total",
    "wattview_host_network_receive_bytes_total", "wattview_host_network_transmit_bytes_total",
    "wattview_idle_power_watts", "wattview_unattributed_power_watts", "exporter_health_status",
)  # fmt: skip
LABELS = (
    "name", "id", "app", "stream", "resolution", "audio_channels", "gpu", "uuid", "UUID", "package", "zone", "source",
    "device", "cgroup_version", "method", "exporter", "vendor",
)  # fmt: skip
SERIES = st.builds(
    lambda metric, labels, values: HistorySeries(metric + label_text(labels), [(90.0 + i, v) for i, v in values]),
    st.sampled_from(METRICS),
    st.dictionaries(st.sampled_from(LABELS), st.text(max_size=8) | st.sampled_from(["1280x720", "rapl", "1"])),
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=3).map(lambda values: list(enumerate(values))),
)


@given(st.lists(SERIES, max_size=30))
def test_whatever_a_store_holds_readings_come_of_it(series: list[HistorySeries]) -> None:
    moment = SampleIndex(series, 100.0, 60.0)
    past_machine.power(moment, moment)
    past_machine.power_use(moment, moment)
    past_machine.exporters(moment, {})
    past_workloads.engine(moment, moment)
    past_workloads.rtmp_server(moment, moment)
    for one in past_workloads.containers(moment, moment):
        assert one.pids is None or isinstance(one.pids, int)
    keys = [(one.app, one.name) for one in past_workloads.streams(moment, moment)]
    assert len(keys) == len(set(keys))
    uuids = [one.uuid for one in past_workloads.gpus(moment, moment)]
    assert len(uuids) == len(set(uuids))


@given(st.text(max_size=20))
def test_a_size_is_two_numbers_or_invalid(text: str) -> None:
    width, height = size_of(text)
    assert (width is None) == (height is None)
    assert width is None or whole(str(width)) == width


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_size_is_read_as_it_is_written(width: int, height: int) -> None:
    assert size_of(f"{width}x{height}") == (width, height)


def test_a_counter_that_restarted_has_no_rate() -> None:
    def nic(points: list[tuple[float, float]]) -> float | None:
        series = [
            HistorySeries(f'wattview_host_network_{way}_bytes_total{{device="eth0"}}', points)
            for way in ("receive", "transmit")
        ]
        (one,) = past_machine._nics(SampleIndex(series, 100.0, 60.0))
        return one.receive_bytes_per_second

    assert nic([(90.0, 1000.0), (95.0, 1500.0)]) == 100.0
    assert nic([(90.0, 1000.0), (95.0, 10.0)]) is None
    assert nic([(95.0, 1500.0)]) is None


def test_the_interval_is_the_usual_gap_regardless_of_marks() -> None:
    times = [0.0, 5.0, 10.0, 10.3, 15.3, 20.3, 25.3]
    assert spacing([HistorySeries("a", [(t, 1.0) for t in times])], 9.0) == pytest.approx(5.0)
    assert spacing([], 9.0) == 9.0


RUN = Run(
    id="20261124_100000", state="done", started=1000.0, ended=1200.0, results_id="20261124_100000",
    scenarios=[
        Scenario(name="baseline", type="baseline", duration=20, cooldown=0),
        Scenario(name="quick", duration=60, cooldown=5),
    ],
    finished=[
        ScenarioRecord(name="baseline", start_time=1010.0, end_time=1030.0, warmup_seconds=5.0),
        ScenarioRecord(name="quick", start_time=1050.0, end_time=1110.0, warmup_seconds=10.0, vmaf_score=90.0),
    ],
)  # fmt: skip


@pytest.mark.parametrize(
    ("at", "scenario", "phase"),
    [
        (1001.0, "baseline", "preparing"),
        (1006.0, "baseline", "warmup"),
        (1020.0, "baseline", "measuring"),
        (1035.0, "quick", "preparing"),
        (1045.0, "quick", "warmup"),
        (1080.0, "quick", "measuring"),
        (1113.0, "quick", "cooldown"),
        (1150.0, "quick", "quality"),
    ],
)
def test_a_past_run_is_placed_by_its_windows(at: float, scenario: str, phase: str) -> None:
    run = run_at(RUN, at)
    assert run is not None
    assert run.progress is not None
    assert (run.state, run.progress.scenario, run.progress.phase) == ("running", scenario, phase)
    assert run.progress.fraction == pytest.approx((at - 1000) / 200)
    assert run.progress.remaining_seconds == 1200 - at
    assert [one.name for one in run.finished] == [r.name for r in RUN.finished if r.end_time and r.end_time <= at]
    assert run.results_id is None


def test_no_run_is_shown_before_and_after_its_windows() -> None:
    assert run_at(RUN, 999.0) is None
    assert run_at(RUN, 1201.0) is None


def test_an_active_run_has_a_past_and_an_open_end() -> None:
    run = run_at(replace(RUN, ended=None, state="running", finished=RUN.finished[:1]), 1040.0)
    assert run is not None
    assert run.progress is not None
    assert run.progress.remaining_seconds is None
    assert run.progress.scenario == "quick"
