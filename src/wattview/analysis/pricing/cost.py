"""Cost of energy and computing time, and carbon emissions, by the configured prices.

``cost_energy = joules / 3.6e6 x energy_per_kwh x pue``; ``cost_compute = CPU-seconds / 3600 x cpu_per_hour +
GPU-seconds / 3600 x gpu_per_hour``; the total is their sum. CPU-seconds are busy time, GPU-seconds are utilisation
integrated over time.
"""

from __future__ import annotations

from wattview.config import Cost

JOULES_PER_KWH = 3.6e6
SECONDS_PER_HOUR = 3600.0
YEAR_SECONDS = 365.25 * 86400.0


def energy_cost(joules: float, prices: Cost) -> float:
    """Price of that energy at the meter, with the building's overhead (``pue``)."""
    return joules / JOULES_PER_KWH * prices.energy_per_kwh * prices.pue


def compute_cost(cpu_seconds: float, gpu_seconds: float, prices: Cost) -> float:
    """Price of computing time, in busy seconds."""
    return cpu_seconds / SECONDS_PER_HOUR * prices.cpu_per_hour + gpu_seconds / SECONDS_PER_HOUR * prices.gpu_per_hour


def carbon_grams(joules: float, prices: Cost) -> float | None:
    """Grams of CO2 equivalent of that energy at the meter; None if the grid's intensity is not set."""
    if not prices.carbon_g_per_kwh:
        return None
    return joules / JOULES_PER_KWH * prices.carbon_g_per_kwh * prices.pue


def egress_cost(gigabytes: float, prices: Cost) -> float:
    """Price of delivering that many gigabytes (1e9 bytes) to viewers."""
    return gigabytes * prices.egress_per_gb


def embodied_grams(seconds: float, prices: Cost) -> float:
    """Share of the machine's embodied carbon (g CO2e) for that long in use: time over lifetime."""
    return prices.embodied_kg * 1000.0 * seconds / (prices.lifetime_years * YEAR_SECONDS)


def software_carbon_intensity(
    joules: float, seconds: float, units: float, prices: Cost, operational: float | None = None
) -> float | None:
    """Grams of CO2 equivalent per functional unit: ``(E x I + M) / R`` of ISO/IEC 21031:2024.

    E is the energy including the building's overhead, I the grid's intensity, M the machine's embodied carbon for that
    time and R the number of units (stream-hours). ``operational`` is E x I if it is known already, as by the hour. None
    if the grid's intensity is not set.
    """
    if operational is None:
        operational = carbon_grams(joules, prices)
    return None if operational is None else (operational + embodied_grams(seconds, prices)) / units


def prices_text(prices: Cost) -> str:
    """The prices as text: ``0.12 USD/kWh, CPU 0.5 USD/h``; defaults and zeros are omitted."""
    money = prices.currency
    zone = f", {prices.timezone}" if prices.timezone else ""
    parts = (
        f"{prices.energy_per_kwh:g} {money}/kWh",
        f"the grid's by {', '.join(source.title for source in prices.grid)}" if prices.grid else "",
        f"tariff with {len(prices.tariff)} rows by the hour{zone}" if prices.tariff else "",
        f"PUE {prices.pue:g}" if prices.pue != 1.0 else "",
        f"CPU {prices.cpu_per_hour:g} {money}/h" if prices.cpu_per_hour else "",
        f"GPU {prices.gpu_per_hour:g} {money}/h" if prices.gpu_per_hour else "",
        f"egress {prices.egress_per_gb:g} {money}/GB" if prices.egress_per_gb else "",
        f"{prices.carbon_g_per_kwh:g} g CO₂e/kWh" if prices.carbon_g_per_kwh else "",
        f"embodied {prices.embodied_kg:g} kg CO₂e over {prices.lifetime_years:g} years" if prices.embodied_kg else "",
    )
    return ", ".join(part for part in parts if part)
