"""The daemon as a whole: what is started, in which order, and how it ends.

Everything that runs belongs to one ``Daemon``, is started in ``start`` and ended, in the opposite order, in ``stop``.
SIGTERM and SIGINT end it; SIGHUP reads the settings again and starts it anew with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import resource
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from wattview.config import Config, ConfigError
from wattview.daemon.api.app import make_api
from wattview.daemon.api.route import Parts
from wattview.daemon.api.snapshot import Snapshots
from wattview.daemon.attribution.attributor import Attributor
from wattview.daemon.events import EventLog, kept_events
from wattview.daemon.exporters.endpoints import EXPORTERS, Endpoints, exporter_url
from wattview.daemon.exporters.health import Health, Target
from wattview.daemon.history.backend import open_history
from wattview.daemon.history.recorder import Recorder
from wattview.daemon.history.replay import Past
from wattview.daemon.history.sqlite import SqliteHistory
from wattview.daemon.lab.runner import Runner
from wattview.daemon.listener import Listener, bind_tcp, bind_unix
from wattview.daemon.media.server import ManagedRtmp, MediaServerError, choose_server
from wattview.daemon.results import Results
from wattview.daemon.sampler import Sampler
from wattview.daemon.sd_notify import Supervisor
from wattview.gc_tuning import look_for_cycles_rarely

log = logging.getLogger("wattview.daemon")


class DaemonError(Exception):
    """The daemon cannot run here. The text is one line with the way out."""


class AlreadyRunning(DaemonError):
    """Another daemon has the control socket."""


class Daemon:
    """One daemon with one set of settings."""

    def __init__(self, config: Config, events: EventLog) -> None:
        self.config = config
        self._events = events
        self._runner: Runner | None = None
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Brings everything up. Raises DaemonError, and then nothing is left running."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def stop(self) -> None:
        await self._stack.aclose()

    def running_a_scenario(self) -> bool:
        run = self._runner.current if self._runner is not None else None
        return run is not None and run.state == "running"

    async def _start(self) -> None:
        stack = self._stack
        config = self.config
        state = Path(config.paths.state)
        _make_private(state)
        _make_private(Path(config.daemon.control_socket).parent)
        stack.callback(_take_lock(Path(config.daemon.control_socket)))

        server = await self._start_media_server(state)
        if server is not None and server.state == "running":
            config = replace(
                config, streams=replace(config.streams, nginx_rtmp_url=server.stat_url, rtmp_url=server.rtmp_url)
            )

        sampler = Sampler(config)
        stack.callback(sampler.close)
        sampler.start()

        history = open_history(config)
        stack.push_async_callback(history.close)

        async def mark() -> None:
            """The ends of a measured window, written by whoever keeps the history."""

        attributor = Attributor(config, sampler, lambda: self._runner)
        stack.push_async_callback(attributor.close)

        if isinstance(history, SqliteHistory):
            recorder = Recorder(sampler, history, attributor, config.history.interval_seconds)
            stack.push_async_callback(recorder.close)
            recorder.start()
            mark = recorder.mark

        async def live_rtmp_url() -> str | None:
            answers = await sampler.read_or_none("streams", max_age=2.0) is not None
            return config.streams.rtmp_url if answers else None

        results = Results(config, history)
        runner = Runner(
            config, rtmp_url=live_rtmp_url, mark=mark, power_source=sampler.power_source, state_dir=state,
            load=sampler.load, trail=sampler.power_trail,
        )  # fmt: skip
        stack.push_async_callback(runner.close)
        self._runner = runner

        sockets, targets = self._bind_exporters()
        health = Health([one for key, one in targets.items() if key != "health"], targets.get("health"))
        stack.push_async_callback(health.close)
        snapshots = Snapshots(config, sampler, attributor, health, runner, self._events, config.streams.rtmp_url)
        stopping = asyncio.Event()
        urls = {target.name: target.url for target in targets.values()}
        past = Past(config, history, runner, sampler.hostname, urls, config.streams.rtmp_url)
        parts = Parts(
            config, sampler, snapshots, past, history, runner, results, health, server, self._events, stopping
        )

        keys = {sock.getsockname()[1]: key for key, sock in sockets.items()}
        exporters = Endpoints(config, sampler, attributor, results, health, runner, keys)
        await self._listen(Listener(exporters, list(sockets.values())))
        await self._listen(Listener(make_api(parts), [self._bind_control_socket()]))
        if config.daemon.control_listen:
            token = read_token(Path(config.daemon.token_file))
            host, _, port = config.daemon.control_listen.rpartition(":")
            sock = _bind_control(host.strip("[]"), port)
            log.info("control API on %s:%d", *sock.getsockname()[:2])
            await self._listen(Listener(make_api(parts, token), [sock]))
        stack.callback(stopping.set)
        watching = asyncio.create_task(snapshots.watch(config.history.interval_seconds), name="events")
        stack.push_async_callback(_end_task, watching)
        log.info("ready: control socket %s", config.daemon.control_socket)

    async def _listen(self, listener: Listener) -> None:
        self._stack.push_async_callback(listener.stop)
        await listener.start()

    async def _start_media_server(self, state: Path) -> ManagedRtmp | None:
        """Our own nginx-rtmp where one is wanted and none answers; its state says whether it came up. Without one,
        scenarios encode and do not push."""
        server = await choose_server(self.config, state / "nginx-rtmp")
        if server is None:
            return None
        try:
            await server.start()
        except MediaServerError as error:
            log.warning("no media server: %s%s", error.reason, f"; {error.fix}" if error.fix else "")
            return server
        self._stack.push_async_callback(server.stop)
        log.info("media server: %s (statistics: %s)", server.rtmp_url, server.stat_url)
        return server

    def _bind_control_socket(self) -> socket.socket:
        path = Path(self.config.daemon.control_socket)
        try:
            sock = bind_unix(path)
        except FileExistsError as error:
            raise DaemonError(str(error)) from None
        except OSError as error:
            raise DaemonError(f"{path}: {error.strerror or error}; set daemon.control_socket") from None
        self._stack.callback(path.unlink, missing_ok=True)
        return sock

    def _bind_exporters(self) -> tuple[dict[str, socket.socket], dict[str, Target]]:
        """By key: the exporters' sockets, and where all that are enabled are. A taken port costs that exporter only."""
        host = self.config.daemon.listen
        sockets: dict[str, socket.socket] = {}
        targets: dict[str, Target] = {}
        for exporter in EXPORTERS:
            settings = getattr(self.config.endpoints, exporter.key)
            if not settings.enabled:
                continue
            problem = ""
            try:
                sockets[exporter.key] = bind_tcp(host, settings.port)
            except OSError as error:
                problem = _bind_problem(error, f"endpoints.{exporter.key}.port", settings.port)
                log.warning("%s is not served: %s", exporter.name, problem)
            port = sockets[exporter.key].getsockname()[1] if exporter.key in sockets else settings.port
            targets[exporter.key] = Target(exporter.name, exporter_url(host, port), problem)
        return sockets, targets


