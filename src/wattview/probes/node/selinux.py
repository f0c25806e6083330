"""SELinux: whether it is enabled, and its mode."""

from __future__ import annotations

from pathlib import Path

from wattview.config import Config
from wattview.exposition import Family, gauge
from wattview.probes.lines import value

_MODES = {"enforcing": 1, "permissive": 0, "disabled": -1}


class Selinux:
    """``node_selinux_*``. Modes: 1 enforcing, 0 permissive, -1 disabled."""

    def __init__(self, config: Config) -> None:
        self._enforce = Path(config.paths.sysfs, "fs/selinux/enforce")
        self._settings = Path(config.paths.rootfs, "etc/selinux/config")

    def collect(self) -> list[Family]:
        enabled = gauge("node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false")
        try:
            current = value(self._enforce.read_text("ascii", "replace"), int, "selinux/enforce")
        except OSError:
            return [enabled.add(0)]
        return [
            enabled.add(1),
            gauge("node_selinux_config_mode", "Configured SELinux enforcement mode", self._configured()),
            gauge("node_selinux_current_mode", "Current SELinux enforcement mode", current),
        ]

    def _configured(self) -> int:
        try:
            text = self._settings.read_text("utf-8", "replace")
        except OSError:
            return -1
        for line in text.splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "SELINUX":
                return _MODES.get(value.strip().lower(), -1)
        return -1
