"""Trends by subject and quantity are what was read of that subject, whatever the history calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.recorded import Machine, readings
from wattview.daemon.history.trends import KEPT, trends
from wattview.exposition import labels
from wattview.model import WORKLOAD_NAMES, ContainersReading, GpusReading, HostReading, PowerReading, StreamsReading
from wattview.model.snapshot import TrendKind, TrendQuantity

Subject = dict[tuple[str, ...], float | None]


@pytest.fixture
async def machine(make_config: ConfigFactory, tmp_path: Path) -> AsyncIterator[Machine]:
    one = Machine(make_config, tmp_path)
    yield one
    await one.close()


def what_was_read(kind: TrendKind, quantity: TrendQuantity) -> Subject:
    power, host, containers, streams, gpus = (
        readings()[name] for name in ("power", "host", "containers", "streams", "gpu")
    )
    assert isinstance(power, PowerReading)
    assert isinstance(host, HostReading)
    assert isinstance(containers, ContainersReading)
    assert isinstance(streams, StreamsReading)
    assert isinstance(gpus, GpusReading)
    return {
        ("machine", "energy"): {(power.source,): power.host_joules_total, ("nvml",): gpus.gpus[0].energy_joules_total},
        ("machine", "cpu"): {(): host.cpu_percent},
        ("zone", "power"): {(zone.package, zone.zone): zone.watts for zone in power.zones},
        ("gpu", "power"): {(gpu.uuid,): gpu.power_watts for gpu in gpus.gpus},
        ("container", "cpu"): {(one.name,): one.cpu_percent for one in containers.containers},
        ("container", "memory"): {(one.name,): one.memory_percent for one in containers.containers},
        ("stream", "bandwidth_in"): {(one.app, one.name): one.bandwidth_in_bytes for one in streams.streams},
    }[kind, quantity]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "quantity"),
    [("machine", "cpu"), ("zone", "power"), ("gpu", "power"), ("container", "cpu"), ("container", "memory"),
     ("stream", "bandwidth_in")],
)  # fmt: skip
async def test_every_subject_has_the_quantities_that_were_read_of_it(
    machine: Machine, kind: TrendKind, quantity: TrendQuantity
) -> None:
    begin = await machine.tick() - 5.0
    end = await machine.tick() + 5.0
    found = await trends(machine.history, kind, quantity, (), begin, end, 0.0)
    last = {trend.name: trend.points[-1][1] for trend in found}
    known = {name: value for name, value in what_was_read(kind, quantity).items() if value is not None}
    assert last == pytest.approx(known)
    assert all(len(trend.points) == 2 for trend in found)


async def test_a_trend_of_one_subject_is_requested_by_name(machine: Machine) -> None:
    at = await machine.tick()
    [name] = list(what_was_read("stream", "bandwidth_in"))[:1]
    [trend] = await trends(machine.history, "stream", "bandwidth_in", name, at - 5.0, at + 5.0, 0.0)
    assert trend.name == name


@pytest.mark.parametrize("step", [0.0, 0.4, 1.0, 3.0, 7.0, 30.0])
async def test_the_rate_of_a_counter_is_true_whatever_the_step(machine: Machine, step: float) -> None:
    """A counter that rises evenly; its samples come every five seconds, give or take one."""
    begin = 1_795_515_300.0
    key = f"wattview_workload_cpu_seconds_total{labels(**dict.fromkeys(WORKLOAD_NAMES, 'a'))}"
    for number in range(60):
        at = begin + 5 * number + (number % 3 - 1)
        await machine.history.append(at, [(key, 0.25 * (at - begin) + 100)])
    [cpu] = await trends(machine.history, "workload", "cpu", (), begin + 20, begin + 280, step)
    assert len(cpu.points) >= 8
    assert [value for _, value in cpu.points] == pytest.approx([25.0] * len(cpu.points))


async def test_a_source_that_replaced_another_is_not_added_to_it(machine: Machine) -> None:
    """The machine's power bears the label of its source: where that changes, the series follow one another."""
    begin = await machine.tick() - 5.0
    before = await trends(machine.history, "machine", "power", (), begin, begin + 10.0, 0.0)
    machine.script["gpu"] = None
    end = await machine.tick() + 5.0
    [power] = await trends(machine.history, "machine", "power", (), begin, end, 2.0)
    largest = max(value for trend in before for _, value in trend.points)
    assert max(value for _, value in power.points) <= largest + 1e-9


def test_a_quantity_that_a_kind_lacks_has_no_trend() -> None:
    assert ("gpu", "bandwidth_in") not in KEPT
