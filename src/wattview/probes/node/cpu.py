"""CPU time by CPU and mode, thermal throttling, isolation and hot-plug state."""

from __future__ import annotations

import os
import re

from wattview.config import Config
from wattview.exposition import Family, counter, gauge, labels
from wattview.probes import procfs
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import integer, value
from wattview.probes.node.collector import Filter

_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
# The field on x86, ARM and s390.
_FLAGS = ("flags", "Features", "features")
# Labels, and the fields of /proc/cpuinfo for them.
_PLACE = {"package": "physical id", "core": "core id", "cpu": "processor"}
_ABOUT = {
    "vendor": "vendor_id", "family": "cpu family", "model": "model", "model_name": "model name",
    "microcode": "microcode", "stepping": "stepping", "cachesize": "cache size",
}  # fmt: skip
_PROCESSOR = re.compile(r"^(?=processor\s*:)", re.MULTILINE)
_CPU = re.compile(r"cpu[0-9]+")
# Linux supports at most 8192.
_MAX_CPUS = 1 << 16
_GUEST_MODES = {"user": "guest", "nice": "guest_nice"}

JUMP_BACK_SECONDS = 3.0
"""An idle counter that falls by at least this much was reset by a hot-plug; less is the kernel's own noise."""


class Cpu:
    """``node_cpu_*``.

    On a tickless CPU the kernel's idle and iowait counters can decrease slightly; exported values never do.
    """

    def __init__(self, config: Config) -> None:
        self._stat = KernelFile(f"{config.paths.procfs}/stat", size=16384)
        self._flags = Filter(include=config.node.cpu_flags_include)
        self._bugs = Filter(include=config.node.cpu_bugs_include)
        wanted = config.node.cpu_info or self._flags.includes or self._bugs.includes
        self._cpuinfo = KernelFile(f"{config.paths.procfs}/cpuinfo", 65536) if wanted else None
        self._topology = Topology(f"{config.paths.sysfs}/devices/system/cpu")
        self._shown: dict[int, procfs.CpuTimes] = {}

    def collect(self) -> list[Family]:
        seconds = counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.")
        guest = counter("node_cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode.")
        read = procfs.cpus(self._stat.read())
        self._shown = {cpu: never_less(times, self._shown.get(cpu)) for cpu, times in read.items()}
        for cpu, times in self._shown.items():
            name = str(cpu)
            for mode in _MODES:
                seconds.add(getattr(times, mode), labels(cpu=name, mode=mode))
            for mode, field in _GUEST_MODES.items():
                guest.add(getattr(times, field), labels(cpu=name, mode=mode))
        found = [seconds, guest, *self._topology.families()]
        if self._cpuinfo is not None:
            data = self._cpuinfo.read()
            found += cpuinfo_families(data)
            found.append(_of_first_core(data, "flag", _FLAGS, self._flags))
            found.append(_of_first_core(data, "bug", ("bugs",), self._bugs))
        return found


def never_less(now: procfs.CpuTimes, shown: procfs.CpuTimes | None) -> procfs.CpuTimes:
    """``now``, with each counter that decreased held at its exported value; a CPU that was reset starts again."""
    if shown is None or shown.idle - now.idle >= JUMP_BACK_SECONDS:
        return now
    if all(getattr(now, field) >= getattr(shown, field) for field in procfs.CpuTimes.__struct_fields__):
        return now
    return procfs.CpuTimes(
        *(max(getattr(now, field), getattr(shown, field)) for field in procfs.CpuTimes.__struct_fields__)
    )


