"""DMI data from the firmware: vendor, product, board, BIOS (/sys/class/dmi/id)."""

from __future__ import annotations

from functools import lru_cache

from wattview.exposition import Family, gauge, label_text
from wattview.probes.node.collector import Directory, NoSource, of_sysfs

_LABELS = (
    "bios_date", "bios_release", "bios_vendor", "bios_version", "board_asset_tag", "board_name", "board_serial",
    "board_vendor", "board_version", "chassis_asset_tag", "chassis_serial", "chassis_vendor", "chassis_version",
    "product_family", "product_name", "product_serial", "product_sku", "product_uuid", "product_version",
    "system_vendor",
)  # fmt: skip
_FILES = {"system_vendor": "sys_vendor"}
_HELP = (
    "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, bios_version, "
    "board_asset_tag, board_name, board_serial, board_vendor, board_version, chassis_asset_tag, "
    "chassis_serial, chassis_vendor, chassis_version, product_family, product_name, product_serial, "
    "product_sku, product_uuid, product_version, system_vendor if provided by DMI."
)


@of_sysfs(Directory, "class/dmi/id")
def collector(directory: Directory) -> list[Family]:
    """``node_dmi_info``, read once: it cannot change before the next boot. Serial numbers are for root only."""
    known = _known(directory)
    if not known:
        raise NoSource("this machine's firmware describes nothing")
    return [gauge("node_dmi_info", _HELP).add(1, label_text(known))]


@lru_cache(1)
def _known(directory: Directory) -> dict[str, str]:
    values = {label: directory.text(_FILES.get(label, label)) for label in _LABELS}
    directory.close()
    return {label: value.strip() for label, value in values.items() if value is not None}
