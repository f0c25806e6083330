"""Settings of money and carbon: prices and tariffs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from wattview.config.section import NonNegative, Section

ClockTime = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Tariff(Section, frozen=True, kw_only=True):
    """One row of a time-of-use tariff: the price of energy from ``start`` to ``end`` o'clock on these days.

    A row whose end is not after its start runs past midnight, and belongs to the day on which it began.
    """

    energy_per_kwh: NonNegative
    start: ClockTime = "00:00"
    end: ClockTime = "24:00"
    days: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Cost(Section, frozen=True, kw_only=True):
    """Prices, and the carbon of the grid and of the machine.

    The first matching row of ``tariff`` takes precedence over ``energy_per_kwh``; its hours are those of ``timezone``
    (``Europe/Berlin``; "" is this machine's). ``egress_per_gb`` is per 1e9 bytes that reach viewers. ``embodied_kg`` is
    the carbon emitted by making the machine (kg CO2e), spread over ``lifetime_years``. ``budget_per_hour`` is the most
    that this host may cost, energy and computing together; exceeding it raises an alert (0: no budget).
    """

    energy_per_kwh: NonNegative = 0.12
    cpu_per_hour: NonNegative = 0.50
    gpu_per_hour: NonNegative = 0.0
    currency: Annotated[str, Meta(min_length=1, max_length=16)] = "USD"
    pue: Annotated[float, Meta(ge=1.0)] = 1.0
    budget_per_hour: NonNegative = 0.0
    carbon_g_per_kwh: NonNegative = 0.0
    egress_per_gb: NonNegative = 0.0
    embodied_kg: NonNegative = 0.0
    lifetime_years: Annotated[float, Meta(gt=0)] = 4.0
    timezone: str = ""
    tariff: tuple[Tariff, ...] = ()
