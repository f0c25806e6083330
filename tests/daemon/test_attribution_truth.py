"""A simulated machine whose idle power and whose every watt are known, against what the daemon says of them.

The power is a powercap tree's, read by the real probe; the CPU time is in files of cgroups and of /proc/stat, read by
the real readers; only the clock is turned by hand. Ten minutes of it are a fraction of a second.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from msgspec.structs import astuple, replace

from tests.conftest import ConfigFactory
from tests.support import cgroup_tree
from tests.support.powercap import PowercapTree, machine
from wattview.analysis.attribution.idle import IdleModel
from wattview.analysis.attribution.shares import Part
from wattview.daemon.attribution.attributor import Attributor
from wattview.daemon.lab.encoding.encoder_group import RunningEncoder
from wattview.exposition import render
from wattview.model import (
    Container,
    ContainersReading,
    Engine,
    Gpu,
    GpuProcess,
    GpusReading,
    HostReading,
    PowerReading,
    PowerUse,
    ProbeStatus,
    Reading,
    RtmpServer,
    Run,
    RunProgress,
    Scenario,
    Stream,
    StreamClient,
    StreamsReading,
)
from wattview.probes.containers.cgroups import cgroup
from wattview.probes.containers.cgroups.files import CgroupFiles
from wattview.probes.containers.disks import Disks
from wattview.probes.host import HostProbe
from wattview.probes.power.energy_source import Moment
from wattview.probes.power.estimate import EstimatedEnergy
from wattview.probes.power.probe import PowerProbe

CPUS = 4
IDLE_WATTS = 25.0
WATTS_PER_CPU = 11.0
ENGINE = Engine(
    version="", cgroup_version=2, cpu_seconds_total=None, cpu_percent=None, memory_bytes=None, memory_percent=None
)
STEP = 0.05

Use = Callable[[float], float]
"""Busy CPUs at a moment."""


class Job(NamedTuple):
    """Something that uses CPU: a container (its id), or the rest of the system."""

    name: str
    id: str
    use: Use
    started: float = -100.0


def steady(cpus: float) -> Use:
    return lambda at: cpus


def on_and_off(cpus: float, period: float) -> Use:
    return lambda at: cpus if at % period < period / 2 else 0.0


def background(at: float) -> float:
    return 0.02 + 0.015 * math.sin(at / 7)


def with_pauses(use: Use) -> Use:
    """Nothing for two minutes of five, in which the machine rests."""
    return lambda at: use(at) if at % 300 < 180 else 0.0


class Machine:
    """CPU seconds of every job on a grid of time, and the power that follows from their sum."""

    def __init__(self, jobs: list[Job], power: Callable[[float], float], seconds: float) -> None:
        self.jobs = jobs
        self._seconds: dict[str, list[float]] = {job.name: [0.0] for job in jobs}
        self._joules = [0.0]
        for step in range(round(seconds / STEP)):
            uses = {job.name: job.use(step * STEP) if step * STEP >= job.started else 0.0 for job in jobs}
            for name, use in uses.items():
                self._seconds[name].append(self._seconds[name][-1] + use * STEP)
            self._joules.append(self._joules[-1] + power(sum(uses.values())) * STEP)

    def cpu_seconds(self, name: str, at: float) -> float:
        return _on_grid(self._seconds[name], at)

    def busy(self, at: float) -> float:
        return sum(self.cpu_seconds(job.name, at) for job in self.jobs)

    def joules(self, seconds: float) -> float:
        return _on_grid(self._joules, seconds)


def _on_grid(values: list[float], at: float) -> float:
    step = min(at / STEP, len(values) - 1.001)
    low = int(step)
    return values[low] + (values[low + 1] - values[low]) * (step - low)


def linear(busy: float) -> float:
    return IDLE_WATTS + WATTS_PER_CPU * busy


class Bench:
    """The simulated machine's files, their readers, and an attributor that sees their readings.

    The clocks begin at this machine's own time, and run ahead of it.
    """

    def __init__(self, directory: Path, make_config: ConfigFactory, simulated: Machine) -> None:
        self.machine = simulated
        self.at = 0.0
        self.run: Run | None = None
        self.encoders: tuple[RunningEncoder, ...] = ()
        self.streams: tuple[Stream, ...] = ()
        self.gpu: Callable[[float], Gpu] | None = None
        self._origin = Moment(time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))
        sysfs, procfs = directory / "sys", directory / "proc"
        self.tree = PowercapTree(sysfs, machine(simulated, bits=24))
        cgroup_tree.v2_mount(sysfs)
        cgroup_tree.procfs(procfs)
        config = make_config(
            f"paths.sysfs={sysfs}", f"paths.procfs={procfs}", "streams.nginx_rtmp_url=http://web:8080/stat"
        )
        Path(config.paths.state).mkdir()
        self._power = PowerProbe(config, self._moment)
        self._stat = procfs / "stat"
        (procfs / "loadavg").write_text("0 0 0 1/1 1\n")
        self._host = HostProbe(config)
        self._cgroups: dict[str, CgroupFiles] = {}
        self._sysfs = sysfs
        self._sources: dict[str, Any] = {}
        self._chance = random.Random(4)
        runner = SimpleNamespace(encoders=lambda: self.encoders)
        self.attributor = Attributor(config, SimpleNamespace(sources=self._sources), lambda: self._runs(runner))  # type: ignore[arg-type]

    def _runs(self, runner: Any) -> Any:
        runner.current = self.run
        return runner

    def close(self) -> None:
        self._power.close()
        self._host.close()
        self.tree.close()
        for files in self._cgroups.values():
            files.close()

    async def live(self, seconds: float, every: float = 5.0) -> AsyncIterator[PowerUse]:
        """Reads every source each few seconds, each at a moment of its own, and looks at what comes of it."""
        end = self.at + seconds
        while self.at < end - 1e-9:
            self.at += every
            late = [self._chance.uniform(0.0, 0.4) for _ in range(3)]
            self._note("power", self._read_power(self.at - late[0]))
            self._note("host", self._read_host(self.at - late[1]))
            self._note("containers", self._read_containers(self.at - late[2]))
            if self.streams:
                self._note("streams", self._read_streams(self.at))
            if self.gpu is not None:
                moment = {name: getattr(self._origin, name) + self.at for name in ("time", "monotonic")}
                self._note("gpu", GpusReading(gpus=(self.gpu(self.at),), **moment))
            await self.attributor.advance()
            use = self.attributor.power_use()
            if use is not None:
                yield use

    def _moment(self) -> Moment:
        return Moment(*(origin + self.reading_at for origin in astuple(self._origin)))

    def _note(self, name: str, reading: Reading) -> None:
        self._sources[name] = SimpleNamespace(latest=reading, status=ProbeStatus(probe=name, state="ok"))

    def _read_power(self, at: float) -> Reading:
        self.reading_at = at
        self.tree.write(at)
        return self._power.read()

    def _read_host(self, at: float) -> HostReading:
        ticks = round(self.machine.busy(at) * 100)
        cpus = "".join(f"cpu{number} 0 0 0 0 0 0 0 0 0 0\n" for number in range(CPUS))
        self._stat.write_text(f"cpu {ticks} 0 0 0 0 0 0 0 0 0\n{cpus}btime 1700000000\n")
        return replace(self._host.read(), time=self._origin.time + at, monotonic=self._origin.monotonic + at)

    def _read_containers(self, at: float) -> ContainersReading:
        found = [self._container(job, at) for job in self.machine.jobs if job.id and job.started <= at]
        return ContainersReading(
            time=self._origin.time + at, monotonic=self._origin.monotonic + at, engine=ENGINE, containers=tuple(found)
        )

    def _container(self, job: Job, at: float) -> Container:
        return Container(
            id=job.id, name=job.name, image="", cgroup=f"/docker/{job.id}", started=self._origin.time + job.started,
            cpu_seconds_total=self._read_cgroup(job, at), addresses=(f"172.18.0.{len(job.name)}",),
        )  # fmt: skip

    def _read_cgroup(self, job: Job, at: float) -> float | None:
        path = f"/docker/{job.id}"
        directory = self._sysfs / "fs" / "cgroup" / path.lstrip("/")
        if job.id not in self._cgroups:
            cgroup_tree.v2_cgroup(self._sysfs, path)
            found = cgroup.hierarchies(str(self._sysfs))
            assert found is not None
            place = cgroup.locate(found, job.id, {"": path})
            assert place is not None
            self._cgroups[job.id] = CgroupFiles(place, 2, Disks(str(self._sysfs)))
        # It has used an hour before anybody looked, unless it began while we did.
        before = 3600.0 if job.started < 0 else 0.0
        usec = round((before + self.machine.cpu_seconds(job.name, at)) * 1e6)
        (directory / "cpu.stat").write_text(f"usage_usec {usec}\nuser_usec {usec}\nsystem_usec 0\n")
        return self._cgroups[job.id].read()[0].cpu_seconds_total

    def _read_streams(self, at: float) -> StreamsReading:
        server = RtmpServer(
            name="nginx-rtmp", pid=None, uptime_seconds=None, connections=0, accepted_total=None, bytes_in_total=None,
            bytes_out_total=None, bandwidth_in_bytes=None, bandwidth_out_bytes=None,
        )  # fmt: skip
        return StreamsReading(
            time=self._origin.time + at, monotonic=self._origin.monotonic + at, server=server, streams=self.streams
        )


WEB = Job("web", cgroup_tree.ID, with_pauses(steady(0.5)))
ENCODE = Job("encode", cgroup_tree.OTHER_ID, with_pauses(on_and_off(1.5, 70)))
SYSTEM = Job("", "", background)


@pytest.fixture
def bench(tmp_path: Path, make_config: ConfigFactory) -> Iterator[Callable[..., Bench]]:
    made = []

    def make(jobs: list[Job], power: Callable[[float], float] = linear, seconds: float = 1300.0) -> Bench:
        made.append(Bench(tmp_path, make_config, Machine(jobs, power, seconds)))
        return made[-1]

    yield make
    for one in made:
        one.close()


async def test_idle_power_and_every_containers_watts_are_found(bench: Callable[..., Bench]) -> None:
    one = bench([WEB, ENCODE, SYSTEM])
    uses = [use async for use in one.live(600)]
    assert (uses[0].idle_watts, uses[0].includes_idle) == (None, True)
    assert "idle power is not known yet" in uses[0].reason
    known = uses[-1]
    assert (known.idle_method, known.reason) == ("regression", "")
    assert known.idle_watts == pytest.approx(IDLE_WATTS, abs=known.idle_error_watts)
    assert known.idle_watts == pytest.approx(IDLE_WATTS, rel=0.03)

    begin = one.at
    before = dict(one.attributor._accounts.marginal.ledger.by_container)
    later = [use async for use in one.live(600)]
    spent = {
        name: joules - before[name] for name, joules in one.attributor._accounts.marginal.ledger.by_container.items()
    }
    for job in (WEB, ENCODE):
        truth = WATTS_PER_CPU * (one.machine.cpu_seconds(job.name, one.at) - one.machine.cpu_seconds(job.name, begin))
        assert spent[job.name] == pytest.approx(truth, rel=0.03)
    for use in later:
        assert use.idle_watts == pytest.approx(IDLE_WATTS, rel=0.03)
        parts = (use.idle_watts, use.containers_watts, use.encoders_watts, use.unattributed_watts)
        assert sum(part or 0.0 for part in parts) == pytest.approx(use.watts, rel=1e-3)


async def test_all_energy_since_the_start_is_what_the_hosts_counter_counted(bench: Callable[..., Bench]) -> None:
    one = bench([WEB, ENCODE, SYSTEM])
    uses = [use async for use in one.live(600)]
    ledger = one.attributor._accounts.marginal.ledger
    known = ledger.idle_joules + ledger.containers_joules + ledger.encoders_joules + ledger.unattributed_joules
    assert known + ledger.unknown_joules == pytest.approx(ledger.joules, rel=1e-9)
    assert ledger.joules == pytest.approx(sum(use.watts * use.seconds for use in uses), rel=1e-9)
    first, last = uses[0].time - uses[0].seconds, uses[-1].time
    origin = one._origin.time
    assert ledger.joules == pytest.approx(
        one.machine.joules(last - origin) - one.machine.joules(first - origin), rel=0.01
    )


async def test_a_container_that_begins_later_is_charged_from_its_start(bench: Callable[..., Bench]) -> None:
    late = Job("late", "f" * 64, steady(1.0), started=803.0)
    one = bench([WEB, ENCODE, SYSTEM, late])
    async for _ in one.live(900):
        pass
    truth = WATTS_PER_CPU * one.machine.cpu_seconds("late", one.at)
    assert one.attributor._accounts.marginal.ledger.by_container["late"] == pytest.approx(truth, rel=0.05)


async def test_a_nonlinear_power_curve_is_fitted_closely(bench: Callable[..., Bench]) -> None:
    def bent(busy: float) -> float:
        return IDLE_WATTS + 44 * (busy / CPUS) ** 0.8

    one = bench([ENCODE, SYSTEM], bent)
    uses = [use async for use in one.live(600)]
    assert uses[-1].idle_watts == pytest.approx(IDLE_WATTS, rel=0.05)


async def test_a_baseline_sets_idle_power_at_once(bench: Callable[..., Bench]) -> None:
    one = bench([SYSTEM])
    one.run = Run(
        id="r", state="running", scenarios=[Scenario(name="idle", type="baseline")], started=0.0,
        progress=RunProgress(
            phase="measuring", scenario="idle", scenario_index=0, scenario_count=1, fraction=0.0, elapsed_seconds=0.0,
            remaining_seconds=None,
        ),
    )  # fmt: skip
    during = [use async for use in one.live(30)]
    assert during[-1].idle_watts is None
    one.run = None
    after = [use async for use in one.live(5)]
    assert after[-1].idle_method == "baseline"
    idle = one.attributor._accounts.idle
    assert idle is not None
    assert idle.error_watts is not None
    assert idle.watts == pytest.approx(IDLE_WATTS, abs=idle.error_watts)
    assert after[-1].idle_watts == pytest.approx(min(idle.watts, after[-1].watts)), "no more than was drawn"


async def test_on_a_machine_that_never_rests_every_share_is_known_and_includes_idle(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    """Its power is known as a whole, and so is whose CPU time it was for; what is above idle is not."""
    caplog.set_level("INFO", "wattview")
    rest = on_and_off(1.0, 70)
    one = bench([Job("web", cgroup_tree.ID, steady(0.5)), Job("", "", rest)])
    uses = [use async for use in one.live(600)]
    assert "never at rest" in uses[-1].reason
    assert "set power.idle_watts" in uses[-1].reason
    for use in uses:
        assert (use.idle_watts, use.includes_idle, use.account) == (None, True, "marginal")
        parts = (use.containers_watts, use.encoders_watts, use.unattributed_watts)
        assert sum(part or 0.0 for part in parts) == pytest.approx(use.watts, rel=1e-6)
    begin = uses[0].time - uses[0].seconds - one._origin.time
    spent = sum((use.containers_watts or 0.0) * use.seconds for use in uses)
    truth = 0.0
    for step in range(round(begin / STEP), round((uses[-1].time - one._origin.time) / STEP)):
        busy = 0.5 + rest(step * STEP)
        truth += linear(busy) * STEP * 0.5 / busy
    assert spent == pytest.approx(truth, rel=0.03)
    (shown,) = one.attributor.containers([one._container(one.machine.jobs[0], one.at)])
    assert shown.power_watts == pytest.approx(uses[-1].containers_watts)
    text = render(one.attributor.families()).decode()
    assert 'wattview_container_power_watts{name="web",includes_idle="true"}' in text
    assert "wattview_idle_power_watts " not in text

    one.attributor._config = replace(
        one.attributor._config, power=replace(one.attributor._config.power, idle_watts=IDLE_WATTS)
    )
    later = [use async for use in one.live(20)]
    assert (later[-1].includes_idle, later[-1].reason) == (False, "")
    assert later[-1].containers_watts == pytest.approx(0.5 * WATTS_PER_CPU, rel=0.05)
    assert [line for line in caplog.messages if "25.0 W by setting" in line], "the log says when"
    text = render(one.attributor.families()).decode()
    assert 'wattview_container_power_watts{name="web"}' in text
    assert "includes_idle=" not in text


async def test_both_accounts_divide_every_watt(bench: Callable[..., Bench]) -> None:
    one = bench([WEB, ENCODE, SYSTEM])
    uses = [use async for use in one.live(700)]
    marginal, shared = one.attributor.power_use("marginal"), one.attributor.power_use("attributional")
    assert marginal is not None
    assert shared is not None
    assert marginal == uses[-1]
    assert marginal.idle_watts == pytest.approx(IDLE_WATTS, rel=0.03)
    assert (shared.idle_watts, shared.includes_idle, shared.account) == (None, True, "attributional")
    for use in (marginal, shared):
        parts = (use.idle_watts, use.containers_watts, use.encoders_watts, use.unattributed_watts)
        assert sum(part or 0.0 for part in parts) == pytest.approx(use.watts, rel=1e-6)
    containers = [one._container(WEB, one.at), one._container(ENCODE, one.at)]
    above, whole = one.attributor.containers(containers), one.attributor.containers(containers, "attributional")
    assert marginal.containers_watts
    assert shared.containers_watts
    ratio = shared.containers_watts / marginal.containers_watts
    assert ratio == pytest.approx(marginal.watts / (marginal.watts - (marginal.idle_watts or 0.0)), rel=1e-6)
    for small, large in zip(above, whole, strict=True):
        assert small.power_watts is not None
        assert large.power_watts == pytest.approx(small.power_watts * ratio)
    ledgers = one.attributor._accounts.marginal.ledger, one.attributor._accounts.attributional.ledger
    assert ledgers[0].joules == pytest.approx(ledgers[1].joules)
    assert (ledgers[1].unknown_joules, ledgers[1].idle_joules) == (0.0, 0.0)
    text = render(one.attributor.families()).decode()
    assert 'wattview_container_attributional_power_watts{name="web"}' in text


async def test_a_configured_idle_power_applies_from_the_first_interval(bench: Callable[..., Bench]) -> None:
    one = bench([Job("web", cgroup_tree.ID, steady(0.5))])
    one.attributor._config = replace(
        one.attributor._config, power=replace(one.attributor._config.power, idle_watts=IDLE_WATTS)
    )
    uses = [use async for use in one.live(30)]
    assert {(use.idle_watts, use.idle_method, use.idle_error_watts) for use in uses} == {(IDLE_WATTS, "setting", None)}
    assert uses[-1].containers_watts == pytest.approx(0.5 * WATTS_PER_CPU, rel=0.05)


async def test_idle_power_of_an_estimate_is_its_own_idle_term(bench: Callable[..., Bench]) -> None:
    """Nothing is learnt: the machine is busy all the time, and its idle part is known to the watt."""
    one = bench([Job("web", cgroup_tree.ID, steady(2.0))])
    estimate = EstimatedEnergy(one.attributor._config.paths.procfs, 6.25, 17.25)
    one._read_power = lambda at: _estimated(one, estimate, at)  # type: ignore[method-assign]
    uses = [use async for use in one.live(60)]
    assert {(use.idle_watts, use.idle_method) for use in uses} == {(25.0, "estimate")}
    assert uses[-1].containers_watts == pytest.approx(2 * WATTS_PER_CPU, rel=0.05)
    assert one.attributor._memory._models == {}


def _estimated(one: Bench, estimate: EstimatedEnergy, at: float) -> PowerReading:
    one.reading_at = at
    one._read_host(at)
    found = estimate.measure(one._moment())
    assert found.host_microjoules is not None
    return PowerReading(
        time=one._moment().time, monotonic=one._moment().monotonic, source="estimated", host_watts=None,
        host_joules_total=found.host_microjoules / 1e6, host_peak_watts=None, idle_watts=found.idle_watts,
    )  # fmt: skip


@pytest.mark.parametrize("step", [-7 * 86400.0, 7 * 86400.0])
async def test_setting_the_wall_clock_does_not_change_the_learnt_idle_power(
    bench: Callable[..., Bench], step: float
) -> None:
    one = bench([WEB, ENCODE, SYSTEM])
    uses = [use async for use in one.live(700)]
    one._origin = replace(one._origin, time=one._origin.time + step)
    later = [use async for use in one.live(100)]
    assert uses[-1].idle_watts is not None
    assert later[-1].idle_watts == pytest.approx(uses[-1].idle_watts, rel=0.01)


async def test_learned_idle_power_survives_a_restart_for_its_source(
    bench: Callable[..., Bench],
) -> None:
    one = bench([WEB, ENCODE, SYSTEM])
    async for _ in one.live(600):
        pass
    await one.attributor.close()
    again = Attributor(one.attributor._config, one.attributor._sampler, lambda: None)
    (basis,) = again._memory._models
    assert basis == "rapl intel-rapl:0"
    assert again._memory.of(basis).idle().watts == pytest.approx(IDLE_WATTS, rel=0.03)
    assert again._memory.of("estimated") == IdleModel()


async def test_an_unreadable_idle_memory_is_learned_again(bench: Callable[..., Bench]) -> None:
    one = bench([SYSTEM])
    path = Path(one.attributor._config.paths.state) / "idle.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"rapl": {"weight": "much"')
    again = Attributor(one.attributor._config, one.attributor._sampler, lambda: None)
    assert again._memory._models == {}


async def test_streams_get_their_share_of_the_server_and_of_their_encoder(bench: Callable[..., Bench]) -> None:
    """The server is the container ``web``; ``encode`` pushes two streams out of its own address."""
    one = bench([WEB, ENCODE, SYSTEM])
    async for _ in one.live(600):
        pass

    def stream(name: str, incoming: float, outgoing: float, address: str) -> Stream:
        publisher = StreamClient(id="1", address=address, publishing=True)
        viewer = StreamClient(id="2", address="172.18.0.6", publishing=False)
        return Stream(
            app="live", name=name, active=True, bandwidth_in_bytes=incoming, bandwidth_out_bytes=outgoing,
            clients=(viewer, publisher),
        )  # fmt: skip

    one.streams = (
        stream("a", 3e6, 1e6, "172.18.0.6"),
        stream("b", 1e6, 1e6, "172.18.0.6:50312"),
        stream("far", 2e6, 0.0, "9.9.9.9"),
    )
    async for _ in one.live(30):
        pass
    web, encode = (
        one.attributor._accounts.marginal.last.watts(Part("container", name))
        for name in ("web", "encode")  # type: ignore[union-attr]
    )
    assert web is not None
    assert encode is not None
    assert web == pytest.approx(0.5 * WATTS_PER_CPU, rel=0.05)
    shown = one.attributor.streams(one.streams)
    assert [each.power_watts for each in shown[:2]] == pytest.approx(
        [web * 4 / 8 + encode * 3 / 4, web * 2 / 8 + encode * 1 / 4]
    )
    far = shown[2]
    assert far.encoder is not None
    assert (far.power_watts, far.encoder.match, far.encoder.host) == (None, "remote", "9.9.9.9")
    assert far.server_watts == pytest.approx(web * 2 / 8)


async def test_a_container_on_a_gpu_has_the_gpus_watts_above_what_it_draws_at_rest(bench: Callable[..., Bench]) -> None:
    one = bench([WEB, ENCODE, SYSTEM])
    begins = 600.0

    def gpu(at: float) -> Gpu:
        """70 W at rest; from ``begins`` on 270 W, three quarters of its use by ``web``."""
        working = at > begins
        cgroup_path = f"/system.slice/docker-{WEB.id}.scope"
        processes = (
            GpuProcess(pid=5, name="", cgroup=cgroup_path, sm_percent=45.0), GpuProcess(pid=6, name="", sm_percent=15.0)
        )  # fmt: skip
        return Gpu(
            index=0, uuid="GPU-1", name="", pci_bus_id="", driver_version="", utilization_percent=60.0 * working,
            energy_joules_total=1e6 + 70 * at + 200 * max(at - begins, 0.0), processes=processes if working else (),
        )  # fmt: skip

    one.gpu = gpu
    async for _ in one.live(600):
        pass
    uses = [use async for use in one.live(60)]
    assert one.attributor._accounts.marginal.last is not None
    web = one.attributor._accounts.marginal.last.watts(Part("container", "web"))
    assert web == pytest.approx(0.5 * WATTS_PER_CPU + 0.75 * 200, rel=0.02)
    assert uses[-1].idle_watts == pytest.approx(IDLE_WATTS + 70, rel=0.02)
    assert uses[-1].watts > 270


async def test_stale_shares_are_not_shown_as_current(bench: Callable[..., Bench]) -> None:
    one = bench([WEB, ENCODE, SYSTEM])
    async for _ in one.live(750):
        pass
    (shown,) = one.attributor.containers([one._container(WEB, one.at)])
    assert shown.power_watts == pytest.approx(0.5 * WATTS_PER_CPU, rel=0.05)
    one.attributor._stale = -3600.0
    (shown,) = one.attributor.containers([one._container(WEB, one.at)])
    assert (shown.power_watts, one.attributor.power_use()) == (None, None)
    assert [f.name for f in one.attributor.families() if f.samples and f.name.endswith("_watts")] == []
