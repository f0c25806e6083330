"""The machine at a glance, from five kernel files that stay open: CPU time, memory, load, network, boot time.

A reading takes less than 200 µs, because the dashboard, the history and the analyses read it often. Everything else
that node_exporter shows is in ``probes.node``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import TypeVar

from wattview.config import Config
from wattview.exposition import Family, families_of, labels, rows
from wattview.model import Fault, HostReading, Nic
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused, procfs
from wattview.probes.kernel_files import KernelFile
from wattview.probes.rates import Rate, Rates

_LOOPBACK = "lo"

_CORE_TIMES = re.compile(
    rb"^(cpu[0-9]{1,5}) ([0-9]{1,19}) ([0-9]{1,19}) ([0-9]{1,19}) [0-9]+(?: [0-9]+ ([0-9]{1,19}) ([0-9]{1,19}))?",
    re.MULTILINE,
)
"""A CPU's name, user, nice, system, irq and softirq; between them lie idle and iowait."""

T = TypeVar("T")


class HostProbe:
    """Reads the machine's CPU, memory, load and network interfaces.

    Only interfaces with hardware count, so that no byte is counted again in a bridge, a bond or a container's veth
    pair; if none has any (inside a container), all but loopback. They are process 1's if ``procfs`` shows it: a daemon
    in a container with the host's ``/proc`` sees the host's network. Raises SourceAbsent, SourceRefused or SourceBroken
    if there is no CPU time; anything else that is missing, as in many sandboxes, is a Fault.
    """

    def __init__(self, config: Config) -> None:
        self._root = root = config.paths.procfs
        self._stat = KernelFile(f"{root}/stat", size=16384)
        self._meminfo = KernelFile(f"{root}/meminfo")
        self._loadavg = KernelFile(f"{root}/loadavg", size=256)
        self._net_dev = KernelFile(f"{root}/1/net/dev")
        self._own_net_dev = KernelFile(f"{root}/net/dev")
        self._hostname = KernelFile(f"{root}/sys/kernel/hostname", size=256)
        self._class_net = f"{config.paths.sysfs}/class/net"
        self._listed: tuple[str, ...] = ()
        self._shown: frozenset[str] = frozenset()
        self._cpu_rate = Rate()
        self._core_rates = Rates()
        self._receive = Rates()
        self._transmit = Rates()

    def read(self) -> HostReading:
        try:
            stat = self._stat.read()
            now, monotonic = time.time(), time.monotonic()
            busy, cpus = procfs.cpu_total(stat).busy, procfs.cpu_count(stat)
        except FileNotFoundError as error:
            raise SourceAbsent(
                f"{error.filename} does not exist", "set paths.procfs to where the host's /proc is mounted"
            ) from None
        except PermissionError as error:
            raise SourceRefused(f"{error.filename} may not be read") from None
        except (OSError, ValueError) as error:
            raise SourceBroken(f"{self._root}: {error}") from None
        faults: list[Fault] = []
        memory = _part("memory", lambda: _with_total(procfs.meminfo(self._meminfo.read())), faults) or {}
        load1, load5, load15 = _part("load", lambda: procfs.loadavg(self._loadavg.read()), faults) or (None,) * 3
        rate = self._cpu_rate.update(monotonic, busy)
        return HostReading(
            time=now,
            monotonic=monotonic,
            hostname=self._name(),
            cpus=cpus,
            cpu_busy_seconds_total=busy,
            cpu_percent=None if rate is None else min(100.0 * rate / cpus, 100.0),
            memory_total_bytes=memory.get("MemTotal"),
            memory_available_bytes=_available(memory),
            swap_total_bytes=memory.get("SwapTotal", 0) if memory else None,
            swap_free_bytes=memory.get("SwapFree", 0) if memory else None,
            load1=load1,
            load5=load5,
            load15=load15,
            boot_time=_part("boot time", lambda: procfs.boot_time(stat), faults),
            nics=self._nics(monotonic, faults),
            core_percents=self._cores(monotonic, stat),
            faults=tuple(faults),
        )

    def close(self) -> None:
        for file in (self._stat, self._meminfo, self._loadavg, self._net_dev, self._own_net_dev, self._hostname):
            file.close()

    def _cores(self, monotonic: float, stat: bytes) -> tuple[float | None, ...]:
        busy = core_busy(stat)
        self._core_rates.forget(set(busy))
        rates = [self._core_rates.update(name, monotonic, seconds) for name, seconds in busy.items()]
        return tuple(None if rate is None else min(100.0 * rate, 100.0) for rate in rates)

    def _nics(self, monotonic: float, faults: list[Fault]) -> tuple[Nic, ...]:
        try:
            try:
                table = self._net_dev.read()
            except OSError:
                table = self._own_net_dev.read()
            lines = procfs.net_dev(table)
        except (OSError, ValueError) as error:
            faults.append(Fault("network", str(error)))
            return ()
        listed = tuple(line.device for line in lines)
        if listed != self._listed:
            self._listed, self._shown = listed, self._with_hardware(listed)
            self._receive.forget(set(self._shown))
            self._transmit.forget(set(self._shown))
        return tuple(
            Nic(
                device=line.device,
                receive_bytes_total=line.receive_bytes,
                transmit_bytes_total=line.transmit_bytes,
                receive_bytes_per_second=self._receive.update(line.device, monotonic, line.receive_bytes),
                transmit_bytes_per_second=self._transmit.update(line.device, monotonic, line.transmit_bytes),
            )
            for line in lines
            if line.device in self._shown
        )

    def _with_hardware(self, devices: tuple[str, ...]) -> frozenset[str]:
        hardware = frozenset(device for device in devices if os.path.exists(f"{self._class_net}/{device}/device"))
        return hardware or frozenset(devices) - {_LOOPBACK}

    def _name(self) -> str:
        try:
            return self._hostname.read().decode("utf-8", "replace").strip()
        except OSError:
            return os.uname().nodename


