"""Settings of money and carbon: prices and tariffs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from wattview.config.section import NonNegative, Section
from wattview.model.power.grid import GRID_KINDS, grid_kind

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


class GridSettings(Section, frozen=True, kw_only=True):
    """A source of the grid's carbon intensity or price over time. It takes precedence over the single figures above; of
    several sources, the first with a value is used.

    The price is the source's times ``factor`` (taxes, another currency) plus ``per_kwh`` (network charges).
    """

    kind: Annotated[str, Meta(examples=GRID_KINDS)]
    zone: str = ""
    file: str = ""
    url: str = ""
    token_file: str = ""
    token_env: str = ""
    ca_file: str = ""
    factor: Annotated[float, Meta(gt=0)] = 1.0
    per_kwh: NonNegative = 0.0

    def retail(self, price: float) -> float:
        """What a kilowatt-hour costs here, by the source's price."""
        return price * self.factor + self.per_kwh

    @property
    def title(self) -> str:
        """What it is called, in messages and as its file in the cache."""
        return f"{self.kind} {self.zone}" if self.zone else self.kind


def grid_problem(sources: tuple[GridSettings, ...]) -> str:
    """What is wrong with these settings, as ``cost.grid[0].zone: …``; "" where nothing is."""
    for index, source in enumerate(sources):
        kind = grid_kind(source.kind)
        if kind is None:
            return f"cost.grid[{index}].kind: expected one of {', '.join(GRID_KINDS)}, got {source.kind!r}"
        for needed in kind.needs:
            if not getattr(source, needed):
                return f"cost.grid[{index}].{needed}: needed by a source of kind {kind.name}"
        for name in ("zone", "file", "url", "token_file", "token_env", "ca_file"):
            if getattr(source, name) and name not in (*kind.needs, *kind.takes):
                return f"cost.grid[{index}].{name}: a source of kind {kind.name} has none"
        if "@" in source.url:
            return f"cost.grid[{index}].url: a password does not belong here; set token_file"
        if source.title in [other.title for other in sources[:index]]:
            return f"cost.grid[{index}].kind: {source.title} is there twice"
    return ""


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
    grid: tuple[GridSettings, ...] = ()
