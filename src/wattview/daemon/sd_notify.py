"""systemd notifications of the daemon's state: ready, reloading, stopping, alive.

The protocol is one datagram of ``NAME=value`` lines to the Unix socket in ``NOTIFY_SOCKET`` (sd_notify(3)). Without
systemd there is no such socket, and every call here does nothing. A message that systemd does not accept is dropped:
the daemon never waits for its supervisor or ends because of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Supervisor:
    """The service manager that started the daemon. ``watchdog_seconds`` is its watchdog time-out, or None."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_seconds = _watchdog_seconds(environ)

    def ready(self, status: str = "") -> None:
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    async def keep_alive(self) -> None:
        """Notifies the watchdog twice per time-out while this event loop runs. Never returns if there is a watchdog."""
        while self.watchdog_seconds is not None:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_seconds / 2)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.setblocking(False)
            to.sendto("\n".join(lines).encode(), self._address)


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """``WATCHDOG_USEC``, if it is meant for this process and not for its parent."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 else None


def writes_to_the_journal(descriptor: int, environ: Mapping[str, str] | None = None) -> bool:
    """Whether standard error goes to systemd's journal, which adds its own time stamps (systemd.exec(5))."""
    said = (os.environ if environ is None else environ).get("JOURNAL_STREAM", "")
    try:
        there = os.fstat(descriptor)
    except OSError:
        return False
    return said == f"{there.st_dev}:{there.st_ino}"
