"""Snapshots of the past, made anew from the history: what the dashboard shows when it travels back in time.

A few questions to the history for one moment, whatever the number of series; the analyses make readings of the answers.
What was not recorded is not there, and nothing is carried on from an earlier moment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from wattview import __version__
from wattview.analysis import past_machine, past_workloads
from wattview.analysis import series as names
from wattview.analysis.attribution_metrics import KEPT
from wattview.analysis.hourly import hourly_cost
from wattview.analysis.moment import ONE_READING_SECONDS, Moment, spacing
from wattview.analysis.past_run import run_at
from wattview.config import Config
from wattview.daemon.history import History
from wattview.daemon.lab.runner import Runner
from wattview.daemon.recorder import FACTS_SECONDS
from wattview.model import ProbeStatus, Recorded, Snapshot
from wattview.probes.registry import REGISTRY

FIGURES = (
    *sorted({name for entry in REGISTRY for view in entry.views for name in view.keep}),
    *sorted(KEPT),
    names.HOST_PEAK_WATTS,
)
FACTS = (*sorted({name for entry in REGISTRY for view in entry.views for name in view.facts}), *past_machine.HEALTH)

INTERVALS = 2.5
"""A figure older than so many of the history's intervals is not one of this moment."""

NOT_RECORDED = "nothing of it was recorded at this moment"


class OutOfReach(LookupError):
    """The history does not reach to that moment. The text says from when to when it does."""


class Past:
    """Makes snapshots of the past. ``hostname`` gives this machine's name, ``urls`` the exporters' addresses today."""

    def __init__(
        self,
        config: Config,
        history: History,
        runner: Runner,
        hostname: Callable[[], Awaitable[str]],
        urls: Mapping[str, str],
        rtmp_url: str,
    ) -> None:
        self._config = config
        self._history = history
        self._runner = runner
        self._hostname = hostname
        self._urls = urls
        self._rtmp_url = rtmp_url

    async def at(self, moment: float) -> Snapshot:
        """Everything that was recorded of that moment (Unix seconds).

        Raises OutOfReach, and HistoryError where the history does not answer. Raises LookupError where a store holds
        several machines and does not know this one by its name.
        """
        reach = await self._history.reach()
        if reach is None:
            raise OutOfReach("the history is empty: nothing has been recorded yet")
        first, last = reach
        if not first - ONE_READING_SECONDS <= moment <= max(last, time.time()):
            raise OutOfReach(f"the history reaches from {_local(first)} to {_local(last)}, not to {_local(moment)}")
        hostname = await self._hostname()
        interval = await self._interval(moment)
        within, facts_within = INTERVALS * interval, INTERVALS * max(FACTS_SECONDS, interval)
        figures, facts = await asyncio.gather(
            self._history.recent(FIGURES, moment - within, moment),
            self._history.recent(FACTS, moment - facts_within, moment),
        )
        return self._snapshot(
            Moment(figures, moment, within, hostname),
            Moment(facts, moment, facts_within, hostname),
            Recorded(first=first, last=last, sampled=None, interval_seconds=interval),
            hostname,
        )

    async def _interval(self, moment: float) -> float:
        """How far apart samples are at that time: the setting may have been another one, or a Prometheus' own."""
        seconds = INTERVALS * FACTS_SECONDS
        series = await self._history.recent((names.HOST_WATTS, names.CPU_BUSY), moment - seconds, moment)
        return spacing(series, self._config.history.interval_seconds)

    def _snapshot(self, moment: Moment, facts: Moment, recorded: Recorded, hostname: str) -> Snapshot:
        power, host = past_machine.power(moment, facts), past_machine.host(moment, facts, hostname)
        engine, server = past_workloads.engine(moment, facts), past_workloads.rtmp_server(moment, facts)
        gpus = past_workloads.gpus(moment, facts)
        there = {"power": power, "host": host, "containers": engine, "streams": server, "gpu": gpus}
        prices = self._config.cost
        cost = hourly_cost(power, host, gpus, moment.at, prices)
        runs = (run_at(run, moment.at) for run in self._runner.list())
        return Snapshot(
            time=moment.at,
            version=__version__,
            host=host,
            power=power,
            containers=past_workloads.containers(moment, facts),
            engine=engine,
            streams=past_workloads.streams(moment, facts),
            rtmp_server=server,
            gpus=gpus,
            exporters=past_machine.exporters(facts, self._urls),
            run=next((run for run in runs if run is not None), None),
            probes=tuple(
                ProbeStatus(probe=name, state="ok" if part else "unread", reason="" if part else NOT_RECORDED)
                for name, part in there.items()
            ),
            cost_per_hour=cost.total,
            energy_cost_per_hour=cost.energy,
            compute_cost_per_hour=cost.compute,
            carbon_grams_per_hour=cost.carbon_grams,
            currency=prices.currency,
            rtmp_url=self._rtmp_url,
            power_use=past_machine.power_use(moment, facts),
            recorded=Recorded(
                first=recorded.first,
                last=recorded.last,
                sampled=moment.newest,
                interval_seconds=recorded.interval_seconds,
            ),
        )


def _local(unix_seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_seconds))