class Topology:
    """/sys/devices/system/cpu: throttle counts of cores and packages, and which CPUs are isolated or online.

    The files of the CPUs are looked up again when the directory's listing changes. A core's count is read from its
    first CPU that has one, likewise a package's.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._isolated_list = KernelFile(f"{root}/isolated")
        self._names: tuple[str, ...] = ()
        self._cores: list[tuple[str, KernelFile]] = []
        self._packages: list[tuple[str, KernelFile]] = []
        self._online: list[tuple[str, KernelFile | None]] = []

    def families(self) -> list[Family]:
        try:
            names = tuple(name for name in os.listdir(self._root) if _CPU.fullmatch(name))
        except OSError:
            return []
        if set(names) != set(self._names):
            self._find(names)
        core = counter("node_cpu_core_throttles_total", "Number of times this CPU core has been throttled.")
        package = counter("node_cpu_package_throttles_total", "Number of times this CPU package has been throttled.")
        for family, files in ((core, self._cores), (package, self._packages)):
            for text, file in files:
                family.add(_number(file), text)
        online = gauge("node_cpu_online", "CPUs that are online and being scheduled.")
        for cpu, switch in self._online:
            online.add(1 if switch is not None and _number(switch) == 1 else 0, labels(cpu=cpu))
        return [core, package, online, self._isolated()]

    def _find(self, names: tuple[str, ...]) -> None:
        self._names = names
        numbers = sorted(int(name[3:]) for name in names)
        cores: dict[str, KernelFile] = {}
        packages: dict[str, KernelFile] = {}
        for number in numbers:
            cpu = f"{self._root}/cpu{number}"
            package = _number(KernelFile(f"{cpu}/topology/physical_package_id"))
            core = _number(KernelFile(f"{cpu}/topology/core_id"))
            if package is None or core is None:
                continue
            core_text = labels(package=str(package), core=str(core))
            package_text = labels(package=str(package))
            for found, text, name in ((cores, core_text, "core"), (packages, package_text, "package")):
                file = KernelFile(f"{cpu}/thermal_throttle/{name}_throttle_count")
                if text not in found and _number(file) is not None:
                    found[text] = file
        self._cores, self._packages = list(cores.items()), list(packages.items())
        # If the first CPU has no switch, none can be unplugged, and the kernel has no such files.
        switches = [(str(number), f"{self._root}/cpu{number}/online") for number in numbers]
        hotplug = bool(switches) and os.path.exists(switches[0][1])
        self._online = [(cpu, KernelFile(path)) for cpu, path in switches] if hotplug else []

    def _isolated(self) -> Family:
        family = gauge(
            "node_cpu_isolated", "Whether each core is isolated, information from /sys/devices/system/cpu/isolated."
        )
        try:
            listed = cpu_list(self._isolated_list.read().decode("ascii", "replace"))
        except (OSError, ValueError):
            return family
        for cpu in listed:
            family.add(1, labels(cpu=str(cpu)))
        return family


def cpu_list(text: str) -> list[int]:
    """``0-2,8`` as numbers (the kernel's list format). Raises ValueError."""
    found: list[int] = []
    for part in text.strip().split(","):
        if part:
            first, dash, last = part.partition("-")
            numbers = range(int(first), int(last if dash else first) + 1)
            if numbers.stop > _MAX_CPUS:
                raise ValueError(f"not a list of CPUs: {text[:80]!r}")
            found += numbers
    return found


def cpuinfo_families(data: bytes) -> list[Family]:
    """``node_cpu_info`` and each CPU's own clock frequency, from /proc/cpuinfo."""
    info = gauge("node_cpu_info", "CPU information from /proc/cpuinfo.")
    frequency = gauge("node_cpu_frequency_hertz", "CPU frequency in hertz from /proc/cpuinfo.")
    for block in _PROCESSOR.split(data.decode("utf-8", "replace")):
        fields = {key.strip(): text.strip() for key, _, text in (line.partition(":") for line in block.splitlines())}
        if "processor" not in fields:
            continue
        place = {label: fields.get(name, "") for label, name in _PLACE.items()}
        info.add(1, labels(**place, **{label: fields.get(name, "") for label, name in _ABOUT.items()}))
        megahertz = value(fields.get("cpu MHz"), float, "cpuinfo")
        frequency.add(None if megahertz is None else megahertz * 1e6, labels(**place))
    return [info, frequency]


def _of_first_core(data: bytes, what: str, keys: tuple[str, ...], wanted: Filter) -> Family:
    """``node_cpu_flag_info`` or ``node_cpu_bug_info``: the words of one field that match a filter; none without one."""
    family = gauge(
        f"node_cpu_{what}_info", f"The `{what}s` field of CPU information from /proc/cpuinfo taken from the first core."
    )
    if wanted.includes:
        for word in dict.fromkeys(field_words(data, keys)):
            if not wanted.ignores(word):
                family.add(1, labels(**{what: word}))
    return family


def field_words(data: bytes, keys: tuple[str, ...]) -> list[str]:
    """The words of the first line of /proc/cpuinfo with one of these keys."""
    for line in data.decode("utf-8", "replace").splitlines():
        key, colon, text = line.partition(":")
        if colon and key.strip() in keys:
            return text.split()
    return []


def _number(file: KernelFile) -> int | None:
    try:
        return integer(file.read(), file.path)
    except (OSError, ValueError):
        return None
