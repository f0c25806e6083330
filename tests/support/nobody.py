"""Refusals by the kernel itself, also for tests that run as root."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[int]:
    """Drops root's rights for a while and yields the user that is left. Any other user has none to drop."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield os.geteuid()
    finally:
        if root:
            os.seteuid(0)


@contextmanager
def directory_for_all() -> Iterator[Path]:
    """A directory that every user may enter; pytest's own may be entered by its owner only."""
    directory = Path(tempfile.mkdtemp(prefix="wattview-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
