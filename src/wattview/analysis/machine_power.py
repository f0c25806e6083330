"""Power of the whole machine: the host, and the GPUs that its source does not include. Each joule counts once.

RAPL and the estimate see the processor but not the cards in the slots; a board's meter and a battery include them.
"""

from __future__ import annotations

from collections.abc import Sequence

from wattview.model import Gpu, MachinePower, PowerReading
from wattview.model.power_sources import PROCESSOR_SOURCES
from wattview.model.source import total


def machine_power(power: PowerReading | None, gpus: Sequence[Gpu] | None) -> MachinePower | None:
    """Machine power from the readings of one moment; None if the host has no power source. ``gpus`` is None if there
    are, or may be, GPUs that cannot be read now: the sum is then unknown.

    Drivers do not state the error of a GPU's power, so a sum with a GPU in it has no known error.
    """
    if power is None:
        return None
    if power.source in PROCESSOR_SOURCES and gpus is None:
        return MachinePower(source=power.source, reason="its GPUs cannot be read at the moment")
    beside = [gpu for gpu in gpus or () if gpu.draws_beside] if power.source in PROCESSOR_SOURCES else []
    silent = [str(gpu.index) for gpu in beside if gpu.power_watts is None]
    drivers = {gpu.source: None for gpu in beside}
    return MachinePower(
        source="+".join([power.source, *drivers]),
        watts=total([power.host_watts, *(gpu.power_watts for gpu in beside)]),
        error_watts=None if beside else power.host_error_watts,
        joules_total=total([power.host_joules_total, *(gpu.energy_joules_total for gpu in beside)]),
        reason=f"GPU {', '.join(silent)} does not report its power" if silent else "",
    )