def core_busy(data: bytes) -> dict[str, float]:
    """Seconds that each CPU of /proc/stat has worked, by its name (``cpu0``). A malformed line is skipped."""
    times = ((match[1], match.groups(default=b"0")[1:]) for match in _CORE_TIMES.finditer(data))
    return {name.decode(): sum(map(int, ticks)) / procfs.CLOCK_TICKS_PER_SECOND for name, ticks in times}


def _part(name: str, read: Callable[[], T], faults: list[Fault]) -> T | None:
    """A value; or None and a fault if it is missing or invalid."""
    try:
        return read()
    except OSError as error:
        faults.append(Fault(name, f"{error.filename or name}: {error.strerror}"))
    except ValueError as error:
        faults.append(Fault(name, str(error)))
    return None


def _with_total(memory: dict[str, int]) -> dict[str, int]:
    if "MemTotal" not in memory:
        raise ValueError("meminfo: has no MemTotal")
    return memory


def _available(memory: dict[str, int]) -> int | None:
    """MemAvailable exists since Linux 3.14; before, free and easily reclaimable memory replace it."""
    if "MemAvailable" in memory or "MemFree" not in memory:
        return memory.get("MemAvailable")
    return memory["MemFree"] + memory.get("Buffers", 0) + memory.get("Cached", 0)


_FAMILIES = rows("""
cpu_busy_seconds_total wattview_host_cpu_busy_seconds_total
    CPU time that all CPUs worked, in seconds: without idle, iowait and steal.
cpus wattview_host_cpus  CPUs that are online.
cpu_percent wattview_host_cpu_percent  CPU use of the whole machine, 0 to 100.
memory_total_bytes wattview_host_memory_total_bytes  Memory of the machine.
memory_available_bytes wattview_host_memory_available_bytes  Memory that new work could have without swapping.
load1 wattview_host_load1  Load average of the last minute.
load5 wattview_host_load5  Load average of the last 5 minutes.
load15 wattview_host_load15  Load average of the last 15 minutes.
boot_time wattview_host_boot_time_seconds  When the machine began, in Unix seconds.
""")

_NETWORK = rows("""
receive_bytes_total wattview_host_network_receive_bytes_total  Bytes received, by interface.
transmit_bytes_total wattview_host_network_transmit_bytes_total  Bytes sent, by interface.
""")


def families(reading: HostReading) -> list[Family]:
    """The few host figures that the history and the analyses need; node_exporter's names are in ``probes.node``."""
    nics = [(labels(device=nic.device), nic) for nic in reading.nics]
    return [*families_of(_FAMILIES, [("", reading)]), *families_of(_NETWORK, nics)]
