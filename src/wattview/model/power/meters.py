"""Power at the wall: the reading of a meter in front of the machine's power supplies, and the list of kinds of meters.

A wall meter supplements the sources of host power (``model.power_sources``): those see parts of the machine and are the
basis of attribution; the meter sees everything that is billed. To add a kind, add its module and one entry here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from wattview.model.source import Fault, Reading

WallSource = Literal["meter", "calibrated"]

WALL_WORDS: dict[WallSource, str] = {"meter": "by its meter", "calibrated": "calibrated"}


class MeterKind(NamedTuple):
    """One kind of meter.

    ``name`` is the value of ``kind`` in ``[[power.meters]]``; ``words`` describe it. ``place`` is its file and
    class in ``probes/meters/``, made of ``(settings, config)``. ``needs`` names its required settings, ``takes`` its
    optional ones besides those of all meters. ``seconds`` is the default reading interval. ``accuracy_percent`` is the
    usual accuracy of such meters; None if it depends on what is behind it.
    """

    name: str
    words: str
    place: str
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    seconds: float = 2.0
    accuracy_percent: float | None = None


HTTP = ("token_file", "token_env", "ca_file")

METERS: tuple[MeterKind, ...] = (
    MeterKind(
        "shelly",
        "a Shelly plug or energy meter",
        "shelly.ShellyMeter",
        needs=("url",),
        takes=("outlets", *HTTP),
        accuracy_percent=1.0,
    ),
    MeterKind(
        "tasmota",
        "a plug with Tasmota",
        "tasmota.TasmotaMeter",
        needs=("url",),
        takes=("outlets", *HTTP),
        accuracy_percent=2.0,
    ),
    MeterKind(
        "redfish",
        "a server's BMC by Redfish",
        "redfish.RedfishMeter",
        needs=("url",),
        takes=("outlets", *HTTP),
        seconds=10.0,
        accuracy_percent=5.0,
    ),
    MeterKind("ipmi", "a server's BMC by IPMI (DCMI)", "ipmi.IpmiMeter", seconds=5.0, accuracy_percent=5.0),
    MeterKind(
        "snmp",
        "a power strip by SNMP",
        "snmp.SnmpMeter",
        needs=("url",),
        takes=("outlets", "token_file", "token_env"),
        seconds=5.0,
        accuracy_percent=2.0,
    ),
    MeterKind(
        "promql",
        "an expression of a Prometheus",
        "promql.PromqlMeter",
        needs=("url", "query"),
        takes=("energy_query", *HTTP),
        seconds=15.0,
    ),
)
"""Every kind of meter for the settings."""

METER_KINDS = [kind.name for kind in METERS]


def meter_kind(name: str) -> MeterKind | None:
    """The entry of a kind; None if this version does not know it."""
    return next((kind for kind in METERS if kind.name == name), None)


class MeterReading(Reading, frozen=True, kw_only=True):
    """The last value of one meter. ``time`` and ``monotonic`` are when it first appeared; a meter that repeats it is
    younger by up to ``refresh_seconds``.

    ``watts`` and ``joules_total`` cover everything behind the meter; None if there was no answer for too long, or if
    the value has been constant for so long that the meter must have stopped (``fault`` says so). ``joules_total`` comes
    from the meter's own counter if it has one, else from its watts. It has counted without a gap since ``since`` (Unix
    seconds), and restarts at 0 after one: the energy of a window is known if it started no earlier. It is as of
    ``answered`` (Unix seconds), the meter's last answer.

    ``refresh_seconds`` is the observed refresh interval, not shorter than the reading interval ``interval_seconds``.
    ``resolution_watts`` is the observed step of the watts. ``error_watts`` bounds the error of ``watts``: half a step
    and the meter's class. Each is None until known.

    ``machines`` is how many are behind the meter; this one has ``share`` of their power, None if unknown. ``supply``:
    it feeds one of several power supplies of this machine.
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
    """Power of this machine at the wall: by its meters, or ``calibrated``, computed from its own counters by a model
    that was fitted to a meter.

    ``time`` and ``monotonic`` are those of its oldest value; ``joules_total`` is as of ``answered`` (Unix seconds).
    ``error_watts`` is the bound of the meter's own error and resolution, or half the 95 % prediction interval of the
    model. ``watts`` is None if a part is unknown, and ``reason`` says which. ``joules_total`` is for differences, over
    windows that started no earlier than ``since`` (Unix seconds). ``meters`` are all configured ones, whether or not
    they are in the sum.
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
    """All configured wall meters, and the resulting power of this machine."""

    power: WallPower
