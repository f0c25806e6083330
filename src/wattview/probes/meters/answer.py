"""What a meter answers, whatever its kind, and what is made of the parts that one device has. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from wattview.probes import SourceBroken

JOULES_PER_WATT_HOUR = 3600.0


class MeterAnswer(NamedTuple):
    """One answer. ``joules`` is the meter's own counter as it shows it, ``joules_step`` the unit in which it counts,
    and ``wraps_at`` what it begins anew at; None where it never does. ``signs`` are other figures that move when the
    meter refreshes (volts, amperes, its own clock): without them one that shows the same watts again may have stopped,
    or may measure a steady load."""

    watts: float | None
    joules: float | None = None
    joules_step: float = 1.0
    wraps_at: float | None = None
    signs: tuple[object, ...] = ()


class Outlet(NamedTuple):
    """A switch, phase, outlet, chassis or supply that a device measures on its own. ``name`` is what the device calls
    it: what ``outlets`` of the settings may name."""

    name: str
    watts: float | None
    joules: float | None = None
    signs: tuple[object, ...] = ()


class WallMeter(Protocol):
    """One meter. ``read`` runs in a loop that is the meter's own, and may block it; raises SourceError."""

    async def read(self) -> MeterAnswer: ...

    async def close(self) -> None: ...


def together(
    outlets: Sequence[Outlet], wanted: Iterable[str], joules_step: float = 1.0, wraps_at: float | None = None
) -> MeterAnswer:
    """The outlets that are wanted as one meter: all where none is named. A part that is unknown makes the sum unknown.

    Raises SourceBroken where the device has none, or not one of these.
    """
    if not outlets:
        raise SourceBroken("it answers, and measures no power", "take a model with a power meter")
    named = {outlet.name: outlet for outlet in outlets}
    chosen = []
    for name in wanted:
        if name not in named:
            raise SourceBroken(f"it has no outlet {name!r}", f"set outlets to some of {', '.join(named)}")
        chosen.append(named[name])
    chosen = chosen or list(outlets)
    return MeterAnswer(
        watts=total(outlet.watts for outlet in chosen),
        joules=total(outlet.joules for outlet in chosen),
        joules_step=joules_step * len(chosen),
        # A sum of counters wraps by one of them at a time.
        wraps_at=wraps_at,
        signs=tuple(sign for outlet in chosen for sign in outlet.signs),
    )


def decimals(value: object) -> int:
    """How many digits after the point a device writes: its counter moves in no smaller steps."""
    return len(f"{value}".partition(".")[2].rstrip("0")) if isinstance(value, float) else 0


def total(parts: Iterable[float | None]) -> float | None:
    """The sum; None where a part is unknown, or there is none."""
    known = list(parts)
    return None if not known or None in known else sum(part for part in known if part is not None)
