"""The daemon as a whole: start-up order, reload and shutdown.

Everything that runs belongs to one ``Daemon``; ``start`` starts it, ``stop`` ends it in reverse order. SIGTERM and
SIGINT end the daemon; SIGHUP reloads the settings and restarts it with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from wattview.config import Config, ConfigError
from wattview.daemon import process_limits, storage
from wattview.daemon.api.app import make_api, problem_answer
from wattview.daemon.api.route import Parts
from wattview.daemon.api.snapshot import Snapshots
from wattview.daemon.attribution.attributor import Attributor
from wattview.daemon.attribution.publishers.remote_server import RemotePushes
from wattview.daemon.attribution.workload_processes import ProcessWatch
from wattview.daemon.events import EventLog, kept_events
from wattview.daemon.exporters.check import ExporterTarget
from wattview.daemon.exporters.ended_containers import EndedContainers
from wattview.daemon.exporters.endpoints import Endpoints, enabled, exporter_url
from wattview.daemon.exporters.health import Health
from wattview.daemon.exporters.scrape import Shown
from wattview.daemon.grid.grid_store import GridStore
from wattview.daemon.history.backend import open_history
from wattview.daemon.history.recorder import Recorder
from wattview.daemon.history.replay import Past
from wattview.daemon.history.sqlite import SqliteHistory
from wattview.daemon.http.addresses import Addresses, ListenError
from wattview.daemon.http.guard import Guard, Turns
from wattview.daemon.lab.encoding import destination
from wattview.daemon.lab.recording import parts_of
from wattview.daemon.lab.run_journal import runs_directory
from wattview.daemon.lab.runner import Runner
from wattview.daemon.lab.window_readings import window_readings
from wattview.daemon.lab.window_trail import Meters
from wattview.daemon.media.nginx_config import MediaServerError
from wattview.daemon.media.server import ManagedRtmp, choose_server
from wattview.daemon.results import Results
from wattview.daemon.sampler import Sampler, until_tick
from wattview.daemon.sd_notify import Supervisor
from wattview.daemon.state_directory import StateError
from wattview.daemon.wall import calibration_file
from wattview.daemon.wall.calibrated_estimate import with_calibrated_estimate
from wattview.daemon.wall.identity import machine_model
from wattview.daemon.wall.wall import Wall
from wattview.gc_tuning import OF_A_SCRAPE, begin, forget

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from wattview.daemon.http.listener import Listener

log = logging.getLogger("wattview.daemon")

SWITCH_SECONDS = 0.0005
"""A tenth of Python's default. A thread that parses what a peer makes endless keeps the interpreter's lock for so long
at each of the event loop's system calls, of which a scrape makes hundreds."""

GIVE_BACK_SECONDS = 300.0
"""How often free memory is returned: after hours of ten exporters nearly half of the heap was free, in pieces."""

KEEP_SECONDS = 5.0
"""How often it is checked that the state directory and the control socket are still there."""


