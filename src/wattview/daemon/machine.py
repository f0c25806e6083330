"""What machine a result was measured on: the facts without which it cannot be judged or repeated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


def describe(procfs: str, sysfs: str) -> dict[str, Any]:
    """CPU model, microcode, number of logical CPUs, frequency governor and kernel; what cannot be read is left out."""
    cpuinfo = _text(Path(procfs) / "cpuinfo")
    facts = {
        "cpu": _field(cpuinfo, "model name") or _field(cpuinfo, "Hardware") or None,
        "microcode": _field(cpuinfo, "microcode"),
        "cpus": len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or None,
        "governor": _text(Path(sysfs) / "devices/system/cpu/cpu0/cpufreq/scaling_governor") or None,
        "kernel": _text(Path(procfs) / "sys/kernel/osrelease") or None,
        "hostname": _text(Path(procfs) / "sys/kernel/hostname") or None,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _field(cpuinfo: str, name: str) -> str | None:
    match = re.search(rf"^{re.escape(name)}\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return match[1].strip() if match else None
