"""Snapshots of the past, reconstructed from the history for the dashboard's playback.

One moment takes a few queries, whatever the number of series; their samples become readings again. What was not
recorded is missing, and no value is carried forward.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from wattview import __version__
from wattview.analysis.machine_power import machine_power
from wattview.analysis.pricing.hourly import hourly_cost
from wattview.analysis.windows import series as names
from wattview.config import Config
from wattview.daemon.attribution.families import KEPT
from wattview.daemon.history import past_machine, past_workloads
from wattview.daemon.history.past_run import power_at, run_at
from wattview.daemon.history.protocol import History
from wattview.daemon.history.recorder import FACTS_SECONDS
from wattview.daemon.history.sample_index import ONE_READING_SECONDS, SampleIndex, spacing
from wattview.daemon.lab.run_journal import runs_directory
from wattview.daemon.lab.runner import Runner
from wattview.daemon.lab.window_trail import read_trail, read_window, trail_file
from wattview.model import Gpu, GridPrices, MachinePower, PowerReading, ProbeStatus, Recorded, Run, Snapshot
from wattview.probes.registry import REGISTRY

FIGURES = (
    *sorted({name for entry in REGISTRY for view in entry.views for name in view.keep}),
    *sorted(KEPT),
    names.HOST_PEAK_WATTS,
    names.MACHINE_WATTS,
    names.MACHINE_ERROR_WATTS,
)
FACTS = (*sorted({name for entry in REGISTRY for view in entry.views for name in view.facts}), *past_machine.HEALTH)

INTERVALS = 2.5
"""A figure is missing if it is older than this many of the history's intervals."""

NOT_RECORDED = "nothing was recorded at this moment"


class OutOfReach(LookupError):
    """The history does not include that moment. The text states its extent."""


