"""A machine whose readings are known, recorded by the real recorder, for tests of what is made of its history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tests.conftest import ConfigFactory
from tests.support.dashboard import container, gpu, snapshot, stream
from tests.support.wall import uncalibrated
from wattview.config import Config
from wattview.daemon.attribution.attributor import Attributor
from wattview.daemon.history.protocol import History
from wattview.daemon.history.recorder import Recorder
from wattview.daemon.history.replay import Past
from wattview.daemon.history.sqlite import SqliteHistory
from wattview.daemon.lab.runner import Runner
from wattview.daemon.sampler import Sampler
from wattview.exposition import Family
from wattview.model import (
    CgroupCounters,
    CgroupSpec,
    ContainerDetail,
    ContainersReading,
    GpusReading,
    Reading,
    StreamsReading,
    Workload,
    WorkloadsReading,
)
from wattview.probes import SourceAbsent
from wattview.probes.registry import REGISTRY, ProbeEntry

HOSTNAME = "studio-1"


def readings(at: float = 0.0) -> dict[str, Reading]:
    """What each source reads: the machine of ``tests.support.dashboard``, with a GPU."""
    whole = snapshot(at)
    assert whole.host is not None
    assert whole.power is not None
    assert whole.engine is not None
    assert whole.rtmp_server is not None
    containers = tuple(
        container(i, health=None if i else "healthy", block_read_bytes_per_second=5e5, memory_limit_bytes=1 << 30)
        for i in range(3)
    )
    return {
        "power": whole.power,
        "host": whole.host,
        "containers": ContainersReading(
            time=0.0, monotonic=0.0, engine=whole.engine, containers=containers,
            details={one.id: ContainerDetail(id=one.id, counters=CgroupCounters(spec=CgroupSpec()))
                     for one in containers},
        ),
        "streams": StreamsReading(
            time=0.0, monotonic=0.0, server=whole.rtmp_server,
            streams=(stream(0, avsync_ms=-40, audio_channels=2), stream(1, video_codec=None, width=None, height=None)),
        ),
        "workloads": WorkloadsReading(
            time=0.0, monotonic=0.0, cgroup_version=2,
            workloads=(
                Workload(id="/docker/1", kind="container", name="web", engine="docker", container_id="1",
                         image="nginx:1", cpu_seconds_total=9.0),
                Workload(id="/kubepods/podx/a", kind="container", name="encode", namespace="live", pod="evening",
                         container="encode", engine="containerd", container_id="a", cpu_seconds_total=5.0),
                Workload(id="/kubepods/pody/b", kind="container", name="encode", namespace="live", pod="morning",
                         container="encode", engine="containerd", container_id="b", cpu_seconds_total=6.0),
                Workload(id="/user.slice/session-3.scope", kind="session", name="anna", unit="session-3.scope",
                         user="anna", cpu_seconds_total=2.0),
                Workload(id="program:obs", kind="process", name="obs", cpu_seconds_total=1.0),
            ),
            ended=(Workload(id="/docker/2", kind="container", name="gone", engine="docker", cpu_seconds_total=1.0),),
        ),
        "gpu": GpusReading(time=0.0, monotonic=0.0, gpus=(gpu(memory_total_bytes=24 << 30, encoder_percent=12.0),)),
    }  # fmt: skip


class Scripted:
    """A probe that reads what it is told to, stamped with the time of the reading; None: its source is absent."""

    def __init__(self, script: Mapping[str, Reading | None], name: str) -> None:
        self._script = script
        self._name = name

    def read(self, detailed: bool = True) -> Reading:
        reading = self._script.get(self._name)
        if reading is None:
            raise SourceAbsent("it is not there")
        return msgspec.structs.replace(reading, time=time.time(), monotonic=time.monotonic())

    def close(self) -> None:
        """There is nothing to let go of."""


def entries(script: Mapping[str, Reading | None]) -> list[ProbeEntry]:
    """The registry's own entries with its own views, over scripted probes."""

    def scripted(entry: ProbeEntry) -> Callable[[Config], Any]:
        return lambda config: Scripted(script, entry.name)

    return [entry._replace(make=scripted(entry)) for entry in REGISTRY if entry.name in readings()]


class Machine:
    """The scripted machine with its recorder: ``script`` may be changed, ``tick`` records what it says then."""

    def __init__(self, make_config: ConfigFactory, directory: Path, *sets: str) -> None:
        self.config = make_config(f"paths.state={directory}", *sets)
        self.script: dict[str, Reading | None] = dict(readings())
        self.sampler = Sampler(self.config, entries(self.script))
        self.history = SqliteHistory(directory / "history.sqlite", 1e9)
        attributor = Attributor(self.config, self.sampler, lambda: None)
        self._recorder = Recorder(
            self.sampler, self.history, attributor, uncalibrated(directory), self.config.history.interval_seconds
        )

    async def tick(self) -> float:
        """Records; the time after it."""
        await self._recorder.mark()
        return time.time()

    def families(self) -> list[Family]:
        """All that the exporters would show of the last readings."""
        sources = self.sampler.sources.values()
        found = [
            family
            for source in sources
            for view in source.entry.views
            if source.latest is not None
            for family in view.families(source.latest)
        ]
        merged: dict[str, Family] = {}
        for family in found:
            here = merged.setdefault(family.name, Family(family.name, family.type, family.help))
            here.samples.extend(family.samples)
        return list(merged.values())

    async def close(self) -> None:
        await self.history.close()
        self.sampler.close()


def past_of(config: Config, history: History, directory: Path, hostname: str = HOSTNAME) -> Past:
    async def named() -> str:
        return hostname

    async def nothing() -> None:
        await asyncio.sleep(0)

    async def no_server() -> None:
        return None

    runner = Runner(config, rtmp_url=no_server, mark=nothing, power_source=lambda: None, state_dir=directory)
    return Past(config, history, runner, named, {}, "rtmp://127.0.0.1/live")
