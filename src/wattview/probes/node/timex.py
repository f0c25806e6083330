"""Synchronisation of the system's clock: adjtimex(2), read-only."""

from __future__ import annotations

import errno
import os
from functools import cache
from typing import Any

from wattview.exposition import Family, gauge, named
from wattview.probes.node.collector import NoSource, of_machine

_TIME_ERROR = 5
_STA_NANO = 0x2000
_MICRO = 1e-6
_NANO = 1e-9
# Frequencies are in parts per million with a 16-bit fraction: NOTES in adjtimex(2).
_PPM16 = 1.0 / (1000000.0 * 65536.0)
_UNIT = "the clock's own resolution"

# Field of struct timex, name, help, factor.
_TABLE: tuple[tuple[str, str, str, float | str], ...] = (
    ("offset", "offset_seconds", "Time offset in between local system and reference clock.", _UNIT),
    ("maxerror", "maxerror_seconds", "Maximum error in seconds.", _MICRO),
    ("esterror", "estimated_error_seconds", "Estimated error in seconds.", _MICRO),
    ("status", "status", "Value of the status array bits.", 1),
    ("constant", "loop_time_constant", "Phase-locked loop time constant.", 1),
    ("tick", "tick_seconds", "Seconds between clock ticks.", _MICRO),
    ("ppsfreq", "pps_frequency_hertz", "Pulse per second frequency.", _PPM16),
    ("jitter", "pps_jitter_seconds", "Pulse per second jitter.", _UNIT),
    ("shift", "pps_shift_seconds", "Pulse per second interval duration.", 1),
    ("stabil", "pps_stability_hertz", "Pulse per second stability, average of recent frequency changes.", _PPM16),
    ("jitcnt", "pps_jitter_total", "Pulse per second count of jitter limit exceeded events.", 1),
    ("calcnt", "pps_calibration_total", "Pulse per second count of calibration intervals.", 1),
    ("errcnt", "pps_error_total", "Pulse per second count of calibration errors.", 1),
    ("stbcnt", "pps_stability_exceeded_total", "Pulse per second count of stability limit exceeded events.", 1),
    ("tai", "tai_offset_seconds", "International Atomic Time (TAI) offset.", 1),
)  # fmt: skip


@of_machine
def collector() -> list[Family]:
    """``node_timex_*``; no data if a container lacks permission."""
    adjtimex, struct = _load()
    buffer = struct()  # its modes are 0: nothing is set
    state = adjtimex(buffer)
    if state < 0:
        import ctypes

        code = ctypes.get_errno()
        if code in (errno.EPERM, errno.EACCES):
            raise NoSource("adjtimex is not permitted here")
        raise OSError(code, os.strerror(code))
    return timex_families(buffer, state)


def timex_families(timex: Any, state: int) -> list[Family]:
    """Pure: families from a ``struct timex`` and the call's return value."""
    resolution = _NANO if timex.status & _STA_NANO else _MICRO
    found = [
        gauge(
            "node_timex_sync_status",
            "Is clock synchronized to a reliable server (1 = yes, 0 = no).",
            0 if state == _TIME_ERROR else 1,
        ),
        gauge("node_timex_frequency_adjustment_ratio", "Local clock frequency adjustment.", 1 + timex.freq * _PPM16),
    ]
    for field, name, help_text, factor in _TABLE:
        value = getattr(timex, field) * (resolution if isinstance(factor, str) else factor)
        found.append(named(f"node_timex_{name}", help_text, value))
    return found


@cache
def _load() -> tuple[Any, Any]:
    import ctypes
    from ctypes import c_int, c_long, c_uint

    class StructTimex(ctypes.Structure):
        """``struct timex`` of include/uapi/linux/timex.h, with 64-bit longs."""

        _fields_ = (
            ("modes", c_uint), ("offset", c_long), ("freq", c_long), ("maxerror", c_long), ("esterror", c_long),
            ("status", c_int), ("constant", c_long), ("precision", c_long), ("tolerance", c_long),
            ("tv_sec", c_long), ("tv_usec", c_long), ("tick", c_long), ("ppsfreq", c_long), ("jitter", c_long),
            ("shift", c_int), ("stabil", c_long), ("jitcnt", c_long), ("calcnt", c_long), ("errcnt", c_long),
            ("stbcnt", c_long), ("tai", c_int), ("padding", c_int * 11),
        )  # fmt: skip

    libc = ctypes.CDLL(None, use_errno=True)
    call = libc.adjtimex
    call.argtypes = [ctypes.POINTER(StructTimex)]
    call.restype = c_int
    return call, StructTimex
