"""Who used the power: every joule once, in every interval."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from wattview.analysis.attribution.idle import Idle
from wattview.analysis.attribution.shares import (
    Attribution,
    GpuInterval,
    Interval,
    Ledger,
    Part,
    ProcessUse,
    attribute,
)
from wattview.analysis.attribution.streams import StreamUse, encoder_shares, server_shares
from wattview.daemon.attribution.accounts import Accounts
from wattview.daemon.attribution.families import families_of
from wattview.daemon.attribution.stream_power import StreamPower
from wattview.exposition import render
from wattview.model import StreamEncoder

WEB, DB, ENCODER = Part("container", "web"), Part("container", "db"), Part("encoder", "s1")


def interval(joules: float, busy: float, cpu: dict[Part, float], **more: object) -> Interval:
    """Five seconds of a machine with four CPUs."""
    return Interval(
        time=1000.0, seconds=5.0, host_joules=joules, busy_seconds=busy, cpus=4, cpu_seconds=cpu, **more  # type: ignore[arg-type]
    )  # fmt: skip


def whole(found: Attribution) -> float:
    return found.idle_joules + sum(found.parts.values()) + found.unattributed_joules


def test_active_energy_is_shared_by_cpu_time_and_idle_stays_separate() -> None:
    # 200 J, of which 100 J are idle; 10 busy CPU-seconds, of which 2, 1 and 4 are known
    found = attribute(interval(200, 10, {WEB: 2.0, DB: 1.0, ENCODER: 4.0}), idle_watts=20.0)
    assert found.idle_joules == 100.0
    assert found.parts == {WEB: pytest.approx(20.0), DB: pytest.approx(10.0), ENCODER: pytest.approx(40.0)}
    assert found.unattributed_joules == pytest.approx(30.0)
    assert found.watts(WEB) == pytest.approx(4.0)
    assert found.watts(Part("container", "other")) is None
    assert (found.watts_of("container"), found.watts_of("encoder")) == (pytest.approx(6.0), pytest.approx(8.0))


def test_parts_that_seem_busier_than_the_machine_share_what_there_is() -> None:
    found = attribute(interval(100, 2, {WEB: 3.0, DB: 1.0}), 0.0)
    assert found.parts == {WEB: pytest.approx(75.0), DB: pytest.approx(25.0)}
    assert found.unattributed_joules == pytest.approx(0.0, abs=1e-9)


def test_coarse_ticks_do_not_distort_the_division_between_groups() -> None:
    """A quiet machine's busy time is sampled: here it missed a third of what two workloads used."""
    pod, shell = Part("workload", "web"), Part("workload", "shell")
    use = {pod: 2.0, shell: 1.0}
    processes = {7: ProcessUse(1.5, pod), 8: ProcessUse(1.0, shell), 9: ProcessUse(0.5, WEB)}
    found = attribute(interval(100, 2, {WEB: 2.0}, workloads=use, processes=processes), 0.0)
    assert found.workloads == {pod: pytest.approx(200 / 3), shell: pytest.approx(100 / 3)}
    assert found.parts[WEB] == pytest.approx(found.workloads[pod]), "it is one container"
    assert found.processes == {7: pytest.approx(50.0), 8: pytest.approx(100 / 3), 9: pytest.approx(50 / 3)}


def test_encoders_inside_the_daemons_container_are_not_counted_twice() -> None:
    own = Part("container", "wattview")
    found = attribute(interval(100, 10, {own: 5.0, ENCODER: 4.0}, inside=own), 0.0)
    assert found.parts == {own: pytest.approx(10.0), ENCODER: pytest.approx(40.0)}


def test_idle_power_is_never_more_than_was_drawn() -> None:
    found = attribute(interval(50, 1, {WEB: 1.0}), idle_watts=20.0)
    assert (found.idle_joules, found.parts[WEB], found.unattributed_joules) == (50.0, 0.0, 0.0)


