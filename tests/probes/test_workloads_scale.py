"""A thousand workloads of all kinds of which ten change a second: cost is linear, memory steady, and none is lost."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.workload_tree import WorkloadTree, path_of
from wattview.model import WorkloadsReading
from wattview.probes.workloads.families import families
from wattview.probes.workloads.probe import WorkloadsProbe

SECONDS = 30.0
CHANGES_A_SECOND = 10
SCRAPE_SECONDS = 5.0

Probes = Callable[[WorkloadTree], WorkloadsProbe]


def cost(probe: WorkloadsProbe, reads: int = 10) -> float:
    """The least CPU time of a reading and its families, seconds: what comes between is others' doing."""
    least = float("inf")
    for _ in range(reads):
        began = time.thread_time()
        families(probe.read())
        least = min(least, time.thread_time() - began)
    return least


def made(directory: Path, count: int) -> WorkloadTree:
    tree = WorkloadTree(directory, 2)
    for number in range(count):
        tree.add(path_of(number), 1.0)
    return tree


@pytest.mark.slow
def test_a_thousand_short_workloads_stay_within_cost_and_none_is_lost(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    probes = []
    for name, count in (("small", 100), ("large", 1000)):
        tree = made(tmp_path / name, count)
        sets = (f"paths.sysfs={tree.sysfs}", f"paths.procfs={tree.procfs}", "workloads.engines=")
        probes.append(WorkloadsProbe(make_config(*sets)))
    few, probe = probes
    try:
        for one in probes:
            one.read()
        assert cost(probe) < 18 * cost(few)
        files, resident = _held()
        born, told, counted = _churn(tree, probe)
        later_files, later_resident = _held()
        assert told >= born
        # Where the machine is so busy that nobody looked for a tenth of a second, its use is its slice's.
        assert len(counted & born) >= 0.98 * len(born)
        assert later_files <= files + 10
        assert later_resident <= resident + 8e6
        assert cost(probe) < 18 * cost(few)
    finally:
        for one in probes:
            one.close()


def _churn(tree: WorkloadTree, probe: WorkloadsProbe) -> tuple[set[str], set[str], set[str]]:
    """Each tenth of a second one workload ends and another begins; a scrape now and then.
    Those that were there at all, those that scrapes have told of, and those of them with what they used."""
    born: set[str] = set()
    told: set[str] = set()
    counted: set[str] = set()
    next_one, oldest, due = 1000, 0, time.monotonic()
    end, scrape = due + SECONDS, due
    while time.monotonic() < end:
        newest = path_of(next_one)
        tree.add(newest, 0.0)
        tree.use(newest, 0.25)
        born.add(newest)
        # Each third lives for a tenth of a second alone.
        brief = next_one % 3 == 1 and next_one > 1000
        gone = path_of(next_one - 1 if brief else oldest)
        oldest += not brief
        next_one += 1
        tree.empty(gone)
        # A pod goes with its container.
        tree.remove(gone.rpartition("/")[0] if "kubepods" in gone else gone)
        if time.monotonic() >= scrape:
            _note(probe.read(), told, counted)
            scrape += SCRAPE_SECONDS
        due += 1 / CHANGES_A_SECOND
        time.sleep(max(0.0, due - time.monotonic()))
    _note(probe.read(), told, counted)
    return born, told, counted


def _note(reading: WorkloadsReading, told: set[str], counted: set[str]) -> None:
    shown = (*reading.workloads, *reading.ended)
    told |= {one.id for one in shown}
    counted |= {one.id for one in shown if one.cpu_seconds_total}


def _held() -> tuple[int, float]:
    """Open files and resident bytes of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return len(os.listdir("/proc/self/fd")), pages * os.sysconf("SC_PAGE_SIZE")
