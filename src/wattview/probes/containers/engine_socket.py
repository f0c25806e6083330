"""Container engines that speak Docker's API, and their differences; the socket of one: permission, the process behind
it, and how to fix a refusal."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import socket
import struct
from collections.abc import Container, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from wattview.probes import SourceAbsent, SourceRefused


class EngineKind(NamedTuple):
    """One engine: its name, its service's program, and its systemd unit.

    ``mark`` occurs in the path of its socket, and ``answers`` is a header of its answers; both are "" for Docker, the
    default. ``listens`` occurs in the command line of a service started by systemd. ``has_containerd``: a separate
    daemon runs the containers. ``package`` installs it, and ``own_socket`` is where a user's own service listens, below
    ``/run/user``; "" if there is a shorter way.
    """

    name: str
    program: str
    unit: str
    listens: bytes
    mark: str = ""
    answers: str = ""
    has_containerd: bool = False
    package: str = ""
    own_socket: str = ""


ENGINES: tuple[EngineKind, ...] = (
    EngineKind(
        "Podman", "podman", "podman.socket", b"\0service", mark="podman", answers="Libpod-Api-Version",
        own_socket="podman/podman.sock",
    ),
    EngineKind("Docker", "dockerd", "docker", b"fd://", has_containerd=True, package="docker.io"),
)  # fmt: skip
"""The last one is the default."""


def engine_at(where: str) -> EngineKind:
    """The engine for a socket's path."""
    return next(kind for kind in ENGINES if kind.mark in where)


def engine_that_answers(headers: Container[str]) -> EngineKind:
    """The engine whose answers have these headers."""
    return next(kind for kind in ENGINES if not kind.answers or kind.answers in headers)


def engine_of_program(program: str) -> EngineKind:
    return next((kind for kind in ENGINES if kind.program == program), ENGINES[-1])


def peer(host: str, seconds: float) -> int | None:
    """The process that created the engine's socket (unix(7), SO_PEERCRED): the engine, or systemd on its behalf.

    None over TCP. Raises SourceAbsent or SourceRefused if the connection fails.
    """
    address = urlsplit(host)
    where = host.removeprefix("unix://")
    with explained(where):
        if address.scheme == "unix":
            with connected(where, seconds) as probe:
                credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            pid, _, _ = struct.unpack("3i", credentials)
            return int(pid) or None
        if address.scheme in ("tcp", "http", "https"):
            port = address.port or (2376 if address.scheme == "https" else 2375)
            socket.create_connection((address.hostname or "127.0.0.1", port), timeout=seconds).close()
    return None


def connected(where: str, seconds: float) -> socket.socket:
    """A connection to the engine's socket, each of whose calls takes no longer. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(seconds)
        connection.connect(where)
    except OSError:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """A connection that fails, as a SourceAbsent or SourceRefused."""
    try:
        yield
    except FileNotFoundError:
        raise SourceAbsent(f"no {engine_at(where).name} engine: {where} does not exist", absent_fix(where)) from None
    except PermissionError:
        raise SourceRefused(f"{where} may not be opened by this user", refused_fix(where)) from None
    except ConnectionRefusedError:
        raise SourceAbsent(f"no {engine_at(where).name} engine listens at {where}", _start(where)) from None


_ELSEWHERE = "or set docker.host (DOCKER_HOST) to the engine's address"


def absent_fix(where: str) -> str:
    """How to create a missing socket."""
    package = engine_at(where).package
    if not package or where.startswith("/run/user/"):
        return _start(where)
    return f"sudo apt-get install {package}, {_ELSEWHERE}"


def _start(where: str) -> str:
    """How to start an engine, as root's or as a user's own."""
    systemctl = "systemctl --user" if where.startswith("/run/user/") else "sudo systemctl"
    return f"{systemctl} start {engine_at(where).unit}, {_ELSEWHERE}"


def refused_fix(where: str) -> str:
    """How to get access to a socket, by its owner and group: join the group, or run as that user."""
    owner, group = _keepers(where)
    if group is not None:
        return f"sudo usermod -aG {group} {_user(os.geteuid())}, then log in again (or restart the service)"
    whose = f"only {owner} may open it: run WattView as {owner}"
    engine = engine_at(where)
    if engine.own_socket and owner == "root":
        own = f"unix:///run/user/{os.geteuid()}/{engine.own_socket}"
        return f"{whose}, or systemctl --user enable --now {engine.unit} and set docker.host={own}"
    return whose


def _keepers(where: str) -> tuple[str, str | None]:
    """The owner of a socket, or of a closed directory above it; and the group with access to the socket."""
    path = where = os.path.abspath(where)
    while True:
        with contextlib.suppress(PermissionError):
            status = os.stat(path)
            break
        # A closed directory admits only its owner, whatever the socket's mode.
        path = os.path.dirname(path)
    group = None
    if path == where and status.st_mode & 0o020 and status.st_gid != 0:
        with contextlib.suppress(KeyError):
            group = grp.getgrgid(status.st_gid).gr_name
    return _user(status.st_uid), group


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user {uid}"
