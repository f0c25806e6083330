"""Continuous attribution: the learnt idle power, and the shares of the last interval.

``advance`` is called by those who have just read the sources (the history's tick, a scrape of port 9500, a snapshot)
and uses their latest readings; only the CPU time of our encoders and of the RTMP server is read here. What was learnt
is stored in the state directory, per power source, as two sources measure different idle powers.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import msgspec

from wattview.analysis.attribution.idle import Idle
from wattview.analysis.attribution.shares import Interval, Part
from wattview.analysis.windows.energy import NoData
from wattview.config import Config
from wattview.daemon.attribution.accounts import Accounts, ShownAccount
from wattview.daemon.attribution.families import KEPT, families_of
from wattview.daemon.attribution.idle_memory import BaselineWatch, IdleMemory
from wattview.daemon.attribution.intervals import MIN_SECONDS, Intervals, Look, power_basis, reached
from wattview.daemon.attribution.process_lines import WatchedProcess
from wattview.daemon.attribution.processes import ProcessTimes, Server, find_server, own_chain
from wattview.daemon.attribution.publishers.watch import Publishers
from wattview.daemon.attribution.stream_power import Scene, power_of_streams
from wattview.daemon.events import tell
from wattview.daemon.lab.encoding.encoder_group import RunningEncoder
from wattview.daemon.sampler import Sampler
from wattview.exposition import Family, Sample
from wattview.model import (
    Container,
    ContainersReading,
    GpusReading,
    HostReading,
    PowerAccount,
    PowerReading,
    PowerUse,
    Reading,
    Run,
    Stream,
    StreamsReading,
    Workload,
    WorkloadLookup,
    WorkloadsReading,
)

R = TypeVar("R", bound=Reading)
C = TypeVar("C", Container, Workload)

SHARED_SECONDS = 1.0
"""Maximum age of readings of containers, streams and GPUs that a scrape of 9500 shares with other readers."""

SERVER_SECONDS = 60.0
"""How long the RTMP server's location is cached, and how long a failed search is not repeated."""

STALE_SECONDS = 60.0
"""Shares older than this, or than three ticks of the history, are not current."""

OWN_PROC = "/proc"
"""Our children have pids of our own /proc, whatever the configured procfs."""


Listener = Callable[[Interval | None, str], None]
"""Gets every interval as it is known, with the host's source; None where a part of the power was not known in it."""


class Runs(Protocol):
    """What is needed of the scenario runner."""

    @property
    def current(self) -> Run | None: ...

    def encoders(self) -> tuple[RunningEncoder, ...]: ...


