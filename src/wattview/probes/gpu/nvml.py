"""NVIDIA GPUs through NVML, the library behind nvidia-smi (nvidia-ml-py is its binding).

NVML is initialised once. A value that a GPU does not support, or that is implausible, is None, never 0. A GPU that has
fallen off the bus, or may not be opened, stays in the list without figures, so that no sum is made without it;
it is retried soon. A driver that is gone is looked for at the next reading. NVML's reference:
https://docs.nvidia.com/deploy/nvml-api/
"""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType
from typing import Any

from wattview.model import Fault, Gpu, GpuInstance
from wattview.probes import SourceAbsent, SourceBroken, SourceError, SourceRefused
from wattview.probes.gpu.nvml_calls import Caller, DriverGone, GpuLost
from wattview.probes.gpu.nvml_gpm import Profiler
from wattview.probes.gpu.nvml_processes import processes
from wattview.probes.plausible import plausible

LOST_RETRY_SECONDS = 10.0
"""How often NVML is reinitialised because a GPU is lost or could not be opened: a reset gives it a new handle."""

_DRIVER = "install the NVIDIA driver (nvidia-smi must work); in a container: docker run --gpus all"


class NvmlGpus:
    """All NVIDIA GPUs. ``nvml`` is a module with pynvml's functions; None imports pynvml at the first reading."""

    def __init__(self, procfs: str = "/proc", nvml: ModuleType | Any = None) -> None:
        self._nvml = nvml
        self._procfs = Path(procfs)
        self._devices: list[_Device] | None = None
        self._known: dict[int, Gpu] = {}
        self._unopened: tuple[Fault, ...] = ()
        self._xids: dict[str, dict[int, int]] = {}
        self._events: _XidEvents | None = None
        self._lost_since: float | None = None

    def read(self) -> tuple[list[Gpu], list[Fault]]:
        """Raises SourceAbsent (no library, no driver, no GPU), SourceRefused or SourceBroken."""
        now = time.monotonic()
        if self._lost_since is not None and now - self._lost_since > LOST_RETRY_SECONDS:
            self.close()
        if self._devices is None:
            self._open()
        read: dict[int, Gpu] = {}
        faults = list(self._unopened)
        try:
            xids = self._events.collect() if self._events else {}
            for device in self._devices or ():
                try:
                    read[device.index] = device.read(now, xids.get(device.uuid), self._procfs)
                except GpuLost as lost:
                    faults.append(lost.fault)
                    self._lost_since = self._lost_since or now
                faults += device.caller.faults
        except DriverGone as gone:
            self.close()
            raise SourceBroken(f"the NVIDIA driver has gone: {gone}", "see dmesg; nvidia-smi must work again") from None
        if not read and faults:
            raise SourceBroken(f"{faults[0].part}: {faults[0].reason}", faults[0].fix)
        return [read.get(index, gpu) for index, gpu in sorted(self._known.items())], faults

    def close(self) -> None:
        if self._devices is not None:
            try:
                for device in self._devices:
                    device.close()
                if self._events:
                    self._xids = self._events.counts
                    self._events.close()
                self._nvml.nvmlShutdown()
            except (self._nvml.NVMLError, DriverGone, GpuLost):
                pass  # it is gone already
        self._devices = self._events = self._lost_since = None

    def _open(self) -> None:
        if self._nvml is None:
            try:
                import pynvml
            except ImportError:
                raise SourceAbsent(
                    "the Python package nvidia-ml-py is not installed", "pip install nvidia-ml-py"
                ) from None
            self._nvml = pynvml
        nvml = self._nvml
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            failure = _start_error(nvml, error)
            if self._known and isinstance(failure, SourceAbsent):
                # Its GPUs still exist and draw power.
                failure = SourceBroken(failure.reason, failure.fix)
            raise failure from None
        try:
            driver_version = _driver_version(nvml)
            devices, faults = _open_devices(nvml, driver_version)
            present = nvml.nvmlDeviceGetCount()
        except (nvml.NVMLError, DriverGone) as error:
            nvml.nvmlShutdown()
            raise _start_error(nvml, error) from None
        if not devices:
            nvml.nvmlShutdown()
            self._lost_since = None
            if faults:
                raise SourceBroken(f"{faults[0].part}: {faults[0].reason}", faults[0].fix)
            raise SourceAbsent("the NVIDIA driver sees no GPU")
        self._know(devices, present)
        faults += [
            Fault(f"GPU {index}", "the driver no longer lists it", "see dmesg; nvidia-smi must show it")
            for index in sorted(self._known.keys() - set(range(present)))
        ]
        self._devices, self._unopened = devices, tuple(faults)
        self._lost_since = time.monotonic() if faults else None
        self._events = _XidEvents(nvml, devices, self._xids)

    def _know(self, devices: list[_Device], present: int) -> None:
        """Remembers each GPU. A GPU with a new index is still the same one."""
        found = {device.index: device.unread for device in devices}
        uuids = {gpu.uuid for gpu in found.values()}
        before = {index: gpu for index, gpu in self._known.items() if gpu.uuid not in uuids}
        unopened = {index: unread_gpu(index) for index in range(present)}
        self._known = unopened | before | found


