"""A meter's answer, whatever its kind, and its composition from the parts of one device. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from wattview.model.source import total
from wattview.probes import SourceBroken

JOULES_PER_WATT_HOUR = 3600.0


class MeterAnswer(NamedTuple):
    """One answer. ``joules`` is the meter's own counter, ``joules_step`` its resolution, and ``wraps_at`` where it
    restarts; None if it never does. ``signs`` are other figures that change when the meter refreshes (volts, amperes,
    its own clock): without them a meter that repeats its watts may have stopped, or may measure a steady load."""

    watts: float | None
    joules: float | None = None
    joules_step: float = 1.0
    wraps_at: float | None = None
    signs: tuple[object, ...] = ()


class Outlet(NamedTuple):
    """A switch, phase, outlet, chassis or supply that a device measures separately. ``name`` is the device's name for
    it, as in the setting ``outlets``."""

    name: str
    watts: float | None
    joules: float | None = None
    signs: tuple[object, ...] = ()


class WallMeter(Protocol):
    """One meter. ``read`` runs in the meter's own loop, and may block it; raises SourceError."""

    async def read(self) -> MeterAnswer: ...

    async def close(self) -> None: ...


def together(
    outlets: Sequence[Outlet], wanted: Iterable[str], joules_step: float = 1.0, wraps_at: float | None = None
) -> MeterAnswer:
    """The selected outlets as one meter: all by default. An unknown part makes the sum unknown.

    Raises SourceBroken if the device has none, or lacks one of these.
    """
    if not outlets:
        raise SourceBroken("it answers but does not measure power", "take a model with a power meter")
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


def measured(value: object) -> float | None:
    """Of a device's answer; None if it is anything else: ``null`` says that it cannot measure now."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def decimals(value: object) -> int:
    """Number of decimals that a device writes: the resolution of its counter."""
    return len(f"{value}".partition(".")[2].rstrip("0")) if isinstance(value, float) else 0
