"""Readings that were taken at different moments become intervals in which every joule and CPU second is once."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from wattview.analysis.attribution.shares import Attribution, Interval, Part, ProcessUse, attribute
from wattview.daemon.attribution.intervals import Intervals, Look, WatchedProcess
from wattview.daemon.attribution.processes import CpuTime
from wattview.model import (
    Container,
    ContainersReading,
    Engine,
    Gpu,
    GpuProcess,
    GpusReading,
    HostReading,
    PowerReading,
    PowerSource,
    Zone,
)

EPOCH = 1_700_000_000.0
BOOT = 5_000.0
ENGINE = Engine(
    version="", cgroup_version=2, cpu_seconds_total=None, cpu_percent=None, memory_bytes=None, memory_percent=None
)
WEB, DB, ENCODER = Part("container", "web"), Part("container", "db"), Part("encoder", "s1")


def power(
    at: float, joules: float | None, *, source: PowerSource = "rapl", zones: tuple[Zone, ...] = ()
) -> PowerReading:
    return PowerReading(
        time=EPOCH + at, monotonic=BOOT + at, source=source, host_joules_total=joules, host_watts=None,
        host_peak_watts=None, zones=zones,
    )  # fmt: skip


def host(at: float, busy: float, cpus: int = 4) -> HostReading:
    return HostReading(
        time=EPOCH + at, monotonic=BOOT + at, hostname="", cpus=cpus, cpu_busy_seconds_total=busy, cpu_percent=None,
        memory_total_bytes=0, memory_available_bytes=0, swap_total_bytes=0, swap_free_bytes=0, load1=0, load5=0,
        load15=0, boot_time=0,
    )  # fmt: skip


def container(
    name: str, cpu: float, *, started: float = -1000.0, ended: float | None = None, pid: int = 99
) -> Container:
    return Container(
        id=f"{name}-id", name=name, image="", cgroup=f"/docker/{name}-id", started=EPOCH + started,
        cpu_seconds_total=cpu, ended=None if ended is None else EPOCH + ended, pid=pid,
    )  # fmt: skip


def containers(at: float, *running: Container, ended: tuple[Container, ...] = ()) -> ContainersReading:
    return ContainersReading(time=EPOCH + at, monotonic=BOOT + at, engine=ENGINE, containers=running, ended=ended)


def look(at: float, joules: float | None, busy: float, *running: Container, **more: Any) -> Look:
    """All sources at one moment."""
    ended = more.pop("ended", ())
    return Look(
        power=power(at, joules), host=host(at, busy), containers=containers(at, *running, ended=ended),
        monotonic=BOOT + at, **more,
    )  # fmt: skip


def last(*looks: Look) -> Interval | None:
    intervals = Intervals()
    found = [intervals.next(one) for one in looks]
    return found[-1]


def between(*looks: Look) -> Interval:
    found = last(*looks)
    assert found is not None
    return found


def test_an_interval_is_what_all_counters_counted_between_two_samples() -> None:
    found = between(
        look(0, 1000, 100, container("web", 50.0), container("db", 7.0)),
        look(5, 1200, 110, container("web", 52.0), container("db", 7.0)),
    )
    assert (found.seconds, found.host_joules, found.busy_seconds) == (5.0, 200.0, pytest.approx(10.0))
    assert found.cpu_seconds == {WEB: pytest.approx(2.0), DB: 0.0}
    assert (found.time, found.utilisation) == (EPOCH + 5, 0.5)


def test_counters_read_at_different_times_are_interpolated_to_one_time() -> None:
    # 40 W and 2 busy CPUs throughout, one of them the container's; each source is read at its own times
    def skewed(power_at: float, host_at: float, containers_at: float) -> Look:
        return Look(
            power=power(power_at, 40 * power_at), host=host(host_at, 2 * host_at),
            containers=containers(containers_at, container("web", containers_at)),
        )  # fmt: skip

    found = between(skewed(0.0, 0.4, 0.3), skewed(5.3, 5.0, 5.4), skewed(10.0, 10.5, 10.2))
    assert found.seconds == pytest.approx(5.0)
    assert found.host_joules == pytest.approx(200.0)
    assert found.busy_seconds == pytest.approx(10.0)
    assert found.cpu_seconds[WEB] == pytest.approx(5.0)


def test_use_before_a_container_was_known_is_not_charged_now() -> None:
    found = between(look(0, 0, 0), look(5, 100, 4, container("web", 90_000.0)))
    assert found.cpu_seconds == {WEB: 0.0}


def test_a_new_container_is_charged_from_its_first_second() -> None:
    found = between(look(0, 0, 0), look(5, 100, 4, container("web", 3.0, started=2.0)))
    assert found.cpu_seconds == {WEB: pytest.approx(3.0)}


def test_a_container_that_the_engine_reports_late_is_charged_too() -> None:
    found = between(look(0, 0, 0), look(5, 100, 4, container("web", 3.0, started=-0.5)))
    assert found.cpu_seconds[WEB] == pytest.approx(3.0 * 5.0 / 5.5)


def test_a_container_that_ended_between_two_samples_is_charged_its_last_seconds_once() -> None:
    intervals = Intervals()
    gone = (container("web", 13.0, ended=3.0),)
    intervals.next(look(0, 0, 0, container("web", 10.0)))
    during = intervals.next(look(5, 100, 5, ended=gone))
    after = intervals.next(look(10, 200, 10, ended=gone))
    assert during is not None
    assert during.cpu_seconds == {WEB: pytest.approx(3.0)}
    assert after is not None
    assert after.cpu_seconds == {}


def test_a_container_that_lived_between_two_samples_is_charged() -> None:
    found = between(look(0, 0, 0), look(5, 100, 5, ended=(container("web", 1.5, started=1.0, ended=3.0),)))
    assert found.cpu_seconds == {WEB: pytest.approx(1.5)}


def test_a_container_that_was_restarted_counts_from_0() -> None:
    found = between(
        look(0, 0, 0, container("web", 500.0)),
        look(5, 100, 5, container("web", 2.0, started=1.0)),
    )
    assert found.cpu_seconds == {WEB: pytest.approx(2.0)}


def test_a_counter_that_restarted_alone_is_charged_what_it_shows() -> None:
    found = between(look(0, 0, 0, container("web", 500.0)), look(5, 100, 5, container("web", 2.0)))
    assert found.cpu_seconds == {WEB: pytest.approx(2.0)}


def test_a_container_that_reuses_a_name_continues_its_counter() -> None:
    new = Container(
        id="other", name="web", image="", cgroup="", started=EPOCH + 4, cpu_seconds_total=0.5
    )  # fmt: skip
    found = between(
        look(0, 0, 0, container("web", 10.0)), look(5, 100, 5, new, ended=(container("web", 11.0, ended=3.0),))
    )
    assert found.cpu_seconds == {WEB: pytest.approx(1.5)}


def test_use_during_an_outage_is_not_charged_to_one_interval() -> None:
    intervals = Intervals()
    intervals.next(look(0, 0, 0, container("web", 0.0)))
    blind = [
        intervals.next(Look(power=power(at, 40 * at), host=host(at, 2 * at))) for at in (5.0, 10.0, 15.0, 20.0, 25.0)
    ]
    assert all(one is not None and one.cpu_seconds == {} for one in blind)
    found = intervals.next(look(30, 1200, 60, container("web", 30.0)))
    assert found is not None
    assert found.cpu_seconds == {WEB: pytest.approx(5.0)}


def test_a_lagging_source_is_waited_for() -> None:
    intervals = Intervals()
    intervals.next(look(0, 0, 0, container("web", 0.0)))
    old = Look(power=power(5, 200), host=host(5, 10), containers=containers(0, container("web", 0.0)))
    assert intervals.next(old) is None
    found = intervals.next(look(6, 240, 12, container("web", 6.0)))
    assert found is not None
    assert (found.seconds, found.cpu_seconds) == (6.0, {WEB: pytest.approx(6.0)})


def test_samples_within_a_second_are_one_interval() -> None:
    intervals = Intervals()
    assert [intervals.next(look(at, 40 * at, at)) is not None for at in (0.0, 0.5, 0.8, 1.2)] == [False] * 3 + [True]


PSYS = Zone(path="intel-rapl:1", package="psys", zone="psys", joules_total=1.0, watts=None, counted=True)
AFTER_SLEEP = replace(power(5, 9e9), time=EPOCH + 3600)


@pytest.mark.parametrize(
    "changed",
    [power(5, 200, source="hwmon"), power(5, 50), power(5, None), power(5, 200, zones=(PSYS,)), AFTER_SLEEP],
    ids=["another source", "a counter that began anew", "no host figure", "another sum", "a machine that slept"],
)
def test_old_counters_are_dropped_and_a_new_interval_starts(changed: PowerReading) -> None:
    def later(seconds: float) -> Look:
        joules = (changed.host_joules_total or 0.0) + 10 * seconds
        moved = replace(
            changed, time=changed.time + seconds, monotonic=changed.monotonic + seconds, host_joules_total=joules
        )
        at = 5 + seconds
        return Look(power=moved, host=host(at, at), containers=containers(at, container("web", at)))

    intervals = Intervals()
    intervals.next(look(0, 100, 0, container("web", 0.0)))
    intervals.next(look(2, 140, 2, container("web", 2.0)))
    at_change = Look(power=changed, host=host(5, 5), containers=containers(5, container("web", 5.0)))
    assert intervals.next(at_change) is None
    intervals.next(later(1.0))
    found = intervals.next(later(3.0))
    assert found is not None
    assert found.host_joules == pytest.approx(10 * found.seconds)
    assert found.cpu_seconds[WEB] == pytest.approx(found.seconds)


# encoders, the server, the daemon's own container


def test_an_encoder_counts_from_its_start_and_until_it_was_last_seen() -> None:
    intervals = Intervals()
    key = ("s1", 77)
    intervals.next(look(0, 0, 0))
    first = intervals.next(look(5, 100, 8, encoders={key: CpuTime(3.0, BOOT + 2)}))
    second = intervals.next(look(10, 200, 16, encoders={key: CpuTime(8.0, BOOT + 2)}))
    ended = intervals.next(look(15, 300, 24))
    assert first is not None
    assert first.cpu_seconds == {ENCODER: pytest.approx(3.0)}
    assert second is not None
    assert second.cpu_seconds == {ENCODER: pytest.approx(5.0)}
    assert ended is not None
    assert ended.cpu_seconds == {}


def test_a_reused_pid_is_another_process() -> None:
    found = between(
        look(0, 0, 0, encoders={("s1", 77): CpuTime(50.0, BOOT - 60)}),
        look(5, 100, 8, encoders={("s1", 77): CpuTime(1.0, BOOT + 3)}),
    )
    assert found.cpu_seconds == {ENCODER: pytest.approx(1.0)}


def watched(part: Part | None = None, **seconds: float) -> dict[int, WatchedProcess]:
    """The process 8, and what works for it: CPU seconds by ``p`` and pid."""
    return {8: WatchedProcess({int(pid[1:]): CpuTime(used, BOOT - 500) for pid, used in seconds.items()}, part)}


def test_a_watched_process_includes_the_time_of_its_helpers() -> None:
    found = between(
        look(0, 0, 0, container("web", 0), processes=watched(WEB, p8=100.0, p9=50.0)),
        look(5, 100, 8, container("web", 4), processes=watched(WEB, p8=101.0, p9=52.0)),
    )
    assert found.processes == {8: ProcessUse(pytest.approx(3.0), WEB)}
    assert found.cpu_seconds == {WEB: pytest.approx(4.0)}


def test_what_a_process_used_before_it_was_first_watched_is_not_known() -> None:
    intervals = Intervals()
    intervals.next(look(0, 0, 0))
    first = intervals.next(look(5, 100, 8, processes=watched(p8=100.0)))
    second = intervals.next(look(10, 200, 16, processes=watched(p8=104.0)))
    assert first is not None
    assert second is not None
    assert first.processes == {}
    assert second.processes == {8: ProcessUse(pytest.approx(4.0))}


def test_a_watched_process_that_starts_in_an_interval_gets_all_it_used() -> None:
    begun = {8: WatchedProcess({8: CpuTime(2.0, BOOT + 2)})}
    found = between(look(0, 0, 0), look(5, 100, 8, processes=begun))
    assert found.processes == {8: ProcessUse(pytest.approx(2.0))}


def test_a_machines_busy_time_that_is_sampled_comes_out_right_over_time() -> None:
    """Two CPUs of which a container uses an eighth; the kernel looks at them a hundred times a second. What the samples
    miss in one second is no loss of the container's, and what they see too often in another is not all unattributed."""
    chance, intervals = random.Random(3), Intervals()
    busy, watched, shared = 0.0, 0.0, 0.0
    for second in range(600):
        cpu = 0.25 * second
        now = replace(look(second, 16.0 * cpu, busy, container("web", cpu)), host=host(second, busy, cpus=2))
        if (found := intervals.next(now)) is not None:
            watched += found.cpu_seconds[WEB]
            shared += attribute(found, 0.0).parts[WEB]
            assert found.busy_seconds >= found.cpu_seconds[WEB] - 1e-9
        busy += sum(chance.random() < 0.125 for _ in range(200)) / 100
    assert watched == pytest.approx(0.25 * 599)
    assert shared == pytest.approx(16.0 * watched, rel=0.02)


