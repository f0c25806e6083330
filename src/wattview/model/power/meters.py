"""Power at the wall: what a meter in front of the machine's power supplies says, and the one list of kinds of meters.

A wall meter stands beside the sources of the host's power (``model.power_sources``), not in their place: those see
parts of the machine, and are what power is attributed by; the meter sees all that is billed. To add a kind is to add
its module, and one entry here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from wattview.model.source import Fault, Reading

WallSource = Literal["meter", "calibrated"]

WALL_WORDS: dict[WallSource, str] = {"meter": "by its meter", "calibrated": "calibrated"}


class MeterKind(NamedTuple):
    """One kind of meter.

    ``name`` is the value of ``kind`` in ``[[power.meters]]``; ``words`` say what it is. ``module`` is a file in
    ``probes/meters/``, which has ``make(settings, config)``. ``needs`` names the settings without which it cannot
    work, ``takes`` those that it understands beside the ones of all meters. ``seconds`` is how often it is read
    unless the settings say so. ``accuracy_percent`` is what makers promise of such meters; None where it depends on
    what is behind it.
    """

    name: str
    words: str
    module: str
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    seconds: float = 2.0
    accuracy_percent: float | None = None


HTTP = ("token_file", "token_env", "ca_file")

METERS: tuple[MeterKind, ...] = (
    MeterKind(
        "shelly",
        "a Shelly plug or energy meter",
        "shelly",
        needs=("url",),
        takes=("outlets", *HTTP),
        accuracy_percent=1.0,
    ),
    MeterKind(
        "tasmota",
        "a plug with Tasmota",
        "tasmota",
        needs=("url",),
        takes=("outlets", *HTTP),
        accuracy_percent=2.0,
    ),
    MeterKind(
        "redfish",
        "a server's BMC by Redfish",
        "redfish",
        needs=("url",),
        takes=("outlets", *HTTP),
        seconds=10.0,
        accuracy_percent=5.0,
    ),
    MeterKind("ipmi", "a server's BMC by IPMI (DCMI)", "ipmi", seconds=5.0, accuracy_percent=5.0),
    MeterKind(
        "snmp",
        "a power strip by SNMP",
        "snmp",
        needs=("url",),
        takes=("outlets", "token_file", "token_env"),
        seconds=5.0,
        accuracy_percent=2.0,
    ),
    MeterKind(
        "promql",
        "an expression of a Prometheus",
        "promql",
        needs=("url", "query"),
        takes=("energy_query", *HTTP),
        seconds=15.0,
    ),
)
"""Every kind of meter that the settings may name."""

METER_KINDS = [kind.name for kind in METERS]


def meter_kind(name: str) -> MeterKind | None:
    """The entry of a kind; None where this version does not know it."""
    return next((kind for kind in METERS if kind.name == name), None)


class MeterReading(Reading, frozen=True, kw_only=True):
    """The last value of one meter. ``time`` and ``monotonic`` are when it was seen first; a meter that goes on to show
    it is younger than ``monotonic`` by up to ``refresh_seconds``.

    ``watts`` and ``joules_total`` are of all that is behind the meter; None where nothing was read for too long, or
    what is shown has not moved for so long that the meter must have stopped (``fault`` says so). ``joules_total``
    comes from the meter's own counter where it has one, else from its watts. It has counted without a gap since
    ``since`` (Unix seconds), and begins anew at 0 after one: the energy of a window is known where it began no earlier.
    It is of ``answered`` (Unix seconds), when the meter answered last.

    ``refresh_seconds`` is how often the value was seen to change, which may be no finer than ``interval_seconds``, how
    often it is read. ``resolution_watts`` is the step in which it moves, as seen. ``error_watts`` is how far off
    ``watts`` may be: half a step and the meter's class. Each is None until it is known.

    ``machines`` are behind the meter, of whose power this one has ``share``, None where nobody said. ``supply``: it
    feeds one of this machine's power supplies, and there are others.
    """

    name: str
    kind: str
    watts: float | None
    joules_total: float | None
    since: float = 0.0
    answered: float = 0.0
    interval_seconds: float = 0.0
    refresh_seconds: float | None = None
    resolution_watts: float | None = None
    error_watts: float | None = None
    machines: int = 1
    share: float | None = 1.0
    supply: bool = False
    fault: Fault | None = None


class WallPower(Struct, frozen=True, kw_only=True):
    """What this machine draws from the wall: by its meters, or ``calibrated``, computed from what its own counters say
    by a model that was fitted to a meter.

    ``time`` and ``monotonic`` are those of the oldest value in it; ``answered`` (Unix seconds) is what ``joules_total``
    is of. ``error_watts`` bounds the meter's own error and its
    resolution, and is half the 95 % prediction interval of a model. ``watts`` is None where a part is unknown, and then
    ``reason`` says which. ``joules_total`` is for differences, and known for windows that began no earlier than
    ``since`` (Unix seconds). ``meters`` are all that the settings name, whether or not they are in the sum.
    """

    source: WallSource
    time: float
    monotonic: float
    watts: float | None = None
    error_watts: float | None = None
    joules_total: float | None = None
    since: float = 0.0
    answered: float = 0.0
    reason: str = ""
    meters: tuple[MeterReading, ...] = ()


class WallReading(Reading, frozen=True, kw_only=True):
    """All wall meters of the settings, and what they say of this machine."""

    power: WallPower
