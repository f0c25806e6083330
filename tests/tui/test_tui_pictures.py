"""Whole screens, compared with pictures that a person has looked at (``--snapshot-update`` draws them anew)."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from tests.support.dashboard import NOW, ScriptedDaemon, gpu, power_use, result, run, snapshot, until
from wattview.config import Tui
from wattview.model import HistorySeries, Recorded, Snapshot
from wattview.tui.app import Dashboard
from wattview.tui.runs.launch import Launch

pytestmark = [pytest.mark.slow, pytest.mark.parallel]

SIZES = [(80, 24), (120, 40), (200, 60)]
SNAPSHOTS = 45


def trend(index: int) -> float:
    """A number between -1 and 1 that wanders."""
    return ((index * 37) % 23 - 11) / 22 + ((index // 7) % 5 - 2) / 4


@pytest.fixture
def busy(daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> ScriptedDaemon:
    """A daemon with a past, a run, two results, and a minute of snapshots to tell."""
    monkeypatch.setattr("wattview.tui.app.wall_clock", lambda: NOW)
    # The scripted daemon falls silent when all is told; how long a picture takes must not show on it.
    monkeypatch.setattr("wattview.tui.widgets.banner.QUIET_SECONDS", math.inf)
    times = [NOW - 900 + 5 * index for index in range(180)]
    watts = [42 + 6 * trend(index) for index in range(180)]
    daemon.series = [
        HistorySeries('wattview_machine_power_watts{source="rapl"}', list(zip(times, watts, strict=True))),
        HistorySeries('wattview_host_energy_joules_total{source="rapl"}', [(t, 1e6 + 42 * (t - NOW)) for t in times]),
        HistorySeries(
            'rapl_power_watts{package="package-0",zone="core"}',
            [(t, w - 14) for t, w in zip(times, watts, strict=True)],
        ),
    ]
    daemon.results = [result("20250615_140000"), result("20250614_090000", watts=36.0)]
    daemon.past_runs = [run("finished", id="20250614_090000", state="done", progress=None, ended=NOW + 100)]
    daemon.now = picture(0)
    daemon.tell("info", "daemon", "ready: control socket /run/user/1000/wattview.sock", at=-86_000.0)
    daemon.tell("info", "source gpu", "absent: no NVIDIA driver is loaded (libnvidia-ml.so.1 not found)", at=-85_999.0)
    daemon.tell("warning", "exporter cadvisor", "not healthy: no answer within 10 s", at=-1800.0)
    daemon.tell("error", "container worker-007", "is unhealthy", at=-600.0, alert=True)
    daemon.tell("info", "run 20250615_150600", "started, 2 scenarios: baseline, quick", at=-40.0)
    return daemon


def picture(index: int) -> Snapshot:
    """The machine at work: its containers and streams waver, and it is known who used the power."""
    use = power_use(float(index))
    now = snapshot(float(index), containers=6, streams=3, run=run(), power_use=use)
    assert use.containers_watts is not None
    containers = tuple(
        msgspec.structs.replace(
            one, power_watts=use.containers_watts / 2 ** (place + 1), cpu_percent=50 / (place + 1) * (2 + trend(index))
        )
        for place, one in enumerate(now.containers)
    )
    streams = tuple(
        msgspec.structs.replace(one, power_watts=1.2, bandwidth_in_bytes=3e5 * (1 + 0.3 * trend(index + 9 * place)))
        for place, one in enumerate(now.streams)
    )
    return msgspec.structs.replace(now, containers=containers, streams=streams)


async def answered(pilot: Any) -> None:
    """Every call that the screen in front has made: the next key is for what it shows."""
    await pilot.pause()
    calls = [worker for worker in pilot.app.workers if worker.name != "feed"]
    await until(pilot, lambda: all(worker.is_finished for worker in calls))


def steady(daemon: ScriptedDaemon, *keys: str) -> Callable[[Any], Awaitable[None]]:
    """Lets the dashboard receive everything, then presses the keys."""

    async def before(pilot: Any) -> None:
        app = pilot.app
        await until(pilot, lambda: app.latest is not None and len(app.trends["power",]) > 150)
        for index in range(1, SNAPSHOTS):
            daemon.say(picture(index))
        await until(pilot, lambda: app.latest.time == NOW + SNAPSHOTS - 1)
        await answered(pilot)
        for key in keys:
            await pilot.press(key)
            await answered(pilot)
        if isinstance(app.screen, Launch):
            await until(pilot, lambda: app.screen.choice.idle is not None)  # the first preset has filled the form
        await until(pilot, lambda: not app._painting)

    return before


MAIN = {"overview": "", "launch": "n", "power": "2h", "exporters": "8"}

OTHERS = {
    "workloads": ["3"],
    "container": ["3", "enter"],
    "streams": ["4"],
    "stream": ["4", "enter"],
    "gpu": ["5"],
    "scenarios": ["6"],
    "log": ["9"],
    "help": ["question_mark"],
    "confirm": ["x"],
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("keys", MAIN.values(), ids=MAIN.keys())
def test_the_main_screens_look_as_they_did(
    busy: ScriptedDaemon, snap_compare: Any, size: tuple[int, int], keys: str
) -> None:
    assert snap_compare(Dashboard(busy.url), terminal_size=size, run_before=steady(busy, *keys))


@pytest.mark.parametrize("keys", OTHERS.values(), ids=OTHERS.keys())
def test_the_other_screens_look_as_they_did(busy: ScriptedDaemon, snap_compare: Any, keys: list[str]) -> None:
    assert snap_compare(Dashboard(busy.url), terminal_size=(120, 40), run_before=steady(busy, *keys))


QUIET = {"containers": ["3", "v"], "streams": ["4"], "gpu": ["5"], "scenarios": ["6"], "log": ["9"]}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("keys", QUIET.values(), ids=QUIET.keys())
def test_no_screen_is_empty_where_nothing_runs(
    busy: ScriptedDaemon, snap_compare: Any, size: tuple[int, int], keys: list[str]
) -> None:
    """Publishing, what was looked for, and the machine's power take the room of what is not there."""
    busy.past_runs = []
    busy.now = msgspec.structs.replace(picture(0), containers=(), streams=(), run=None)

    async def before(pilot: Any) -> None:
        await until(pilot, lambda: pilot.app.latest is not None and len(pilot.app.trends["power",]) > 150)
        for key in keys:
            await pilot.press(key)
            await answered(pilot)
        await until(pilot, lambda: not pilot.app._painting)

    assert snap_compare(Dashboard(busy.url), terminal_size=size, run_before=before)


