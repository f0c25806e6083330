"""Whether the daemon's directories are writable, determined by writing there."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from wattview.decoding import Explained

log = logging.getLogger("wattview.state")

LOOK_SECONDS = 30.0

_TRIAL_BYTES = 16 * 1024


class Unwritable(Explained):
    """A directory is not writable. ``refused``: permission denied."""

    def __init__(self, reason: str, fix: str, refused: bool) -> None:
        super().__init__(reason, fix)
        self.refused = refused


def try_to_write(directory: Path, setting: str) -> None:
    """Writes an unnamed temporary file. Raises Unwritable. Blocks.

    A directory that will be created on first use is tested in its nearest existing parent.
    """
    there = next(one for one in (directory, *directory.parents) if os.path.lexists(one))
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(_TRIAL_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT:
                fix = "free some space on that disk"
            case errno.EROFS:
                fix = f"remount it read-write, or set {setting}"
            case errno.ENOTDIR | errno.ENOENT:
                fix = f"{there} is not a directory: move it away, or set {setting}"
            case _:
                fix = f"set {setting}, or let this user write to {there}"
        refused = error.errno in (errno.EACCES, errno.EPERM)
        raise Unwritable(f"{directory} cannot be written: {error.strerror or error}", fix, refused) from None


async def watch(directories: Mapping[str, tuple[Path, str]], every: float = LOOK_SECONDS) -> None:
    """Logs when one of these directories (by purpose: the directory, and its setting) becomes unwritable or disappears,
    and when it recovers. Never returns."""
    said: dict[str, str] = {}
    there: set[str] = set()
    while True:
        for purpose, (directory, setting) in directories.items():
            problem = await asyncio.to_thread(_problem, directory, setting)
            if problem and problem != said.get(purpose):
                log.error("%s cannot be kept: %s", purpose, problem)
            elif said.get(purpose) and not problem:
                log.info("%s can be kept again in %s", purpose, directory)
            said[purpose] = problem
            if await asyncio.to_thread(directory.is_dir):
                there.add(purpose)
            elif purpose in there:
                there.discard(purpose)
                log.error("%s: %s is gone with its contents; it is created again when needed", purpose, directory)
        await asyncio.sleep(every)


def _problem(directory: Path, setting: str) -> str:
    try:
        try_to_write(directory, setting)
    except Unwritable as error:
        return str(error)
    return ""
