"""The doctor: each source and tool on this machine, whether it works, and how to fix it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal

import httpx
from msgspec.structs import replace

from wattview.config import Config
from wattview.daemon import results_files, storage
from wattview.daemon.children import ProgramMissing, find_program
from wattview.daemon.exporters.check import ExporterTarget, check_all
from wattview.daemon.exporters.endpoints import targets
from wattview.daemon.exporters.health import Health
from wattview.daemon.grid.grid_store import GridStore
from wattview.daemon.history.protocol import History, HistoryError
from wattview.daemon.http.addresses import listen_problem
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.judging.tool import find_tool
from wattview.daemon.media.server import ManagedRtmp
from wattview.daemon.sampler import Sampler, Source
from wattview.daemon.wall import calibration_file
from wattview.model import (
    ContainersReading,
    ExporterHealth,
    Finding,
    GpusReading,
    HostReading,
    MeterReading,
    PowerReading,
    ProbeState,
    Reading,
    StoreReading,
    StreamsReading,
    WallReading,
    WorkloadsReading,
    counted_states,
    grouped_reasons,
)
from wattview.model.power.calibration import WallCalibration
from wattview.model.power.meters import meter_kind
from wattview.model.power_sources import power_source
from wattview.probes import SourceError
from wattview.probes.meters.wall import WallProbe
from wattview.probes.node import NodeReading

STATES: dict[ProbeState, Literal["works", "absent", "not permitted", "broken"]] = {
    "ok": "works",
    "degraded": "works",
    "absent": "absent",
    "refused": "not permitted",
    "broken": "broken",
    "unread": "broken",
}


CHECK_SECONDS = 5.0
"""Time-out for one exporter."""


async def examine(
    config: Config,
    sampler: Sampler,
    media_server: ManagedRtmp | None = None,
    history: History | None = None,
    health: Health | None = None,
) -> list[Finding]:
    """Reads every source now, regardless of cached states, and checks the tools, the history, the managed media server
    and the exporters."""
    sources = await asyncio.gather(*(_examine_source(source) for source in sampler.sources.values()))
    tools = [finding async for finding in _examine_tools(config)]
    if history is not None and "history" not in sampler.sources:
        tools.append(await _examine_history(history))
    if (calibration := await asyncio.to_thread(calibration_file.load, Path(config.paths.state))) is not None:
        tools.append(_calibration(calibration))
    if health is not None:
        tools.append(_exporters(await health.check()))
    return [*sources, *tools, *([media_server.finding()] if media_server is not None else [])]


async def examine_alone(config: Config) -> list[Finding]:
    """The same without a daemon: with temporary probes, and the ports that the exporters would use."""
    sampler = Sampler(config)
    try:
        return [*await examine(config, sampler), await _examine_ports(config), *await GridStore(config).examine()]
    finally:
        sampler.close()


def _calibration(found: WallCalibration) -> Finding:
    """The calibration of the wall, with what makes it less than it could be."""
    made = time.strftime("%Y-%m-%d", time.localtime(found.time))
    imported = ", imported from another machine" if found.imported else ""
    said = [f"made {made} with the meter {found.meter}, mean error {found.error_percent:.1f} %{imported}"]
    return Finding(source="calibration", state="works", detail="; ".join((*said, *found.remarks)))


def _exporters(checked: Sequence[ExporterHealth], free: int = 0) -> Finding:
    """The exporters' health in one line; the ports of those in ``free`` are free."""
    ill = [one for one in checked if not one.healthy]
    said = [counted_states(checked)] if checked else []
    said += [f"{free} ports free"] if free else []
    said += [f"{names}: {reason}" for names, reason in grouped_reasons(ill)]
    return Finding(
        source="exporters",
        state="broken" if ill else "works",
        detail="; ".join(said) or "none is switched on",
        fix="wattview check" if ill else "",
    )


async def _examine_ports(config: Config) -> Finding:
    """Whether the exporters' ports are available, and otherwise who answers there."""
    busy: list[ExporterTarget] = []
    free = 0
    for target in await targets(config):
        port = httpx.URL(target.url).port if target.url else 0
        setting = f"endpoints.{target.key}.port"
        problem, taken = await asyncio.to_thread(listen_problem, setting, config.daemon.listen, port or 0)
        if taken:
            busy.append(target._replace(taken=not target.pid))  # without a daemon of ours, no process may have it
        elif problem:
            busy.append(target._replace(problem=problem))
        else:
            free += 1
    async with httpx.AsyncClient(trust_env=False) as client:
        return _exporters(await check_all(client, busy, CHECK_SECONDS), free)


