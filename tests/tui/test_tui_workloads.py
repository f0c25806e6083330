"""Screen 3: whatever runs, by kind."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.support.dashboard import NOW, ScriptedDaemon, opened, screen_text, snapshot, until
from wattview.model import HistorySeries, Recorded, Snapshot, Workload, WorkloadProcess, WorkloadProcesses
from wattview.tui.time_travel.trend_buffers import TrendBuffers
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.workload_columns import WORKLOAD_TREE, WorkloadRow
from wattview.tui.workloads.container import ContainerDetails
from wattview.tui.workloads.tree import tree_rows
from wattview.tui.workloads.workload import WorkloadDetails


def mixture(containers: int = 2) -> Snapshot:
    """Docker's containers, a pod's container, services, a login, programs and the kernel."""
    known = snapshot(containers=containers)
    docker = [
        Workload(id=f"/docker/{one.id}", kind="container", name=one.name, engine="docker", container_id=one.id,
                 power_watts=one.power_watts, cpu_percent=one.cpu_percent)
        for one in known.containers
    ]  # fmt: skip
    others = [
        Workload(id="/kubepods/pod1/c1", kind="container", name="encoder", namespace="live", pod="evening",
                 container="encoder", engine="containerd", power_watts=30.0, cpu_percent=150.0),
        Workload(id="/system.slice/nginx.service", kind="unit", name="nginx.service", slice="/system.slice",
                 unit="nginx.service", power_watts=2.5, cpu_percent=12.0, memory_bytes=50 << 20, started=NOW - 600,
                 cpu_seconds_total=70.0, energy_joules_total=3600.0),
        Workload(id="/user.slice/session-3.scope", kind="session", name="session-3.scope", user="anna",
                 power_watts=0.1, cpu_percent=1.0),
        Workload(id="program:ffmpeg", kind="process", name="ffmpeg", power_watts=20.0, cpu_percent=98.0),
        Workload(id="kernel:threads", kind="kernel", name="kernel threads", power_watts=0.4, cpu_percent=2.0),
    ]  # fmt: skip
    return snapshot(containers=containers, workloads=(*docker, *others))


async def shown(pilot: Any) -> list[str]:
    """The names in the table, in its order."""
    return [row.name for row in pilot.app.screen.table.rows]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_everything_that_runs_is_there_the_most_power_first(
    daemon: ScriptedDaemon, size: tuple[int, int]
) -> None:
    daemon.now = mixture()
    async with opened(daemon, size) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "Workloads 7" in screen_text(pilot.app))
        names = await shown(pilot)
        assert names[:2] == ["encoder", "ffmpeg"]
        assert {"nginx.service", "session-3.scope", "kernel threads"} < set(names)
        assert "CPU % of encoder" in screen_text(pilot.app)


async def test_the_overview_shows_whatever_runs_and_opens_it(daemon: ScriptedDaemon) -> None:
    """Not only containers, and those too with their own page."""
    daemon.now = mixture(containers=1)
    async with opened(daemon) as pilot:
        await until(pilot, lambda: "Workloads 6" in screen_text(pilot.app))
        table = pilot.app.screen.query_one("#workloads", Table)
        assert pilot.app.focused is table
        names = [row.name for row in table.rows]
        assert names[:3] == ["encoder", "ffmpeg", "nginx.service"]
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkloadDetails))
        await pilot.press("escape", *["down"] * (names.index("nginx-rtmp") - 1), "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ContainerDetails))


async def test_v_goes_through_the_kinds(daemon: ScriptedDaemon) -> None:
    daemon.now = mixture()
    async with opened(daemon, (120, 40)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "Workloads 7" in screen_text(pilot.app))
        await pilot.press("v")
        await until(pilot, lambda: "Containers 2" in screen_text(pilot.app))
        assert "Health" in screen_text(pilot.app), "that only their engine knows"
        await pilot.press("v", "v")
        await until(pilot, lambda: "Units 1" in screen_text(pilot.app))
        assert await shown(pilot) == ["nginx.service"]
        await pilot.press("v", "v", "v", "v")
        await until(pilot, lambda: "Workloads 7" in screen_text(pilot.app))


def names_in_tree(pilot: Any) -> list[str]:
    return [column_text(row) for row in pilot.app.screen.table.rows]


def column_text(row: WorkloadRow) -> str:
    return WORKLOAD_TREE[0].text(row)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_b_shows_a_tree_with_sums_and_foldable_branches(daemon: ScriptedDaemon, size: tuple[int, int]) -> None:
    daemon.now = mixture()
    async with opened(daemon, size) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "Workloads 7" in screen_text(pilot.app))
        await pilot.press("b")
        await until(pilot, lambda: "▾ live/evening" in screen_text(pilot.app))
        assert names_in_tree(pilot) == [
            "▾ kubepods", "  ▾ live/evening", "      encoder", "▾ Programs", "    ffmpeg",
            "▾ system.slice", "    nginx.service", "▾ Kernel", "    kernel threads",
            "▾ user.slice", "    session-3.scope", "▾ docker", "    nginx-rtmp", "    transcoder-a",
        ]  # fmt: skip
        await pilot.press("g", "left")
        await until(pilot, lambda: names_in_tree(pilot)[:2] == ["▸ kubepods", "▾ Programs"])
        assert pilot.app.screen.table.row.workload.power_watts == 30.0
        assert "1 inside" in screen_text(pilot.app)
        assert "Workloads 7" in screen_text(pilot.app), "what is folded is there"
        await pilot.press("enter")
        await until(pilot, lambda: names_in_tree(pilot)[1] == "  ▾ live/evening")
        await pilot.press("down", "down", "left")
        await until(pilot, lambda: names_in_tree(pilot)[:3] == ["▾ kubepods", "  ▸ live/evening", "▾ Programs"])
        assert pilot.app.screen.table.row.name == "live/evening", "the cursor is on the branch that it was in"
        await pilot.press("slash", *"encoder", "enter")
        await until(pilot, lambda: names_in_tree(pilot) == ["▾ kubepods", "  ▾ live/evening", "      encoder"])
        await pilot.press("b")
        await until(pilot, lambda: "▾" not in "".join(row.name for row in pilot.app.screen.table.rows))


def tree_of(*workloads: Workload) -> dict[str, WorkloadRow]:
    trends = TrendBuffers()
    trends.record(snapshot(workloads=workloads))
    return {row.workload.id: row for row in tree_rows([WorkloadRow(one, None, trends, NOW) for one in workloads])}


def unit(id: str, **fields: Any) -> Workload:
    return Workload(id=id, kind="unit", name=id.rpartition("/")[2], slice=id.rpartition("/")[0], **fields)


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    found = tree_of(
        unit("/a.slice/one.service", power_watts=1.0, cpu_percent=5.0),
        unit("/a.slice/two.service", power_watts=None, cpu_percent=0.0),
    )
    assert found["/a.slice/"].workload.power_watts is None
    assert found["/a.slice/"].workload.cpu_percent == 5.0


def test_a_workload_with_others_inside_is_one_part_of_its_branch() -> None:
    """Docker in a service's control group, or a pod's sandbox."""
    found = tree_of(
        unit("/system.slice/agent.service", power_watts=1.0),
        unit("/system.slice/agent.service/worker", power_watts=2.0),
        unit("/system.slice/cron.service", power_watts=4.0),
    )
    assert found["/system.slice/"].workload.power_watts == 7.0
    assert found["/system.slice/agent.service/"].workload.power_watts == 3.0
    assert found["/system.slice/agent.service"].parent == "/system.slice/agent.service/"


def test_a_branch_with_one_child_is_merged_with_it() -> None:
    path = "/user.slice/user-1000.slice/user@1000.service/app.slice"
    found = tree_of(unit(f"{path}/obs.service"), unit(f"{path}/mail.service"))
    assert [(row.name, row.depth) for row in found.values() if row.parts] == [
        ("user.slice/user-1000.slice/user@1000.service/app.slice", 0)
    ]


def test_the_trend_of_a_branch_is_the_sum_where_all_parts_are_known() -> None:
    def at(second: float, *watts: float | None) -> Snapshot:
        parts = [unit(f"/a.slice/{index}.service", power_watts=one) for index, one in enumerate(watts)]
        return snapshot(second, workloads=tuple(parts))

    trends = TrendBuffers()
    for second, watts in enumerate([(1.0, 2.0), (1.5, None), (1.0, 4.0), (1.0, 4.0, 10.0)]):
        trends.record(at(second, *watts))
    rows = [WorkloadRow(one, None, trends, NOW) for one in at(3, 1.0, 4.0, 10.0).workloads]
    branch = next(row for row in tree_rows(rows) if row.parts)
    assert branch.trends[*branch.trend_key, "power"] == [(NOW, 3.0), (NOW + 2, 5.0), (NOW + 3, 15.0)]


async def test_enter_opens_a_workload_with_what_is_known_of_it(daemon: ScriptedDaemon) -> None:
    daemon.now = mixture()
    async with opened(daemon, (120, 40)) as pilot:
        await pilot.press("3", "v", "v", "v")
        await until(pilot, lambda: "Units 1" in screen_text(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkloadDetails))
        await until(pilot, lambda: "/system.slice/nginx.service" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "2.50 W, 1.00 Wh since the daemon began" in text
        assert "50" in text


async def test_enter_opens_a_container_as_before(daemon: ScriptedDaemon) -> None:
    daemon.now = mixture()
    async with opened(daemon, (120, 40)) as pilot:
        await pilot.press("3", "v")
        await until(pilot, lambda: "Containers 2" in screen_text(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: "Image" in screen_text(pilot.app))


async def test_a_daemon_that_knows_only_containers_shows_them(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(containers=3)
    async with opened(daemon, (120, 40)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "Containers 3" in screen_text(pilot.app))


async def test_a_filter_holds_for_every_kind(daemon: ScriptedDaemon) -> None:
    daemon.now = mixture(6)
    async with opened(daemon, (120, 40)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "Workloads 11" in screen_text(pilot.app))
        await pilot.press("slash", *"trans", "enter")
        await until(pilot, lambda: "Workloads 2 of 11" in screen_text(pilot.app))
        await pilot.press("v")
        await until(pilot, lambda: "Containers 2 of 6" in screen_text(pilot.app))
        assert pilot.app.focused is pilot.app.screen.table


def processes(id: str, *watts: float, total: int = 0) -> WorkloadProcesses:
    listed = [
        WorkloadProcess(pid=4000 + index, program="nginx", command=f"nginx: worker {index}", user="www-data",
                        started=NOW - 60, cpu_seconds_total=9.0, cpu_percent=one * 5, memory_bytes=(9 - index) << 20,
                        power_watts=one)
        for index, one in enumerate(watts)
    ]  # fmt: skip
    return WorkloadProcesses(workload=id, time=NOW, total=total or len(listed), processes=tuple(listed))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_enter_shows_the_processes_too_which_can_be_sorted_and_stay_current(
    daemon: ScriptedDaemon, size: tuple[int, int]
) -> None:
    daemon.now = mixture()
    nginx = "/system.slice/nginx.service"
    daemon.processes[nginx] = processes(nginx, 0.4, 1.7)
    async with opened(daemon, size) as pilot:
        await pilot.press("3", "v", "v", "v")
        await until(pilot, lambda: "Units 1" in screen_text(pilot.app))
        assert "GET /api/v1/workloads/processes" not in daemon.asked, "nobody looks at them yet"
        await pilot.press("enter")
        await until(pilot, lambda: "Processes 2" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert text.index("nginx: worker 1") < text.index("nginx: worker 0"), "the busiest first"
        await pilot.press("s")
        await until(pilot, lambda: pilot.app.focused.rows[0].pid == 4000)
        daemon.processes[nginx] = processes(nginx, 0.4, 1.7, 2.9, total=9000)
        daemon.say(msgspec.structs.replace(daemon.now, time=NOW + 1))
        await until(pilot, lambda: "Processes 3 of 9000" in screen_text(pilot.app))
        await pilot.press("escape")
        await pilot.pause()
        asked = daemon.asked.count("GET /api/v1/workloads/processes")
        daemon.say(msgspec.structs.replace(daemon.now, time=NOW + 2))
        await until(pilot, lambda: pilot.app.latest.time == NOW + 2)
        assert daemon.asked.count("GET /api/v1/workloads/processes") == asked


async def test_a_container_of_an_engine_has_the_processes_of_its_workload(daemon: ScriptedDaemon) -> None:
    daemon.now = mixture()
    id = daemon.now.workloads[0].id
    daemon.processes[id] = processes(id, 2.0)
    async with opened(daemon, (80, 24)) as pilot:
        await pilot.press("3", "v")
        await until(pilot, lambda: "Containers 2" in screen_text(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: "nginx: worker 0" in screen_text(pilot.app))


async def test_a_workload_that_ended_says_so_in_place_of_its_processes(daemon: ScriptedDaemon) -> None:
    daemon.now = mixture()
    async with opened(daemon, (120, 40)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "Workloads 7" in screen_text(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: "there is none of that name" in screen_text(pilot.app))


async def test_the_past_has_its_own_workloads_with_their_power(daemon: ScriptedDaemon) -> None:
    def then(at: float) -> Snapshot:
        recorded = Recorded(first=NOW - 3600, last=NOW, sampled=at, interval_seconds=5.0)
        old = [
            unit("/system.slice/nginx.service", power_watts=3.25),
            unit("/system.slice/ended.service", power_watts=8.0),
        ]
        return msgspec.structs.replace(snapshot(containers=0), time=at, recorded=recorded, workloads=tuple(old))

    daemon.now, daemon.past = mixture(), then
    names = 'kind="unit",name="ended.service",namespace="",pod="",container="",unit=""'
    daemon.series = [
        HistorySeries(f"wattview_workload_power_watts{{{names}}}", [(NOW - 40 + at, 8.0) for at in range(0, 40, 5)])
    ]
    async with opened(daemon) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "Workloads 7" in screen_text(pilot.app))
        await pilot.press("comma")
        await until(pilot, lambda: "Workloads 2" in screen_text(pilot.app))
        assert await shown(pilot) == ["ended.service", "nginx.service"]
        row = pilot.app.screen.table.row
        assert len(row.trends[*row.trend_key, "power"]) > 3
        await pilot.press("b", "down", "enter")
        await until(pilot, lambda: "the processes of the past are not recorded" in screen_text(pilot.app))
        assert "GET /api/v1/workloads/processes" not in daemon.asked
