"""Utilisation of an NVIDIA GPU's units, from its hardware counters: NVML's GPM (Hopper and later).

A figure is the difference of two samples; the earlier one is kept between readings. Readings within a second of each
other share their figures, so that nobody sees the noise of a short interval.
https://docs.nvidia.com/deploy/nvml-api/group__nvmlGpmFunctions.html
"""

from __future__ import annotations

import math
from typing import Any

from wattview.model import GpuProfile
from wattview.probes.gpu.nvml_calls import Caller
from wattview.probes.plausible import plausible

MIN_SPAN_SECONDS = 1.0


# How many of NVML's units make one of ours.
_PERCENT, _MEBIBYTES = 100, 2**-20

# NVML's metric, our field, and NVML's unit.
_METRICS: tuple[tuple[str, str, float], ...] = (
    ("NVML_GPM_METRIC_GRAPHICS_UTIL", "graphics_active", _PERCENT),
    ("NVML_GPM_METRIC_SM_UTIL", "sm_active", _PERCENT),
    ("NVML_GPM_METRIC_SM_OCCUPANCY", "sm_occupancy", _PERCENT),
    ("NVML_GPM_METRIC_ANY_TENSOR_UTIL", "tensor_active", _PERCENT),
    ("NVML_GPM_METRIC_FP64_UTIL", "fp64_active", _PERCENT),
    ("NVML_GPM_METRIC_FP32_UTIL", "fp32_active", _PERCENT),
    ("NVML_GPM_METRIC_FP16_UTIL", "fp16_active", _PERCENT),
    ("NVML_GPM_METRIC_DRAM_BW_UTIL", "dram_active", _PERCENT),
    ("NVML_GPM_METRIC_PCIE_TX_PER_SEC", "pcie_transmit_bytes_per_second", _MEBIBYTES),
    ("NVML_GPM_METRIC_PCIE_RX_PER_SEC", "pcie_receive_bytes_per_second", _MEBIBYTES),
    ("NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC", "nvlink_transmit_bytes_per_second", _MEBIBYTES),
    ("NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC", "nvlink_receive_bytes_per_second", _MEBIBYTES),
)


class Profiler:
    """GPM of one GPU, or of one of its MIG instances (``gpu_instance``; the handle is the whole GPU's in both
    cases)."""

    def __init__(self, caller: Caller, handle: Any, gpu_instance: int | None = None) -> None:
        self._caller = caller
        self._handle = handle
        self._gpu_instance = gpu_instance
        self._before: Any = None
        self._taken = 0.0
        self._latest: GpuProfile | None = None
        support = caller.ask("profiling", "nvmlGpmQueryDeviceSupport", handle)
        self._supported = bool(support and support.isSupportedDevice)

    def read(self, monotonic: float) -> GpuProfile | None:
        """The figures of the last second or more; None until there are two samples, and without GPM."""
        if not self._supported:
            return None
        if self._before is not None and monotonic - self._taken < MIN_SPAN_SECONDS:
            return self._latest
        now = self._sample()
        if now is None:
            self._latest = None
            return None
        if self._before is not None:
            self._latest = self._difference(self._before, now)
            self._free(self._before)
        self._before, self._taken = now, monotonic
        return self._latest

    def close(self) -> None:
        if self._before is not None:
            self._free(self._before)
            self._before = None

    def _sample(self) -> Any:
        ask = self._caller.ask
        sample = ask("profiling", "nvmlGpmSampleAlloc")
        if sample is None:
            return None
        if self._gpu_instance is None:
            taken = ask("profiling", "nvmlGpmSampleGet", self._handle, sample)
        else:
            taken = ask("profiling", "nvmlGpmMigSampleGet", self._handle, self._gpu_instance, sample)
        if taken is None:
            self._free(sample)
        return taken

    def _free(self, sample: Any) -> None:
        self._caller.ask("profiling", "nvmlGpmSampleFree", sample)

    def _difference(self, before: Any, now: Any) -> GpuProfile | None:
        nvml = self._caller.nvml
        wanted = [metric for metric in _METRICS if hasattr(nvml, metric[0])]
        question = nvml.c_nvmlGpmMetricsGet_t()
        question.version = nvml.NVML_GPM_METRICS_GET_VERSION
        question.numMetrics = len(wanted)
        question.sample1, question.sample2 = before, now
        for index, (name, _, _) in enumerate(wanted):
            question.metrics[index].metricId = getattr(nvml, name)
        answer = self._caller.ask("profiling", "nvmlGpmMetricsGet", question)
        if answer is None:
            return None
        values = {}
        for index, (_, field, unit) in enumerate(wanted):
            metric = answer.metrics[index]
            if metric.nvmlReturn == nvml.NVML_SUCCESS and math.isfinite(metric.value):
                values[field] = metric.value / unit
        values = plausible(self._caller.part, values, self._caller.faults)
        return GpuProfile(**values) if values else None
