"""Power and energy of the host and its zones, and their attribution."""

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
    ``package-0``/``core``, ``uncore`` or ``dram``, the platform ``psys``/``psys``. ``path`` is the kernel's name
    (``intel-rapl:0:1``). ``joules_total`` is the kernel's counter since the first reading, unwrapped; None in the past.
    ``watts`` is the mean over the last second, None until there is one. ``counted``: this zone is part of the host's
    figure.
    """

    path: str
    package: str
    zone: str
    joules_total: float | None
    watts: float | None
    counted: bool


class TrailPoint(NamedTuple):
    """One sample of the power trail, read by ``time`` (Unix seconds). By then the host had used at least ``joules`` and
    at most ``most_joules``, whatever its power did in between: both count from the same moment, so two points bound the
    energy between them. If the source does not count energy itself, the two are equal and are not bounds.

    ``update_seconds``: the counters' update interval as far as known (0: at least as often as they are read). Power
    over a shorter span is meaningless.
    """

    time: float
    joules: float
    most_joules: float
    update_seconds: float = 0.0


class PowerReading(Reading, frozen=True, kw_only=True):
    """Power of the whole host from its best source, and of each zone behind it.

    ``host_joules_total`` counts every joule once (packages + DRAM, or psys); None if a part of that sum cannot be read
    at the moment. ``host_watts`` is its mean over the last second, or over one update interval of a slower counter.
    ``host_peak_watts`` is the largest power between two samples in that time. The true mean power in that time, as the
    counter measures it, is within ``host_error_watts`` of ``host_watts``; None if the age of the source's values is
    unknown. ``watts_span`` is the start and end of that time (Unix seconds): for a counter that updates more slowly
    than it is read, it ends with the last update but one. ``idle_watts`` is idle power if the source itself assumes
    one, that is, an estimate.
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
    """Power of the whole machine: the host, and the GPUs that the host's source does not include. Costs and carbon are
    based on it.

    ``source`` joins the sources that were added (``rapl+nvml``). ``watts`` is None if a part of the sum is unknown,
    with the reason in ``reason``. ``error_watts`` bounds the error of reading (not the sensor's own); None if a part
    does not state it. ``joules_total`` is for differences only: each part counts from a different moment.
    """

    source: str
    watts: float | None = None
    error_watts: float | None = None
    joules_total: float | None = None
    reason: str = ""


PowerAccount = Literal["marginal", "attributional"]
"""Who is charged for idle power: nobody (marginal), or its users by CPU time and GPU use (attributional)."""


class PowerUse(Struct, frozen=True, kw_only=True):
    """Attribution of the power in the last interval. ``watts`` is the total (the host, and GPUs beside it), and the sum
    of ``idle_watts``, ``containers_watts``, ``encoders_watts`` and ``unattributed_watts`` (the rest of the system).

    ``idle_method`` is the origin of idle power: ``setting`` (``power.idle_watts``), ``estimate`` (assumed by the
    estimate), ``baseline`` (a run's idle window), or ``regression`` (the machine at rest, less the power of its load
    then). The truth lies within ``idle_error_watts`` with 95 % confidence; None if it was set or assumed.
    ``containers_watts`` is None if containers cannot be read: their power is then unattributed. ``encoders`` is by
    name. ``workloads_watts`` is the sum of all workloads, containers and encoders included; None if workloads are not
    measured.

    ``account`` is the one that was asked for. ``includes_idle``: idle power is divided with the rest, because the
    account is attributional, or because idle power is not known yet and ``reason`` says what is missing; ``idle_watts``
    is None then, and the others are the sum. The power of containers, workloads and streams is by the same account.
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
    workloads_watts: float | None = None
    reason: str = ""
    account: PowerAccount = "marginal"
    includes_idle: bool = False
