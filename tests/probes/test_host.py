"""The machine at a glance: its semantics, on a tree of its own and next to the real machine."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import msgspec
import pytest

from tests.conftest import ConfigFactory
from wattview.exposition import render
from wattview.model import HostReading
from wattview.probes import SourceAbsent, SourceBroken
from wattview.probes.host import HostProbe, families

NET_DEV = "Inter-| Receive | Transmit\n face |bytes ...\n"


class Machine:
    """A small /proc and /sys whose figures a test sets."""

    def __init__(self, root: Path) -> None:
        self.procfs, self.sysfs = root / "proc", root / "sys"
        (self.procfs / "net").mkdir(parents=True)
        (self.procfs / "sys/kernel").mkdir(parents=True)
        (self.sysfs / "class/net").mkdir(parents=True)
        self.write("sys/kernel/hostname", "studio-1\n")
        self.write("loadavg", "0.50 1.25 2.00 1/100 42\n")
        self.write(
            "meminfo", "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
        )
        self.cpu(user=0)
        self.nics({"lo": (5, 5), "eth0": (1000, 2000)})

    def write(self, path: str, text: str) -> None:
        (self.procfs / path).write_text(text)

    def cpu(self, user: int = 0, idle: int = 0, iowait: int = 0, guest: int = 0, steal: int = 0) -> None:
        times = f"{user} 0 0 {idle} {iowait} 0 0 {steal} {guest} 0"
        self.write("stat", f"cpu  {times}\ncpu0 {times}\ncpu1 0 0 0 0 0 0 0 0 0 0\nbtime 1700000000\n")

    def nics(self, traffic: dict[str, tuple[int, int]], hardware: tuple[str, ...] = ("eth0",)) -> None:
        lines = [f"{name}: {got} 0 0 0 0 0 0 0 {sent} 0 0 0 0 0 0 0" for name, (got, sent) in traffic.items()]
        self.write("net/dev", NET_DEV + "\n".join(lines) + "\n")
        for name in hardware:
            (self.sysfs / "class/net" / name / "device").mkdir(parents=True, exist_ok=True)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def probe(machine: Machine, make_config: ConfigFactory) -> HostProbe:
    return HostProbe(make_config(f"paths.procfs={machine.procfs}", f"paths.sysfs={machine.sysfs}"))


def read_at(probe: HostProbe, monotonic: float, monkeypatch: pytest.MonkeyPatch) -> HostReading:
    monkeypatch.setattr(time, "monotonic", lambda: monotonic)
    return probe.read()


def test_cpu_percent_is_of_the_whole_machine_and_counts_no_idle_iowait_guest_or_steal(
    machine: Machine, probe: HostProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_at(probe, 100.0, monkeypatch).cpu_percent is None
    machine.cpu(user=150, idle=7000, iowait=900, guest=150, steal=50)
    reading = read_at(probe, 110.0, monkeypatch)
    # 1.5 s busy out of 10 s on each of two CPUs; half a second was another machine's.
    assert reading.cpu_busy_seconds_total == 1.5
    assert reading.cpus == 2
    assert reading.cpu_percent == pytest.approx(7.5)


def test_each_core_is_read_by_itself_and_one_that_goes_offline_is_gone(
    machine: Machine, probe: HostProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cores(*times: str) -> None:
        machine.write("stat", "cpu  9 0 0 0 0 0 0 0\n" + "".join(f"{line}\n" for line in times) + "btime 1\n")

    cores("cpu0 0 0 0 0 0 0 0 0 0 0", "cpu1 0 0 0 0 0 0 0 0 0 0", "cpu2 100 0 0 0")
    clock = iter((0.0, 2.0, 4.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    assert probe.read().core_percents == (None, None, None)
    cores("cpu0 50 20 10 900 900 10 10 900 50 20", "cpu1 0 0 0 200 0 0 0 0 0 0", "cpu2 400 0 0 0")
    assert probe.read().core_percents == pytest.approx((50.0, 0.0, 100.0)), "guest time is inside user and nice"
    cores("cpu0 50 20 10 900 900 10 10 900 50 20", "cpu2 odd")
    assert probe.read().core_percents == pytest.approx((0.0,))


def test_readers_within_one_second_see_the_same_percentage(
    machine: Machine, probe: HostProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_at(probe, 100.0, monkeypatch)
    machine.cpu(user=100)
    first = read_at(probe, 101.0, monkeypatch)
    again = read_at(probe, 101.01, monkeypatch)
    assert first.cpu_percent == pytest.approx(50.0)
    assert again.cpu_percent == pytest.approx(50.0, rel=0.02)


def test_memory_load_and_boot_time_are_what_the_kernel_says(probe: HostProbe) -> None:
    reading = probe.read()
    assert (reading.memory_total_bytes, reading.memory_available_bytes) == (1000 * 1024, 600 * 1024)
    assert (reading.load1, reading.load5, reading.load15) == (0.5, 1.25, 2.0)
    assert reading.boot_time == 1700000000
    assert reading.hostname == "studio-1"


def test_a_kernel_without_MemAvailable_gets_the_old_estimate(machine: Machine, probe: HostProbe) -> None:
    machine.write("meminfo", "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 300 kB\n")
    reading = probe.read()
    assert reading.memory_available_bytes == 420 * 1024
    assert reading.swap_total_bytes == 0


def test_interfaces_with_hardware_are_shown_and_no_byte_is_counted_twice(
    machine: Machine, probe: HostProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.nics({"lo": (9, 9), "eth0": (1000, 2000), "docker0": (1000, 2000), "veth1": (1000, 2000)})
    read_at(probe, 100.0, monkeypatch)
    machine.nics({"lo": (9, 9), "eth0": (6000, 2000), "docker0": (6000, 2000), "veth1": (6000, 2000)})
    (nic,) = read_at(probe, 105.0, monkeypatch).nics
    assert nic.device == "eth0"
    assert (nic.receive_bytes_per_second, nic.transmit_bytes_per_second) == (1000.0, 0.0)
    assert (nic.receive_bytes_total, nic.transmit_bytes_total) == (6000, 2000)


def test_where_no_interface_has_hardware_all_but_loopback_are_shown(
    machine: Machine, make_config: ConfigFactory
) -> None:
    probe = HostProbe(make_config(f"paths.procfs={machine.procfs}", f"paths.sysfs={machine.sysfs}/none"))
    machine.nics({"lo": (1, 1), "eth0": (1, 1), "eth1": (1, 1)})
    assert [nic.device for nic in probe.read().nics] == ["eth0", "eth1"]


def test_the_first_process_s_network_is_preferred_to_our_own(machine: Machine, probe: HostProbe) -> None:
    (machine.procfs / "1/net").mkdir(parents=True)
    machine.write("1/net/dev", NET_DEV + "eth0: 7 0 0 0 0 0 0 0 8 0 0 0 0 0 0 0\n")
    assert [(nic.device, nic.receive_bytes_total) for nic in probe.read().nics] == [("eth0", 7)]


def test_a_missing_network_is_only_a_fault(machine: Machine, probe: HostProbe) -> None:
    (machine.procfs / "net/dev").unlink()
    reading = probe.read()
    assert reading.nics == ()
    assert [fault.part for fault in reading.faults] == ["network"]
    assert reading.memory_total_bytes == 1000 * 1024


def test_a_missing_procfs_is_an_absent_source_with_its_fix(make_config: ConfigFactory, tmp_path: Path) -> None:
    with pytest.raises(SourceAbsent, match="nowhere/stat does not exist") as caught:
        HostProbe(make_config(f"paths.procfs={tmp_path}/nowhere")).read()
    assert "paths.procfs" in caught.value.fix


def test_garbage_is_a_broken_source(machine: Machine, probe: HostProbe) -> None:
    machine.write("stat", "cpu x y\n")
    with pytest.raises(SourceBroken):
        probe.read()


@pytest.mark.parametrize(
    ("file", "text", "part", "unknown"),
    [
        ("meminfo", "MemFree: 1 kB\n", "memory", {"memory_total_bytes", "memory_available_bytes",
                                                  "swap_total_bytes", "swap_free_bytes"}),
        ("meminfo", None, "memory", {"memory_total_bytes", "memory_available_bytes",
                                     "swap_total_bytes", "swap_free_bytes"}),
        ("loadavg", "\n", "load", {"load1", "load5", "load15"}),
        ("loadavg", None, "load", {"load1", "load5", "load15"}),
        ("stat", "cpu  200 0 0 200 0 0 0 0 0 0\ncpu0 100 0 0 100 0 0 0 0 0 0\n", "boot time", {"boot_time"}),
    ],
)  # fmt: skip
def test_a_file_missing_in_a_sandbox_only_loses_its_own_figures(
    machine: Machine, probe: HostProbe, file: str, text: str | None, part: str, unknown: set[str]
) -> None:
    """Android shows no load averages (https://github.com/shirou/gopsutil/issues/877), and sandboxes lack more."""
    whole = msgspec.structs.asdict(probe.read())
    if text is None:
        (machine.procfs / file).unlink()
        probe.close()
    else:
        machine.write(file, text)
    reading = probe.read()
    found = msgspec.structs.asdict(reading)
    assert {name for name, value in found.items() if value is None and whole[name] is not None} == unknown
    assert [fault.part for fault in reading.faults] == [part]


def test_a_source_that_comes_back_is_found_again(machine: Machine, probe: HostProbe) -> None:
    good = (machine.procfs / "stat").read_text()
    machine.write("stat", "nonsense")
    with pytest.raises(SourceBroken):
        probe.read()
    machine.write("stat", good)
    assert probe.read().cpus == 2


def test_families_keep_what_is_unknown_out(probe: HostProbe) -> None:
    text = render(families(probe.read())).decode()
    assert "wattview_host_cpu_busy_seconds_total 0.0\n" in text
    assert "wattview_host_cpus 2\n" in text
    assert "wattview_host_cpu_percent" not in text
    assert 'wattview_host_network_receive_bytes_total{device="eth0"} 1000\n' in text


def test_this_machine_agrees_with_the_kernel(make_config: ConfigFactory) -> None:
    reading = HostProbe(make_config()).read()
    assert reading.hostname == socket.gethostname()
    assert reading.cpus == os.cpu_count()
    assert reading.memory_total_bytes == pytest.approx(
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), rel=1e-6
    )
    assert reading.boot_time == pytest.approx(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME), abs=2)
    assert reading.load1 == pytest.approx(os.getloadavg()[0], abs=0.5)


def test_a_busy_loop_shows_as_one_cpu_s_share(make_config: ConfigFactory) -> None:
    probe = HostProbe(make_config())
    before = probe.read()
    used = time.process_time()
    end = time.monotonic() + 1.1
    while time.monotonic() < end:
        pass
    used = time.process_time() - used
    after = probe.read()
    assert after.cpu_busy_seconds_total - before.cpu_busy_seconds_total >= used - 0.05
    assert after.cpu_percent is not None
    assert 100.0 >= after.cpu_percent >= 100.0 * (used - 0.05) / (after.monotonic - before.monotonic) / after.cpus