class Daemon:
    """One daemon with one set of settings."""

    def __init__(self, config: Config, events: EventLog, addresses: Addresses) -> None:
        self.config = config
        self.addresses = addresses
        self._events = events
        self._runner: Runner | None = None
        self._stack = contextlib.AsyncExitStack()
        self._for_good = False

    async def start(self) -> None:
        """Starts everything. After an exception everything is stopped again."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def stop(self, *, for_good: bool) -> None:
        """Keeps the addresses open if another daemon is to take them over."""
        self._for_good = for_good
        await self._stack.aclose()

    async def _stop_serving(self, health: Health) -> None:
        if self._for_good:
            await self.addresses.close()
            return
        self.addresses.hold()
        await health.close()  # it waits for exporters, which wait by now
        await self.addresses.settle()

    def running_a_scenario(self) -> bool:
        run = self._runner.current if self._runner is not None else None
        return run is not None and run.state == "running"

    async def _start(self) -> None:
        stack = self._stack
        config = self.config
        state = Path(config.paths.state)
        assert self.addresses.state is not None
        self.addresses.state.tell(Path(config.daemon.control_socket))

        server = await self._start_media_server(state)
        if server is not None and server.state == "running":
            config = replace(
                config, streams=replace(config.streams, nginx_rtmp_url=server.stat_url, rtmp_url=server.rtmp_url)
            )
        elif server is not None:
            config = replace(config, streams=replace(config.streams, rtmp_url=""))
        own = ", WattView's own server" if server is not None else ""
        pushes_to = f"{destination.server(config.streams.rtmp_url).shown}{own}" if config.streams.rtmp_url else ""

        calibration = calibration_file.load(state)
        config = with_calibrated_estimate(config, calibration)
        sampler = Sampler(config)
        stack.callback(sampler.close)
        sampler.start()

        history = open_history(config)
        stack.push_async_callback(history.close)

        async def mark() -> None:
            """Records the ends of a measured window in the history."""

        here = machine_model(config.paths.procfs, config.paths.sysfs)
        wall = Wall(state, here, calibration, sampler.gpu_models, 3 * config.history.interval_seconds)
        attributor = Attributor(config, sampler, lambda: self._runner, wall.take)
        stack.push_async_callback(attributor.close)

        if isinstance(history, SqliteHistory):
            recorder = Recorder(sampler, history, attributor, wall, config.history.interval_seconds)
            stack.push_async_callback(recorder.close)
            recorder.start()
            mark = recorder.mark

        async def live_rtmp_url() -> str | None:
            answers = await sampler.read_or_none("streams", max_age=2.0) is not None
            return config.streams.rtmp_url or None if answers else None

        grid = GridStore(config)
        stack.push_async_callback(grid.close)
        await grid.start()
        results = Results(config, history, grid.known)
        kept = {
            "results": (Path(config.paths.results), "paths.results"),
            "runs": (runs_directory(state), "paths.state"),
        }
        watching_disks = asyncio.create_task(storage.watch(kept), name="storage")
        stack.push_async_callback(_end_task, watching_disks)
        runner = Runner(
            config, rtmp_url=live_rtmp_url, mark=mark, power_source=sampler.power_source, state_dir=state,
            load=sampler.load, pushes_to=pushes_to, parts=partial(parts_of, history),
            meters=Meters(
                sampler.power_trail, sampler.power_sample, partial(window_readings, sampler, attributor, wall)
            ),
        )  # fmt: skip
        stack.push_async_callback(runner.close)
        self._runner = runner

        targets = self._targets()
        health = Health([one for key, one in targets.items() if key != "health"], targets.get("health"))
        stack.push_async_callback(health.close)
        snapshots = Snapshots(
            config, sampler, attributor, health, runner, self._events, config.streams.rtmp_url, wall, grid.known
        )
        stopping = asyncio.Event()
        urls = {target.name: target.url for target in targets.values()}
        past = Past(config, history, runner, sampler.hostname, urls, config.streams.rtmp_url, grid.known)
        processes = ProcessWatch(config, sampler, attributor)
        parts = Parts(
            config,
            self.config,
            sampler,
            snapshots,
            past,
            history,
            runner,
            results,
            health,
            server,
            self._events,
            stopping,
            wall,
            processes,
            RemotePushes(config, sampler, processes),
            grid,
        )
        keys = {_port(listener): key for key, listener in self.addresses.exporters.items()}
        shown = Shown(config, sampler, attributor, results, health, runner, EndedContainers(), wall, grid.known)
        exporters = Endpoints(shown, keys)
        if self.addresses.web is not None:
            health.ask_within(exporters)
        stack.push_async_callback(self._stop_serving, health)
        self._serve(exporters, make_api(parts))
        stack.callback(stopping.set)
        store = asyncio.create_task(sampler.look_after("history"), name="store")
        stack.push_async_callback(_end_task, store)
        watching = asyncio.create_task(snapshots.watch(config.history.interval_seconds), name="events")
        stack.push_async_callback(_end_task, watching)
        log.info("ready: control socket %s", config.daemon.control_socket)

    def _serve(self, exporters: ASGIApp, api: ASGIApp) -> None:
        addresses = self.addresses
        addresses.take_limits()
        answering: ASGIApp = Turns(exporters, self.config.daemon.max_requests)
        if addresses.web is not None:
            answering = Guard(answering, addresses.web)
        for listener in addresses.exporters.values():
            listener.serve(answering, addresses.web)
        assert addresses.control is not None
        addresses.control.serve(api)
        if addresses.remote is not None:
            remote = Guard(api, addresses.web, lambda: addresses.token, problem_answer)
            addresses.remote.serve(remote, addresses.web)
            log.info("control API on %s:%d", *addresses.remote.sock.getsockname()[:2])

    async def _start_media_server(self, state: Path) -> ManagedRtmp | None:
        """Starts the managed media server if it is needed and no server answers; its state says whether it started.
        Without one, scenarios encode but do not push."""
        server = await choose_server(self.config, state / "nginx-rtmp")
        if server is None:
            return None
        try:
            await server.start()
        except MediaServerError as error:
            log.warning("no media server: %s", error)
            return server
        self._stack.push_async_callback(server.stop)
        log.info("media server: %s (statistics: %s)", server.rtmp_url, server.stat_url)
        return server

    def _targets(self) -> dict[str, ExporterTarget]:
        """By key: the addresses of the exporters of these settings."""
        addresses = self.addresses
        encrypted = addresses.web is not None and addresses.web.encrypted
        found: dict[str, ExporterTarget] = {}
        taken: list[str] = []
        for exporter, port in enabled(self.config):
            key, problem = exporter.key, addresses.problems.get(exporter.key, "")
            if key in addresses.taken:
                taken.append(f"{exporter.name} (endpoints.{key}.port = {port})")
            elif problem:
                log.warning("%s is not served: %s", exporter.name, problem)
            else:
                port = _port(addresses.exporters[key])
            url = exporter_url(self.config.daemon.listen, port, encrypted=encrypted and not problem)
            is_taken, pid = key in addresses.taken, os.getpid()
            found[key] = ExporterTarget(exporter.name, url, key, problem, is_taken, exporter.expected, pid)
        if taken:
            log.warning("not served, as another program has the port: %s; wattview check shows which", ", ".join(taken))
        return found


async def serve(load: Callable[[], Config], ready: Callable[[Daemon], None] | None = None) -> None:
    """Runs a daemon until SIGTERM or SIGINT; SIGHUP restarts it with what ``load`` then returns.

    Invalid settings at a SIGHUP are logged, and the daemon continues with the previous ones.
    """
    process_limits.raise_file_limit()
    asyncio.get_running_loop().set_default_executor(process_limits.workers())
    begin(OF_A_SCRAPE)
    sys.setswitchinterval(SWITCH_SECONDS)
    with kept_events() as events:
        await _serve(load, events, ready)


async def _serve(load: Callable[[], Config], events: EventLog, ready: Callable[[Daemon], None] | None) -> None:
    loop = asyncio.get_running_loop()
    stop, reload = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    supervisor = Supervisor()
    alive = asyncio.create_task(supervisor.keep_alive(), name="watchdog")
    tidying = asyncio.create_task(_keep_forgetting(), name="memory")
    config, before = load(), None
    addresses = await _addresses(config)
    try:
        while not stop.is_set():
            daemon = Daemon(config, events, addresses)
            try:
                await daemon.start()
            except Exception as error:
                if before is None:
                    raise
                log.error("SIGHUP: the new settings cannot be applied, and the previous ones stay in force: %s", error)
                await addresses.close(but=before.addresses)
                config, addresses, before = before.config, before.addresses, None
                continue
            if before is not None:
                await before.addresses.close(but=addresses)
            supervisor.ready()
            if ready is not None:
                ready(daemon)
            try:
                before = daemon
                config, addresses = await _until_changed(daemon, load, stop, reload, supervisor)
            finally:
                if stop.is_set():
                    supervisor.stopping()
                await daemon.stop(for_good=stop.is_set())
    finally:
        alive.cancel()
        tidying.cancel()
        await addresses.close()


async def _until_changed(
    daemon: Daemon, load: Callable[[], Config], stop: asyncio.Event, reload: asyncio.Event, supervisor: Supervisor
) -> tuple[Config, Addresses]:
    """Returns when the daemon is to stop, or to restart with the returned settings and addresses."""
    while True:
        waiting = [asyncio.create_task(event.wait()) for event in (stop, reload)]
        keeping = asyncio.create_task(_keep(daemon.addresses), name="addresses")
        await asyncio.wait([*waiting, keeping], return_when=asyncio.FIRST_COMPLETED)
        for task in (*waiting, keeping):
            task.cancel()
        if keeping.done():
            stop.set()
            await keeping
        if stop.is_set():
            return daemon.config, daemon.addresses
        reload.clear()
        supervisor.reloading()
        try:
            changed = load()
            addresses = await _addresses(changed, daemon.addresses)
        except (ConfigError, ListenError, StateError) as error:
            log.error("SIGHUP: the settings are invalid and were not applied: %s", error)
            supervisor.ready(f"the settings are invalid and were not applied: {error}")
            continue
        if changed == daemon.config:
            daemon.addresses.token = addresses.token
            await addresses.close(but=daemon.addresses)
            log.info("SIGHUP: the settings have not changed")
            supervisor.ready()
            continue
        if daemon.running_a_scenario():
            await addresses.close(but=daemon.addresses)
            log.info("SIGHUP: the new settings will be applied when the active run has ended")
            supervisor.ready("new settings will be applied when the active run has ended")
            while daemon.running_a_scenario() and not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.5)
            reload.set()  # what was valid may have changed meanwhile
            continue
        log.info("SIGHUP: restarting with the new settings")
        return changed, addresses


async def _addresses(config: Config, before: Addresses | None = None) -> Addresses:
    """Raises ListenError, StateError and ConfigError."""
    return await Addresses.of(config, {exporter.key: port for exporter, port in enabled(config)}, before)


def _port(listener: Listener) -> int:
    port: int = listener.sock.getsockname()[1]
    return port


async def _keep(addresses: Addresses) -> None:
    """Until another daemon has taken the state directory: raises StateTaken."""
    while True:
        await asyncio.sleep(until_tick(KEEP_SECONDS))
        await asyncio.shield(addresses.keep())  # a reload must not end it half-way


async def _keep_forgetting() -> None:
    while True:
        await asyncio.sleep(GIVE_BACK_SECONDS)
        forget()


async def _end_task(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
