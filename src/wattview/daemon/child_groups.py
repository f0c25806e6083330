"""What children leave behind: their own children, found and ended although their parent is gone.

The daemon is a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER): a process whose parent has ended becomes its child. Such a
one is told from everything else by its session, or by a mark in its environment that every program started by
``children`` has; and its pid cannot pass to another process before it has been reaped here. Where the daemon itself is
killed, a shell that holds the other end of a pipe sees it close, and kills everything that bears the mark.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Collection

_PR_SET_CHILD_SUBREAPER = 36
_MARK = "WATTVIEW_CHILD_OF"

_GUARD = f"""
read -r nothing
for round in 1 2; do
    for file in $(grep -lz "^{_MARK}=$1\\$" /proc/[0-9]*/environ); do
        pid=${{file#/proc/}}
        kill -s KILL "${{pid%/environ}}"
    done
done
"""
"""Twice, for what is being started while the first look is taken."""


def mark() -> dict[str, str]:
    """What is put into a child's environment."""
    return {_MARK: str(os.getpid())}


def guard() -> None:
    """Adopts what children leave behind, and starts the shell that ends all of it when this process has died. To be
    called once. Where there is no shell, the children themselves are ended by the kernel, and what they started is
    not."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # The writing end is closed by the end of this process, and by nothing else.
    read_end, _ = os.pipe2(os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(os.getpid())], stdin=read_end, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd="/", env={"PATH": "/usr/bin:/bin"}, start_new_session=True,
        )  # fmt: skip
    os.close(read_end)


def strays(running: Collection[int], sessions: Collection[int]) -> list[int]:
    """Processes that our children have left behind, but for those in the sessions of children that are ``running``.
    ``sessions`` are those of all children that there have been. What has ended is reaped. Blocks."""
    import psutil

    own = psutil.Process()
    found = []
    for child in own.children():
        pid = child.pid
        if pid in running:
            continue
        with contextlib.suppress(OSError, psutil.Error):
            session = os.getsid(pid)
            ours = session not in running and (session in sessions or child.environ().get(_MARK) == str(own.pid))
            if ours and not _reaped(pid):
                found.append(pid)
    return found


def kill(pids: Collection[int]) -> None:
    """Kills strays: children of ours that nobody else reaps, so that their pids are theirs."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _reaped(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True
