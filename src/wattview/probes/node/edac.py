"""Corrected and uncorrected memory errors (EDAC), by controller, row and channel."""

from __future__ import annotations

import re

from wattview.exposition import Family, counter, labels
from wattview.probes.node.collector import Directories, Directory, of_sysfs

_ROW = re.compile(r"csrow[0-9]+")
_CHANNEL = re.compile(r"ch([0-9]+)_ce_count")
_KINDS = (("ce", "correctable"), ("ue", "uncorrectable"))


@of_sysfs(Directories, "devices/system/edac/mc", r"mc[0-9]+")
def collector(directories: Directories) -> list[Family]:
    """``node_edac_*``; no samples without an EDAC driver."""
    controllers = directories.found_or_none()
    if not controllers:
        return []
    families = {}
    for short, kind in _KINDS:
        families[short] = counter(f"node_edac_{kind}_errors_total", f"Total {kind} memory errors.")
        for where in ("csrow", "channel"):
            families[f"{where}_{short}"] = counter(
                f"node_edac_{where}_{kind}_errors_total", f"Total {kind} memory errors for this {where}."
            )
    for name, directory in controllers.items():
        controller = name.removeprefix("mc")
        for short, _ in _KINDS:
            families[short].add(directory.number(f"{short}_count"), labels(controller=controller))
            # Errors whose row the controller does not know.
            unknown = labels(controller=controller, csrow="unknown")
            families[f"csrow_{short}"].add(directory.number(f"{short}_noinfo_count"), unknown)
        for entry in directory.names():
            if _ROW.fullmatch(entry):
                _row(families, directory, controller, entry)
    return list(families.values())


def _row(families: dict[str, Family], directory: Directory, controller: str, row: str) -> None:
    text = labels(controller=controller, csrow=row.removeprefix("csrow"))
    for short, _ in _KINDS:
        families[f"csrow_{short}"].add(directory.number(f"{row}/{short}_count"), text)
    for file in directory.names(row):
        if match := _CHANNEL.fullmatch(file):
            label = directory.text(f"{row}/ch{match[1]}_dimm_label")
            text = labels(
                controller=controller,
                csrow=row.removeprefix("csrow"),
                channel=match[1],
                dimm_label="unknown" if label is None else dimm_label(label),
            )
            for short, _ in _KINDS:
                families[f"channel_{short}"].add(directory.number(f"{row}/ch{match[1]}_{short}_count"), text)


def dimm_label(label: str) -> str:
    """Converts ``mc#0csrow#1channel#0`` to ``mc0_csrow1_channel0``."""
    return label.strip().replace("#", "").replace("csrow", "_csrow").replace("channel", "_channel")
