"""The machine's model, for a calibration to be shared by machines of that model. Blocks; reads a few small files."""

from __future__ import annotations

import re
from pathlib import Path

from wattview.daemon import machine
from wattview.model.power.calibration import MachineModel
from wattview.probes.kernel_files import text_of

EC2 = "Amazon EC2"
"""The one provider whose firmware states the instance type, as the product's name
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html)."""

CLOUDS = (EC2, "Google", "Microsoft Corporation", "QEMU", "VMware", "innotek", "Xen", "OpenStack", "Hetzner")
VIRTUAL_PRODUCTS = ("Virtual", "Compute Engine", "Standard PC", "VMware", "vServer", "OpenStack", "HVM", "KVM")

LONGEST = 100


def machine_model(procfs: str, sysfs: str) -> MachineModel:
    """All of it but the GPUs, which a probe knows."""
    facts = machine.describe(procfs, sysfs)
    firmware = {
        name: text_of(Path(sysfs) / "class/dmi/id" / name)[:LONGEST]
        for name in ("sys_vendor", "product_name", "board_vendor", "board_name")
    }
    vendor, product = firmware["sys_vendor"], firmware["product_name"]
    return MachineModel(
        cpu=str(facts.get("cpu", ""))[:LONGEST],
        cpus=int(facts.get("cpus") or 0),
        product=f"{vendor} {product}".strip(),
        board=f"{firmware['board_vendor']} {firmware['board_name']}".strip(),
        virtual=_virtual(procfs, vendor, product),
        instance_type=product if vendor == EC2 else "",
    )


def difference(made: MachineModel, here: MachineModel) -> str:
    """Why a calibration made on one machine does not fit another; "" if they are of one model.

    Virtual machines of one instance type are of one model, whatever their processors.
    """
    if made.instance_type and made.instance_type == here.instance_type:
        pairs = [("CPUs", made.cpus, here.cpus), ("GPUs", made.gpus, here.gpus)]
    else:
        pairs = [
            ("instance type", made.instance_type, here.instance_type), ("processor", made.cpu, here.cpu),
            ("CPUs", made.cpus, here.cpus), ("product", made.product, here.product),
            ("board", made.board, here.board), ("GPUs", made.gpus, here.gpus),
        ]  # fmt: skip
    return "; ".join(f"{name}: {_shown(one)}, here {_shown(other)}" for name, one, other in pairs if one != other)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return str(value) or "not known"


def _virtual(procfs: str, vendor: str, product: str) -> bool:
    if "metal" in product:
        return False
    cpuinfo = text_of(Path(procfs) / "cpuinfo")
    flagged = re.search(r"^flags\s*:.*\bhypervisor\b", cpuinfo, re.MULTILINE) is not None
    return flagged or (vendor.startswith(CLOUDS) and (vendor == EC2 or any(one in product for one in VIRTUAL_PRODUCTS)))
