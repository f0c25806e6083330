"""The managed media server: nginx with the RTMP module, for as long as the daemon runs.

Everything it needs is in one directory (configuration, log, pid, temporary files). It listens on loopback only, and
accepts publishers and players from this machine only. It is a child of the daemon: the kernel signals the master when
the daemon dies, and the master ends its worker. If it dies by itself it is restarted, and the state says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
from asyncio.subprocess import Process
from pathlib import Path
from typing import Literal

from wattview.config import Config
from wattview.daemon import children
from wattview.daemon.child_log import ChildLog
from wattview.daemon.media import nginx_config
from wattview.daemon.media.nginx_config import INSTALL, LOOPBACK, MediaServerError, application_of, port_of
from wattview.fetch import FetchError, Site
from wattview.model import Finding
from wattview.probes import SourceError, SourceRefused
from wattview.probes.streams.probe import RtmpServerProbe, is_local

log = logging.getLogger("wattview.media_server")

ServerState = Literal["stopped", "starting", "running", "restarting", "failed"]

READY_SECONDS = 10.0
RESTART_SECONDS = (0.5, 1.0, 2.0, 5.0, 15.0, 30.0)
SETTLED_SECONDS = 60.0
"""A server that ran this long is considered started: the next restart is without delay again."""


async def choose_server(config: Config, directory: Path) -> ManagedRtmp | None:
    """The server to start for ``streams.managed``, or None to use the configured one.

    ``auto`` starts one if the configured server would be on this machine, and no known server answers there.
    """
    streams = config.streams
    if streams.managed == "always":
        return ManagedRtmp(config, directory)
    another = streams.server not in ("auto", "nginx-rtmp")
    if streams.managed == "never" or another or not is_local(streams.nginx_rtmp_url):
        return None
    return None if await asyncio.to_thread(_is_there, config) else ManagedRtmp(config, directory)


def _is_there(config: Config) -> bool:
    """A server that refuses access exists too: its owner has said no."""
    probe = RtmpServerProbe(config)
    try:
        probe.read()
    except SourceError as error:
        return isinstance(error, SourceRefused)
    else:
        return True
    finally:
        probe.close()


class ManagedRtmp:
    """One managed media server. ``directory`` is created for its exclusive use.

    Ports and application come from ``streams.rtmp_url`` and ``streams.nginx_rtmp_url``; a port that is taken is
    replaced by a free one, which ``notes``, ``rtmp_url`` and ``stat_url`` reflect.
    """

    def __init__(self, config: Config, directory: Path) -> None:
        self._streams = config.streams
        self._directory = directory.absolute()
        self._process: Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._stat_port = self._rtmp_port = 0
        self._application = ""
        self.state: ServerState = "stopped"
        self.reason = ""
        self.fix = ""
        self.notes: tuple[str, ...] = ()

    @property
    def stat_url(self) -> str:
        return f"http://{LOOPBACK}:{self._stat_port}/stat"

    @property
    def rtmp_url(self) -> str:
        return f"rtmp://{LOOPBACK}:{self._rtmp_port}/{self._application}"

    @property
    def pid(self) -> int | None:
        """The pid of the master process, if it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def finding(self) -> Finding:
        """Its line in the doctor's list."""
        if self.state == "running":
            detail = f"the managed media server: push to {self.rtmp_url}"
            return Finding(source="media server", state="works", detail="; ".join((detail, *self.notes)))
        detail = f"the managed media server is {self.state}: {self.reason or 'it has not answered yet'}"
        return Finding(source="media server", state="broken", detail=detail, fix=self.fix)

    async def start(self) -> None:
        """Starts nginx and waits until its statistics page answers. Raises MediaServerError.

        Must be called from the main thread's event loop, like ``children.spawn``.
        """
        self.state, self.reason = "starting", ""
        try:
            self._application = application_of(self._streams.rtmp_url)
            await self._launch()
        except MediaServerError as error:
            self.state, self.reason, self.fix = "failed", error.reason, error.fix
            raise
        except BaseException:
            await self._end()
            self.state = "stopped"
            raise
        for note in self.notes:
            log.warning("%s", note)
        self.state = "running"
        self._watcher = asyncio.create_task(self._watch(), name="media-server")

    async def stop(self) -> None:
        """Ends nginx and waits for it. Connections are closed at once. Does nothing if none runs."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        await self._end()
        self.state, self.reason = "stopped", ""

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await children.stop(process)

    async def _launch(self, again: bool = False) -> None:
        """Starts one nginx and waits until it is ready. A port can be taken between its choice and nginx's own bind:
        then others are chosen.

        ``again`` keeps the ports, which publishers and readers already know.
        """
        module = await nginx_config.find_module(self._streams.nginx)
        for last in (again, again, True):
            if not again:
                self._choose_ports()
            self._write_configuration(module)
            try:
                errors = await asyncio.to_thread(ChildLog, self._directory / "error.log")
                self._process = await children.spawn(
                    [self._streams.nginx, "-p", str(self._directory), "-c", "nginx.conf"],
                    death_signal=signal.SIGTERM,
                    cwd=self._directory,
                    stderr=errors,
                )
            except OSError as error:
                raise MediaServerError(str(error), INSTALL) from None
            try:
                await self._until_ready(self._process)
                return
            except MediaServerError as error:
                await self._end()
                if last or "Address already in use" not in error.reason:
                    raise

    def _choose_ports(self) -> None:
        wanted = (
            ("RTMP", port_of(self._streams.rtmp_url, 1935)),
            ("statistics", port_of(self._streams.nginx_rtmp_url, 80)),
        )
        chosen: list[int] = []
        notes: list[str] = []
        for what, port in wanted:
            free = nginx_config.free_port(port, chosen)
            chosen.append(free)
            if port and free != port:
                notes.append(
                    f"port {port} is taken: the {what} port of the managed media server is {free} (to use the server "
                    "that is there, set streams.rtmp_url and streams.nginx_rtmp_url)"
                )
        self._rtmp_port, self._stat_port = chosen
        self.notes = tuple(notes)

    def _write_configuration(self, module: Path | None) -> None:
        try:
            for part in (self._directory, self._directory / "temp"):
                part.mkdir(mode=0o700, parents=True, exist_ok=True)
            text = nginx_config.configuration(self._application, self._rtmp_port, self._stat_port, module)
            (self._directory / "nginx.conf").write_text(text)
        except OSError as error:
            raise MediaServerError(
                f"{error.filename}: {error.strerror}", "set paths.state to a directory of yours"
            ) from None

    async def _until_ready(self, process: Process) -> None:
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        while not await _answers(self.stat_url, process.pid):
            if await children.ended(process, 0.03):
                await children.heard(process)
                raise MediaServerError(f"nginx ended with status {process.returncode}: {self._last_words()}")
            if asyncio.get_running_loop().time() > deadline:
                raise MediaServerError(f"nginx does not answer after {READY_SECONDS:g} s: {self._last_words()}")

    def _last_words(self) -> str:
        """The last serious line of nginx's log."""
        with contextlib.suppress(OSError):
            with (self._directory / "error.log").open("rb") as file:
                file.seek(max(file.seek(0, os.SEEK_END) - 16384, 0))
                lines = file.read().decode("utf-8", "replace").splitlines()
            serious = [line for line in lines if re.search(r"\[(emerg|alert|crit|error)\]", line)]
            if serious:
                return re.sub(r"^.*?\[\w+\] [\d#]*:? ?", "", serious[0] if "bind()" in serious[0] else serious[-1])
        return "its log is empty"

    async def _watch(self) -> None:
        """Restarts nginx when it ends, with increasing delays if it keeps ending."""
        attempt = 0
        loop = asyncio.get_running_loop()
        while self._process is not None:
            began = loop.time()
            await children.ended(self._process)
            # A killed master could not end its worker.
            status = await children.stop(self._process, patience_seconds=0.0)
            if loop.time() - began > SETTLED_SECONDS:
                attempt = 0
            self._note(f"nginx exited with status {status}: {self._last_words()}")
            while True:
                await asyncio.sleep(RESTART_SECONDS[min(attempt, len(RESTART_SECONDS) - 1)])
                attempt += 1
                try:
                    await self._launch(again=True)
                    break
                except MediaServerError as error:
                    self._note(error.reason)
            self.state, self.reason = "running", ""
            log.warning("the managed RTMP server runs again at %s", self.rtmp_url)

    def _note(self, reason: str) -> None:
        self.state, self.reason = "restarting", reason
        log.warning("the managed RTMP server: %s; starting it again", reason)


async def _answers(url: str, master: int) -> bool:
    """Whether the statistics page answers, from a worker of this master."""
    try:
        async with Site(url, seconds=1.0) as site:
            page = (await site.fetch()).body
    except FetchError:
        return False
    pid = re.search(rb"<pid>(\d{1,9})</pid>", page)
    with contextlib.suppress(ProcessLookupError):
        return pid is not None and os.getpgid(int(pid[1])) == master
    return False
