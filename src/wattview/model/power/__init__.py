"""Watts and joules: the host's, those of the zones behind it, and who used them."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from wattview.model.source import Reading

PowerSource = str
"""The name of one of ``POWER_SOURCES``."""


IdleMethod = Literal["setting", "estimate", "baseline", "regression"]


class Zone(Struct, frozen=True, kw_only=True):
    """One powercap zone.

    ``package`` and ``zone`` are the labels of ``rapl_power_watts``: a socket is ``package-0``/``package-0``, its parts
    ``package-0``/``core``, ``uncore`` or ``dram``, the platform ``psys``/``psys``. ``path`` is the kernel's own name
    (``intel-rapl:0:1``). ``joules_total`` is what the kernel's counter has counted since the first reading, wraps
    undone; None in the past. ``watts`` is the mean over the last second, None until there is one. ``counted``: this
    zone is part of the host's figure.
    """

    path: str
    package: str
    zone: str
    joules_total: float | None
    watts: float | None
    counted: bool


class TrailPoint(NamedTuple):
    """One sample of the power's trail. ``time``: Unix seconds, when its reading had ended. By then the host had used at
    least ``joules``, and at most ``most_joules``, whatever its power did: both count from one moment on, so that two
    points bound the energy between them. Of sources that do not count energy themselves the two are equal, and they
    are no bound.

    ``update_seconds``: how often the counters were updated, as far as that had been found out (0: at least as often as
    they were read). A power over a shorter span is meaningless.
    """

    time: float
    joules: float
    most_joules: float
    update_seconds: float = 0.0


class PowerReading(Reading, frozen=True, kw_only=True):
    """Power of the whole host from its best source, and of each zone behind it.

    ``host_joules_total`` counts every joule once (packages + DRAM, or psys); None where a part of that sum cannot be
    read now: there is no host figure that silently lacks a socket. ``host_watts`` is its mean over the last second, or
    over one update interval of a counter that is updated less often. ``host_peak_watts`` is the largest power between
    two samples in that time. The mean power in that time, by the meter, lies within ``host_error_watts`` of
    ``host_watts``; None where nobody says how old its figures are. ``watts_span`` is when that time began and ended
    (Unix seconds): with a counter that is updated less often than it is read, it ends with the last update but one.
    ``idle_watts`` is what the host draws at rest where the source itself is made of it: an estimate.
    """

    source: PowerSource
    host_joules_total: float | None
    host_watts: float | None
    host_peak_watts: float | None
    host_error_watts: float | None = None
    watts_span: tuple[float, float] | None = None
    idle_watts: float | None = None
    zones: tuple[Zone, ...] = ()


class MachinePower(Struct, frozen=True, kw_only=True):
    """Power of the whole machine: the host's, and that of the GPUs where the host's source does not see them.
    It is what costs and carbon are computed from.

    ``source`` joins what was added (``rapl+nvml``). ``watts`` is None where a part of the sum is unknown, and then
    ``reason`` may say which. ``error_watts`` is the most that reading can be wrong by (not the sensor's own error);
    None where a part does not tell its own. ``joules_total`` is for differences: each part has counted since a moment
    of its own.
    """

    source: str
    watts: float | None = None
    error_watts: float | None = None
    joules_total: float | None = None
    reason: str = ""


class PowerUse(Struct, frozen=True, kw_only=True):
    """Who used the power in the last interval: ``watts`` is the whole (the host, and GPUs beside it), and the sum of
    ``idle_watts``, ``containers_watts``, ``encoders_watts`` and ``unattributed_watts`` (the rest of the system).

    ``idle_method`` says how idle power is known: ``setting`` (``power.idle_watts``), ``estimate`` (what the estimate is
    made of), ``baseline`` from a run's idle window, ``regression`` from the machine at rest, less what its use took
    there. The truth lies within ``idle_error_watts`` with 95 %; None where it was given. Until idle power is known it
    and all shares are None, and ``reason`` says what is missing.
    ``containers_watts`` is None too where containers cannot be read: what they used is then unattributed.
    ``encoders`` is by name.
    """

    time: float
    seconds: float
    watts: float
    idle_watts: float | None = None
    idle_method: IdleMethod | None = None
    idle_error_watts: float | None = None
    containers_watts: float | None = None
    encoders_watts: float | None = None
    unattributed_watts: float | None = None
    encoders: dict[str, float] = {}
    reason: str = ""
