"""The engine's socket: whether it may be opened, which process is behind it, and what helps where it is refused."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import socket
import struct
from urllib.parse import urlsplit

from wattview.probes import SourceAbsent, SourceRefused


def peer(host: str, seconds: float) -> int | None:
    """The process that made the engine's socket (unix(7), SO_PEERCRED): the engine, or systemd on its behalf.

    None over TCP. Raises SourceAbsent or SourceRefused where nobody can be reached.
    """
    address = urlsplit(host)
    where = host.removeprefix("unix://")
    try:
        if address.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(seconds)
                probe.connect(where)
                credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            pid, _, _ = struct.unpack("3i", credentials)
            return int(pid) or None
        if address.scheme in ("tcp", "http", "https"):
            port = address.port or (2376 if address.scheme == "https" else 2375)
            socket.create_connection((address.hostname or "127.0.0.1", port), timeout=seconds).close()
    except FileNotFoundError:
        raise SourceAbsent(f"no {_kind(where)} engine: {where} does not exist", absent_fix(where)) from None
    except PermissionError:
        raise SourceRefused(f"{where} may not be opened by this user", refused_fix(where)) from None
    except ConnectionRefusedError:
        raise SourceAbsent(f"no {_kind(where)} engine listens at {where}", _start(where)) from None
    return None


_ELSEWHERE = "or set docker.host (DOCKER_HOST) to the engine's address"


def _kind(where: str) -> str:
    return "Podman" if "podman" in where else "Docker"


def absent_fix(where: str) -> str:
    """What makes a socket that is not there."""
    if "podman" in where or where.startswith("/run/user/"):
        return _start(where)
    return f"sudo apt-get install docker.io, {_ELSEWHERE}"


def _start(where: str) -> str:
    """How an engine is started: root's or one person's own, Podman's or Docker's."""
    unit = "podman.socket" if "podman" in where else "docker"
    systemctl = "systemctl --user" if where.startswith("/run/user/") else "sudo systemctl"
    return f"{systemctl} start {unit}, {_ELSEWHERE}"


def refused_fix(where: str) -> str:
    """Who may open a socket, by its owner and group: a group that can be joined, or one user alone."""
    owner, group = _keepers(where)
    if group is not None:
        return f"sudo usermod -aG {group} {_user(os.geteuid())}, then log in again (or restart the service)"
    whose = f"only {owner} may open it: run WattView as {owner}"
    if "podman" in where and owner == "root":
        own = f"unix:///run/user/{os.geteuid()}/podman/podman.sock"
        return f"{whose}, or systemctl --user enable --now podman.socket and set docker.host={own}"
    return whose


def _keepers(where: str) -> tuple[str, str | None]:
    """The owner of a socket, or of the closed directory above it; and the group that may open the socket."""
    path = where = os.path.abspath(where)
    while True:
        with contextlib.suppress(PermissionError):
            status = os.stat(path)
            break
        # A closed directory lets nobody in but its owner, whatever the socket in it says.
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
