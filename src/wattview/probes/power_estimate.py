"""An estimate of energy from CPU time, for machines where nothing measures: most virtual machines and clouds.

``watts = idle watts × CPUs + (full-load watts − idle watts) × busy CPUs``, the linear model of Etsy's Cloud Jewels
(https://www.etsy.com/codeascraft/cloud-jewels-estimating-kwh-in-the-cloud/) and of Cloud Carbon Footprint
(https://www.cloudcarbonfootprint.org/docs/methodology/, "Compute"). The defaults are the latter's averages for AWS,
0.74 and 3.5 W for each vCPU, which it takes from servers' SPECpower results. It says nothing of disks, memory, fans
and losses, and it is nobody's measurement. Only /proc/stat is read.
"""

from __future__ import annotations

from pathlib import Path

from wattview.model import PowerSource
from wattview.probes import SourceAbsent, SourceBroken
from wattview.probes.files import KernelFile
from wattview.probes.power_source import Measurement, Moment
from wattview.probes.procfs import cpu_count, cpu_total


class EstimatedEnergy:
    """Energy from the CPU-time counters since boot: see ``EnergySource``.

    A counter made of counters: it needs no sampling, and a restart of WattView goes on where it was. Time that a
    hypervisor gave to others (steal) is not ours; time asleep draws nothing. A CPU that comes or goes changes the
    idle part from then on, never what was counted.
    """

    name: PowerSource = "estimated"
    useful_hz = 1.0

    def __init__(self, procfs: str | Path, idle_watts_per_cpu: float, max_watts_per_cpu: float) -> None:
        self._stat = KernelFile(Path(procfs) / "stat", size=16384)
        self._idle_watts = idle_watts_per_cpu
        self._busy_watts = max_watts_per_cpu - idle_watts_per_cpu
        self._total = 0.0
        self._uptime = 0.0
        self._busy = 0.0

    def measure(self, now: Moment) -> Measurement:
        """Raises SourceAbsent without a /proc/stat, SourceBroken where it is not in the kernel's form."""
        try:
            data = self._stat.read()
            times, cpus = cpu_total(data), cpu_count(data)
        except OSError as error:
            raise SourceAbsent(f"{self._stat.path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise SourceBroken(f"{self._stat.path}: {error}") from None
        busy = times.busy - times.steal
        # The kernel's own CPU times can step back a little when a CPU goes offline.
        if now.monotonic > self._uptime:
            self._total += self._idle_watts * cpus * (now.monotonic - self._uptime)
            self._uptime = now.monotonic
        if busy > self._busy:
            self._total += self._busy_watts * (busy - self._busy)
            self._busy = busy
        return Measurement(host_microjoules=round(self._total * 1e6))

    def close(self) -> None:
        self._stat.close()
