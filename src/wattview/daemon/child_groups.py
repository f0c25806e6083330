"""Orphaned grandchildren: processes that children started, found and ended after their parent is gone.

The daemon is a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER): a process whose parent has ended becomes its child. Such
an orphan is recognised by its session, by a mark in its environment that every program started by ``children`` has, or,
where a wrapper such as su or sudo has changed both, because it descended from a child that is being ended; its pid
cannot be reused before it has been reaped here. If the daemon itself is killed, a shell that holds the other
end of a pipe sees the pipe close, and kills every process with the mark.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Collection
from pathlib import Path

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
    """The variable that is added to a child's environment."""
    return {_MARK: str(os.getpid())}


def guard() -> None:
    """Adopts orphans, and starts the shell that ends them when this process has died. Call once. Without a shell, the
    kernel still ends the children themselves, but not the processes they started."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # Only the end of this process closes the writing end.
    read_end, _ = os.pipe2(os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(os.getpid())], stdin=read_end, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd="/", env={"PATH": "/usr/bin:/bin"}, start_new_session=True,
        )  # fmt: skip
    os.close(read_end)


MOST_DESCENDANTS = 1000

Identity = tuple[int, str]
"""A pid, and when its process started, in the kernel's ticks."""


def descendants(pid: int) -> set[Identity]:
    """The children of a process, theirs, and so on; not more than are worth a moment's wait."""
    found: set[Identity] = set()
    asked = [pid]
    while asked and len(found) < MOST_DESCENDANTS:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{asked.pop()}/task").iterdir():
                pids = [int(one) for one in (task / "children").read_text("ascii").split()]
                found |= {one for one in map(identity, pids) if one is not None}
                asked += pids
    return found


def identity(pid: int) -> Identity | None:
    """Of a process that exists."""
    try:
        return pid, Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return None


def marked(sessions: Collection[int], descended: Collection[Identity]) -> dict[int, int | None]:
    """The children that were started here, and their orphans, by pid: their sessions, or None for those known as an
    ended child's. ``sessions`` are those of all children so far, ``descended`` what children had started when they were
    ended. Blocks."""
    import psutil

    own = psutil.Process()
    found: dict[int, int | None] = {}
    for child in own.children():
        with contextlib.suppress(OSError, psutil.Error):
            session = os.getsid(child.pid)
            if identity(child.pid) in descended:
                found[child.pid] = None
            elif session in sessions or child.environ().get(_MARK) == str(own.pid):
                found[child.pid] = session
    return found


def kill(pids: Collection[int]) -> None:
    """Kills orphans: they are our children and nobody else reaps them, so their pids cannot have been reused."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def reaped(pid: int) -> bool:
    """Takes note of an orphan's end. False if it lives."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True
