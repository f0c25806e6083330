"""Memory errors that the hardware corrected or could not (EDAC), by controller, channel and module."""

from __future__ import annotations

import re

from wattview.config import Config
from wattview.exposition import Family, labels
from wattview.probes.node.collector import Directories, Directory, counter

_CHANNEL = re.compile(r"ch([0-9]+)_ce_count")
_KINDS = (("ce", "correctable"), ("ue", "uncorrectable"))


class Edac:
    """``node_edac_*``; no sample where no driver watches the memory."""

    def __init__(self, config: Config) -> None:
        self._controllers = Directories(f"{config.paths.sysfs}/devices/system/edac/mc", r"mc[0-9]+")

    def collect(self) -> list[Family]:
        families = {}
        for short, kind in _KINDS:
            families[short] = counter(f"node_edac_{kind}_errors_total", f"Total {kind} memory errors.")
            for where, place in (("channel", "channel"), ("dimm", "dimm")):
                families[f"{where}_{short}"] = counter(
                    f"node_edac_{where}_{kind}_errors_total", f"Total {kind} memory errors for this {place}."
                )
        for name, directory in self._controllers.found_or_none().items():
            controller = name.removeprefix("mc")
            for short, _ in _KINDS:
                families[short].add(directory.number(f"{short}_count"), labels(controller=controller))
            for entry in directory.names():
                if entry.startswith("csrow") and entry[5:].isdigit():
                    _channels(families, directory, controller, entry)
                elif entry.startswith("dimm") and entry[4:].isdigit():
                    text = labels(controller=controller, dimm=entry[4:])
                    for short, _ in _KINDS:
                        families[f"dimm_{short}"].add(directory.number(f"{entry}/dimm_{short}_count"), text)
        return list(families.values())


def _channels(families: dict[str, Family], directory: Directory, controller: str, row: str) -> None:
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
    """``mc#0csrow#1channel#0`` as ``mc0_csrow1_channel0``."""
    return label.strip().replace("#", "").replace("csrow", "_csrow").replace("channel", "_channel")