def test_two_encoders_in_one_container_are_told_apart() -> None:
    processes = {7: ProcessUse(4.0, WEB), 8: ProcessUse(1.0, WEB)}
    found = attribute(interval(100, 10, {WEB: 6.0}, processes=processes), 0.0)
    assert found.processes == {7: pytest.approx(40.0), 8: pytest.approx(10.0)}
    assert found.parts == {WEB: pytest.approx(60.0)}, "theirs is in their container's, and not beside it"


def test_process_shares_never_exceed_their_container() -> None:
    processes = {7: ProcessUse(6.0, WEB), 8: ProcessUse(2.0, WEB)}
    found = attribute(interval(100, 10, {WEB: 4.0}, processes=processes), 0.0)
    assert found.processes == {7: pytest.approx(30.0), 8: pytest.approx(10.0)}


def test_a_process_outside_containers_gets_a_share_of_the_unattributed_power() -> None:
    found = attribute(interval(100, 10, {WEB: 5.0}, processes={7: ProcessUse(2.0)}), 0.0)
    assert (found.processes[7], found.unattributed_joules) == (pytest.approx(20.0), pytest.approx(50.0))
    beyond = attribute(interval(100, 10, {WEB: 5.0}, processes={7: ProcessUse(20.0)}), 0.0)
    assert beyond.processes[7] == pytest.approx(beyond.unattributed_joules)


def test_an_encoder_on_a_gpu_gets_its_share_of_its_containers_use() -> None:
    gpu = GpuInterval(uuid="a", joules=1000.0, busy=0.5, used=0.5, shares={WEB: 0.4}, by_pid={7: 0.3, 8: 0.1})
    found = attribute(
        interval(100, 2, {WEB: 1.0}, processes={7: ProcessUse(0.5, WEB), 8: ProcessUse(0.5, WEB)}, gpus=(gpu,)),
        0.0,
        {"a": 100.0},
    )
    assert found.processes == {7: pytest.approx(25 + 300), 8: pytest.approx(25 + 100)}
    assert found.parts == {WEB: pytest.approx(450)}


def test_gpu_energy_above_idle_goes_to_those_that_the_gpu_names() -> None:
    gpu = GpuInterval(uuid="a", joules=1000.0, busy=0.5, used=0.5, shares={WEB: 0.3, DB: 0.1})
    found = attribute(interval(100, 2, {WEB: 1.0, DB: 1.0}, gpus=(gpu,)), 0.0, {"a": 40.0})
    # 200 J are the GPU's idle; of 800 J above it three fifths are web's, a fifth is db's, a fifth is a stranger's
    assert found.idle_joules == pytest.approx(200.0)
    assert found.parts == {WEB: pytest.approx(50 + 480), DB: pytest.approx(50 + 160)}
    assert found.unattributed_joules == pytest.approx(160.0)
    assert found.joules == 1100.0


def test_use_beyond_a_gpus_listed_processes_is_unattributed() -> None:
    gpu = GpuInterval(uuid="a", joules=1000.0, busy=0.8, used=0.4, shares={WEB: 0.4})
    found = attribute(interval(0, 0, {}, gpus=(gpu,)), 0.0, {"a": 0.0})
    assert found.parts == {WEB: pytest.approx(500.0)}


def test_a_gpu_whose_idle_power_is_not_known_is_shared_by_the_time_on_it() -> None:
    gpu = GpuInterval(uuid="a", joules=1000.0, busy=0.6, used=0.6, shares={WEB: 0.6})
    found = attribute(interval(0, 0, {}, gpus=(gpu,)), 0.0)
    assert found.parts == {WEB: pytest.approx(600.0)}
    assert (found.idle_joules, found.unattributed_joules) == (0.0, pytest.approx(400.0))


amounts = st.floats(0, 1e6)
parts = st.sampled_from([WEB, DB, ENCODER, Part("container", "c"), Part("encoder", "s2")])
shares = st.dictionaries(parts, st.floats(0, 2))
gpus = st.builds(
    GpuInterval, uuid=st.sampled_from("ab"), joules=amounts, busy=st.floats(0, 1), used=st.floats(0, 3), shares=shares
)