@pytest.mark.parametrize("theme", ["wattview-light", "wattview-colour-blind", "wattview-terminal"])
def test_the_overview_in_every_theme(busy: ScriptedDaemon, snap_compare: Any, theme: str) -> None:
    assert snap_compare(Dashboard(busy.url, settings=Tui(theme=theme)), terminal_size=(80, 24), run_before=steady(busy))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_past_looks_as_it_did(busy: ScriptedDaemon, snap_compare: Any, size: tuple[int, int]) -> None:
    recorded = Recorded(first=NOW - 7200, last=NOW, sampled=NOW - 260, interval_seconds=5.0)
    busy.past = lambda at: msgspec.structs.replace(picture(0), time=at, recorded=recorded)

    async def before(pilot: Any) -> None:
        await steady(busy, "less_than_sign", "plus", "plus")(pilot)
        await until(pilot, lambda: pilot.app.shown_past is not None and not pilot.app._fetching)
        await until(pilot, lambda: not pilot.app._painting)

    assert snap_compare(Dashboard(busy.url), terminal_size=size, run_before=before)


def test_gpus_look_as_they_did(busy: ScriptedDaemon, snap_compare: Any) -> None:
    busy.now = msgspec.structs.replace(picture(0), gpus=(gpu(), gpu(1, power_watts=None, processes=())))

    async def before(pilot: Any) -> None:
        await until(pilot, lambda: pilot.app.latest is not None)
        await pilot.press("5")
        await until(pilot, lambda: not pilot.app._painting)

    assert snap_compare(Dashboard(busy.url), terminal_size=(120, 40), run_before=before)
