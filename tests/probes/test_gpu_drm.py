"""AMD and Intel GPUs from trees of the kernel's files (amdgpu, i915, xe)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ConfigFactory
from tests.support.fake_nvml import FakeGpu, FakeNvml
from wattview.exposition import render
from wattview.probes import SourceAbsent
from wattview.probes.gpu.drm import RESCAN_SECONDS, DrmGpus
from wattview.probes.gpu.families import families
from wattview.probes.gpu.probe import GpuProbe

AMD = {
    "vendor": "0x1002",
    "uevent": "DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_ID=1002:744C\nPCI_SLOT_NAME=0000:03:00.0",
    "unique_id": "d5ecaf7a2b6b3a11",
    "product_name": "",
    "gpu_busy_percent": "37",
    "mem_busy_percent": "9",
    "mem_info_vram_total": "25753026560",
    "mem_info_vram_used": "1298776064",
    "power/runtime_status": "active",
    "hwmon/hwmon4/name": "amdgpu",
    "hwmon/hwmon4/power1_average": "44000000",
    "hwmon/hwmon4/power1_cap": "315000000",
    "hwmon/hwmon4/temp1_input": "41000",
    "hwmon/hwmon4/temp1_label": "edge",
    "hwmon/hwmon4/temp2_input": "47000",
    "hwmon/hwmon4/temp2_label": "junction",
    "hwmon/hwmon4/temp3_input": "62000",
    "hwmon/hwmon4/temp3_label": "mem",
    "hwmon/hwmon4/freq1_input": "500000000",
    "hwmon/hwmon4/freq2_input": "96000000",
}
XE = {
    "vendor": "0x8086",
    "uevent": "DRIVER=xe\nPCI_ID=8086:E20B\nPCI_SLOT_NAME=0000:04:00.0",
    "power/runtime_status": "active",
    "hwmon/hwmon5/name": "xe",
    "hwmon/hwmon5/energy1_input": "5000000",
    "hwmon/hwmon5/energy1_label": "card",
    "hwmon/hwmon5/energy2_input": "4000000",
    "hwmon/hwmon5/power1_max": "0",
    "hwmon/hwmon5/temp2_input": "51000",
    "hwmon/hwmon5/temp2_label": "pkg",
    "hwmon/hwmon5/temp3_input": "60000",
    "hwmon/hwmon5/temp3_label": "vram",
    "tile0/gt0/freq0/act_freq": "1950",
}
I915 = {
    "vendor": "0x8086",
    "uevent": "DRIVER=i915\nPCI_ID=8086:56A0\nPCI_SLOT_NAME=0000:05:00.0",
    "hwmon/hwmon2/name": "i915_gt0",
    "hwmon/hwmon2/energy1_input": "1",
    "hwmon/hwmon3/name": "i915",
    "hwmon/hwmon3/energy1_input": "7000000",
    "hwmon/hwmon3/power1_max": "190000000",
}


def card(sysfs: Path, number: int, files: dict[str, str]) -> Path:
    """``class/drm/cardN`` with its device, as the kernel lays it out."""
    device = sysfs / "devices" / f"pci{number}"
    node = device / "drm" / f"card{number}"
    node.mkdir(parents=True)
    (node / "device").symlink_to(device)
    (sysfs / "class" / "drm").mkdir(parents=True, exist_ok=True)
    (sysfs / "class" / "drm" / f"card{number}").symlink_to(node)
    (sysfs / "class" / "drm" / f"card{number}-DP-1").mkdir()
    for name, text in files.items():
        (device / name).parent.mkdir(parents=True, exist_ok=True)
        (device / name).write_text(text + "\n")
    return device


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("wattview.probes.gpu.drm.time", clock)
    return clock


def test_an_amd_card_gives_what_amdgpu_reports(tmp_path: Path) -> None:
    card(tmp_path, 1, AMD)
    (gpu,), faults = DrmGpus(str(tmp_path)).read()
    assert faults == []
    assert (gpu.vendor, gpu.index, gpu.device, gpu.driver_version) == ("amd", 1, "card1", "amdgpu")
    assert (gpu.uuid, gpu.pci_bus_id, gpu.name) == ("amd-d5ecaf7a2b6b3a11", "0000:03:00.0", "AMD GPU 1002:744C")
    assert (gpu.power_watts, gpu.power_limit_watts) == (44.0, 315.0)
    assert (gpu.utilization_percent, gpu.memory_utilization_percent) == (37, 9)
    assert (gpu.memory_total_bytes, gpu.memory_used_bytes) == (25753026560, 1298776064)
    assert gpu.memory_free_bytes == 25753026560 - 1298776064
    assert (gpu.temperature_celsius, gpu.memory_temperature_celsius) == (41.0, 62.0)
    assert (gpu.sm_clock_hertz, gpu.memory_clock_hertz) == (5e8, 9.6e7)
    assert gpu.energy_joules_total is None, "amdgpu has no energy counter"


def test_newer_amd_cards_name_their_power_input(tmp_path: Path) -> None:
    files = {key: value for key, value in AMD.items() if "power1_average" not in key}
    card(tmp_path, 0, {**files, "hwmon/hwmon4/power1_input": "51000000"})
    assert DrmGpus(str(tmp_path)).read()[0][0].power_watts == 51.0


def test_the_power_of_an_apu_is_not_reported_as_the_gpus(tmp_path: Path) -> None:
    card(tmp_path, 0, {**AMD, "hwmon/hwmon4/in1_input": "700", "hwmon/hwmon4/in1_label": "vddnb"})
    (gpu,), _ = DrmGpus(str(tmp_path)).read()
    assert (gpu.power_watts, gpu.utilization_percent) == (None, 37)


def test_an_intel_cards_power_is_the_change_of_its_energy_counter(tmp_path: Path, clock: Clock) -> None:
    device = card(tmp_path, 0, XE)
    gpus = DrmGpus(str(tmp_path))
    (gpu,), faults = gpus.read()
    assert faults == []
    assert (gpu.energy_joules_total, gpu.power_watts, gpu.power_limit_watts) == (5.0, None, None)
    assert (gpu.temperature_celsius, gpu.memory_temperature_celsius, gpu.sm_clock_hertz) == (51.0, 60.0, 1.95e9)
    assert (gpu.utilization_percent, gpu.memory_used_bytes) == (None, None)
    (device / "hwmon/hwmon5/energy1_input").write_text("95000000\n")
    clock.now += 2.0
    assert gpus.read()[0][0].power_watts == pytest.approx(45.0)
    gpus.close()


def test_the_tiles_of_an_i915_card_are_not_mistaken_for_the_card(tmp_path: Path) -> None:
    card(tmp_path, 0, I915)
    (gpu,), _ = DrmGpus(str(tmp_path)).read()
    assert (gpu.energy_joules_total, gpu.power_limit_watts) == (7.0, 190.0)


def test_a_suspended_card_is_listed_without_waking_it(tmp_path: Path) -> None:
    device = card(tmp_path, 0, AMD)
    gpus = DrmGpus(str(tmp_path))
    gpus.read()
    (device / "power/runtime_status").write_text("suspended\n")
    for file in ("gpu_busy_percent", "hwmon/hwmon4/power1_average"):
        (device / file).write_text("99\n")
    (gpu,), faults = gpus.read()
    assert (gpu.name, gpu.power_watts, gpu.utilization_percent, faults) == ("AMD GPU 1002:744C", None, None, [])
    (device / "power/runtime_status").write_text("active\n")
    assert gpus.read()[0][0].utilization_percent == 99


def test_silent_cards_and_other_vendors_are_not_listed(tmp_path: Path) -> None:
    card(tmp_path, 0, {"vendor": "0x1a03", "uevent": "DRIVER=ast"})
    card(tmp_path, 1, {"vendor": "0x10de", "uevent": "DRIVER=nouveau", "gpu_busy_percent": "4"})
    card(tmp_path, 2, {"vendor": "0x8086", "uevent": "DRIVER=i915"})
    assert DrmGpus(str(tmp_path)).read() == ([], [])
    assert DrmGpus(str(tmp_path / "nothing")).read() == ([], [])


def test_a_sensor_that_the_firmware_does_not_answer_is_unknown(tmp_path: Path) -> None:
    device = card(tmp_path, 0, AMD)
    (device / "hwmon/hwmon4/power1_average").unlink()
    (device / "hwmon/hwmon4/power1_average").symlink_to("/proc/self/mem")  # EIO at offset 0
    (device / "gpu_busy_percent").write_text("nonsense\n")
    (gpu,), _ = DrmGpus(str(tmp_path)).read()
    assert (gpu.utilization_percent, gpu.power_watts, gpu.memory_utilization_percent) == (None, None, 9)


def test_an_unplugged_card_is_a_fault_once_and_then_absent(tmp_path: Path) -> None:
    device = card(tmp_path, 0, AMD)
    card(tmp_path, 1, XE)
    gpus = DrmGpus(str(tmp_path))
    assert len(gpus.read()[0]) == 2
    gpus.close()
    gpus.read()
    gone = gpus._cards["card0"]
    for file, _ in gone.files.values():
        file.close()
    shutil.rmtree(device)
    (tmp_path / "class/drm/card0").unlink()
    found, faults = gpus.read()
    assert [(gpu.device, gpu.power_watts) for gpu in found] == [("card0", None), ("card1", None)]
    assert [fault.part for fault in faults] == ["GPU card0"]
    found, faults = gpus.read()
    assert ([gpu.device for gpu in found], faults) == (["card1"], [])


def test_a_card_that_its_driver_releases_is_a_fault_until_it_returns(tmp_path: Path, clock: Clock) -> None:
    """As for a virtual machine (vfio-pci): it goes on drawing power, so that the others are not all."""
    card(tmp_path, 0, AMD)
    device = card(tmp_path, 1, XE)
    (tmp_path / "bus/pci/devices/0000:04:00.0").mkdir(parents=True)
    gpus = DrmGpus(str(tmp_path))
    assert len(gpus.read()[0]) == 2
    link = tmp_path / "class/drm/card1"
    link.rename(tmp_path / "elsewhere")
    for _ in range(3):
        clock.now += RESCAN_SECONDS + 1
        found, faults = gpus.read()
        assert [(gpu.device, gpu.power_watts) for gpu in found] == [("card0", 44.0), ("card1", None)]
        assert "released it" in faults[0].reason
    (tmp_path / "elsewhere").rename(tmp_path / "class/drm/card2")
    clock.now += RESCAN_SECONDS + 1
    found, faults = gpus.read()
    assert ([gpu.device for gpu in found], faults) == (["card0", "card2"], [])
    assert device.exists()


def test_sensors_that_come_later_than_their_card_are_read(tmp_path: Path, clock: Clock) -> None:
    device = card(tmp_path, 0, {name: text for name, text in AMD.items() if not name.startswith("hwmon")})
    gpus = DrmGpus(str(tmp_path))
    assert gpus.read()[0][0].power_watts is None
    for name, text in AMD.items():
        (device / name).parent.mkdir(parents=True, exist_ok=True)
        (device / name).write_text(text)
    clock.now += 31.0
    assert gpus.read()[0][0].power_watts == 44.0


def test_a_figure_that_a_card_cannot_have_is_a_fault(tmp_path: Path) -> None:
    card(tmp_path, 0, AMD | {"gpu_busy_percent": "65535", "hwmon/hwmon4/temp1_input": "511000000"})
    (gpu,), faults = DrmGpus(str(tmp_path)).read()
    assert (gpu.utilization_percent, gpu.temperature_celsius, gpu.power_watts) == (None, None, 44.0)
    assert sorted(fault.part for fault in faults) == ["GPU card0 temperature_celsius", "GPU card0 utilization_percent"]


def test_a_card_is_distinguished_from_integrated_graphics(tmp_path: Path) -> None:
    card(tmp_path, 0, I915 | {"uevent": "DRIVER=i915\nPCI_SLOT_NAME=0000:00:02.0"})
    card(tmp_path, 1, AMD)
    card(tmp_path, 2, AMD | {"unique_id": "b", "hwmon/hwmon4/in1_input": "900"})
    assert [gpu.draws_beside for gpu in DrmGpus(str(tmp_path)).read()[0]] == [False, True, False]


def test_a_card_that_is_plugged_in_is_found(tmp_path: Path, clock: Clock) -> None:
    gpus = DrmGpus(str(tmp_path))
    assert gpus.read() == ([], [])
    card(tmp_path, 0, AMD)
    clock.now += 31.0
    assert len(gpus.read()[0]) == 1


def test_gpus_of_all_vendors_are_listed_together(tmp_path: Path, make_config: ConfigFactory) -> None:
    card(tmp_path, 0, AMD)
    config = make_config(f"paths.sysfs={tmp_path}")
    reading = GpuProbe(config, nvml=FakeNvml(FakeGpu())).read()
    assert [(gpu.vendor, gpu.index) for gpu in reading.gpus] == [("nvidia", 0), ("amd", 0)]
    text = render(families(reading)).decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    assert {s.labels["vendor"]: s.value for s in samples if s.name == "wattview_gpu_power_watts"} == {
        "nvidia": 68.452,
        "amd": 44.0,
    }
    assert {s.labels["UUID"] for s in samples if s.name.startswith("DCGM")} == {"GPU-0"}


def test_gpus_of_other_vendors_work_without_nvidia(tmp_path: Path, make_config: ConfigFactory) -> None:
    card(tmp_path, 0, AMD)
    config = make_config(f"paths.sysfs={tmp_path}")
    absent = FakeNvml(init=pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    reading = GpuProbe(config, nvml=absent).read()
    assert ([gpu.vendor for gpu in reading.gpus], reading.faults) == (["amd"], ())
    refused = GpuProbe(config, nvml=FakeNvml(init=pynvml.NVML_ERROR_NO_PERMISSION)).read()
    assert [fault.part for fault in refused.faults] == ["NVML"]
    with pytest.raises(SourceAbsent):
        GpuProbe(make_config(f"paths.sysfs={tmp_path / 'none'}"), nvml=absent).read()


@given(st.dictionaries(st.sampled_from(sorted(AMD)), st.binary(max_size=30)))
def test_any_content_of_the_files_is_survived(contents: dict[str, bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        device = card(Path(directory), 0, AMD)
        for name, content in contents.items():
            (device / name).write_bytes(content)
        gpus = DrmGpus(directory)
        found, faults = gpus.read()
        assert len(found) + len(faults) <= 1
        gpus.close()
