"""What children leave behind: their own children, found and ended although their parent is gone.

The daemon is a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER): a process whose parent has ended becomes its child. Such a
one is told from everything else by its session, or by a mark in its environment that every program started by
``children`` has; and its pid cannot pass to another process before it has been reaped here. Where the daemon itself is
killed, a shell that holds the other end of a pipe sees it close, and kills the process groups that were still in use.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_MARK = "WATTVIEW_CHILD_OF"

_GUARD = """
while read -r sign group; do
    case $sign in
        +) groups="$groups $group" ;;
        -) left=; for one in $groups; do [ "$one" = "$group" ] || left="$left $one"; done; groups=$left ;;
    esac
done
for one in $groups; do kill -s KILL -- "-$one"; done
"""


def mark() -> dict[str, str]:
    """What is put into a child's environment."""
    return {_MARK: str(os.getpid())}


class Guard:
    """The shell that ends process groups when this process has died. Where it cannot be started there is none."""

    def __init__(self) -> None:
        self._pipe: int | None = None
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        try:
            subprocess.Popen(
                ["/bin/sh", "-c", _GUARD], stdin=read_end, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                cwd="/", env={}, start_new_session=True,
            )  # fmt: skip
        except OSError:
            os.close(write_end)
        else:
            self._pipe = write_end
        finally:
            os.close(read_end)

    def add(self, group: int) -> None:
        self._tell(f"+ {group}\n")

    def remove(self, group: int) -> None:
        self._tell(f"- {group}\n")

    def _tell(self, line: str) -> None:
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                os.write(self._pipe, line.encode())


def strays(running: Collection[int], sessions: Collection[int]) -> list[int]:
    """Processes that our children have left behind, but for those in the sessions of children that are ``running``.
    ``sessions`` are those of all children that there have been. What has ended is reaped. Blocks."""
    found = []
    for pid in _children():
        if pid in running:
            continue
        with contextlib.suppress(OSError):
            session = os.getsid(pid)
            ours = session not in running and (session in sessions or _is_marked(pid))
            if ours and not _reaped(pid):
                found.append(pid)
    return found


def kill(pids: Collection[int]) -> None:
    """Kills strays: children of ours that nobody else reaps, so that their pids are theirs."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children() -> Iterator[int]:
    own = os.getpid()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # "pid (name) state ppid …", and a name may contain everything.
                if int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1]) == own:
                    yield int(entry.name)


def _is_marked(pid: int) -> bool:
    wanted = f"{_MARK}={os.getpid()}".encode()
    return wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def _reaped(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True