class Past:
    """Reconstructs snapshots. ``hostname`` is this machine's name, ``urls`` are today's addresses of the exporters."""

    def __init__(
        self,
        config: Config,
        history: History,
        runner: Runner,
        hostname: Callable[[], Awaitable[str]],
        urls: Mapping[str, str],
        rtmp_url: str,
        grid: Callable[[], GridPrices] = GridPrices,
    ) -> None:
        self._config = config
        self._history = history
        self._runner = runner
        self._hostname = hostname
        self._urls = urls
        self._rtmp_url = rtmp_url
        self._grid = grid

    async def at(self, moment: float) -> Snapshot:
        """Everything recorded at that moment (Unix seconds).

        Raises OutOfReach, and HistoryError if the history fails. Raises LookupError if a store holds several machines
        and none has this machine's name.
        """
        hostname = await self._hostname()
        reach = await self._history.reach()
        first, last = reach if reach is not None else (math.inf, -math.inf)
        if moment < first - ONE_READING_SECONDS or moment > max(last, time.time()):
            left = await asyncio.to_thread(self._left_of_a_run, moment)
            if left is not None:
                run, power, gpus = left
                read = power.time if power is not None else None
                recorded = Recorded(
                    first=run.started, last=run.ended or moment, sampled=read, interval_seconds=1.0, run=run.id
                )
                return self._composed(moment, recorded, power=power, machine=machine_power(power, gpus))
            if reach is None:
                raise OutOfReach("the history is empty: nothing has been recorded yet")
            raise OutOfReach(
                f"the history reaches from {_local(first)} to {_local(last)}, not to {_local(moment)}; "
                "history.retention says how long it is kept"
            )
        interval = await self._interval(moment)
        within, facts_within = INTERVALS * interval, INTERVALS * max(FACTS_SECONDS, interval)
        figures, facts = await asyncio.gather(
            self._history.recent(FIGURES, moment - within, moment),
            self._history.recent(FACTS, moment - facts_within, moment),
        )
        return self._snapshot(
            SampleIndex(figures, moment, within, hostname),
            SampleIndex(facts, moment, facts_within, hostname),
            Recorded(first=first, last=last, sampled=None, interval_seconds=interval),
            hostname,
        )

    async def _interval(self, moment: float) -> float:
        """The sampling interval at that time, which may differ from the current setting, or be a Prometheus
        server's."""
        seconds = INTERVALS * FACTS_SECONDS
        series = await self._history.recent((names.HOST_WATTS, names.CPU_BUSY), moment - seconds, moment)
        return spacing(series, self._config.history.interval_seconds)

    def _snapshot(self, moment: SampleIndex, facts: SampleIndex, recorded: Recorded, hostname: str) -> Snapshot:
        power = past_machine.power(moment, facts)
        return self._composed(
            moment.at,
            replace(recorded, sampled=moment.newest),
            power=power,
            machine=past_machine.machine(moment, power),
            power_use=past_machine.power_use(moment, facts),
            wall=past_machine.wall(moment),
            host=past_machine.host(moment, facts, hostname),
            containers=past_workloads.containers(moment, facts),
            engine=past_workloads.engine(moment, facts),
            workloads=past_workloads.workloads(moment, facts),
            streams=past_workloads.streams(moment, facts),
            rtmp_server=past_workloads.rtmp_server(moment, facts),
            gpus=past_workloads.gpus(moment, facts),
            exporters=past_machine.exporters(facts, self._urls),
        )

    def _composed(
        self, at: float, recorded: Recorded, *, power: PowerReading | None, machine: MachinePower | None, **parts: Any
    ) -> Snapshot:
        """A snapshot of the available parts, with the values that follow from them and the run in progress."""
        there = {name: parts.get(part) for name, part in _PARTS.items()} | {"power": power}
        prices = self._config.cost
        wall, known = parts.get("wall"), self._grid()
        cost = hourly_cost(machine, parts.get("host"), parts.get("gpus", ()), at, prices, wall, known)
        runs = (run_at(run, at) for run in self._runner.list())
        nothing: dict[str, Any] = {
            "host": None, "containers": (), "engine": None, "streams": (), "rtmp_server": None, "gpus": (),
            "exporters": (),
        }  # fmt: skip
        return Snapshot(
            time=at,
            version=__version__,
            power=power,
            run=next((run for run in runs if run is not None), None),
            probes=tuple(
                ProbeStatus(probe=name, state="ok" if part else "unread", reason="" if part else NOT_RECORDED)
                for name, part in there.items()
            ),
            currency=prices.currency,
            rtmp_url=self._rtmp_url,
            machine_power=machine,
            recorded=recorded,
            **cost.of_snapshot(len(parts.get("streams", ()))),
            **(nothing | parts),
        )

    def _left_of_a_run(self, moment: float) -> tuple[Run, PowerReading | None, tuple[Gpu, ...] | None] | None:
        """The run in progress at that moment whose folder has power samples, and its power then, None between windows.
        None if there is no such run. Blocks."""
        run = next((one for one in self._runner.list() if run_at(one, moment) is not None), None)
        if run is None:
            return None
        folder = runs_directory(Path(self._config.paths.state)) / run.id
        left = False
        for place, record in enumerate(run.finished, start=1):
            try:
                trail = read_trail(trail_file(folder, place))
            except (OSError, ValueError):
                continue
            left = left or bool(trail)
            power = power_at(trail, moment, record.power_source or "")
            if power is not None:
                return run, power, _gpus_then(folder, place)
        return (run, None, ()) if left else None


def _gpus_then(folder: Path, place: int) -> tuple[Gpu, ...] | None:
    """None if the window had GPUs: their power is no longer known, so neither is a sum with them."""
    try:
        kept = read_window(folder, place)
    except (OSError, ValueError):
        return None
    return None if kept is not None and kept.gpus else ()


_PARTS = {"host": "host", "containers": "engine", "workloads": "workloads", "streams": "rtmp_server", "gpu": "gpus"}
"""The part of a snapshot that exists if a source was read."""


def _local(unix_seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_seconds))
