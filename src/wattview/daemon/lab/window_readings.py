"""One reading of the sources of a run's figures other than the power trail: CPU time, GPUs, and what is unknown."""

from __future__ import annotations

from wattview.analysis.machine_power import machine_power
from wattview.analysis.windows import series as names
from wattview.daemon.attribution.attributor import Attributor
from wattview.daemon.lab.window_trail import WindowReadings
from wattview.daemon.sampler import Sampler, Source
from wattview.daemon.wall.wall import Wall
from wattview.model import PowerReading, Reading

FRESH_SECONDS = 1e-6
"""A reading that ends a window must come after it. 0 would read a failed source again each time."""

PATIENCE_SECONDS = 1.0

KEPT = frozenset(
    {
        names.HOST_ENERGY, names.CPU_BUSY, names.CPUS, names.GPU_MILLIJOULES, names.GPU_PERCENT, names.WALL_ENERGY,
        names.WALL_ERROR_WATTS,
    }
)  # fmt: skip


async def window_readings(sampler: Sampler, attributor: Attributor, wall: Wall) -> WindowReadings:
    """Reads the host, the GPUs and the wall now. A source that fails leaves out its own samples."""
    wanted = [sampler.sources[name] for name in ("power", "host", "gpu", "wall") if name in sampler.sources]
    read = await sampler.read_each([one.name for one in wanted], FRESH_SECONDS, PATIENCE_SECONDS)
    found = {source.name: reading for source, reading in zip(wanted, read, strict=True)}
    samples: list[tuple[float, str, float]] = []
    for source in wanted:
        samples += _samples(source, found[source.name])
    if wall.calibration is not None:
        # An interval ends where all sources have been read, those that a window does not need among them.
        await attributor.read()
    calibrated, series = wall.kept()
    samples += [(calibrated, name, value) for name, value in series if name.partition("{")[0] in KEPT]
    power = found.get("power")
    if not isinstance(power, PowerReading):
        status = sampler.sources["power"].status if "power" in sampler.sources else None
        reason = status.reason if status is not None else "there is no source of power"
        return WindowReadings(samples, None, [], reason)
    gpus = sampler.known_gpus(found.get("gpu"))
    machine = machine_power(power, gpus)
    assert machine is not None
    reason = machine.reason
    if power.host_joules_total is None:
        reason = "; ".join(f"{fault.part}: {fault.reason}" for fault in power.faults) or "a part could not be read"
    beside = machine.source.split("+")[1:] if gpus is not None else ["GPUs"]
    return WindowReadings(samples, power.source, beside, reason)


def _samples(source: Source, reading: Reading | None) -> list[tuple[float, str, float]]:
    """Without power, whose counter is in the trail."""
    if reading is None or isinstance(reading, PowerReading):
        return []
    return [
        (reading.time, family.name + text, value)
        for view in source.entry.views
        if KEPT & view.keep
        for family in view.families(reading)
        if family.name in KEPT
        for text, value in family.samples
    ]
