"""Cost of an hour at the current rate: energy, computing time, and their sum."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from wattview.analysis.pricing import cost, tariff
from wattview.config import Cost
from wattview.model import Gpu, HostReading, MachinePower, WallPower


class HourlyCost(Struct, frozen=True):
    """In the configured currency; ``carbon_grams`` belongs to the energy. An unknown part is None and makes its sum
    None."""

    energy: float | None
    compute: float | None
    total: float | None
    carbon_grams: float | None


def hourly_cost(
    machine: MachinePower | None,
    host: HostReading | None,
    gpus: Sequence[Gpu] | None,
    time: float,
    prices: Cost,
    wall: WallPower | None = None,
) -> HourlyCost:
    """From the readings of one moment, at the price of energy then. ``gpus`` is None if unknown. The energy is that
    drawn from the wall if it is known, else the machine's."""
    watts = machine.watts if machine is not None else None
    if wall is not None and wall.watts is not None:
        watts = wall.watts
    energy = None if watts is None else watts / 1000.0 * tariff.price_at(time, prices) * prices.pue
    compute = _compute(host, gpus, prices)
    return HourlyCost(
        energy=energy,
        compute=compute,
        total=None if energy is None or compute is None else energy + compute,
        carbon_grams=None if watts is None else cost.carbon_grams(watts * cost.SECONDS_PER_HOUR, prices),
    )


def _compute(host: HostReading | None, gpus: Sequence[Gpu] | None, prices: Cost) -> float | None:
    if host is None or host.cpu_percent is None or (gpus is None and prices.gpu_per_hour):
        return None
    shares = [gpu.utilization_percent for gpu in gpus or ()] if prices.gpu_per_hour else []
    known = [share / 100.0 for share in shares if share is not None]
    if len(known) < len(shares):
        return None
    busy_cpus = host.cpu_percent / 100.0 * host.cpus
    return cost.compute_cost(busy_cpus * cost.SECONDS_PER_HOUR, sum(known) * cost.SECONDS_PER_HOUR, prices)
