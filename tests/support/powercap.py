"""A machine with RAPL, for machines that have none: a sysfs tree whose energy counters follow a known power.

In tests, in virtual time::

    tree = PowercapTree(tmp_path / "sys", machine(Sine(60, 40, 7), sockets=2, dram=Constant(8), bits=16))
    tree.write(3.5)                      # every energy_uj as it is 3.5 s after the start
    tree.host_joules(3.5)                # the truth

For demonstrations, benchmarks and tests in real time, as a program that writes the counters until it is stopped::

    python -m tests.support.powercap DIR --watts-from-cpu
    python -m tests.support.powercap DIR --curve sine:60,40,7 --sockets 2 --bits 16
    wattview up --set paths.sysfs=DIR

``--watts-from-cpu`` follows this machine's real CPU use: ``--idle-watts`` plus ``--watts-per-cpu`` for each busy CPU,
a part of it in the core zone, and DRAM beside it. DIR becomes a sysfs root: all else of the real /sys is linked into
it, so that a daemon which is given DIR sees this machine's own devices too. ``ready DIR`` is printed when it is.

The files are the kernel's (drivers/powercap/powercap_sys.c, intel_rapl_common.c): counters of ``bits`` bits in units
of 61.035 µJ, the tree below devices/virtual/powercap with flat links to it in class/powercap. One thing differs:
readers keep a file open, so that it is rewritten in place, with newlines behind the number instead of an end of file.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

REPOSITORY = Path(__file__).parents[2]
UNIT_NANOJOULES = 61035
_FIELD_BYTES = 24


class Curve(Protocol):
    """A power over time, and its exact integral from 0."""

    def joules(self, seconds: float) -> float: ...


class Constant(NamedTuple):
    watts: float

    def joules(self, seconds: float) -> float:
        return self.watts * seconds


class Sine(NamedTuple):
    mean: float
    amplitude: float
    period: float

    def joules(self, seconds: float) -> float:
        turn = 2 * math.pi / self.period
        return self.mean * seconds + self.amplitude * (1 - math.cos(turn * seconds)) / turn


class Square(NamedTuple):
    """``high`` for the first half of each period, ``low`` for the second."""

    low: float
    high: float
    period: float

    def joules(self, seconds: float) -> float:
        whole, rest = divmod(seconds, self.period)
        half = self.period / 2
        return whole * half * (self.low + self.high) + self.high * min(rest, half) + self.low * max(0.0, rest - half)


class Spikes(NamedTuple):
    """``base``, and ``height`` more for ``length`` seconds at the beginning of each period."""

    base: float
    height: float
    period: float
    length: float

    def joules(self, seconds: float) -> float:
        whole, rest = divmod(seconds, self.period)
        return self.base * seconds + self.height * (whole * self.length + min(rest, self.length))


class Bursts:
    """``base``, and bursts of random height, length and distance: from 2 ms to 2 s long, up to ``most`` watts."""

    def __init__(self, base: float, most: float, seed: int = 1, seconds: float = 600.0) -> None:
        self._base = base
        self._ends = [0.0]
        self._joules = [0.0]
        self._watts: list[float] = []
        chance = random.Random(seed)
        while self._ends[-1] < seconds:
            length = 10 ** chance.uniform(-2.7, 0.3)
            watts = chance.choice((0.0, chance.uniform(0.0, most)))
            self._watts.append(watts)
            self._joules.append(self._joules[-1] + watts * length)
            self._ends.append(self._ends[-1] + length)

    def joules(self, seconds: float) -> float:
        at = bisect_right(self._ends, seconds) - 1
        watts = self._watts[at] if at < len(self._watts) else 0.0
        return self._base * seconds + self._joules[at] + watts * (seconds - self._ends[at])


class Scaled(NamedTuple):
    curve: Curve
    factor: float

    def joules(self, seconds: float) -> float:
        return self.curve.joules(seconds) * self.factor


class Sum(NamedTuple):
    curves: tuple[Curve, ...]

    def joules(self, seconds: float) -> float:
        return sum(curve.joules(seconds) for curve in self.curves)


_CPU_TIME = Path("/sys/fs/cgroup/cpuacct/cpuacct.usage")
"""Nanoseconds of all tasks, where a kernel with cgroup v1 counts them."""


class CpuUse:
    """Watts for each busy CPU of this machine: its tasks' CPU time where the kernel counts it, else the samples that
    it takes each tick for /proc/stat, which are a fifth off in a second of a quiet machine."""

    def __init__(self, watts_per_cpu: float) -> None:
        self._watts = watts_per_cpu
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._start = self._busy_seconds()
        self._read_at = 0.0
        self._joules = 0.0

    def joules(self, seconds: float) -> float:
        if seconds != self._read_at:
            self._read_at = seconds
            self._joules = max(self._joules, self._watts * (self._busy_seconds() - self._start))
        return self._joules

    def _busy_seconds(self) -> float:
        if _CPU_TIME.exists():
            return int(_CPU_TIME.read_bytes()) / 1e9
        with open("/proc/stat", "rb") as stat:
            user, nice, system, _, _, irq, softirq = map(int, stat.readline().split()[1:8])
        return (user + nice + system + irq + softirq) / self._ticks


def curve(text: str) -> Curve:
    """``constant:40``, ``sine:MEAN,AMPLITUDE,PERIOD`` or ``square:LOW,HIGH,PERIOD``."""
    kind, _, numbers = text.partition(":")
    kinds: dict[str, Callable[..., Curve]] = {"constant": Constant, "sine": Sine, "square": Square}
    try:
        return kinds[kind](*map(float, numbers.split(",")))
    except (KeyError, TypeError, ValueError):
        raise argparse.ArgumentTypeError(f"not a power curve: {text!r}") from None


class SimulatedZone(NamedTuple):
    """One zone: its name in the kernel's tree, its ``name`` file, its power, and its counter's width and start.

    ``update_seconds``: the hardware updates the counter this often, first after ``phase_seconds``; 0 is always.
    """

    path: str
    name: str
    curve: Curve
    bits: int = 32
    start_units: int = 0
    enabled: int = 1
    update_seconds: float = 0.0
    phase_seconds: float = 0.0

    @property
    def range_uj(self) -> int:
        return (2**self.bits - 1) * UNIT_NANOJOULES // 1000

    def energy_uj(self, seconds: float) -> int:
        if self.update_seconds:
            updates = (seconds - self.phase_seconds) // self.update_seconds
            seconds = max(0.0, updates * self.update_seconds + self.phase_seconds)
        units = self.start_units + int(self.curve.joules(seconds) * 1e9 / UNIT_NANOJOULES)
        return units % 2**self.bits * UNIT_NANOJOULES // 1000


def machine(
    package: Curve,
    *,
    sockets: int = 1,
    core: Curve | None = None,
    uncore: Curve | None = None,
    dram: Curve | None = None,
    psys: Curve | None = None,
    mmio: bool = False,
    bits: int = 32,
) -> list[SimulatedZone]:
    """The zones of a machine; each socket draws what the curves say. Counters start apart, so they wrap apart."""
    zones: list[SimulatedZone] = []
    for socket in range(sockets):
        path = f"intel-rapl:{socket:x}"
        zones.append(SimulatedZone(path, f"package-{socket}", package))
        parts = [(name, part) for name, part in (("core", core), ("uncore", uncore), ("dram", dram)) if part]
        zones += [SimulatedZone(f"{path}:{at}", name, part, enabled=0) for at, (name, part) in enumerate(parts)]
        if mmio:
            zones.append(SimulatedZone(f"intel-rapl-mmio:{socket:x}", f"package-{socket}", package))
    if psys:
        zones.append(SimulatedZone(f"intel-rapl:{sockets:x}", "psys", psys))
    return [
        zone._replace(bits=bits, start_units=(at + 1) * 7919 * 2**bits // 65537 % 2**bits)
        for at, zone in enumerate(zones)
    ]


class PowercapTree:
    """A sysfs root with these zones. ``write(seconds)`` puts every counter where it is that long after the start."""

    def __init__(self, sysfs: Path, zones: Sequence[SimulatedZone]) -> None:
        self.sysfs = sysfs
        self.zones = {zone.path: zone for zone in zones}
        self._open: dict[str, int] = {}
        control_types = {_control_type(path) for path in self.zones}
        for control_type in sorted(control_types):
            _put(self._device(control_type) / "enabled", "1")
            self._link(control_type)
        for zone in sorted(zones):
            self._make(zone)
        self.write(0.0)

    def directory(self, path: str) -> Path:
        """Where a zone's files are (the real place, not the link)."""
        steps = path.split(":")
        nested = [":".join(steps[: end + 1]) for end in range(1, len(steps))]
        return self._device(_control_type(path)).joinpath(*nested)

    def write(self, seconds: float) -> None:
        for path, descriptor in self._open.items():
            text = b"%d" % self.zones[path].energy_uj(seconds)
            os.pwrite(descriptor, text.ljust(_FIELD_BYTES, b"\n"), 0)

    def joules(self, path: str, seconds: float) -> float:
        return self.zones[path].curve.joules(seconds)

    def host_joules(self, seconds: float) -> float:
        """The truth: psys, else packages and DRAM, each once."""
        psys = [zone for zone in self.zones.values() if zone.name == "psys"]
        parts = [
            zone
            for zone in self.zones.values()
            if _control_type(zone.path) == "intel-rapl" and zone.name.startswith(("package", "dram"))
        ]
        return sum(zone.curve.joules(seconds) for zone in psys or parts)

    def remove(self, path: str) -> None:
        """The zone goes, as on a hot-unplug: its files and its link, and its parts with it.

        Who has its counter open reads nothing from then on (from the kernel, ENODEV).
        """
        for name in [name for name in self.zones if name == path or name.startswith(f"{path}:")]:
            os.ftruncate(self._open[name], 0)
            for file in self.directory(name).iterdir():
                if file.is_file():
                    file.unlink()
            (self.sysfs / "class" / "powercap" / name).unlink()
            os.close(self._open.pop(name))
        for name in sorted((name for name in self.zones if name.startswith(path)), key=len, reverse=True):
            self.directory(name).rmdir()
            del self.zones[name]

    def freeze(self, path: str) -> None:
        """From now on the zone's counter stands still."""
        os.close(self._open.pop(path))

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def _make(self, zone: SimulatedZone) -> None:
        directory = self.directory(zone.path)
        _put(directory / "name", zone.name)
        _put(directory / "max_energy_range_uj", str(zone.range_uj))
        _put(directory / "enabled", str(zone.enabled))
        _put(directory / "constraint_0_name", "long_term")
        _put(directory / "energy_uj", "")
        self._open[zone.path] = os.open(directory / "energy_uj", os.O_WRONLY | os.O_CLOEXEC)
        self._link(zone.path)

    def _device(self, control_type: str) -> Path:
        return self.sysfs / "devices" / "virtual" / "powercap" / control_type

    def _link(self, name: str) -> None:
        link = self.sysfs / "class" / "powercap" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        target = self.directory(name) if ":" in name else self._device(name)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(target, link.parent))


