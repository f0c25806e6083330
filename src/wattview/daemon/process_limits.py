"""The limits of the daemon's process: what it needs of them, and what it takes at its start."""

from __future__ import annotations

import contextlib
import os
import resource
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from wattview.decoding import Explained

LEAST_FILES = 64
"""Files that ten exporters, their probes and a run need. With fewer, requests fail one by one."""


class LimitTooLow(Explained):
    """The daemon cannot work within the limits of this process."""


def raise_file_limit() -> None:
    """Raises the soft limit of open files: kernel files stay open, a dozen per container, which exceeds the usual 1024.

    The hard limit is the administrator's; the soft one is only a default for programs that use select(). Raises
    LimitTooLow.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < LEAST_FILES:
        raise LimitTooLow(f"this process may open only {hard} files", f"raise ulimit -n to {LEAST_FILES} or more")
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def workers() -> ThreadPoolExecutor:
    """The threads for what blocks. They all start now: later this process may not be allowed any more, and whatever
    asked for a thread would fail. Raises LimitTooLow."""
    count = min(32, (os.cpu_count() or 1) + 4)
    pool, all_started = ThreadPoolExecutor(count, "worker"), Barrier(count)
    try:
        for _ in range(count):
            pool.submit(all_started.wait)
    except RuntimeError as error:
        all_started.abort()
        raise LimitTooLow(str(error), "raise ulimit -u, or pids.max of its cgroup (TasksMax of its unit)") from None
    return pool