def unread_gpu(index: int) -> Gpu:
    """A GPU of which only the existence is known."""
    device = f"nvidia{index}"
    return Gpu(index=index, uuid=device, name="", pci_bus_id="", driver_version="", device=device)


def _open_devices(nvml: Any, driver_version: str) -> tuple[list[_Device], list[Fault]]:
    found, faults = [], []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            found.append(_Device(nvml, index, nvml.nvmlDeviceGetHandleByIndex(index), driver_version))
        except nvml.NVMLError as error:
            faults.append(Fault(f"GPU {index}", str(error), "see dmesg for NVRM messages"))
        except GpuLost as lost:
            faults.append(lost.fault)
    return found, faults


def _start_error(nvml: Any, error: Any) -> SourceError:
    code = getattr(error, "value", None)
    if code == nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return SourceAbsent("no NVIDIA GPU: libnvidia-ml.so.1 is not here", _DRIVER)
    if code == nvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return SourceAbsent(
            "the NVIDIA driver is not loaded", "sudo modprobe nvidia; in a container: docker run --gpus all"
        )
    if code == nvml.NVML_ERROR_NO_PERMISSION:
        return SourceRefused("NVML may not open the GPUs", "let this user open /dev/nvidiactl and /dev/nvidia*")
    if code == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return SourceBroken("the NVIDIA library and kernel module are of different versions", "reboot")
    return SourceBroken(f"NVML: {error}", "nvidia-smi must work")


