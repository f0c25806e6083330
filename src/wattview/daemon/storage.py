"""Whether the directories that the daemon keeps its files in can be written, found out by writing there."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger("wattview.state")

LOOK_SECONDS = 30.0

_TRIAL_BYTES = 16 * 1024


class Unwritable(Exception):
    """Nothing can be kept in a directory. ``reason`` is for people; ``fix`` is the way out; ``refused`` says that it is
    for want of rights."""

    def __init__(self, reason: str, fix: str, refused: bool) -> None:
        super().__init__(f"{reason}; {fix}")
        self.reason = reason
        self.fix = fix
        self.refused = refused


def try_to_write(directory: Path, setting: str) -> None:
    """Writes a file without a name and lets go of it. Raises Unwritable. Blocks.

    A directory that is not there yet is made when it is first needed: then it is tried where it would be made.
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
                fix = f"mount it so that it can be written, or set {setting}"
            case errno.ENOTDIR | errno.ENOENT:
                fix = f"{there} is no directory: move it away, or set {setting}"
            case _:
                fix = f"set {setting}, or let this user write to {there}"
        refused = error.errno in (errno.EACCES, errno.EPERM)
        raise Unwritable(f"{directory} cannot be written: {error.strerror or error}", fix, refused) from None


async def watch(directories: Mapping[str, tuple[Path, str]], every: float = LOOK_SECONDS) -> None:
    """Says once when one of these (by what it is for: the directory, and the setting that names it) cannot be written
    or is gone, and when that is over. Never returns."""
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
