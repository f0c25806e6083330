"""How often Python looks for cycles among objects, for programs that make none, and when memory is given back."""

from __future__ import annotations

import contextlib
import ctypes
import gc


def look_for_cycles_rarely() -> None:
    """A scrape or a snapshot is thousands of objects without cycles that live for a moment. By default Python would
    look for cycles several times in each: a sixth of the dashboard's CPU time, and 7 % of a scrape's."""
    gc.set_threshold(20_000, 10, 10)


def tidy() -> None:
    """Looks for all cycles once, and gives back what that frees. For programs that run for weeks: where the collector
    looks rarely, it leaves a whole day's closed screens until they are a quarter of all objects."""
    gc.collect()
    give_back_memory()


def give_back_memory() -> None:
    """Lets the C library return what is free to the system. glibc keeps it otherwise: after one large answer the
    process stays as large as it was at its largest."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
