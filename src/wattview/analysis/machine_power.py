"""The power of the whole machine: the host's figure, and the GPUs that it does not hold. Each joule once.

RAPL and the estimate see the processor and not the cards in the slots; a board's meter and a battery feed these too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wattview.model import Gpu, MachinePower, PowerReading
from wattview.model.power_sources import PROCESSOR_SOURCES


def machine_power(power: PowerReading | None, gpus: Sequence[Gpu] | None) -> MachinePower | None:
    """By the readings of one moment; None where the host has no source of power. ``gpus`` is None where there are
    some, or may be, that cannot be read now: a sum that silently lacks one does not exist.

    Drivers do not say how far a GPU's power may be off, so that a sum with a GPU in it has no error that is known.
    """
    if power is None:
        return None
    if power.source in PROCESSOR_SOURCES and gpus is None:
        return MachinePower(source=power.source, reason="its GPUs cannot be read now")
    beside = [gpu for gpu in gpus or () if gpu.draws_beside] if power.source in PROCESSOR_SOURCES else []
    silent = [str(gpu.index) for gpu in beside if gpu.power_watts is None]
    drivers = {gpu.source: None for gpu in beside}
    return MachinePower(
        source="+".join([power.source, *drivers]),
        watts=_sum([power.host_watts, *(gpu.power_watts for gpu in beside)]),
        error_watts=None if beside else power.host_error_watts,
        joules_total=_sum([power.host_joules_total, *(gpu.energy_joules_total for gpu in beside)]),
        reason=f"GPU {', '.join(silent)} does not report its power" if silent else "",
    )


def _sum(parts: Iterable[float | None]) -> float | None:
    known = list(parts)
    return None if None in known else sum(part for part in known if part is not None)