async def _examine_source(source: Source) -> Finding:
    reading: Reading | None = None
    if isinstance(source.probe, WallProbe):
        await source.call(WallProbe.await_first)
    with contextlib.suppress(SourceError):
        reading = await source.read(max_age=0.0)
    status = source.status
    detail = "; ".join(part for part in (_describe(reading), status.reason) if part)
    return Finding(source=source.name, state=STATES[status.state], detail=detail, fix=status.fix)


def _describe(reading: Reading | None) -> str:
    """Short description of a working source."""
    match reading:
        case PowerReading():
            entry = power_source(reading.source)
            return entry.found.format(zones=len(reading.zones)) if entry is not None else reading.source
        case WallReading():
            return ", ".join(_meter(meter) for meter in reading.power.meters)
        case HostReading():
            memory = reading.memory_total_bytes
            size = "unknown memory" if memory is None else f"{memory / 2**30:.1f} GiB"
            return f"{reading.hostname}, {reading.cpus} CPUs, {size}"
        case ContainersReading():
            return f"{reading.engine.name} {reading.engine.version}, {len(reading.containers)} containers running"
        case WorkloadsReading():
            counts = Counter(one.kind for one in reading.workloads)
            return ", ".join(f"{kind}: {count}" for kind, count in sorted(counts.items()))
        case StreamsReading():
            return f"{reading.server.name}, {len(reading.streams)} streams"
        case NodeReading():
            with_data = sum(one.success for one in reading.collectors)
            return f"{with_data} of {len(reading.collectors)} collectors have data"
        case StoreReading():
            return f"{reading.url}, with samples of {reading.daemons} daemons"
        case GpusReading():
            return ", ".join(gpu.name for gpu in reading.gpus)
    return ""


def _meter(meter: MeterReading) -> str:
    """``rack (a Shelly plug or energy meter): 142.3 W ±1.5, refreshed every 1.0 s``."""
    kind = meter_kind(meter.kind)
    name = f"{meter.name} ({kind.words})" if kind is not None else meter.name
    if meter.watts is None:
        return f"{name}: no figure"
    error = f" ±{meter.error_watts:.1f}" if meter.error_watts is not None else ""
    refresh = f", refreshed every {meter.refresh_seconds:.1f} s" if meter.refresh_seconds is not None else ""
    return f"{name}: {meter.watts:.1f} W{error}{refresh}"


async def _examine_tools(config: Config) -> AsyncIterator[Finding]:
    yield _tool("ffmpeg", config.scenarios.ffmpeg, "runs scenarios; wattview run --list-encoders tries its encoders")
    yield await _quality_tool(config)
    yield _tool("nginx", config.streams.nginx, "the managed media server")
    yield await asyncio.to_thread(_directory, "state", Path(config.paths.state))
    results = await asyncio.to_thread(_directory, "results", Path(config.paths.results))
    if results.state == "works" and not await asyncio.to_thread(results_files.stamped, Path(config.paths.results)):
        results = replace(results, detail=f"{results.detail}; no results yet")
    yield results


def _tool(source: str, program: str, purpose: str) -> Finding:
    try:
        return Finding(source=source, state="works", detail=f"{find_program(program)}: {purpose}")
    except ProgramMissing as error:
        reason, _, fix = str(error).partition("; run: ")
        return Finding(source=source, state="absent", detail=f"{reason} ({purpose})", fix=fix)


async def _quality_tool(config: Config) -> Finding:
    fix = "pip install imageio-ffmpeg, or set scenarios.quality_ffmpeg"
    try:
        tool = await find_tool(config.scenarios, Capabilities())
    except ProgramMissing as error:
        return Finding(source="vmaf", state="absent", detail=str(error), fix=fix)
    if not tool.vmaf:
        return Finding(source="vmaf", state="absent", detail=f"{tool}: PSNR and SSIM only, no libvmaf", fix=fix)
    return Finding(source="vmaf", state="works", detail=str(tool))


def _directory(source: str, path: Path) -> Finding:
    try:
        storage.try_to_write(path, f"paths.{source}")
    except storage.Unwritable as error:
        state: Literal["not permitted", "broken"] = "not permitted" if error.refused else "broken"
        return Finding(source=source, state=state, detail=error.reason, fix=error.fix)
    return Finding(source=source, state="works", detail=f"{path} can be written")


async def _examine_history(history: History) -> Finding:
    """Whether the history answers, and whether its last row could be written."""
    try:
        reach = await history.reach()
        if history.problem is not None:
            raise history.problem
    except HistoryError as error:
        return Finding(source="history", state="broken", detail=error.reason, fix=error.fix)
    if reach is None:
        return Finding(source="history", state="works", detail=f"{history.name}: nothing is recorded yet")
    first, last = (time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) for moment in reach)
    return Finding(source="history", state="works", detail=f"{history.name}: from {first} to {last}")
