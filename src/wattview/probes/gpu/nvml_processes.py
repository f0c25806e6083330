"""Processes on an NVIDIA GPU: their utilisation, memory and cgroup.

NVML lists the processes that hold a context with their memory, and samples the utilisation of each about six times a
second; the figure is the mean of the last two seconds. A process without a sample in that time has not used the GPU.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from wattview.model import Fault, GpuProcess
from wattview.probes.gpu.nvml_calls import Caller
from wattview.probes.kernel_files import text_of
from wattview.probes.plausible import PERCENT, implausible, plausible

WINDOW_SECONDS = 2.0
# In order of preference: _v3 exists since driver 510.
_LISTS = (
    ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"),
    ("nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2"),
)
_USE = (
    ("sm_percent", "smUtil"),
    ("memory_percent", "memUtil"),
    ("encoder_percent", "encUtil"),
    ("decoder_percent", "decUtil"),
)
_NO_INSTANCE = 0xFFFFFFFF


def processes(caller: Caller, handle: Any, procfs: Path) -> tuple[tuple[GpuProcess, ...], bool]:
    """The processes of one GPU by pid, and whether these are all. Raises GpuLost, DriverGone."""
    listed: dict[int, Any] = {}
    known = True
    for versions in _LISTS:
        answers = (caller.ask("processes", function, handle, empty=[]) for function in versions)
        answer = next((answer for answer in answers if answer is not None), None)
        known = known and answer is not None
        for process in answer or ():
            listed.setdefault(process.pid, process)
    if not listed:
        return (), known
    since = int((time.time() - WINDOW_SECONDS) * 1e6)
    samples = caller.ask("processes", "nvmlDeviceGetProcessUtilization", handle, since, empty=[])
    return tuple(_process(process, samples, procfs, caller) for _, process in sorted(listed.items())), known


def _process(process: Any, samples: Any, procfs: Path, caller: Caller) -> GpuProcess:
    use: dict[str, float | None] = {}
    if samples is not None:
        # A ring buffer that is not full is returned whole: entries without a time are unused.
        mine = [sample for sample in samples if sample.pid == process.pid and sample.timeStamp]
        for field, member in _USE:
            use[field] = _mean([getattr(sample, member) for sample in mine], f"process {process.pid} {field}", caller)
    instance = getattr(process, "gpuInstanceId", None)
    return GpuProcess(
        pid=process.pid,
        name=text_of(procfs / str(process.pid) / "comm"),
        cgroup=_cgroup(text_of(procfs / str(process.pid) / "cgroup")),
        memory_bytes=_memory(process, caller),
        gpu_instance=None if instance == _NO_INSTANCE else instance,
        **use,
    )


def _mean(percents: list[float], what: str, caller: Caller) -> float | None:
    """The mean of plausible samples: drivers of several years return garbage for ended processes."""
    reasons = [implausible(percent, PERCENT) for percent in percents]
    if any(reasons):
        caller.faults.append(Fault(f"{caller.part} {what}", max(reasons)))
    good = [percent for percent, reason in zip(percents, reasons, strict=True) if not reason]
    return sum(good) / len(good) if good else None if percents else 0.0


def _memory(process: Any, caller: Caller) -> int | None:
    values = {"memory_bytes": process.usedGpuMemory}
    return plausible(f"{caller.part} process {process.pid}", values, caller.faults).get("memory_bytes")


def _cgroup(text: str) -> str:
    """The path in the hierarchy with the resource controllers: v2's only line, else v1's memory or cpu."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            paths[controller] = path
    return next((paths[key] for key in ("memory", "cpu", "") if paths.get(key)), "")
