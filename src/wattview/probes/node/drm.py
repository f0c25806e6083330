"""AMD's graphics cards, from /sys/class/drm (Documentation/gpu/amdgpu/driver-misc.rst)."""

from __future__ import annotations

from wattview.exposition import Family, families_of, gauge, labels, rows
from wattview.probes.node.collector import Directories, Directory, of_sysfs
from wattview.probes.node.hwmon import chip_name

# File of a card's device, name, help.
_TABLE = rows("""
gpu_busy_percent node_drm_gpu_busy_percent  How busy the GPU is as a percentage.
mem_info_gtt_total node_drm_memory_gtt_size_bytes  The size of the graphics translation table (GTT) block in bytes.
mem_info_gtt_used node_drm_memory_gtt_used_bytes
    The used amount of the graphics translation table (GTT) block in bytes.
mem_info_vis_vram_total node_drm_memory_vis_vram_size_bytes  The size of visible VRAM in bytes.
mem_info_vis_vram_used node_drm_memory_vis_vram_used_bytes  The used amount of visible VRAM in bytes.
mem_info_vram_total node_drm_memory_vram_size_bytes  The size of VRAM in bytes.
mem_info_vram_used node_drm_memory_vram_used_bytes  The used amount of VRAM in bytes.
""")


@of_sysfs(Directories, "class/drm", r"card[0-9]+")
def collector(directories: Directories) -> list[Family]:
    """``node_drm_*{card}``: cards of the driver ``amdgpu``, the only one with these files. Missing values are left
    out."""
    info = gauge("node_drm_card_info", "Card information")
    cards: list[tuple[str, Directory]] = []
    for card, directory in directories.found().items():
        if "DRIVER=amdgpu" not in (directory.text("device/uevent") or "").split():
            continue
        text = {
            "card": card,
            "memory_vendor": directory.text("device/mem_info_vram_vendor") or "",
            "power_performance_level": directory.text("device/power_dpm_force_performance_level") or "",
            "unique_id": directory.text("device/unique_id") or "",
            "chip": chip_name(directory),
            "vendor": "amd",
        }
        info.add(1, labels(**text))
        cards.append((labels(card=card), directory))
    return [info, *families_of(_TABLE, cards, lambda card, file: card.number(f"device/{file}"))]
