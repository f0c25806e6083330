"""The value of a quantity in a row or a group of repeats, and its text.

All values come from the control API; nothing is computed here.
"""

from __future__ import annotations

from typing import NamedTuple

from wattview.model import Group, ScenarioResult
from wattview.model.quantities import QUANTITIES, Quantity
from wattview.tui.text import UNKNOWN, number, signed


class Value(NamedTuple):
    """A value and its error: half of the repeats' 95 % interval, or the measurement's own error. None is unknown."""

    value: float | None = None
    half: float | None = None


def of_scenario(one: ScenarioResult, name: str) -> Value:
    """The value of a single measurement."""
    quantity = QUANTITIES[name]
    return Value(quantity.of(one), quantity.error_of(one))


def of_group(group: Group, name: str) -> Value:
    """The mean of repeats, and half of its interval."""
    found = group.figures.get(name)
    return Value() if found is None else Value(found.mean, found.half)


def written(quantity: Quantity, value: float | None) -> str:
    """The number in the quantity's unit, without the unit: ``40.00``, ``+10.00``."""
    if value is None:
        return UNKNOWN
    return (signed if quantity.signed else number)(quantity.scaled(value), quantity.decimals)


def signed_written(quantity: Quantity, difference: float) -> str:
    """A difference of two values of the quantity, in its unit."""
    return signed(quantity.scaled(difference), quantity.decimals)


def around(quantity: Quantity, half: float | None) -> str:
    """``±3.1``; "" if it is unknown or rounds to zero."""
    text = number(quantity.scaled(half), quantity.decimals) if half is not None else ""
    return f"±{text}" if text.strip("0.") else ""


def spoken(quantity: Quantity, value: Value, currency: str) -> str:
    """``40.00 ±0.15 W``."""
    parts = (written(quantity, value.value), around(quantity, value.half), quantity.unit_in(currency))
    return " ".join(part for part in parts if part)
