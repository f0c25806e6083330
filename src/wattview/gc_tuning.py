"""How often Python looks for cycles among objects, for programs that run for weeks, and when memory is given back."""

from __future__ import annotations

import contextlib
import ctypes
import gc

M_ARENA_MAX = -8
"""malloc.h"""


def begin() -> None:
    """For a program's start, before its threads: it is to stay as large as what it holds.

    What was imported is kept out of the collector's sight, so that to look through the rest is cheap. How often it
    looks is a compromise: a scrape or a snapshot is thousands of objects without cycles that live for a moment, and
    Python's 700 are a sixth of the dashboard's CPU time; but Textual's strips and widgets are cycles, and what waits
    for the collector is memory in use.

    glibc gives every thread a heap of its own, up to eight for each CPU, and what is free in one serves no other.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.collect()  # "a quarter more than the last time" is to be counted from here
    gc.set_threshold(5_000, 5, 2)
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


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
