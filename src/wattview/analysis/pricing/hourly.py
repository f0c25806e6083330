"""Cost of an hour at the current rate: energy, computing time, and their sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from wattview.analysis.pricing import cost, grid, tariff
from wattview.analysis.pricing.grid import GridValue
from wattview.config import Cost
from wattview.model import Gpu, GridPrices, HostReading, MachinePower, WallPower


class HourlyCost(Struct, frozen=True):
    """In the configured currency; ``carbon_grams`` belongs to the energy, ``embodied_grams`` to the machine (M of
    ISO/IEC 21031; None if it is not set). An unknown part is None and makes its sum None. ``stale``: a price or an
    intensity is the last known one, as its source has not told a newer."""

    energy: float | None
    compute: float | None
    total: float | None
    carbon_grams: float | None
    embodied_grams: float | None = None
    stale: bool = False

    def sci_grams(self, streams: int) -> float | None:
        """Software Carbon Intensity of a stream-hour, ``(E x I + M) / R`` of ISO/IEC 21031; None without a stream, and
        if the energy's carbon is unknown. M is 0 if the machine's embodied carbon is not set."""
        return (self.carbon_grams + (self.embodied_grams or 0.0)) / streams if streams and self.carbon_grams else None

    def of_snapshot(self, streams: int) -> dict[str, Any]:
        """These figures as fields of a snapshot with so many streams."""
        return {
            "cost_per_hour": self.total,
            "energy_cost_per_hour": self.energy,
            "compute_cost_per_hour": self.compute,
            "carbon_grams_per_hour": self.carbon_grams,
            "embodied_grams_per_hour": self.embodied_grams,
            "sci_grams_per_stream_hour": self.sci_grams(streams),
            "prices_stale": self.stale,
        }


def hourly_cost(
    machine: MachinePower | None,
    host: HostReading | None,
    gpus: Sequence[Gpu] | None,
    time: float,
    prices: Cost,
    wall: WallPower | None = None,
    known: GridPrices | None = None,
) -> HourlyCost:
    """From the readings of one moment, at the price of energy then. ``gpus`` is None if unknown. The energy is that
    drawn from the wall if it is known, else the machine's. ``known`` is what sources of the grid tell; it goes before
    the settings."""
    watts = machine.watts if machine is not None else None
    if wall is not None and wall.watts is not None:
        watts = wall.watts
    price, intensity = rates(time, prices, known)
    kilowatts = None if watts is None else watts / 1000.0 * prices.pue
    energy = None if kilowatts is None else kilowatts * price.value
    compute = _compute(host, gpus, prices)
    return HourlyCost(
        energy=energy,
        compute=compute,
        total=None if energy is None or compute is None else energy + compute,
        carbon_grams=None if kilowatts is None or intensity is None else kilowatts * intensity.value,
        embodied_grams=cost.embodied_grams(cost.SECONDS_PER_HOUR, prices) if prices.embodied_kg else None,
        stale=not price.current or (intensity is not None and not intensity.current),
    )


def rates(time: float, prices: Cost, known: GridPrices | None) -> tuple[GridValue, GridValue | None]:
    """Price and carbon intensity (g) of a kilowatt-hour at that moment: by the grid's sources, else by the settings.
    The intensity is None if neither has one."""
    price = grid.value_at(known.price if known is not None else None, time)
    intensity = grid.value_at(known.carbon if known is not None else None, time)
    if intensity is None and prices.carbon_g_per_kwh:
        intensity = GridValue(prices.carbon_g_per_kwh, True)
    return price or GridValue(tariff.price_at(time, prices), True), intensity


def _compute(host: HostReading | None, gpus: Sequence[Gpu] | None, prices: Cost) -> float | None:
    if host is None or host.cpu_percent is None or (gpus is None and prices.gpu_per_hour):
        return None
    shares = [gpu.utilization_percent for gpu in gpus or ()] if prices.gpu_per_hour else []
    known = [share / 100.0 for share in shares if share is not None]
    if len(known) < len(shares):
        return None
    busy_cpus = host.cpu_percent / 100.0 * host.cpus
    return cost.compute_cost(busy_cpus * cost.SECONDS_PER_HOUR, sum(known) * cost.SECONDS_PER_HOUR, prices)