class Attributor:
    """Divides the machine's power. ``runs`` returns the scenario runner once there is one; ``listener`` gets every
    interval."""

    def __init__(
        self, config: Config, sampler: Sampler, runs: Callable[[], Runs | None], listener: Listener | None = None
    ) -> None:
        self._config = config
        self._sampler = sampler
        self._runs = runs
        self._listener = listener
        self._stale = max(STALE_SECONDS, 3 * config.history.interval_seconds)
        self._intervals = Intervals()
        self._accounts = Accounts()
        self._memory = IdleMemory(Path(config.paths.state) / "idle.json")
        self._baseline = BaselineWatch()
        self._children = ProcessTimes(OWN_PROC)
        self._processes = ProcessTimes(config.paths.procfs)
        self._own_pids = own_chain(config.paths.procfs)
        self._server = _KnownServer(config)
        self._publishers = Publishers(config)
        self._lock = asyncio.Lock()
        self._interval: Interval | None = None
        self._shared = 0.0
        self._reason = ""
        self._containers_seen = False
        self._workloads: WorkloadsReading | None = None
        self._encoders: tuple[RunningEncoder, ...] = ()

    async def read(self) -> None:
        """Reads what a scrape of 9500 does not read itself, shared with other readers, and then advances."""
        names = ("power", "host", "containers", "workloads", "streams", "gpu")
        await self._sampler.read_each(names, max_age=SHARED_SECONDS)
        await self.advance()

    async def advance(self) -> None:
        """Advances to the latest readings, if about a second or more has passed."""
        async with self._lock:
            power, host = self._latest("power", PowerReading), self._latest("host", HostReading)
            if power is None or host is None:
                self._interval = None
                self._tell(None, "")
                return
            containers, gpus = self._latest("containers", ContainersReading), self._latest("gpu", GpusReading)
            workloads = self._latest("workloads", WorkloadsReading)
            start = self._intervals.start
            look = Look(power=power, host=host, containers=containers, workloads=workloads, gpus=gpus)
            if start is not None and reached(look) - start < MIN_SECONDS:
                return
            runs = self._runs()
            encoders = runs.encoders() if runs is not None else ()
            streams = self._latest("streams", StreamsReading)
            running = containers.containers if containers is not None else ()
            server = await self._server.find(streams, running)
            publishers = await self._publishers.find(streams, server, running)
            children = self._children.read(encoder.pid for encoder in encoders)
            # An encoder that has just ended has its part of this interval, and so has its stream.
            lookup = WorkloadLookup(workloads) if workloads is not None else None
            scene = Scene(
                containers=running, workloads=lookup, encoders=(*self._encoders, *encoders), publishers=publishers,
                server=server,
            )  # fmt: skip
            look = msgspec.structs.replace(
                look,
                gpus_known=gpus is not None or self._has_no_gpu(),
                monotonic=time.monotonic(),
                encoders={(one.name, one.pid): children[one.pid] for one in encoders if one.pid in children},
                processes=self._watched(scene),
                own_pids=self._own_pids,
            )
            interval = self._intervals.next(look)
            resting = self._baseline.enters(runs.current if runs is not None else None)
            self._tell(interval, power.source)
            if interval is None:
                return
            self._share_out(interval, power, resting)
            self._containers_seen = containers is not None
            self._workloads = workloads or self._workloads
            for book in (self._accounts.marginal, self._accounts.attributional):
                if containers is not None:
                    book.ledger.keep(one.name for one in (*containers.containers, *containers.ended))
                if workloads is not None:
                    book.ledger.keep_workloads(one.id for one in (*workloads.workloads, *workloads.ended))
                book.streams = power_of_streams(streams, scene, book.last, self._config) if streams is not None else {}
            self._encoders = encoders
            await self._memory.save_sometimes()

    def _tell(self, interval: Interval | None, source: str) -> None:
        if self._listener is not None:
            self._listener(interval, source)

    def families(self) -> list[Family]:
        """The metric families of the last interval and of the totals."""
        return families_of(self._accounts, self._workloads, fresh=self._fresh())

    def kept(self) -> tuple[float, list[Sample]]:
        """The series of the last interval that the history records, and its end."""
        if self._interval is None:
            return 0.0, []
        families = families_of(self._accounts, self._workloads, fresh=self._fresh(), shown=("marginal",))
        samples = [(f.name + text, value) for f in families if f.name in KEPT for text, value in f.samples]
        return self._interval.time, samples

    def page(self, account: PowerAccount | None = None) -> ShownAccount | None:
        """The account that was asked for, by default that of the settings; None where no figure is current."""
        return self._accounts.page(account or self._config.power.account) if self._fresh() else None

    def containers(self, containers: Iterable[Container], account: PowerAccount | None = None) -> tuple[Container, ...]:
        """The containers with their power and energy."""
        return self._powered("container", [(one.name, one) for one in containers], account)

    def workloads(self, workloads: Iterable[Workload], account: PowerAccount | None = None) -> tuple[Workload, ...]:
        """The workloads with their power and energy."""
        return self._powered("workload", [(one.id, one) for one in workloads], account)

    def _powered(
        self, kind: Literal["container", "workload"], named: Iterable[tuple[str, C]], account: PowerAccount | None
    ) -> tuple[C, ...]:
        page = self.page(account)
        if page is None or (last := page.book.last) is None:
            return tuple(one for _, one in named)
        ledger = page.book.ledger
        energy = ledger.by_container if kind == "container" else ledger.by_workload
        return tuple(
            msgspec.structs.replace(one, power_watts=last.watts(Part(kind, name)), energy_joules_total=energy.get(name))
            for name, one in named
        )

    def streams(self, streams: Iterable[Stream], account: PowerAccount | None = None) -> tuple[Stream, ...]:
        """The streams with their power and their encoders."""
        page = self.page(account)
        known = page.book.streams if page is not None else {}
        return tuple(
            stream
            if (power := known.get((stream.app, stream.name))) is None
            else msgspec.structs.replace(
                stream, power_watts=power.watts, server_watts=power.server_watts, encoder=power.encoder
            )
            for stream in streams
        )

    def power_use(self, account: PowerAccount | None = None) -> PowerUse | None:
        """The last interval for the snapshot; None if there is no current one."""
        interval, page = self._interval, self.page(account)
        if interval is None or page is None or (last := page.book.last) is None:
            return None
        idle = self._accounts.idle if not page.includes_idle else None
        encoders = {part.name: joules / last.seconds for part, joules in last.parts.items() if part.kind == "encoder"}
        return PowerUse(
            time=interval.time,
            seconds=interval.seconds,
            watts=interval.joules / interval.seconds,
            idle_watts=last.idle_joules / last.seconds if idle is not None else None,
            idle_method=idle.method if idle is not None else None,
            idle_error_watts=idle.error_watts if idle is not None else None,
            containers_watts=last.watts_of("container") if self._containers_seen else None,
            encoders_watts=last.watts_of("encoder"),
            workloads_watts=sum(last.workloads.values()) / last.seconds if last.workloads else None,
            unattributed_watts=last.unattributed_joules / last.seconds,
            encoders=encoders,
            reason=self._reason,
            account=page.account,
            includes_idle=page.includes_idle,
        )

    async def close(self) -> None:
        self._children.close()
        self._processes.close()
        await self._memory.save()

    def _has_no_gpu(self) -> bool:
        source = self._sampler.sources.get("gpu")
        return source is None or source.status.state == "absent"

    def _latest(self, name: str, kind: type[R]) -> R | None:
        """The latest reading of a working source."""
        source = self._sampler.sources.get(name)
        if source is None or source.status.state not in ("ok", "degraded"):
            return None
        return source.latest if isinstance(source.latest, kind) else None

    def _fresh(self) -> bool:
        return self._interval is not None and time.monotonic() - self._shared < self._stale

    def _share_out(self, interval: Interval, power: PowerReading, resting: bool) -> None:
        gpu_idle = {}
        for gpu in interval.gpus:
            model = self._memory.add(gpu.uuid, interval, gpu.busy, gpu.joules)
            with contextlib.suppress(NoData):
                gpu_idle[gpu.uuid] = model.idle().watts
        self._interval, self._shared = interval, time.monotonic()
        try:
            idle = self._idle_of(interval, power, resting)
            self._reason = ""
        except NoData as error:
            idle, self._reason = None, f"idle power is not known yet: {error.reason}"
        self._tell_idle(idle)
        self._accounts.enter(interval, idle, gpu_idle)

    def _tell_idle(self, idle: Idle | None) -> None:
        """Logs when idle power becomes known, is found by another method, or becomes unknown again."""
        before = self._accounts.idle
        if idle is None:
            if before is not None:
                tell(
                    "info", "idle power", f"{self._reason}; the power of containers and streams includes it from now on"
                )
            return
        if before is None or before.method != idle.method:
            error = f" ±{idle.error_watts:.1f}" if idle.error_watts is not None else ""
            tell(
                "info", "idle power",
                f"{idle.watts:.1f}{error} W by {idle.method}; the power of containers and streams is what is above it",
            )  # fmt: skip

    def _idle_of(self, interval: Interval, power: PowerReading, resting: bool) -> Idle:
        """The host's idle power: configured, assumed by the estimate, or learnt. Raises NoData."""
        basis = power_basis(power)
        window = self._baseline.add(interval, resting)
        if power.idle_watts is None:
            self._memory.add(basis, interval, interval.utilisation, interval.host_joules)
            if window is not None:
                self._memory.add_baseline(basis, window)
        if self._config.power.idle_watts:
            return Idle(self._config.power.idle_watts, "setting")
        if power.idle_watts is not None:
            return Idle(power.idle_watts, "estimate")
        return self._memory.of(basis).idle()

    def _watched(self, scene: Scene) -> dict[int, WatchedProcess]:
        """The CPU times of publishers, with all that work for them, and of a server that is no container."""
        watched = {one.pid: one.pids for one in scene.publishers.values() if one.pid is not None}
        if scene.server is not None and scene.server.pid is not None:
            watched[scene.server.pid] = frozenset({scene.server.pid})
        times = self._processes.read(pid for pids in watched.values() for pid in pids)
        self._publishers.forget(pid for pid in watched if pid not in times)
        places = {one.pid: scene.part_of(one) for one in scene.publishers.values()}
        return {
            leader: WatchedProcess({pid: times[pid] for pid in pids if pid in times}, places.get(leader))
            for leader, pids in watched.items()
        }


class _KnownServer:
    """Location of the RTMP server, searched again when it or the containers change."""

    def __init__(self, config: Config) -> None:
        self._procfs = config.paths.procfs
        self._url = config.streams.nginx_rtmp_url
        self._known: Server | None = None
        self._of: object = None
        self._looked = 0.0

    async def find(self, reading: StreamsReading | None, containers: Iterable[Container]) -> Server | None:
        if reading is None:
            return None
        containers = list(containers)
        of = (reading.server.name, reading.server.pid, frozenset(container.id for container in containers))
        if of != self._of or time.monotonic() - self._looked > SERVER_SECONDS:
            self._known = await asyncio.to_thread(find_server, self._procfs, self._url, reading.server, containers)
            self._of, self._looked = of, time.monotonic()
        return self._known
