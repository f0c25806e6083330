"""The managed RTMP server: an nginx of our own with the RTMP module, for as long as the daemon runs.

It lives in one directory (configuration, log, pid, temporary files), listens on loopback only, and takes publishers
and players from this machine only. It is a child of the daemon: the kernel signals the master when the daemon dies
and the master takes its worker along. When it dies by itself it is started again, and the state says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import pwd
import re
import signal
import socket
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx

from wattview.config import Config
from wattview.daemon import children
from wattview.probes import SourceError, SourceRefused
from wattview.probes.rtmp_server import RtmpServerProbe, is_local

log = logging.getLogger("wattview.media_server")

ServerState = Literal["stopped", "starting", "running", "restarting", "failed"]

LOOPBACK = "127.0.0.1"
READY_SECONDS = 10.0
RESTART_SECONDS = (0.5, 1.0, 2.0, 5.0, 15.0, 30.0)
SETTLED_SECONDS = 60.0
"""A server that ran this long has started well: the next restart is quick again."""

_INSTALL = "sudo apt-get install nginx-light libnginx-mod-rtmp"
_MODULE = "ngx_rtmp_module.so"
_MODULE_DIRECTORIES = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")
_APPLICATION = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)


class MediaServerError(Exception):
    """The managed server cannot run. ``reason`` says why; ``fix`` is the way out, or ""."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


async def choose_server(config: Config, directory: Path) -> ManagedRtmp | None:
    """The server to start for ``streams.managed``, or None: use what the settings name.

    ``auto`` starts one where the server of the settings would be on this machine, and none that we know answers.
    """
    streams = config.streams
    if streams.managed == "always":
        return ManagedRtmp(config, directory)
    if streams.managed == "never" or streams.server in ("mediamtx", "srs") or not is_local(streams.nginx_rtmp_url):
        return None
    return None if await asyncio.to_thread(_is_there, config) else ManagedRtmp(config, directory)


def _is_there(config: Config) -> bool:
    """A server that may not be read is there too: its owner has said no."""
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
    """One private nginx-rtmp. ``directory`` is created, and is its own: nothing else may live there.

    Ports and application come from ``streams.rtmp_url`` and ``streams.nginx_rtmp_url``; a port that is taken is
    replaced by a free one, which ``notes`` tells and ``rtmp_url`` and ``stat_url`` carry.
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
        self.notes: tuple[str, ...] = ()

    @property
    def stat_url(self) -> str:
        return f"http://{LOOPBACK}:{self._stat_port}/stat"

    @property
    def rtmp_url(self) -> str:
        return f"rtmp://{LOOPBACK}:{self._rtmp_port}/{self._application}"

    @property
    def pid(self) -> int | None:
        """The master process, while there is one."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Starts nginx and waits until its statistics page answers. Raises MediaServerError.

        Must be called from the main thread's event loop, as ``children.spawn``.
        """
        self.state, self.reason = "starting", ""
        try:
            self._application = _application(self._streams.rtmp_url)
            await self._launch()
        except MediaServerError as error:
            self.state, self.reason = "failed", error.reason
            raise
        for note in self.notes:
            log.warning("%s", note)
        self.state = "running"
        self._watcher = asyncio.create_task(self._watch(), name="media-server")

    async def stop(self) -> None:
        """Ends nginx and waits for it. Connections are closed at once. Does nothing where none runs."""
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
            _kill_group(process)

    async def _launch(self, again: bool = False) -> None:
        """One nginx, ready. A port can be taken between its choice and nginx's own bind: then others are chosen.

        ``again`` keeps the ports, which publishers and readers know by now.
        """
        module = await _find_module(self._streams.nginx)
        for last in (again, again, True):
            if not again:
                self._choose_ports()
            self._write_configuration(module)
            try:
                with (self._directory / "error.log").open("wb") as errors:
                    self._process = await children.spawn(
                        [self._streams.nginx, "-p", str(self._directory), "-c", "nginx.conf"],
                        death_signal=signal.SIGTERM,
                        cwd=self._directory,
                        stderr=errors,
                    )
            except OSError as error:
                raise MediaServerError(str(error), _INSTALL) from None
            try:
                await self._until_ready(self._process)
                return
            except MediaServerError as error:
                await self._end()
                if last or "Address already in use" not in error.reason:
                    raise

    def _choose_ports(self) -> None:
        wanted = (
            ("RTMP", _port(self._streams.rtmp_url, 1935)),
            ("statistics", _port(self._streams.nginx_rtmp_url, 80)),
        )
        chosen: list[int] = []
        notes: list[str] = []
        for what, port in wanted:
            free = _free_port(port, chosen)
            chosen.append(free)
            if port and free != port:
                notes.append(f"port {port} is taken: the {what} port of the managed server is {free}")
        self._rtmp_port, self._stat_port = chosen
        self.notes = tuple(notes)

    def _write_configuration(self, module: Path | None) -> None:
        try:
            for part in (self._directory, self._directory / "temp"):
                part.mkdir(mode=0o700, parents=True, exist_ok=True)
            text = configuration(self._application, self._rtmp_port, self._stat_port, module)
            (self._directory / "nginx.conf").write_text(text)
        except OSError as error:
            raise MediaServerError(
                f"{error.filename}: {error.strerror}", "set paths.state to a directory of yours"
            ) from None

    async def _until_ready(self, process: Process) -> None:
        ended = asyncio.create_task(process.wait())
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        try:
            while not await _answers(self.stat_url):
                await asyncio.wait({ended}, timeout=0.03)
                if ended.done():
                    raise MediaServerError(f"nginx ended with status {ended.result()}: {self._last_words()}")
                if asyncio.get_running_loop().time() > deadline:
                    raise MediaServerError(f"nginx does not answer after {READY_SECONDS:g} s: {self._last_words()}")
        finally:
            ended.cancel()

    def _last_words(self) -> str:
        """The last serious line of nginx's log."""
        with contextlib.suppress(OSError):
            with (self._directory / "error.log").open("rb") as file:
                file.seek(max(file.seek(0, os.SEEK_END) - 16384, 0))
                lines = file.read().decode("utf-8", "replace").splitlines()
            serious = [line for line in lines if re.search(r"\[(emerg|alert|crit|error)\]", line)]
            if serious:
                return re.sub(r"^.*?\[\w+\] [\d#]*:? ?", "", serious[0] if "bind()" in serious[0] else serious[-1])
        return "its log says nothing"

    async def _watch(self) -> None:
        """Starts nginx again when it ends, ever more slowly where that does not help."""
        attempt = 0
        loop = asyncio.get_running_loop()
        while self._process is not None:
            began = loop.time()
            status = await self._process.wait()
            _kill_group(self._process)
            if loop.time() - began > SETTLED_SECONDS:
                attempt = 0
            self._note(f"nginx ended by itself with status {status}: {self._last_words()}")
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


