"""The daemon's state directory: private, and locked by one daemon at a time. Everything here blocks.

``private`` creates it and restricts its permissions; ``take`` locks it for this daemon. The lock (flock) ends with the
process.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
from pathlib import Path

from msgspec import Struct

from wattview.decoding import Explained

log = logging.getLogger("wattview.state")

LOCK_NAME = "wattview.lock"

OURS = (
    LOCK_NAME, "history.sqlite", "runs", "results", "idle.json", "wall-calibration.json", "daemon.log", "media",
    "nginx-rtmp",
)  # fmt: skip
"""Names that identify a state directory: the permissions of other directories must not be restricted."""


class StateError(Explained):
    """An unusable state directory. The text names it, the reason and how to fix it."""


class Holder(Struct, frozen=True):
    """The daemon that holds a state directory: its process (0 if unknown) and its control socket."""

    pid: int
    control_socket: str


class StateTaken(StateError):
    """Another daemon holds the state directory."""

    def __init__(self, directory: Path, holder: Holder) -> None:
        who = f"process {holder.pid}" if holder.pid else "another process"
        attach = f" --url unix://{holder.control_socket}" if holder.control_socket else ""
        super().__init__(
            f"a daemon already runs with the state directory {directory} ({who}); "
            f"attach to it with: wattview tui{attach}; or give this one another with --set paths.state=DIRECTORY"
        )
        self.holder = holder


def private(directory: Path) -> None:
    """Creates the directory and removes others' access to it. Raises StateError.

    If it exists with access for others, it is restricted only if its contents show that it is ours, or if it is empty.
    Any other directory may be in use by someone else, and is refused.
    """
    remedy = f"run: chmod 700 {directory}, or set paths.state to a directory of its own"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = stat.S_IMODE(directory.stat().st_mode)
        if not mode & 0o077:
            return
        names = set(os.listdir(directory))
        if names and not names & set(OURS):
            raise StateError(f"{directory} is open to others (mode {mode:04o}) and holds other files; {remedy}")
        directory.chmod(0o700)
    except FileExistsError:
        raise StateError(f"{directory} is not a directory; set paths.state") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise StateError(f"{directory} cannot be made private: {reason}; {remedy}") from None
    log.warning("%s was open to others (mode %04o); it is 0700 now", directory, mode)


def take(directory: Path, control_socket: Path) -> int:
    """Locks a state directory; close the descriptor to release it. Raises StateTaken and StateError."""
    path = directory / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}; remove it, or set paths.state") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n{control_socket.absolute()}\n".encode(), 0)
    except BlockingIOError:
        os.close(descriptor)
        raise StateTaken(directory, _said(path)) from None
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StateError(f"{path}: {error.strerror}; free some space on that disk") from None
        raise StateError(f"{path} cannot be locked: {error.strerror}; set paths.state to a local disk") from None
    return descriptor


def holder(directory: Path) -> Holder | None:
    """The daemon that holds a state directory now; None if there is none."""
    path = directory / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _said(path)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _said(path: Path) -> Holder:
    """What the holder wrote into the lock file."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    pid = lines[0] if lines else ""
    return Holder(int(pid) if pid.isascii() and pid.isdecimal() else 0, lines[1] if len(lines) > 1 else "")
