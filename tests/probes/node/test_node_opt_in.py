"""Collectors that are off unless somebody switches them on, and that came after Debian's node_exporter.

The values are those that node_exporter's own tests expect of the same files (collector/fixtures).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.machine_tree import MachineTree
from tests.support.node_exporter import Exposition
from wattview.exposition import render
from wattview.probes import node

Collect = Callable[..., Exposition]


@pytest.fixture
def tree(tmp_path: Path) -> MachineTree:
    return MachineTree(tmp_path)


@pytest.fixture
def collect(tree: MachineTree, make_config: ConfigFactory) -> Collect:
    """What one collector, switched on, says of the tree."""

    def collected(name: str, *settings: str) -> Exposition:
        probe = node.NodeProbe(make_config(*tree.settings, f"node.enable={name}", *settings))
        reading = probe.read({name})
        assert reading.faults == ()
        return Exposition(render(node.families(reading)).decode())

    return collected


def test_every_collector_can_be_switched_on(make_config: ConfigFactory) -> None:
    optional = {entry.name for entry in node.COLLECTORS if not entry.default}
    assert set(node.NodeProbe(make_config(f"node.enable={','.join(sorted(optional))}")).names) >= optional


def test_a_multipath_device_and_each_of_its_paths_are_told(collect: Collect) -> None:
    found = collect("dmmultipath")
    device = {"device": "mpathA", "sysfs_name": "dm-5"}
    assert found.value("node_dmmultipath_device_info", **device, uuid="mpath-3600508b1001c1234567890abcdef1234") == 1
    assert found.value("node_dmmultipath_device_active", **device) == 1
    assert found.value("node_dmmultipath_device_size_bytes", **device) == 53687091200
    assert found.value("node_dmmultipath_device_paths", **device) == 4
    assert found.value("node_dmmultipath_device_paths_active", **device) == 3
    assert found.value("node_dmmultipath_device_paths_failed", **device) == 1
    assert found.value("node_dmmultipath_path_state", device="mpathA", path="sdk", state="offline") == 1
    # The logical volume beside it is none.
    assert {labels["device"] for labels in found.labels_of("node_dmmultipath_device_info")} == {"mpathA"}


def test_a_path_that_has_gone_is_a_path_that_does_not_work(tree: MachineTree, collect: Collect) -> None:
    (tree.sysfs / "block/sdj/device/state").unlink()
    found = collect("dmmultipath")
    assert found.value("node_dmmultipath_device_paths_active", device="mpathA", sysfs_name="dm-5") == 2
    assert found.value("node_dmmultipath_path_state", device="mpathA", path="sdj", state="unknown") == 1


def test_merging_that_costs_more_than_it_saves_has_a_negative_profit(collect: Collect) -> None:
    assert collect("ksmd").value("node_ksmd_general_profit_bytes") == -4096
