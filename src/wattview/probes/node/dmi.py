"""DMI data from the firmware: vendor, product, board, BIOS (/sys/class/dmi/id)."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, gauge, label_text
from wattview.probes.node.collector import Directory, NoSource

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


class Dmi:
    """``node_dmi_info``, read once: it cannot change before the next boot. Serial numbers are for root only."""

    def __init__(self, config: Config) -> None:
        self._directory = Directory(f"{config.paths.sysfs}/class/dmi/id")
        self._read = False
        self._family: Family | None = None

    def collect(self) -> list[Family]:
        if not self._read:
            self._read = True
            values = {label: self._directory.text(_FILES.get(label, label)) for label in _LABELS}
            known = {label: value.strip() for label, value in values.items() if value is not None}
            self._directory.close()
            if known:
                self._family = gauge("node_dmi_info", _HELP).add(1, label_text(known))
        if self._family is None:
            raise NoSource("this machine's firmware describes nothing")
        return [self._family]
