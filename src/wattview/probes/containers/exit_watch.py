"""Notification of a process's exit, without polling: pidfd_open(2).

A container's cgroup is removed some milliseconds after its init has exited; in that time its last counters can still be
read.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

from wattview.probes.kernel_files import kept_below


class ExitWatch:
    """Calls ``on_exit(pid)`` in its own thread when a watched process exits.

    Only for processes in our own pid namespace: ``usable`` says whether this procfs shows that one.
    """

    def __init__(self, procfs: str, on_exit: Callable[[int], None]) -> None:
        self._on_exit = on_exit
        self._pids: dict[int, int] = {}
        self._lock = threading.Lock()
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._wake, select.EPOLLIN)
        self._thread: threading.Thread | None = None
        self._closed = False
        try:
            self.usable = os.readlink(f"{procfs}/self") == str(os.getpid())
        except OSError:
            self.usable = False

    def add(self, pid: int) -> bool:
        """Starts to watch; False for a process that cannot be watched (ended, old kernel, no descriptors to spare)."""
        if not self.usable or self._closed:
            return False
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return False
        if pidfd >= kept_below():
            os.close(pidfd)
            return False
        with self._lock:
            self._pids[pidfd] = pid
        self._poll.register(pidfd, select.EPOLLIN)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="process-exits", daemon=True)
            self._thread.start()
        return True

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        os.eventfd_write(self._wake, 1)
        if self._thread is not None:
            self._thread.join(timeout=2.0)
        self._poll.close()
        os.close(self._wake)
        for pidfd in self._pids:
            os.close(pidfd)
        self._pids.clear()

    def _run(self) -> None:
        while not self._closed:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._wake:
                    return
                with self._lock:
                    pid = self._pids.pop(descriptor)
                self._on_exit(pid)
                self._poll.unregister(descriptor)
                os.close(descriptor)
