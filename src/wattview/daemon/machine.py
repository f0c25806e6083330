"""Description of the measured machine, without which a result cannot be judged or repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wattview.probes.kernel_files import text_of

MAX_WORD_LENGTH = 100
"""Maximum length of a fact in a machine's name: it may come from any file."""


def describe(procfs: str, sysfs: str) -> dict[str, Any]:
    """CPU model, microcode, number of logical CPUs, frequency governor and kernel; unreadable facts are left out."""
    cpuinfo = text_of(Path(procfs) / "cpuinfo")
    facts = {
        "cpu": _field(cpuinfo, "model name") or _field(cpuinfo, "Hardware") or None,
        "microcode": _field(cpuinfo, "microcode"),
        "cpus": len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or None,
        "governor": text_of(Path(sysfs) / "devices/system/cpu/cpu0/cpufreq/scaling_governor") or None,
        "kernel": text_of(Path(procfs) / "sys/kernel/osrelease") or None,
        "hostname": text_of(Path(procfs) / "sys/kernel/hostname") or None,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def name_of(facts: Mapping[str, Any]) -> str | None:
    """``encoder-7 (16 x AMD EPYC 7302P, performance)``: equal for results of the same machine.

    The frequency governor is part of it, as it changes the power of the same work; kernel and microcode are not. None
    if the facts, which come from a file, name neither host nor CPU.
    """
    host, cpu, cpus, governor = (_word(facts.get(name)) for name in ("hostname", "cpu", "cpus", "governor"))
    processor = f"{cpus} x {cpu}" if cpus and cpu else cpu
    inside = ", ".join(part for part in (processor, governor) if part)
    if not host:
        return inside if cpu else None
    return f"{host} ({inside})" if inside else host


def _word(fact: object) -> str:
    text = str(fact) if isinstance(fact, str | int) and not isinstance(fact, bool) else ""
    return " ".join(text.encode("utf-8", "replace").decode().split())[:MAX_WORD_LENGTH]


def _field(cpuinfo: str, name: str) -> str | None:
    match = re.search(rf"^{re.escape(name)}\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return match[1].strip() if match else None