def test_the_container_that_the_daemon_runs_in_is_known_by_its_init() -> None:
    own = frozenset({1234, 99, 1})
    found = between(look(0, 0, 0, container("web", 0)), look(5, 100, 8, container("web", 1, pid=99), own_pids=own))
    assert found.inside == WEB


# GPUs


def gpu(joules: float | None, *processes: GpuProcess, watts: float | None = None, vendor: Any = "nvidia") -> Gpu:
    return Gpu(
        index=0, uuid="GPU-1", name="", pci_bus_id="", driver_version="", vendor=vendor, power_watts=watts,
        energy_joules_total=joules, utilization_percent=50.0, encoder_percent=70.0, processes=processes,
    )  # fmt: skip


def gpus(at: float, one: Gpu) -> GpusReading:
    return GpusReading(time=EPOCH + at, monotonic=BOOT + at, gpus=(one,))


def test_a_gpus_processes_are_tied_to_containers_and_encoders() -> None:
    processes = (
        GpuProcess(pid=1, name="", cgroup="/system.slice/docker-web-id.scope", sm_percent=20.0, encoder_percent=10.0),
        GpuProcess(pid=77, name="", cgroup="/user.slice", sm_percent=5.0),
        GpuProcess(pid=3, name="", cgroup="", sm_percent=10.0),
    )
    encoders = {("s1", 77): CpuTime(1.0, BOOT - 9)}
    web = container("web", 0.0)
    found = between(
        look(0, 0, 0, web, gpus=gpus(0, gpu(1000.0, *processes))),
        look(5, 100, 8, web, gpus=gpus(5, gpu(1500.0, *processes)), encoders=encoders),
    )
    (on,) = found.gpus
    assert (on.uuid, on.joules, on.busy, on.used) == ("GPU-1", 500.0, 0.7, pytest.approx(0.45))
    assert on.shares == {WEB: pytest.approx(0.3), ENCODER: pytest.approx(0.05)}
    assert found.joules == 600.0