@given(
    joules=amounts, busy=amounts, cpu=st.dictionaries(parts, amounts), idle=amounts, inside=st.none() | parts,
    processes=st.dictionaries(st.integers(2, 9), st.builds(ProcessUse, amounts, st.none() | parts)),
    on=st.lists(gpus, max_size=3), gpu_idle=st.dictionaries(st.sampled_from("ab"), amounts),
)  # fmt: skip
def test_every_joule_is_counted_once(
    joules: float, busy: float, cpu: dict[Part, float], idle: float, inside: Part | None,
    processes: dict[int, ProcessUse], on: list[GpuInterval], gpu_idle: dict[str, float],
) -> None:  # fmt: skip
    found = attribute(interval(joules, busy, cpu, inside=inside, processes=processes, gpus=tuple(on)), idle, gpu_idle)
    assert math.isclose(whole(found), found.joules, rel_tol=1e-9, abs_tol=1e-6)
    assert found.joules == pytest.approx(joules + sum(gpu.joules for gpu in on))
    assert min([0.0, *found.parts.values()]) == 0
    assert found.unattributed_joules >= 0
    assert sum(found.processes.values()) <= found.joules * (1 + 1e-9) + 1e-6


@given(st.lists(st.tuples(st.dictionaries(parts, amounts), amounts, amounts), max_size=10), st.sets(parts))
def test_the_energy_ledger_conserves_energy(
    steps: list[tuple[dict[Part, float], float, float]], left: set[Part]
) -> None:
    ledger = Ledger()
    for cpu, joules, busy in steps:
        ledger.add(attribute(interval(joules, busy, cpu), 3.0))
        ledger.add_unknown(1.0)
    ledger.keep(part.name for part in left)
    known = (
        ledger.idle_joules, ledger.containers_joules, ledger.encoders_joules, ledger.unattributed_joules,
        ledger.unknown_joules,
    )  # fmt: skip
    assert sum(known) == pytest.approx(ledger.joules, rel=1e-9, abs=1e-6)
    assert ledger.joules == pytest.approx(sum(joules for _, joules, _ in steps) + len(steps), rel=1e-9, abs=1e-6)
    assert set(ledger.by_container) <= {part.name for part in left}


def test_the_families_hold_every_joule_and_name_everyone() -> None:
    accounts = Accounts()
    accounts.enter(interval(7, 1, {}), None, {})
    accounts.enter(interval(200, 8, {WEB: 2.0, ENCODER: 4.0}), Idle(20.0, "regression"), {})
    encoder = StreamEncoder(match="socket", program="ffmpeg", kind="container", name="web", watts=6.0)
    accounts.marginal.streams = {("live", 'a "b"'): StreamPower(7.0, 1.0, encoder)}
    accounts.attributional.streams = {("live", 'a "b"'): StreamPower(14.0, 2.0, encoder)}
    text = render(families_of(accounts, None, fresh=True)).decode()
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert values == {
        ("wattview_container_power_watts", "web"): 5.0,
        ("wattview_container_energy_joules_total", "web"): 25.0,
        ("wattview_encoder_power_watts", "s1"): 10.0,
        ("wattview_stream_power_watts", "live", 'a "b"'): 7.0,
        ("wattview_stream_encoder_power_watts", "live", 'a "b"'): 6.0,
        ("wattview_stream_server_power_watts", "live", 'a "b"'): 1.0,
        ("wattview_stream_encoder_info", "live", 'a "b"', "socket", "ffmpeg", "container", "web", ""): 1.0,
        ("wattview_idle_power_watts",): 20.0,
        ("wattview_idle_power_info", "regression"): 1.0,
        ("wattview_unattributed_power_watts",): 5.0,
        ("wattview_attributed_energy_joules_total", "idle"): 100.0,
        ("wattview_attributed_energy_joules_total", "containers"): 25.0,
        ("wattview_attributed_energy_joules_total", "encoders"): 50.0,
        ("wattview_attributed_energy_joules_total", "unattributed"): 25.0,
        ("wattview_attributed_energy_joules_total", "unknown"): 7.0,
        ("wattview_container_attributional_power_watts", "web"): 10.0,
        ("wattview_container_attributional_energy_joules_total", "web"): 50.0,
        ("wattview_encoder_attributional_power_watts", "s1"): 20.0,
        ("wattview_stream_attributional_power_watts", "live", 'a "b"'): 14.0,
        ("wattview_unattributed_attributional_power_watts",): 10.0,
    }


