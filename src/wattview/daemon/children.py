"""Child processes that never outlive the daemon.

Every program that the daemon starts (FFmpeg, nginx) is started here, as an argument list without a shell, under
``setpriv --pdeathsig``: the kernel signals the child when the daemon dies, however it dies. Only processes that were
started here are ever signalled, by their own handle.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class ProgramMissing(OSError):
    """A program that is not installed. The text names it and the package that brings it."""


PACKAGES = {
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "nginx": "libnginx-mod-rtmp nginx-light",
    "setpriv": "util-linux",
    "nice": "coreutils",
}


def find_program(name: str) -> str:
    """The path of a program, by name or path. Raises ProgramMissing with the way out."""
    found = shutil.which(name)
    if found is None:
        package = PACKAGES.get(Path(name).name)
        way_out = f"; run: sudo apt-get install {package}" if package else ""
        raise ProgramMissing(f"{name} is not installed or not executable{way_out}")
    return found


def child_command(argv: Sequence[str], *, death_signal: signal.Signals = signal.SIGKILL, nice: int = 0) -> list[str]:
    """``argv`` behind the wrappers that tie its life to ours and lower its priority. They exec: the pid is argv's."""
    program = find_program(argv[0])
    name = death_signal.name.removeprefix("SIG")
    # A daemon that was given a capability (to read RAPL's counters) does not pass it on: FFmpeg reads others' files.
    command = [find_program("setpriv"), "--pdeathsig", name, "--ambient-caps=-all", "--inh-caps=-all", "--"]
    if nice:
        command += [find_program("nice"), "-n", str(nice)]
    return [*command, program, *argv[1:]]


async def spawn(
    argv: Sequence[str],
    *,
    death_signal: signal.Signals = signal.SIGKILL,
    nice: int = 0,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | Any = asyncio.subprocess.DEVNULL,
    stdout: int | Any = asyncio.subprocess.DEVNULL,
    stderr: int | Any = asyncio.subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Starts a program. ``death_signal`` is what the kernel sends it when the daemon has died.

    Must be called from the main thread's event loop: the kernel ties the child to the thread that started it.
    Raises ProgramMissing, or OSError as the kernel gives it.
    """
    command = child_command(argv, death_signal=death_signal, nice=nice)
    return await asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=env, pass_fds=pass_fds,
        start_new_session=True,
    )  # fmt: skip


async def stop(process: Process, *, first: signal.Signals = signal.SIGTERM, patience_seconds: float = 5.0) -> int:
    """Ends a child that ``spawn`` returned: asks with ``first``, then kills. Returns its exit status."""
    if process.returncode is None:
        try:
            process.send_signal(first)
            await asyncio.wait_for(process.wait(), patience_seconds)
        except ProcessLookupError:
            pass
        except TimeoutError:
            process.kill()
    return await process.wait()
