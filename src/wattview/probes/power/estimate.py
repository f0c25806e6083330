"""Estimated energy from CPU time, for machines that measure nothing: most virtual machines and clouds.

``watts = idle watts × CPUs + (full-load watts − idle watts) × busy CPUs``, the linear model of Etsy's Cloud Jewels
(https://www.etsy.com/codeascraft/cloud-jewels-estimating-kwh-in-the-cloud/) and of Cloud Carbon Footprint
(https://www.cloudcarbonfootprint.org/docs/methodology/, "Compute"). The watts per logical CPU are Cloud Carbon
Footprint's, which it derives from SPECpower_ssj2008 results of whole servers, idle and at full load, by processor
family. They are a server's share, memory and fans included, and not a measurement of this machine.

Only /proc/stat and /proc/cpuinfo are read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from wattview.config import Config
from wattview.model import PowerSource
from wattview.probes import SourceAbsent, SourceBroken
from wattview.probes.kernel_files import KernelFile
from wattview.probes.power.energy_source import Measurement, Moment
from wattview.probes.procfs import cpu_count, cpu_total


class CpuFamily(NamedTuple):
    """A processor family, its identification in /proc/cpuinfo, and the watts of one logical CPU, idle and fully used.

    ``models`` are (vendor, family, model) on x86 and (implementer, part) on ARM; ``steppings`` distinguish families
    that share a model.
    """

    name: str
    idle_watts: float
    max_watts: float
    models: tuple[tuple[str, ...], ...]
    steppings: range | None = None


def _intel(*models: int) -> tuple[tuple[str, ...], ...]:
    return tuple(("GenuineIntel", "6", str(model)) for model in models)


def _amd(family: int, *models: int) -> tuple[tuple[str, ...], ...]:
    return tuple(("AuthenticAMD", str(family), str(model)) for model in models)


FAMILIES = (
    CpuFamily("Sandy Bridge", 2.21, 8.63, _intel(0x2A, 0x2D)),
    CpuFamily("Ivy Bridge", 1.71, 5.56, _intel(0x3A, 0x3E)),
    CpuFamily("Haswell", 1.86, 5.60, _intel(0x3C, 0x3F)),
    CpuFamily("Broadwell", 0.71, 3.69, _intel(0x47, 0x4F, 0x56)),
    CpuFamily("Skylake", 0.61, 4.10, _intel(0x55), steppings=range(5)),
    CpuFamily("Cascade Lake", 0.69, 4.06, _intel(0x55), steppings=range(5, 8)),
    CpuFamily("Coffee Lake", 1.14, 5.42, _intel(0x9E)),
    CpuFamily("Ice Lake", 0.77, 3.76, _intel(0x6A, 0x6C)),
    CpuFamily("Sapphire Rapids", 1.04, 4.16, _intel(0x8F)),
    CpuFamily("Emerald Rapids", 0.81, 4.48, _intel(0xCF)),
    CpuFamily("Granite Rapids", 0.58, 2.53, _intel(0xAD)),
    CpuFamily("EPYC 1st Gen", 0.85, 2.60, _amd(0x17, 0x01)),
    CpuFamily("EPYC 2nd Gen", 0.47, 1.69, _amd(0x17, 0x31)),
    CpuFamily("EPYC 3rd Gen", 0.46, 1.96, _amd(0x19, 0x01)),
    CpuFamily("EPYC 4th Gen", 0.74, 2.28, _amd(0x19, 0x11, 0xA0)),
    CpuFamily("Graviton 2 to 4", 0.47, 1.69, (("0x41", "0xd0c"), ("0x41", "0xd40"), ("0x41", "0xd4f"))),
)
"""https://github.com/cloud-carbon-footprint/ccf-coefficients, output/coefficients-aws-use.csv of 2026-03, to 10 mW; the
model numbers are those of arch/x86/include/asm/intel-family.h, AMD's revision guides and ARM's MIDR. It equates
Graviton with EPYC 2nd Gen. Its EPYC 5th Gen is left out: those results are from the small 4000 series, several times
the figure of a large processor."""

ANY_FAMILY = CpuFamily("any", 0.74, 3.5, ())
"""For a processor that is not in the table: Cloud Carbon Footprint's averages over AWS's processors
(https://www.cloudcarbonfootprint.org/docs/methodology/, "Compute")."""

_FIELD = re.compile(rb"^(vendor_id|cpu family|model|stepping|CPU implementer|CPU part)[ \t]*: *(\S+)", re.MULTILINE)


def cpu_family(cpuinfo: bytes) -> CpuFamily:
    """The family of the first processor in /proc/cpuinfo; ``ANY_FAMILY`` if it is not in the table."""
    first = cpuinfo.partition(b"\n\n")[0]
    fields = {name.decode(): value.decode("ascii", "replace") for name, value in _FIELD.findall(first)}
    x86 = (fields.get("vendor_id", ""), fields.get("cpu family", ""), fields.get("model", ""))
    arm = (fields.get("CPU implementer", ""), fields.get("CPU part", ""))
    stepping = fields.get("stepping", "")
    number = int(stepping) if stepping.isdecimal() else -1
    for family in FAMILIES:
        known = x86 in family.models or arm in family.models
        if known and (family.steppings is None or number in family.steppings):
            return family
    return ANY_FAMILY


def make(config: Config) -> EstimatedEnergy:
    """The source, as configured."""
    power = config.power
    return EstimatedEnergy(config.paths.procfs, power.estimate_idle_watts_per_cpu, power.estimate_max_watts_per_cpu)


class EstimatedEnergy:
    """Energy from the CPU-time counters since boot: see ``EnergySource``.

    A counter derived from counters: it needs no sampling, and continues across a restart of WattView. Time that a
    hypervisor gave to others (steal) and time suspended do not count. A CPU that comes or goes changes the idle part
    from then on, not the past energy.
    """

    name: PowerSource = "estimated"
    useful_hz = 1.0
    counts = False

    def __init__(
        self, procfs: str | Path, idle_watts_per_cpu: float | None = None, max_watts_per_cpu: float | None = None
    ) -> None:
        self._stat = KernelFile(Path(procfs) / "stat", size=16384)
        self._cpuinfo = Path(procfs) / "cpuinfo"
        self._settings = (idle_watts_per_cpu, max_watts_per_cpu)
        self._watts: tuple[float, float] | None = None
        self._total = 0.0
        self._uptime = 0.0
        self._busy = 0.0

    def measure(self, now: Moment) -> Measurement:
        """Raises SourceAbsent without a /proc/stat, SourceBroken if it is malformed."""
        try:
            data = self._stat.read()
            times, cpus = cpu_total(data), cpu_count(data)
        except OSError as error:
            raise SourceAbsent(f"{self._stat.path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise SourceBroken(f"{self._stat.path}: {error}") from None
        if self._watts is None:
            self._watts = self._watts_per_cpu()
        idle_watts, max_watts = self._watts
        busy = times.busy
        # The kernel's CPU times can decrease slightly when a CPU goes offline.
        if now.monotonic > self._uptime:
            self._total += idle_watts * cpus * (now.monotonic - self._uptime)
            self._uptime = now.monotonic
        if busy > self._busy:
            self._total += (max_watts - idle_watts) * (busy - self._busy)
            self._busy = busy
        return Measurement(host_microjoules=round(self._total * 1e6), idle_watts=idle_watts * cpus)

    def close(self) -> None:
        self._stat.close()

    def _watts_per_cpu(self) -> tuple[float, float]:
        """Idle and fully used: from the settings, and from the processor's family for one that is not set."""
        try:
            family = cpu_family(self._cpuinfo.read_bytes())
        except OSError:
            family = ANY_FAMILY
        idle, full = self._settings
        idle = family.idle_watts if idle is None else idle
        return idle, max(idle, family.max_watts if full is None else full)
