"""The daemon's state directory: private, and locked by one daemon at a time. Everything here blocks.

``private`` creates it and restricts its permissions; ``StateLock`` locks it for this daemon. The locks (flock) end with
the process.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import stat
import time
from pathlib import Path

from msgspec import Struct

from wattview import whole_file
from wattview.decoding import Explained

log = logging.getLogger("wattview.state")

LOCK_NAME = "wattview.lock"

ASKED_SECONDS = 0.2
"""How long a lock is tried for."""

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


class StateLock:
    """A state directory locked for this daemon. Raises StateTaken and StateError.

    Both the directory and a file in it are locked. The directory's lock outlives a removal of the file, and needs
    neither space nor a writable disk. The file says who holds it, and counts on disks that other machines share.
    """

    def __init__(self, directory: Path, control_socket: Path) -> None:
        self.directory = directory
        self._control_socket = control_socket
        self._held: dict[Path, int] = {}
        try:
            self.keep()
        except StateError:
            self.close()
            raise

    def keep(self) -> bool:
        """Locks the directory and the file that are there now. Returns whether one of them had been removed or
        replaced."""
        if not is_open(self.directory, self._held.get(self.directory)):
            private(self.directory)
        lost = [path for path in _locked(self.directory) if not is_open(path, self._held.get(path))]
        replaced = False
        for path in lost:
            descriptor = _lock(path, self.directory)
            if (before := self._held.pop(path, None)) is not None:
                os.close(before)
                replaced = True
            if descriptor is not None:
                self._held[path] = descriptor
        if not self._held:
            raise StateError(f"{self.directory} cannot be locked; set paths.state to a local disk")
        if lost:
            self.tell(self._control_socket)
        return replaced

    def tell(self, control_socket: Path) -> None:
        """Says in the file where this daemon is reached. A full disk does not matter."""
        self._control_socket = control_socket
        descriptor = self._held.get(self.directory / LOCK_NAME)
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n{control_socket.absolute()}\n".encode(), 0)

    def close(self) -> None:
        while self._held:
            os.close(self._held.popitem()[1])


def holder(directory: Path) -> Holder | None:
    """The daemon that holds a state directory now; None if there is none."""
    for path in _locked(directory):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _said(directory)
        except OSError:
            continue
        finally:
            os.close(descriptor)
    return None


def _locked(directory: Path) -> tuple[Path, Path]:
    return directory, directory / LOCK_NAME


def is_open(path: Path, descriptor: int | None) -> bool:
    """Whether a descriptor is of the file that is there now."""
    if descriptor is None:
        return False
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def _lock(path: Path, directory: Path) -> int | None:
    """Opens and locks the directory or its file; None if it cannot be on this disk, or not now."""
    try:
        flags = os.O_RDONLY if path == directory else os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO):
            return None
        raise StateError(f"{path}: {error.strerror}; remove it, or set paths.state") from None
    # Whoever asks for the holder has it locked for a moment.
    until = time.monotonic() + ASKED_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(0.01)
                continue
            os.close(descriptor)
            raise StateTaken(directory, _said(directory)) from None
        except OSError as error:
            os.close(descriptor)
            if path == directory:
                return None
            raise StateError(f"{path} cannot be locked: {error.strerror}; set paths.state to a local disk") from None
        return descriptor


def _said(directory: Path) -> Holder:
    """What the holder wrote into the lock file."""
    try:
        lines = whole_file.read(directory / LOCK_NAME, 65536).decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    pid = lines[0] if lines else ""
    return Holder(int(pid) if pid.isascii() and pid.isdecimal() else 0, lines[1] if len(lines) > 1 else "")
