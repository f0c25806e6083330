"""GPU time of a measured command: real processes, on GPUs that a script of NVML plays."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.conftest import ConfigFactory
from tests.support.fake_nvml import NOT_SUPPORTED, FakeGpu, FakeNvml
from tests.support.powercap import simulated_rapl
from wattview.analysis.command_energy import per_execution
from wattview.cli.measure import child
from wattview.cli.measure.gpu_time import GpuUse, followed
from wattview.cli.measure.measure import _has_gpus
from wattview.client import Client
from wattview.config import EndpointsSettings
from wattview.daemon.events import kept_events
from wattview.daemon.http.addresses import Addresses
from wattview.daemon.service import Daemon
from wattview.model import CommandRecord, Gpu, GpuProcess, ScenarioRecord, ScenarioResult


@pytest.fixture
def tree() -> Iterator[tuple[int, int]]:
    """A shell and what it runs: their process ids."""
    shell = subprocess.Popen(["sh", "-c", "sleep 60; true"])
    try:
        while not (children := psutil.Process(shell.pid).children()):
            time.sleep(0.01)
        while children[0].name() != "sleep":
            time.sleep(0.01)
        yield shell.pid, children[0].pid
    finally:
        for process in (*psutil.Process(shell.pid).children(), shell):
            process.kill()
        shell.wait()


def gpu(*processes: GpuProcess, known: bool = True) -> Gpu:
    return Gpu(index=0, uuid="GPU-0", name="H100", pci_bus_id="", driver_version="", processes=processes,
               processes_known=known)  # fmt: skip


def on(pid: int, percent: float | None = 50.0, name: str = "", **more: float | None) -> GpuProcess:
    return GpuProcess(pid=pid, name=name, sm_percent=percent, **more)


def test_the_use_of_a_child_is_the_commands_and_that_of_others_is_not(tree: tuple[int, int]) -> None:
    shell, sleep = tree
    use = GpuUse(shell, 100.0)
    use.note([gpu(on(sleep, 50.0, "sleep"), on(1, 90.0)), gpu(on(sleep, 20.0, encoder_percent=80.0))], 101.0)
    use.note([gpu(on(sleep, 100.0)), gpu()], 103.0)
    assert use.total(103.5) == (pytest.approx(1.3 * 1 + 1.0 * 2 + 1.0 * 0.5), "")


def test_an_orphaned_child_still_counts_as_the_commands(tree: tuple[int, int]) -> None:
    shell, sleep = tree
    use = GpuUse(shell, 0.0)
    use.note([gpu(on(sleep))], 1.0)
    psutil.Process(shell).kill()
    while psutil.Process(sleep).ppid() == shell:
        time.sleep(0.01)
    use.note([gpu(on(sleep))], 2.0)
    assert use.total(2.0) == (pytest.approx(1.0), "")
    psutil.Process(sleep).kill()


def test_a_command_that_no_gpu_lists_used_no_gpu_time(tree: tuple[int, int]) -> None:
    use = GpuUse(tree[0], 0.0)
    use.note([gpu(), gpu(on(1, 90.0))], 1.0)
    assert use.total(2.0) == (0.0, "")


def test_an_unknown_value_is_not_shown_as_zero(tree: tuple[int, int]) -> None:
    shell, sleep = tree

    def total(*readings: Gpu, times: int = 1, at: float = 1.0) -> tuple[float | None, str]:
        use = GpuUse(shell, 0.0)
        for number in range(times):
            use.note(readings, at + number)
        return use.total(at + times)

    assert GpuUse(shell, 0.0).total(0.2) == (None, "it ended before the GPUs were read")
    assert total(gpu(known=False)) == (None, "the driver of H100 does not list its processes")
    assert total(gpu(on(sleep, None))) == (None, "H100 does not say how much each process uses it")
    assert total(gpu(on(sleep)), at=9.0) == (None, "the GPUs were not read for 9 s")
    other = (None, "the daemon sees other process ids than this command (another namespace)")
    assert total(gpu(on(sleep, 50.0, "trainer")), times=2) == other
    assert total(gpu(on(2**22 + 1, 50.0, "trainer")), times=2) == other
    assert total(gpu(on(2**22 + 1, 50.0, "trainer"))) == (0.0, ""), "a process that has just ended tells nothing"


def test_gpu_time_is_given_for_each_execution() -> None:
    command = CommandRecord(text="x", executions=4, seconds=8.0, gpu_seconds=2.0)
    found, _ = per_execution(ScenarioResult(record=ScenarioRecord(name="x", command=command)), None, None)
    assert found is not None
    assert found.gpu_seconds == 0.5


async def measured(
    directory: Path, make_config: ConfigFactory, *command: str
) -> tuple[bool, child.CommandTimes, float | None, str]:
    """A command beside a daemon in this process: whether there are GPUs, its times, and its GPU time."""
    with simulated_rapl(directory / "sys", curve="constant:100") as sysfs, kept_events() as events:
        config = make_config(
            f"paths.sysfs={sysfs}", f"docker.host=unix://{directory}/none.sock",
            "streams.nginx_rtmp_url=http://127.0.0.1:9/stat",
        )  # fmt: skip
        ports = {name: getattr(config.endpoints, name).port for name in EndpointsSettings.__struct_fields__}
        addresses = await Addresses.of(config, ports, None)
        daemon = Daemon(config, events, addresses)
        await daemon.start()
        try:
            async with Client(f"unix://{config.daemon.control_socket}") as client:
                there = await _has_gpus(client)
                return there, *await followed(client, lambda started: child.execute(command, started))
        finally:
            await daemon.stop(for_good=True)
            await addresses.close()


def answering(use: Any, graphics: Any = ()) -> FakeGpu:
    """A GPU that every ``sleep`` of this machine is on."""

    def sleeps() -> list[Any]:
        return [
            SimpleNamespace(pid=one.pid, usedGpuMemory=1000, gpuInstanceId=0xFFFFFFFF, computeInstanceId=0xFFFFFFFF)
            for one in psutil.process_iter(["name"]) if one.info["name"] == "sleep"
        ]  # fmt: skip

    def samples(since: int) -> list[Any]:
        return [SimpleNamespace(pid=one.pid, timeStamp=since + 1, smUtil=use, memUtil=1, encUtil=0, decUtil=0)
                for one in sleeps()]  # fmt: skip

    return FakeGpu(
        nvmlDeviceGetComputeRunningProcesses_v3=sleeps,
        nvmlDeviceGetGraphicsRunningProcesses_v3=graphics,
        nvmlDeviceGetProcessUtilization=samples,
    )


@pytest.mark.slow
async def test_a_command_on_a_gpu_is_followed_through_the_daemon(
    tmp_path: Path, make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(answering(40)))
    there, times, seconds, reason = await measured(tmp_path, make_config, "sh", "-c", "sleep 3; true")
    assert there
    assert (times.status, reason) == (0, "")
    assert seconds == pytest.approx(0.4 * times.seconds, rel=0.25)


@pytest.mark.slow
async def test_a_driver_that_lists_no_processes_leaves_gpu_time_unknown(
    tmp_path: Path, make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(answering(40, graphics=NOT_SUPPORTED)))
    _, _, seconds, reason = await measured(tmp_path, make_config, "sleep", "1")
    assert (seconds, reason) == (None, "the driver of NVIDIA H100 80GB HBM3 does not list its processes")


@pytest.mark.slow
async def test_a_machine_without_gpus_is_not_asked_again(tmp_path: Path, make_config: ConfigFactory) -> None:
    there, *_ = await measured(tmp_path, make_config, "sleep", "0.1")
    assert not there