def configuration(application: str, rtmp_port: int, stat_port: int, module: Path | None) -> str:
    """The text of nginx.conf. Paths in it are relative to the server's directory, so that no path can break it.

    Raises MediaServerError for an application name or a module path that cannot stand in such a file.
    """
    if not _APPLICATION.fullmatch(application):
        raise MediaServerError(
            f"{application!r} cannot be the name of an RTMP application",
            "set streams.rtmp_url to rtmp://host:port/NAME with letters, digits, _ . - in NAME",
        )
    load = "" if module is None else f"load_module {_quoted(str(module))};\n"
    return f"""\
# Written by WattView at each start: changes are lost.
{load}{_user()}daemon off;
worker_processes 1;
worker_shutdown_timeout 2s;
pid nginx.pid;
error_log stderr warn;
events {{
    worker_connections 1024;
}}
rtmp {{
    access_log off;
    server {{
        listen {LOOPBACK}:{rtmp_port};
        chunk_size 4096;
        max_message 16M;
        timeout 30s;
        ping 15s;
        ping_timeout 10s;
        application {application} {{
            live on;
            drop_idle_publisher 30s;
            allow publish {LOOPBACK};
            deny publish all;
            allow play {LOOPBACK};
            deny play all;
        }}
    }}
}}
http {{
    access_log off;
    server_tokens off;
    client_body_temp_path temp/body;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;
    server {{
        listen {LOOPBACK}:{stat_port};
        keepalive_timeout 10s;
        location = /stat {{
            rtmp_stat all;
        }}
        location / {{
            return 404;
        }}
    }}
}}
"""


def _quoted(text: str) -> str:
    """A text as one parameter of nginx's configuration language."""
    if any(ord(character) < 0x20 or character == "$" for character in text):
        raise MediaServerError(f"{text!r} cannot stand in an nginx configuration")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _user() -> str:
    """Where we are root, the worker is not: it runs as the account that this system has for web servers."""
    if os.geteuid() != 0:
        return ""
    for name in ("www-data", "nginx", "http", "nobody"):
        with contextlib.suppress(KeyError):
            group = grp.getgrgid(pwd.getpwnam(name).pw_gid).gr_name
            if _ACCOUNT.fullmatch(group):
                return f"user {name} {group};\n"
    return ""


async def _find_module(nginx: str) -> Path | None:
    """The RTMP module's file; None where it is compiled in. Raises MediaServerError where there is neither."""
    try:
        process = await children.spawn([nginx, "-V"], stderr=PIPE)
    except OSError as error:
        raise MediaServerError(str(error), _INSTALL) from None
    _, output = await process.communicate()
    build = output.decode("utf-8", "replace")
    if re.search(r"--add-module=\S*rtmp", build):
        return None
    named = re.search(r"--modules-path=(\S+)", build)
    for directory in ((named[1],) if named else ()) + _MODULE_DIRECTORIES:
        file = Path(directory) / _MODULE
        if file.is_file():
            return file
    raise MediaServerError("nginx has no RTMP module", _INSTALL)


async def _answers(url: str) -> bool:
    """Whether our statistics page is there."""
    try:
        async with httpx.AsyncClient(verify=False, timeout=1.0, trust_env=False) as client:  # noqa: S501 (plain HTTP)
            return b"<rtmp>" in (await client.get(url)).content
    except httpx.HTTPError:
        return False


def _application(url: str) -> str:
    """The application of ``rtmp://host:port/application``."""
    name = urlsplit(url).path.strip("/").partition("/")[0] or "live"
    configuration(name, 1, 1, None)
    return name


def _port(url: str, default: int) -> int:
    try:
        port = urlsplit(url).port
    except ValueError:
        raise MediaServerError(
            f"{url!r} has no usable port", "set streams.rtmp_url and streams.nginx_rtmp_url"
        ) from None
    return default if port is None else port


def _free_port(wanted: int, taken: list[int]) -> int:
    """``wanted`` where nobody listens there, else a free port. 0 always gives a free one."""
    for port in (wanted, 0):
        if port and port in taken:
            continue
        with socket.socket() as probe:
            # As nginx does: a port in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise MediaServerError(f"there is no free port on {LOOPBACK}")


def _kill_group(master: Process) -> None:
    """Ends a worker that outlived its master (one that was killed cannot take it along).

    The master began its own session, so its group is its pid and holds its workers only; a group that is empty is gone.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(master.pid, signal.SIGKILL)