def test_before_idle_power_is_known_every_power_includes_it_and_says_so() -> None:
    accounts = Accounts()
    accounts.enter(interval(100, 8, {WEB: 2.0, ENCODER: 4.0}), None, {})
    text = render(families_of(accounts, None, fresh=True)).decode()
    assert 'wattview_container_power_watts{name="web",includes_idle="true"} 5.0' in text
    assert 'wattview_unattributed_power_watts{includes_idle="true"} 5.0' in text
    assert 'to="unknown"} 100.0' in text
    assert "wattview_container_energy_joules_total{" not in text, "the marginal account begins when idle power is known"
    stale = render(families_of(accounts, None, fresh=False)).decode()
    assert "_watts" not in stale


def test_a_gpus_idle_power_is_divided_among_those_that_use_it() -> None:
    gpu = GpuInterval(uuid="a", joules=1000.0, busy=0.5, used=0.5, shares={WEB: 0.3, DB: 0.2})
    accounts = Accounts()
    accounts.enter(interval(0, 0, {}, gpus=(gpu,)), Idle(0.0, "setting"), {"a": 100.0})
    assert accounts.marginal.last is not None
    assert accounts.attributional.last is not None
    assert accounts.marginal.last.parts == {WEB: pytest.approx(300.0), DB: pytest.approx(200.0)}
    assert accounts.attributional.last.parts == {WEB: pytest.approx(600.0), DB: pytest.approx(400.0)}
    assert whole(accounts.attributional.last) == pytest.approx(1000.0)


# streams


def stream(name: str, incoming: float, outgoing: float = 0.0, **more: object) -> StreamUse:
    return StreamUse(app="live", name=name, in_bytes=incoming, out_bytes=outgoing, **more)  # type: ignore[arg-type]


def test_a_stream_has_its_part_of_the_servers_traffic() -> None:
    streams = [stream("s1", 1e6, 2e6), stream("s2", 1e6), stream("s3", 0.0)]
    assert server_shares(streams, 8.0) == {("live", "s1"): 6.0, ("live", "s2"): 2.0, ("live", "s3"): 0.0}
    assert server_shares(streams, None) == {}
    assert server_shares([stream("s1", 0.0), stream("s2", 0.0)], 8.0) == {}, "nothing tells them apart"


def test_an_encoder_of_several_streams_is_shared_by_their_pixels() -> None:
    ladder = [
        stream("1080p", 6e6, encoder=7, pixels=1920 * 1080 * 50.0),
        stream("720p", 5e6, encoder=7, pixels=1280 * 720 * 25.0),
    ]
    found = encoder_shares(ladder, {7: 11.0})
    assert found["live", "1080p"] / found["live", "720p"] == pytest.approx(4.5)
    assert sum(found.values()) == pytest.approx(11.0)


def test_without_a_picture_size_streams_are_divided_by_incoming_traffic() -> None:
    ladder = [stream("1080p", 3e6, 0.0, encoder=7, pixels=5e7), stream("360p", 1e6, 9e9, encoder=7)]
    assert encoder_shares(ladder, {7: 20.0}) == {("live", "1080p"): 15.0, ("live", "360p"): 5.0}


def test_a_stream_without_a_known_encoder_gets_no_others_power() -> None:
    streams = [stream("s1", 3e6), stream("s2", 1e6, encoder=7), stream("s3", 1e6, encoder=8)]
    assert encoder_shares(streams, {7: 5.0}) == {("live", "s2"): 5.0}
    assert encoder_shares([], {7: 1.0}) == {}
