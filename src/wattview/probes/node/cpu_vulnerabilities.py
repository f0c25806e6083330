"""Hardware vulnerabilities of the CPU and their mitigations (/sys/devices/system/cpu/vulnerabilities)."""

from __future__ import annotations

from wattview.exposition import Family, gauge, labels
from wattview.probes.lines import value
from wattview.probes.node.collector import Directory, NoSource, of_sysfs

# What the text begins with (Documentation/ABI/testing/sysfs-devices-system-cpu).
_STATES = ("Not affected", "Vulnerable", "Mitigation", "Unknown")


@of_sysfs(Directory, "devices/system/cpu/vulnerabilities")
def collector(directory: Directory) -> list[Family]:
    """``node_cpu_vulnerabilities_info{codename,state,mitigation}``."""
    family = gauge(
        "node_cpu_vulnerabilities_info",
        "Details of each CPU vulnerability reported by sysfs. The value of the series is an int encoded state of "
        "the vulnerability. The same state is stored as a string in the label",
    )
    for codename in directory.names():
        known = value(directory.text(codename), vulnerability, "cpu/vulnerabilities")
        if known is not None:
            state, mitigation = known
            family.add(1, labels(codename=codename, state=state, mitigation=mitigation))
    if not family.samples:
        raise NoSource("this kernel tells no vulnerabilities")
    return [family]


def vulnerability(text: str) -> tuple[str, str]:
    """(state, mitigation) of ``Mitigation: Clear CPU buffers``. Raises ValueError for an unknown state."""
    # itlb_multihit concerns KVM only, and is prefixed so.
    text = text.strip().removeprefix("KVM: ")
    for state in _STATES:
        if text.startswith(state):
            return state.lower(), text.removeprefix(state).removeprefix(": ") if state != "Not affected" else ""
    raise ValueError(f"no state of a vulnerability: {text[:80]!r}")
