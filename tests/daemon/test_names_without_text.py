"""Names of programs, cgroups and files are any bytes to the kernel: invalid UTF-8 costs a name its odd bytes alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ConfigFactory
from tests.support.daemon import running_daemon
from tests.support.workload_tree import WorkloadTree, until
from wattview.exposition import render
from wattview.foreign_text import encodable, wire_json
from wattview.model import Finding, WorkloadsReading
from wattview.probes.workloads.families import families
from wattview.probes.workloads.probe import WorkloadsProbe

NAMES = (b"\xff\xfe\x1b[31mred", b"=cmd|calc", b'a\nb"c\\d', b"\xed\xa0\x80surrogate", "bidi\u202e".encode())


@pytest.fixture
def odd_programs(tmp_path: Path) -> Iterator[None]:
    started = []
    try:
        for name in NAMES:
            path = os.path.join(os.fsencode(tmp_path), name)
            shutil.copy("/bin/sleep", path)
            started.append(subprocess.Popen([path, b"60"]))
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_any_program_name_leaves_every_answer_valid(tmp_path: Path, odd_programs: None) -> None:
    with running_daemon(tmp_path, "docker.host=unix:///nonexistent", "history.interval=200ms") as daemon:
        for path in ("snapshot", "doctor", "exporters", "events", "scenarios"):
            assert daemon.api.get(f"/api/v1/{path}").status_code == 200, path
        with httpx.Client(trust_env=False) as client:
            for name, exporter in daemon.exporters().items():
                page = client.get(f"{exporter.url}/metrics")
                assert page.status_code == 200, name
                assert list(text_string_to_metric_families(page.text)), name
    assert "Traceback" not in daemon.log


@pytest.mark.parametrize("version", [1, 2])
def test_a_cgroup_and_a_program_of_any_name_are_workloads(
    tmp_path: Path, make_config: ConfigFactory, version: int
) -> None:
    tree = WorkloadTree(tmp_path, version)  # type: ignore[arg-type]
    for name in NAMES:
        tree.add(f"/system.slice/{os.fsdecode(name)}.service", 1.0)
    tree.process(7, "init")
    (tree.procfs / "7" / "exe").symlink_to(os.fsdecode(b"/bin/" + NAMES[0]))
    tree.interrupts(10.0, 1.0)
    probe = WorkloadsProbe(
        make_config("workloads.engines=", f"paths.sysfs={tree.sysfs}", f"paths.procfs={tree.procfs}")
    )
    try:
        reading = probe.read()
        found = msgspec.json.decode(msgspec.json.encode(reading), type=WorkloadsReading)
        names = {one.name for one in found.workloads}
        assert {f"{encodable(os.fsdecode(name))}.service" for name in NAMES} <= names
        assert encodable(os.fsdecode(NAMES[0])) in names
        assert list(text_string_to_metric_families(render(families(reading)).decode()))
        tree.remove(f"/system.slice/{os.fsdecode(NAMES[0])}.service")
        until(lambda: len(probe.read().workloads), len(found.workloads) - 1)
    finally:
        probe.close()


@given(st.text(st.characters(exclude_categories=()) | st.characters(categories=["Cs"])))
def test_any_text_round_trips_over_the_api(text: str) -> None:
    [back] = msgspec.json.decode(wire_json([Finding(source=text, state="works", detail=text)]), type=list[Finding])
    assert back.source == back.detail == encodable(text)
    assert len(back.source) == len(text)
