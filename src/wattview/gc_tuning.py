"""Tuning of Python's garbage collector and of memory release, for long-running programs."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""malloc.h"""

LARGE_BYTES = 128 * 1024
"""glibc's own first value."""

OF_A_SCRAPE = 50_000
"""More than the new objects in the answer to a scrape of 500 containers. They form no cycles: a collection meanwhile
would examine all of them and free none."""

_caches: list[Callable[[], None]] = []


def begin(new_objects: int = 5_000) -> None:
    """Call at a program's start, before its threads.

    Imported objects are excluded from collection, which makes it cheap. The others are collected each time
    ``new_objects`` more of them exist, which is a compromise: a snapshot creates thousands of short-lived objects
    without cycles, and Python's default of 700 takes a sixth of the dashboard's CPU time; but Textual's widgets are
    cycles, which occupy memory until collected. Nothing that a program makes later is excluded, because it would never
    be collected: a change of themes replaces thousands of objects of screens that stay.

    glibc gives every thread its own heap, up to eight per CPU, and does not share their free memory. Large pieces, such
    as answers of megabytes, are mapped by themselves and returned to the system as soon as they are free; but once one
    has been, glibc puts all up to its size into the heap, where what comes after them keeps them from being returned.
    Its threshold is therefore fixed.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.collect()  # the baseline for "a quarter more than the last time"
    gc.set_threshold(new_objects, 5, 2)
    with contextlib.suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def kept_for_a_while(most: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A cache of a function's results that ``forget`` empties.

    ``most`` is far above what is ever in use, as a protection alone: a cache that is too small for all of a host's
    containers is worth nothing, since it is read in their order and forgets each just before its turn. What belongs to
    containers that are gone goes when it is emptied.
    """

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        cached = functools.lru_cache(maxsize=most)(function)
        _caches.append(cached.cache_clear)
        return cast(Callable[P, T], cached)

    return decorated


def forget() -> None:
    """Empties those caches, and returns free memory to the system: answers of all sizes leave the C library's heap in
    pieces, which it keeps."""
    for clear in _caches:
        clear()
    give_back_memory()


def tidy() -> None:
    """Runs a full collection and releases the freed memory. With rare collections, a day's closed screens would
    otherwise stay until they are a quarter of all objects."""
    gc.collect()
    give_back_memory()


def give_back_memory() -> None:
    """Lets the C library return free memory to the system; after one large answer glibc would otherwise keep it."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