def link_real_sysfs(directory: Path) -> None:
    """Links all of /sys into ``directory``, leaving room for a powercap tree of our own."""
    for real, own in (
        (Path("/sys"), {"class", "devices"}),
        (Path("/sys/class"), {"powercap"}),
        (Path("/sys/devices"), {"virtual"}),
        (Path("/sys/devices/virtual"), {"powercap"}),
    ):
        here = directory / real.relative_to("/sys")
        here.mkdir(parents=True, exist_ok=True)
        for entry in real.iterdir():
            link = here / entry.name
            if entry.name not in own and not link.is_symlink():
                link.symlink_to(entry)


@contextmanager
def simulated_rapl(
    directory: Path, idle_watts: float = 20.0, watts_per_cpu: float = 15.0, curve: str = ""
) -> Iterator[Path]:
    """The program above beside a test: ``directory`` becomes a sysfs whose package draws by this machine's CPU use, or
    as ``curve`` says."""
    command = [sys.executable, "-m", "tests.support.powercap", str(directory)]
    command += ["--curve", curve] if curve else ["--watts-from-cpu"]
    command += ["--idle-watts", str(idle_watts), "--watts-per-cpu", str(watts_per_cpu)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as simulator:
        try:
            assert simulator.stdout is not None
            assert simulator.stdout.readline().startswith(b"ready")
            yield directory
        finally:
            simulator.terminate()


def _control_type(path: str) -> str:
    return path.partition(":")[0]


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n")


def _zones(options: argparse.Namespace) -> Iterable[SimulatedZone]:
    sockets = options.sockets
    if options.watts_from_cpu:
        active = CpuUse(options.watts_per_cpu / sockets)
        package: Curve = Sum((Constant(options.idle_watts / sockets), active))
        core: Curve = Scaled(active, 0.85)
        dram: Curve = Sum((Constant(0.15 * options.idle_watts / sockets), Scaled(active, 0.08)))
    else:
        package = options.curve
        core, dram = Scaled(package, 0.6), Scaled(package, 0.1)
    psys = Sum((Constant(options.idle_watts), Scaled(package, 1.2 * sockets))) if options.psys else None
    return machine(package, sockets=sockets, core=core, dram=dram, psys=psys, mmio=options.mmio, bits=options.bits)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.powercap", description=__doc__.split("\n", 1)[0])
    parser.add_argument("directory", type=Path, metavar="DIR", help="becomes a sysfs root")
    power = parser.add_mutually_exclusive_group(required=True)
    power.add_argument("--watts-from-cpu", action="store_true", help="follow this machine's CPU use")
    power.add_argument("--curve", type=curve, help="constant:W, sine:MEAN,AMPLITUDE,PERIOD or square:LOW,HIGH,PERIOD")
    parser.add_argument("--idle-watts", type=float, default=12.0)
    parser.add_argument("--watts-per-cpu", type=float, default=9.0)
    parser.add_argument("--sockets", type=int, default=1)
    parser.add_argument("--psys", action="store_true", help="with a platform zone")
    parser.add_argument("--mmio", action="store_true", help="with the packages a second time, as intel-rapl-mmio")
    parser.add_argument("--bits", type=int, default=32, help="width of the counters: 16 wraps every 4 J")
    parser.add_argument("--hz", type=float, default=100.0, help="how often the counters are written")
    parser.add_argument("--origin", type=float, help="the start, on the monotonic clock (default: now)")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    link_real_sysfs(options.directory)
    tree = PowercapTree(options.directory, list(_zones(options)))
    origin = time.monotonic() if options.origin is None else options.origin
    tree.write(time.monotonic() - origin)
    print(f"ready {options.directory}", flush=True)
    while not stop.wait(1 / options.hz):
        tree.write(time.monotonic() - origin)


if __name__ == "__main__":
    main()
