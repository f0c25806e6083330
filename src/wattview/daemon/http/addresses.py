"""Everything that only one daemon can have: the exporters' ports, the control socket, the control port and the state
directory.

``Addresses.of`` takes all that is configured, or nothing. On a reload it receives the previous ones: addresses in both
keep their sockets and connections, so that no scrape is refused, and nothing is closed until the new ones serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import socket
import stat
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Self

from wattview import whole_file
from wattview.config import Config
from wattview.daemon.http.listener import Listener, Pool, bind_tcp, bind_unix
from wattview.daemon.http.web_config import WebConfigFile
from wattview.daemon.state_directory import StateError, StateLock, StateTaken, is_open
from wattview.decoding import Explained

log = logging.getLogger("wattview.daemon")

EXPORTER_CONNECTIONS = 2048
CONTROL_CONNECTIONS = 256
TLS_CONNECTIONS = 256
"""asyncio keeps a buffer of 256 KiB for each."""

TOKEN_CHARACTERS = 16


class ListenError(Explained):
    """An address cannot be listened on. The text names the setting, the reason and how to fix it."""


class Addresses:
    """The listeners of one configuration. ``exporters`` are by their keys; ``problems`` says why the others are not
    served, and ``taken`` are those whose port belongs to another process; ``token`` is the control port's, ``web`` the
    web configuration for TCP, and ``state`` the lock of the state directory."""

    def __init__(self, before: Addresses | None) -> None:
        self.exporters: dict[str, Listener] = {}
        self.problems: dict[str, str] = {}
        self.taken: set[str] = set()
        self.control: Listener | None = None
        self.remote: Listener | None = None
        self.token = ""
        self.web: WebConfigFile | None = None
        self.state: StateLock | None = None
        self._pools: tuple[Pool, Pool] = (
            before._pools if before else (Pool(EXPORTER_CONNECTIONS), Pool(CONTROL_CONNECTIONS))
        )
        self._before: dict[Hashable, Listener] = before._listeners if before else {}
        self._failed_before = before._failed if before else set()
        self._failed: set[Hashable] = set()
        self._listeners: dict[Hashable, Listener] = {}
        self._locks_before: Mapping[Path, int] = before._locks if before else {}
        self._locks: dict[Path, int] = {}
        self._control_file: os.stat_result | None = before._control_file if before else None
        self._said = ""

    @classmethod
    async def of(cls, config: Config, exporters: Mapping[str, int], before: Self | None = None) -> Self:
        """``exporters`` are the ports to serve, by key. Raises ListenError, StateError and ConfigError without changing
        anything.

        A port that is taken when the daemon starts costs only that exporter. On a reload it is an error.
        """
        addresses = cls(before)
        settings = config.daemon
        try:
            if settings.web_config_file:
                addresses.web = WebConfigFile(Path(settings.web_config_file))
            addresses.control = addresses._control_listener(Path(settings.control_socket))
            if settings.control_listen:
                addresses.token = read_token(Path(settings.token_file))
                addresses.remote = addresses._remote_listener(*settings.control_address)
            for key, port in exporters.items():
                addresses._add_exporter(key, settings.listen, port, strict=before is not None)
            state = Path(config.paths.state)
            kept = before is not None and before.state is not None and before.state.directory == state
            addresses.state = before.state if before and kept else StateLock(state, Path(settings.control_socket))
        except BaseException:
            await addresses.close(before)
            raise
        return addresses

    def take_limits(self) -> None:
        """Applies the limits of this configuration, once these addresses serve."""
        for pool, most in zip(self._pools, (EXPORTER_CONNECTIONS, CONTROL_CONNECTIONS), strict=True):
            pool.most = min(most, TLS_CONNECTIONS) if self.web is not None and self.web.encrypted else most

    async def keep(self) -> None:
        """Takes the state directory and the control socket again if they were removed. Raises StateTaken."""
        problem = ""
        try:
            if self.state is not None and await asyncio.to_thread(self.state.keep):
                log.error("%s or its lock was removed or replaced: it is locked again", self.state.directory)
            for path in list(self._locks):
                if (sock := await asyncio.to_thread(self._made_again, path)) is not None and self.control is not None:
                    self.control.move(sock)
                    log.warning("the control socket %s was removed: it has been made again", path)
        except StateTaken:
            raise
        except (StateError, ListenError, OSError) as error:
            problem = str(error)
        if problem and problem != self._said:
            log.error("the state directory or the control socket cannot be made again: %s", problem)
        self._said = problem

    def _made_again(self, path: Path) -> socket.socket | None:
        """A new control socket in place of one that was removed, and its lock. Blocks; raises ListenError, OSError."""
        lock = self._locks[path]
        if not is_open(_lock_of(path), lock):
            self._locks[path] = _take_lock(path)
            os.close(lock)
        if _is_file(path, self._control_file):
            return None
        sock = bind_unix(path)
        self._control_file = path.stat()
        return sock

    def hold(self) -> None:
        """Queues new requests."""
        for listener in self._listeners.values():
            listener.hold()

    async def settle(self) -> None:
        """Waits for the answers in progress."""
        await asyncio.gather(*(listener.settle() for listener in self._listeners.values()))

    async def close(self, but: Addresses | None = None) -> None:
        """Closes the listeners that ``others`` does not share."""
        kept = set(but._listeners.values()) if but else set()
        await asyncio.gather(*(one.close() for one in self._listeners.values() if one not in kept))
        for path in self._locks.keys() - (but._locks.keys() if but else set()):
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(self._locks.pop(path))
        if self.state is not None and (but is None or self.state is not but.state):
            self.state.close()

    def _listener(self, name: Hashable, pool: Pool, bind: Callable[[], socket.socket]) -> Listener:
        """The previous listener, or a new one. Raises OSError."""
        self._listeners[name] = self._before.get(name) or Listener(bind(), pool)
        return self._listeners[name]

    def _control_listener(self, path: Path) -> Listener:
        held = self._locks_before.get(path)
        self._locks[path] = _take_lock(path) if held is None else held
        try:
            listener = self._listener(path, self._pools[1], lambda: bind_unix(path))
            if path not in self._before:
                self._control_file = path.stat()
            return listener
        except FileExistsError as error:
            os.close(self._locks.pop(path))  # and leave the obstacle alone
            raise ListenError(str(error)) from None
        except OSError as error:
            raise ListenError(f"{path}: {error.strerror or error}; set daemon.control_socket") from None

    def _remote_listener(self, host: str, port: int) -> Listener:
        try:
            return self._listener(("control", host, port), self._pools[1], lambda: bind_tcp(host, port))
        except OSError as error:
            setting = "daemon.control_listen"
            raise ListenError(f"{setting}: {_problem(error, setting, host, port)}") from None

    def _add_exporter(self, key: str, host: str, port: int, *, strict: bool) -> None:
        name, setting = (key, host, port), f"endpoints.{key}.port"
        try:
            self.exporters[key] = self._listener(name, self._pools[0], lambda: bind_tcp(host, port))
        except OSError as error:
            if _is_no_address(error):
                raise ListenError(f"daemon.listen: {_problem(error, 'daemon.listen', host, port)}") from None
            self.problems[key] = _problem(error, setting, host, port)
            if error.errno == errno.EADDRINUSE:
                self.taken.add(key)
            self._failed.add(name)
            if strict and name not in self._failed_before:
                raise ListenError(f"{setting}: {self.problems[key]}") from None


def listen_problem(setting: str, host: str, port: int) -> tuple[str, bool]:
    """Why a port cannot be listened on ("" if it can); and whether another process has it."""
    try:
        bind_tcp(host, port).close()
    except OSError as error:
        return _problem(error, setting, host, port), error.errno == errno.EADDRINUSE
    return "", False


def read_token(path: Path) -> str:
    """The control API's token. It must be secret and long: a file that others can read is refused.

    Raises ListenError.
    """
    how = "make one with: (umask 077; openssl rand -hex 32 >FILE)"
    try:
        token = whole_file.read(path, 65536).decode("ascii").strip()
        mode = path.stat().st_mode
    except OSError as error:
        raise ListenError(f"daemon.token_file {path}: {error.strerror}; {how}") from None
    except UnicodeDecodeError:
        raise ListenError(f"daemon.token_file {path}: it is not ASCII; {how}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ListenError(f"daemon.token_file {path}: others may read it; run: chmod 600 {path}")
    if len(token) < TOKEN_CHARACTERS or not token.isprintable():
        raise ListenError(
            f"daemon.token_file {path}: a token is one line of at least {TOKEN_CHARACTERS} characters; {how}"
        )
    return token


def _take_lock(control_socket: Path) -> int:
    """Ensures that one daemon has this control socket; the kernel releases the lock when the daemon dies.

    The file contains the daemon's pid, as does ``/health``: if both match, the client speaks to this daemon.
    """
    try:
        control_socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ListenError(
            f"{control_socket.parent} cannot be made: {error.strerror}; set daemon.control_socket"
        ) from None
    path = _lock_of(control_socket)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ListenError(f"{path}: {error.strerror}; set daemon.control_socket") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise ListenError(
            f"a daemon already runs with {control_socket} (process {pid}); attach to it with: wattview tui; "
            "or give this one another with --set daemon.control_socket=PATH"
        ) from None
    with contextlib.suppress(OSError):  # a full disk
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _lock_of(control_socket: Path) -> Path:
    return control_socket.with_name(control_socket.name + ".lock")


def _is_file(path: Path, known: os.stat_result | None) -> bool:
    """Whether the file that is known is the one that is there now."""
    try:
        return known is not None and os.path.samestat(path.lstat(), known)
    except OSError:
        return False


def _is_no_address(error: OSError) -> bool:
    return isinstance(error, socket.gaierror) or error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def _problem(error: OSError, setting: str, host: str, port: int) -> str:
    if _is_no_address(error):
        return f"{host} is not an address of this machine; set {setting} to one that `ip address` shows"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by another program; stop it or set {setting}"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights; set {setting} to one above 1023"
    return f"cannot listen on port {port}: {error.strerror or error}"
