"""The parts of an NVIDIA GPU: profiling counters, MIG instances, encoder sessions, processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ConfigFactory
from tests.support.fake_nvml import NO_PERMISSION, NOT_SUPPORTED, Code, FakeGpu, FakeNvml
from wattview.exposition import render
from wattview.model import Gpu, GpusReading
from wattview.probes.gpu.families import families
from wattview.probes.gpu.probe import GpuProbe

GPM = {
    pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL: 75.0,
    pynvml.NVML_GPM_METRIC_SM_UTIL: 50.0,
    pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL: 12.5,
    pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL: 25.0,
    pynvml.NVML_GPM_METRIC_PCIE_TX_PER_SEC: 3.0,
    pynvml.NVML_GPM_METRIC_FP64_UTIL: float("nan"),
}


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("wattview.probes.gpu.nvml.time", clock)
    return clock


@pytest.fixture
def probe_of(make_config: ConfigFactory) -> Callable[..., GpuProbe]:
    return lambda *gpus, **settings: GpuProbe(
        make_config(*(f"paths.{key}={value}" for key, value in settings.items())), nvml=FakeNvml(*gpus)
    )


def exposed(reading: GpusReading) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    seen: set[tuple[str, str]] = set()
    for family in text_string_to_metric_families(render(families(reading)).decode()):
        for sample in family.samples:
            key = sample.name, str(sorted(sample.labels.items()))
            assert key not in seen
            seen.add(key)
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_profiling_is_the_difference_of_two_samples(probe_of: Callable[..., GpuProbe], clock: Clock) -> None:
    gpu = FakeGpu()
    gpu.gpm = GPM
    probe = probe_of(gpu)
    assert probe.read().gpus[0].profiling is None
    clock.now += 1.0
    reading = probe.read()
    profile = reading.gpus[0].profiling
    assert profile is not None
    assert (profile.graphics_active, profile.sm_active, profile.tensor_active) == (0.75, 0.5, 0.125)
    assert profile.dram_active == 0.25
    assert profile.pcie_transmit_bytes_per_second == 3 * 1024 * 1024
    assert (profile.fp64_active, profile.fp16_active) == (None, None), "NaN and unsupported are unknown"
    figures = exposed(reading)
    assert figures["DCGM_FI_PROF_GR_ENGINE_ACTIVE"][0][1] == 0.75
    assert "DCGM_FI_PROF_PIPE_FP64_ACTIVE" not in figures


def test_readings_close_together_share_a_profile_and_no_sample_is_leaked(
    probe_of: Callable[..., GpuProbe], clock: Clock
) -> None:
    gpu = FakeGpu()
    gpu.gpm = dict(GPM)
    probe = probe_of(gpu)
    probe.read()
    clock.now += 1.0
    first = probe.read().gpus[0].profiling
    gpu.gpm[pynvml.NVML_GPM_METRIC_SM_UTIL] = 99.0
    clock.now += 0.2
    assert probe.read().gpus[0].profiling == first
    for _ in range(20):
        clock.now += 1.0
        latest = probe.read().gpus[0].profiling
    assert latest is not None
    assert latest.sm_active == 0.99
    fake: Any = probe._nvml._nvml
    assert fake.samples_held == 1
    probe.close()
    assert fake.samples_held == 0


def test_a_gpu_without_gpm_has_no_profile(probe_of: Callable[..., GpuProbe], clock: Clock) -> None:
    probe = probe_of(FakeGpu())
    probe.read()
    clock.now += 5.0
    reading = probe.read()
    assert reading.gpus[0].profiling is None
    assert reading.faults == ()


def test_forbidden_profiling_only_loses_its_own_figures(probe_of: Callable[..., GpuProbe], clock: Clock) -> None:
    gpu = FakeGpu(nvmlGpmSampleGet=NO_PERMISSION)
    gpu.gpm = GPM
    probe = probe_of(gpu)
    reading = probe.read()
    assert reading.gpus[0].power_watts == 68.452
    assert [fault.part for fault in reading.faults] == ["GPU 0 profiling"]
    fake: Any = probe._nvml._nvml
    assert fake.samples_held == 0


def mig_gpu() -> FakeGpu:
    mib = 1024 * 1024

    def instance(number: int, gpu_instance: int, compute_instance: int, profile: str) -> FakeGpu:
        return FakeGpu(
            f"MIG-{number}",
            f"NVIDIA H100 80GB HBM3 MIG {profile}",
            nvmlDeviceGetGpuInstanceId=gpu_instance,
            nvmlDeviceGetComputeInstanceId=compute_instance,
            nvmlDeviceGetMemoryInfo=lambda version=None: SimpleNamespace(
                total=9984 * mib, used=(12 + number) * mib, free=9900 * mib, reserved=1 * mib
            ),
        )

    parts = [instance(0, 7, 0, "1g.10gb"), instance(1, 9, 0, "1c.2g.20gb"), instance(2, 9, 1, "1c.2g.20gb")]
    whole = FakeGpu(
        nvmlDeviceGetMigMode=[1, 1],
        nvmlDeviceGetMaxMigDeviceCount=7,
        nvmlDeviceGetMigDeviceHandleByIndex=lambda index: (
            parts[index] if index < len(parts) else Code(pynvml.NVML_ERROR_NOT_FOUND)
        ),
        nvmlDeviceGetUtilizationRates=NOT_SUPPORTED,
    )
    whole.gpm = {pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL: 40.0}
    for gpu_instance, share in ((7, 10.0), (9, 80.0)):
        whole.instances[gpu_instance] = FakeGpu()
        whole.instances[gpu_instance].gpm = {pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL: share}
    return whole


def test_mig_instances_are_separate_gpus(probe_of: Callable[..., GpuProbe], clock: Clock) -> None:
    probe = probe_of(mig_gpu())
    probe.read()
    clock.now += 1.0
    reading = probe.read()
    (gpu,) = reading.gpus
    assert reading.faults == ()
    assert gpu.utilization_percent is None
    assert [(one.uuid, one.profile, one.gpu_instance, one.compute_instance) for one in gpu.instances] == [
        ("MIG-0", "1g.10gb", 7, 0),
        ("MIG-1", "1c.2g.20gb", 9, 0),
        ("MIG-2", "1c.2g.20gb", 9, 1),
    ]
    assert [one.profiling and one.profiling.graphics_active for one in gpu.instances] == [0.1, 0.8, 0.8]
    figures = exposed(reading)
    used = figures["DCGM_FI_DEV_FB_USED"]
    assert [(labels["GPU_I_PROFILE"], labels["GPU_I_ID"], value) for labels, value in used] == [
        ("1g.10gb", "7", 12),
        ("1c.2g.20gb", "9", 13),
    ], "memory once for each GPU instance, and not again for the whole"
    assert [value for _, value in figures["DCGM_FI_PROF_GR_ENGINE_ACTIVE"]] == [0.1, 0.8]
    assert "GPU_I_ID" not in figures["DCGM_FI_DEV_POWER_USAGE"][0][0]


def test_disabled_mig_is_the_whole_gpu(probe_of: Callable[..., GpuProbe]) -> None:
    reading = probe_of(FakeGpu(nvmlDeviceGetMigMode=[0, 0])).read()
    assert reading.gpus[0].instances == ()
    assert "GPU_I_ID" not in exposed(reading)["DCGM_FI_DEV_FB_USED"][0][0]


def test_encoder_sessions_have_a_latency_only_while_there_are_any(probe_of: Callable[..., GpuProbe]) -> None:
    def gpu(stats: tuple[int, int, int]) -> Gpu:
        return probe_of(FakeGpu(nvmlDeviceGetEncoderStats=stats)).read().gpus[0]

    busy, idle = gpu((3, 58, 4200)), gpu((0, 0, 0))
    assert (busy.encoder_sessions, busy.encoder_frames_per_second, busy.encoder_latency_seconds) == (3, 58, 0.0042)
    assert (idle.encoder_sessions, idle.encoder_latency_seconds) == (0, None)


def test_a_vgpu_licence_is_shown(probe_of: Callable[..., GpuProbe]) -> None:
    def licence(*states: int) -> SimpleNamespace:
        return SimpleNamespace(
            licensableFeaturesCount=len(states),
            gridLicensableFeatures=[SimpleNamespace(featureState=state) for state in states],
        )

    for states, expected in (((0, 1), 1), ((0,), 0), ((), 0)):
        reading = probe_of(FakeGpu(nvmlDeviceGetGridLicensableFeatures=licence(*states))).read()
        assert exposed(reading)["DCGM_FI_DEV_VGPU_LICENSE_STATUS"][0][1] == expected


def running(pid: int, memory: int | None = 1000) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=memory, gpuInstanceId=0xFFFFFFFF, computeInstanceId=0xFFFFFFFF)


def used(pid: int, at: int, sm: int, encoder: int = 0) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, timeStamp=at, smUtil=sm, memUtil=1, encUtil=encoder, decUtil=0)


def proc(root: Path, pid: int, name: str, cgroup: str) -> None:
    (root / str(pid)).mkdir(parents=True)
    (root / str(pid) / "comm").write_text(f"{name}\n")
    (root / str(pid) / "cgroup").write_text(cgroup)


def test_processes_are_tied_to_their_cgroups(probe_of: Callable[..., GpuProbe], tmp_path: Path) -> None:
    scope = "/system.slice/docker-" + "a" * 64 + ".scope"
    proc(tmp_path, 100, "ffmpeg", f"0::{scope}\n")
    proc(tmp_path, 200, "x:y", "5:cpu,cpuacct:/docker/cpu\n4:memory:/docker/bbbb\n1:name=systemd:/init\n0::/\n")
    gpu = FakeGpu(
        nvmlDeviceGetComputeRunningProcesses_v3=[running(100), running(300, None)],
        nvmlDeviceGetGraphicsRunningProcesses_v3=[running(200), running(100)],
        nvmlDeviceGetProcessUtilization=lambda since: [used(100, 1, 30, 50), used(100, 2, 50, 70), used(200, 0, 99)],
    )
    reading = probe_of(gpu, procfs=tmp_path).read()
    first, second, gone = reading.gpus[0].processes
    assert reading.faults == ()
    assert (first.pid, first.name, first.cgroup, first.memory_bytes) == (100, "ffmpeg", scope, 1000)
    assert (first.sm_percent, first.encoder_percent, first.decoder_percent) == (40.0, 60.0, 0.0)
    assert (second.name, second.cgroup, second.sm_percent) == ("x:y", "/docker/bbbb", 0.0)
    assert (gone.name, gone.cgroup, gone.memory_bytes, gone.gpu_instance) == ("", "", None, None)
    figures = exposed(reading)["wattview_gpu_process_encoder_percent"]
    labels, value = figures[0]
    assert (labels["process"], labels["pid"], value) == ("ffmpeg", "100", 60.0)


def test_process_use_that_the_gpu_does_not_report_is_unknown_and_idle_is_zero(
    probe_of: Callable[..., GpuProbe], tmp_path: Path
) -> None:
    def sm(answer: Any) -> float | None:
        gpu = FakeGpu(
            nvmlDeviceGetComputeRunningProcesses_v3=[running(100)], nvmlDeviceGetProcessUtilization=lambda since: answer
        )
        return probe_of(gpu, procfs=tmp_path).read().gpus[0].processes[0].sm_percent

    assert sm(NOT_SUPPORTED) is None
    assert sm(Code(pynvml.NVML_ERROR_NOT_FOUND)) == 0.0


@pytest.mark.parametrize("garbage", [4294967295, 1752392704, 101])
def test_an_impossible_process_use_is_a_fault_and_not_a_sample(
    garbage: int, probe_of: Callable[..., GpuProbe], tmp_path: Path
) -> None:
    gpu = FakeGpu(
        nvmlDeviceGetComputeRunningProcesses_v3=[running(100), running(200), running(300, 2**63)],
        nvmlDeviceGetProcessUtilization=lambda since: [
            used(100, 1, garbage), used(200, 1, 60), used(300, 1, garbage), used(300, 2, 30),
        ],
    )  # fmt: skip
    reading = probe_of(gpu, procfs=tmp_path).read()
    zombie, busy, both = reading.gpus[0].processes
    assert (zombie.sm_percent, busy.sm_percent, both.sm_percent) == (None, 60.0, 30.0)
    assert both.memory_bytes is None
    assert {fault.part for fault in reading.faults} == {
        "GPU 0 process 100 sm_percent", "GPU 0 process 300 sm_percent", "GPU 0 process 300 memory_bytes",
    }  # fmt: skip


def test_xids_are_counted_by_number(probe_of: Callable[..., GpuProbe]) -> None:
    gpu = FakeGpu()
    probe = probe_of(gpu)
    assert "wattview_gpu_xid_errors_total" not in exposed(probe.read())
    fake: Any = probe._nvml._nvml
    fake.events = [(gpu, 79), (gpu, 31), (gpu, 79)]
    reading = probe.read()
    assert (reading.gpus[0].last_xid, dict(reading.gpus[0].xids)) == (79, {31: 1, 79: 2})
    figures = exposed(reading)
    assert [(labels["xid"], value) for labels, value in figures["wattview_gpu_xid_errors_total"]] == [
        ("31", 1.0),
        ("79", 2.0),
    ]
    assert figures["DCGM_FI_DEV_XID_ERRORS"][0][1] == 79
