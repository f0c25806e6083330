"""What this process holds open, by the kernel's account."""

from __future__ import annotations

import contextlib
import os


def open_files() -> set[str]:
    """The targets of all open descriptors: paths, and ``socket:[…]`` and the like."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{descriptor}"))
    return found