def test_a_gpu_without_a_counter_is_integrated_from_its_power() -> None:
    found = between(
        look(0, 0, 0, gpus=gpus(0, gpu(None, watts=100.0))), look(5, 100, 8, gpus=gpus(5, gpu(None, watts=120.0)))
    )
    assert found.gpus[0].joules == pytest.approx(550.0)


@pytest.mark.parametrize("vendor", ["nvidia", "amd", "intel"])
def test_a_card_beside_the_processor_is_added(vendor: str) -> None:
    found = between(*(look(at, 40 * at, at, gpus=gpus(at, gpu(100 * at, vendor=vendor))) for at in (0, 5)))
    assert found.joules == 700.0


def test_an_interval_with_a_gpu_that_is_lost_has_no_energy() -> None:
    def at(moment: float, joules: float | None) -> Look:
        return look(moment, 40 * moment, moment, gpus=gpus(moment, gpu(joules)))

    intervals = Intervals()
    lost = [intervals.next(one) for one in (at(0, 0.0), at(5, 500.0), at(10, None), at(15, None), at(20, 2000.0))]
    assert [one and one.joules for one in lost] == [None, 700.0, None, None, 700.0]
    unknown = look(25, 1000.0, 25.0, gpus_known=False)
    assert intervals.next(unknown) is None