def read_token(path: Path) -> str:
    """The control API's token. It must be a secret: a file of others' reading is refused, and so is a short one."""
    try:
        mode = path.stat().st_mode
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise DaemonError(f"daemon.token_file {path}: {reason}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise DaemonError(f"daemon.token_file {path}: others may read it; run: chmod 600 {path}")
    if len(token) < 16:
        raise DaemonError(f"daemon.token_file {path}: a token has at least 16 characters; try: openssl rand -hex 32")
    return token


async def serve(load: Callable[[], Config], ready: Callable[[Daemon], None] | None = None) -> None:
    """Runs a daemon until SIGTERM or SIGINT; SIGHUP starts it anew with what ``load`` then returns.

    Settings that are wrong at a SIGHUP are logged and the daemon goes on with those it has.
    """
    _raise_file_limit()
    look_for_cycles_rarely()
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
    config = load()
    try:
        while not stop.is_set():
            daemon = Daemon(config, events)
            await daemon.start()
            supervisor.ready()
            if ready is not None:
                ready(daemon)
            try:
                config = await _until_changed(daemon, load, stop, reload, supervisor)
            finally:
                if stop.is_set():
                    supervisor.stopping()
                await daemon.stop()
    finally:
        alive.cancel()


async def _until_changed(
    daemon: Daemon, load: Callable[[], Config], stop: asyncio.Event, reload: asyncio.Event, supervisor: Supervisor
) -> Config:
    """Returns when the daemon is to stop, or is to start anew with the settings returned."""
    config = daemon.config
    while True:
        waiting = [asyncio.create_task(event.wait()) for event in (stop, reload)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        if stop.is_set():
            return config
        reload.clear()
        supervisor.reloading()
        try:
            changed = load()
        except ConfigError as error:
            log.error("SIGHUP: the settings are wrong and were not taken: %s", error)
            supervisor.ready(f"the settings are wrong and were not taken: {error}")
            continue
        if changed == config:
            log.info("SIGHUP: the settings have not changed")
            supervisor.ready()
            continue
        if daemon.running_a_scenario():
            log.info("SIGHUP: the new settings are taken when the run in progress has ended")
            supervisor.ready("new settings are taken when the run in progress has ended")
            while daemon.running_a_scenario() and not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.5)
            supervisor.reloading()
        log.info("SIGHUP: starting anew with the new settings")
        return changed


def _raise_file_limit() -> None:
    """Kernel files that are read again stay open, a dozen for each container: more than the usual soft limit of 1024.

    The hard limit is what the administrator allows; the soft one is only a default for programs that use select().
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _end_task(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise DaemonError(
            f"{directory} cannot be made: {error.strerror}; set paths.state or daemon.control_socket"
        ) from None


def _take_lock(control_socket: Path) -> Callable[[], None]:
    """Makes sure that one daemon has this control socket; the kernel lets go of the lock when the daemon dies.

    The file names the daemon's pid, as ``/health`` does: who finds both alike speaks to this daemon and to no other.
    """
    path = control_socket.with_name(control_socket.name + ".lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise DaemonError(f"{path}: {error.strerror}; set daemon.control_socket") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyRunning(f"a daemon already runs with {control_socket}; attach to it with: wattview tui") from None

    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return lambda: os.close(descriptor)


def _bind_control(host: str, port: str) -> socket.socket:
    try:
        return bind_tcp(host or "127.0.0.1", int(port))
    except ValueError:
        raise DaemonError(f"daemon.control_listen: expected host:port, got {host}:{port}") from None
    except OSError as error:
        raise DaemonError(f"daemon.control_listen: {_bind_problem(error, 'daemon.control_listen', port)}") from None


def _bind_problem(error: OSError, setting: str, port: int | str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by another program; stop it or set {setting}"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights; set {setting} to one above 1023"
    return f"cannot listen on port {port}: {error.strerror or error}"