def _driver_version(nvml: Any) -> str:
    """Drivers have returned invalid text: https://github.com/gpuopenanalytics/pynvml/issues/53."""
    try:
        return _text(nvml.nvmlSystemGetDriverVersion())
    except UnicodeDecodeError:
        return ""


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class _Device:
    """One GPU: its constants, read once, and a reader of its figures."""

    def __init__(self, nvml: Any, index: int, handle: Any, driver_version: str) -> None:
        self.index = index
        self.caller = Caller(nvml, index)
        self.handle = handle
        self.uuid = _text(nvml.nvmlDeviceGetUUID(handle))
        self._fixed: dict[str, Any] = {
            "index": index,
            "uuid": self.uuid,
            "name": _text(self.caller.ask("name", "nvmlDeviceGetName", handle) or ""),
            "pci_bus_id": _text(getattr(self.caller.ask("PCI", "nvmlDeviceGetPciInfo", handle), "busId", "")),
            "driver_version": driver_version,
            "device": f"nvidia{index}",
        }
        self.unread = Gpu(**self._fixed)
        self._profiler = Profiler(self.caller, handle)
        self._instance_profilers: dict[int, Profiler] = {}

    def read(self, monotonic: float, xids: dict[int, int] | None, procfs: Path) -> Gpu:
        """Raises GpuLost for this GPU, DriverGone for all."""
        caller = self.caller
        caller.faults = []
        values = caller.plain(self.handle) | caller.memory(self.handle)
        found, known = processes(caller, self.handle, procfs)
        return Gpu(
            **self._fixed,
            **plausible(caller.part, values, caller.faults),
            last_xid=None if xids is None else next(reversed(xids), 0),
            xids=xids or {},
            profiling=self._profiler.read(monotonic),
            instances=self._instances(monotonic),
            processes=found,
            processes_known=known,
        )

    def close(self) -> None:
        for profiler in (self._profiler, *self._instance_profilers.values()):
            profiler.close()

    def _instances(self, monotonic: float) -> tuple[GpuInstance, ...]:
        """The instances of a GPU in MIG mode, which can change at any time."""
        ask = self.caller.ask
        mode = ask("MIG", "nvmlDeviceGetMigMode", self.handle)
        if mode is None or mode[0] != self.caller.nvml.NVML_DEVICE_MIG_ENABLE:
            return ()
        found = []
        for number in range(ask("MIG", "nvmlDeviceGetMaxMigDeviceCount", self.handle) or 0):
            part = ask("MIG", "nvmlDeviceGetMigDeviceHandleByIndex", self.handle, number)
            if part is not None:
                found.append(self._instance(part, monotonic))
        return tuple(found)

    def _instance(self, part: Any, monotonic: float) -> GpuInstance:
        ask = self.caller.ask
        gpu_instance = ask("MIG", "nvmlDeviceGetGpuInstanceId", part)
        profiler = self._instance_profilers.get(gpu_instance)
        if profiler is None:
            profiler = self._instance_profilers[gpu_instance] = Profiler(self.caller, self.handle, gpu_instance)
        return GpuInstance(
            uuid=_text(ask("MIG", "nvmlDeviceGetUUID", part) or ""),
            # The name ends in the profile: "NVIDIA H100 80GB HBM3 MIG 1g.10gb".
            profile=_text(ask("MIG", "nvmlDeviceGetName", part) or "").rpartition("MIG ")[2],
            gpu_instance=gpu_instance,
            compute_instance=ask("MIG", "nvmlDeviceGetComputeInstanceId", part),
            profiling=profiler.read(monotonic),
            **plausible(self.caller.part, self.caller.memory(part), self.caller.faults),
        )


class _XidEvents:
    """XID errors, which NVML reports as events only: counts by number since this object was created."""

    def __init__(self, nvml: Any, devices: list[_Device], before: dict[str, dict[int, int]]) -> None:
        self._nvml = nvml
        self._set: Any = None
        self.counts: dict[str, dict[int, int]] = {}
        try:
            self._set = nvml.nvmlEventSetCreate()
        except (nvml.NVMLError, AttributeError):
            return
        for device in devices:
            try:
                nvml.nvmlDeviceRegisterEvents(device.handle, nvml.nvmlEventTypeXidCriticalError, self._set)
            except nvml.NVMLError:
                continue
            self.counts[device.uuid] = before.get(device.uuid, {})

    def collect(self) -> dict[str, dict[int, int]]:
        """UUID → count by XID, the latest one last, for GPUs that report them. Does not wait."""
        nvml = self._nvml
        for _ in range(1000 if self.counts else 0):
            try:
                event = nvml.nvmlEventSetWait_v2(self._set, 0)
                if event.eventType == nvml.nvmlEventTypeXidCriticalError:
                    counts = dict(self.counts.get(uuid := _text(nvml.nvmlDeviceGetUUID(event.device)), {}))
                    xid = int(event.eventData)
                    counts[xid] = counts.pop(xid, 0) + 1
                    self.counts[uuid] = counts
            except nvml.NVMLError:
                break  # NVML_ERROR_TIMEOUT: no more events
        return self.counts

    def close(self) -> None:
        if self._set is not None:
            self._nvml.nvmlEventSetFree(self._set)