@pytest.mark.parametrize(("vendor", "source"), [("amd", "hwmon"), ("nvidia", "battery"), ("nvidia", "hwmon")])
def test_a_gpu_that_the_hosts_meter_may_include_is_not_added(vendor: str, source: PowerSource) -> None:
    def at(moment: float) -> Look:
        return Look(
            power=power(moment, 40 * moment, source=source), host=host(moment, moment),
            gpus=gpus(moment, gpu(100 * moment, vendor=vendor)),
        )  # fmt: skip

    found = between(at(0), at(5))
    assert (found.gpus, found.joules) == ((), 200.0)


# whatever comes and goes

amount = st.floats(0, 20)


@st.composite
def histories(draw: st.DrawFn) -> list[Look]:
    """A machine over some looks: containers and encoders come, go and begin anew, sources lag, fail and fall back."""
    looks = []
    joules = busy = 0.0
    at = 0.0
    counters: dict[str, tuple[float, float]] = {}
    for _ in range(draw(st.integers(2, 12))):
        at += draw(st.floats(0.2, 30))
        joules += draw(st.floats(0, 5000))
        busy += draw(amount)
        for name in draw(st.sets(st.sampled_from("abcd"))):
            match draw(st.sampled_from(["work", "restart", "set back", "appear"])):
                case "work":
                    cpu, started = counters.get(name, (0.0, at - 0.1))
                    counters[name] = cpu + draw(amount), started
                case "restart":
                    counters[name] = draw(amount), at - draw(st.floats(0, 1))
                case "set back":
                    cpu, started = counters.get(name, (5.0, -9.0))
                    counters[name] = cpu * draw(st.floats(0, 1)), started
                case "appear":
                    counters[name] = draw(st.floats(0, 1e7)), -draw(st.floats(0, 1e6))
        gone = draw(st.sets(st.sampled_from("abcd")))
        ended = tuple(
            container(name, counters[name][0], started=counters[name][1], ended=at - 0.05)
            for name in sorted(gone & set(counters))
        )
        counters = {name: counter for name, counter in counters.items() if name not in gone}
        skew = st.floats(0, 0.15)
        running = [container(name, cpu, started=started) for name, (cpu, started) in counters.items()]
        looks.append(
            Look(
                power=power(at - draw(skew), joules),
                host=host(at - draw(skew), busy),
                containers=draw(st.sampled_from([containers(at - draw(skew), *running, ended=ended), None])),
                monotonic=BOOT + at,
                encoders={
                    (name, 7): CpuTime(draw(amount), BOOT + draw(st.floats(0, at)))
                    for name in draw(st.sets(st.sampled_from("xy")))
                },
            )
        )
    return looks


