"""Names of PCI vendors, devices and classes, from the distribution's pci.ids file (https://pci-ids.ucw.cz)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct, field

_FILES = ("/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids")

# At the start of a line, after one tab, after two.
_NUMBERS = (
    re.compile(r"[0-9a-f]{4}|C [0-9a-f]{2}"),
    re.compile(r"[0-9a-f]{4}|[0-9a-f]{2}"),
    re.compile(r"[0-9a-f]{4} [0-9a-f]{4}|[0-9a-f]{2}"),
)


class PciIds(Struct):
    """Names by numbers: of a vendor, (vendor, device), (vendor, device, its board's vendor, board), class prefix."""

    vendors: dict[int, str] = field(default_factory=dict)
    devices: dict[tuple[int, int], str] = field(default_factory=dict)
    boards: dict[tuple[int, int, int, int], str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)

    def names(self, ids: Mapping[str, int]) -> dict[str, str]:
        """Labels for the numbers of a device's files; a number without a name is its own label, a missing number has
        none."""
        vendor, device = ids.get("vendor", -1), ids.get("device", -1)
        board_vendor, board = ids.get("subsystem_vendor", -1), ids.get("subsystem_device", -1)
        kind = f"{ids.get('class', 0):06x}"
        found = (
            ("vendor_name", self.vendors.get(vendor), vendor),
            ("device_name", self.devices.get((vendor, device)), device),
            ("subsystem_vendor_name", self.vendors.get(board_vendor), board_vendor),
            ("subsystem_device_name", self.boards.get((vendor, device, board_vendor, board)), board),
        )
        named = next(
            (self.classes[kind[:digits]] for digits in (6, 4, 2) if kind[:digits] in self.classes), f"0x{kind}"
        )
        unnamed = {label: "" if number < 0 else f"0x{number:04x}" for label, _, number in found}
        return unnamed | {label: name for label, name, _ in found if name} | {"class_name": named}


def pci_ids(path: str = "") -> PciIds:
    """The names in a file, or in the distribution's; empty if there is no such file."""
    for candidate in (path,) if path else _FILES:
        try:
            with open(candidate, encoding="utf-8", errors="replace") as file:
                return parsed(file.read())
        except OSError:
            continue
    return PciIds()


def parsed(text: str) -> PciIds:
    """A pci.ids file: vendors, their devices after one tab, the devices' boards after two; classes (``C 01``) likewise.
    Other lines are skipped."""
    found = PciIds()
    above: list[str] = []
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip("\t"))
        numbers, _, name = line.strip().partition("  ")
        if name and depth <= len(above) and _NUMBERS[min(depth, 2)].fullmatch(numbers):
            above = [*above[:depth], numbers]
            _add(found, above, name.strip())
    return found


def _add(found: PciIds, above: list[str], name: str) -> None:
    if above[0].startswith("C "):
        found.classes["".join(part.removeprefix("C ") for part in above)] = name
        return
    numbers = [int(part, 16) for level in above for part in level.split()]
    match numbers:
        case [vendor]:
            found.vendors[vendor] = name
        case [vendor, device]:
            found.devices[vendor, device] = name
        case [vendor, device, board_vendor, board]:
            found.boards[vendor, device, board_vendor, board] = name