@given(histories(), st.floats(0, 100))
def test_the_parts_are_the_whole_in_every_interval_and_intervals_are_the_counter(
    looks: list[Look], idle_watts: float
) -> None:
    intervals = Intervals()
    found: list[tuple[Interval, Attribution]] = []
    begun: float | None = None
    for one in looks:
        interval = intervals.next(one)
        begun = intervals.start if begun is None else begun
        if interval is not None:
            found.append((interval, attribute(interval, idle_watts)))
    for interval, shared in found:
        whole = shared.idle_joules + sum(shared.parts.values()) + shared.unattributed_joules
        assert math.isclose(whole, interval.joules, rel_tol=1e-3, abs_tol=1e-6)
        assert min([0.0, *shared.parts.values()]) >= 0
        assert sum(shared.parts.values()) <= interval.joules * (1 + 1e-9) + 1e-9
        assert all(cpu >= 0 for cpu in interval.cpu_seconds.values())
    if found:
        assert begun is not None
        assert intervals.start is not None
        truth = _counted(looks, intervals.start) - _counted(looks, begun)
        assert sum(interval.joules for interval, _ in found) == pytest.approx(truth, rel=1e-6, abs=1e-6)
        assert sum(interval.seconds for interval, _ in found) == pytest.approx(intervals.start - begun)


def _counted(looks: list[Look], at: float) -> float:
    """The host's counter at a moment, by its readings."""
    before = after = looks[0].power
    for one in looks:
        after = one.power
        if after.monotonic >= at:
            break
        before = after
    assert before.host_joules_total is not None
    assert after.host_joules_total is not None
    if after.monotonic <= before.monotonic:
        return after.host_joules_total
    share = (at - before.monotonic) / (after.monotonic - before.monotonic)
    return before.host_joules_total + (after.host_joules_total - before.host_joules_total) * min(max(share, 0.0), 1.0)
