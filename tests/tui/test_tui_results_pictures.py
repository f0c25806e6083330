"""The results screen, page by page, compared with pictures that a person has looked at."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.dashboard import ScriptedDaemon, result, until
from tests.support.sweep import encoders, sweep
from wattview.config import Tui
from wattview.tui.app import Dashboard
from wattview.tui.results.screen import ResultsScreen

pytestmark = [pytest.mark.slow, pytest.mark.parallel]

SIZES = [(80, 24), (120, 40), (200, 60)]

PAGES = {
    "energy": ["j"],
    "bars": ["right", "right", "right", "f", "j", "j"],
    "scatter": [*["right"] * 4, "j", "space"],
    "advice": [*["right"] * 6, "j"],
    "compare": ["j", "space", "space", "space", "c", "j", "j", "j"],
}

QUESTIONS = {
    "curves": [*["right"] * 5, "j"],
    "predict": [*["right"] * 8, "j", "j"],
}

OTHERS = {
    "cost": ["right", "j"],
    "quality": ["right", "right", "j"],
    "runs": ["left"],
    "export": ["e"],
    "compare-runs": ["left", "space", "space", "c"],
}


@pytest.fixture
def measured(daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> ScriptedDaemon:
    # The scripted daemon falls silent when all is told; how long a picture takes must not show on it.
    monkeypatch.setattr("wattview.tui.widgets.banner.QUIET_SECONDS", math.inf)
    daemon.results = [sweep(), sweep("20250614_150000", more_watts=1.5), result("20250613_140000")]
    return daemon


@pytest.fixture
def curved(measured: ScriptedDaemon) -> ScriptedDaemon:
    measured.results = [encoders()]
    return measured


def after(daemon: ScriptedDaemon, *keys: str) -> Callable[[Any], Awaitable[None]]:
    async def before(pilot: Any) -> None:
        app = pilot.app
        await until(pilot, lambda: app.latest is not None)
        await pilot.press("7")
        await until(pilot, lambda: isinstance(app.screen, ResultsScreen) and app.screen.table.rows)
        for key in keys:
            daemon.say(daemon.now)  # a line that is silent for long is lost
            await pilot.press(key)
            await pilot.pause()
            await until(pilot, lambda: all(worker.is_finished for worker in app.workers if worker.name != "feed"))
        await until(pilot, lambda: not app._painting)

    return before


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("keys", PAGES.values(), ids=PAGES.keys())
def test_the_pages_look_as_they_did(
    measured: ScriptedDaemon, snap_compare: Any, size: tuple[int, int], keys: list[str]
) -> None:
    assert snap_compare(Dashboard(measured.url), terminal_size=size, run_before=after(measured, *keys))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("keys", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_what_sweeps_tell_looks_as_it_did(
    curved: ScriptedDaemon, snap_compare: Any, size: tuple[int, int], keys: list[str]
) -> None:
    assert snap_compare(Dashboard(curved.url), terminal_size=size, run_before=after(curved, *keys))


@pytest.mark.parametrize("keys", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_what_sweeps_tell_is_read_without_colour_and_in_ascii(
    curved: ScriptedDaemon, snap_compare: Any, monkeypatch: pytest.MonkeyPatch, keys: list[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Dashboard(curved.url, settings=Tui(glyphs="ascii"))
    assert snap_compare(app, terminal_size=(80, 24), run_before=after(curved, *keys))


@pytest.mark.parametrize("keys", OTHERS.values(), ids=OTHERS.keys())
def test_the_other_pages_look_as_they_did(measured: ScriptedDaemon, snap_compare: Any, keys: list[str]) -> None:
    assert snap_compare(Dashboard(measured.url), terminal_size=(120, 40), run_before=after(measured, *keys))


@pytest.mark.parametrize("page", ["bars", "scatter"])
def test_pictures_are_read_in_a_light_theme(measured: ScriptedDaemon, snap_compare: Any, page: str) -> None:
    app = Dashboard(measured.url, settings=Tui(theme="wattview-light"))
    assert snap_compare(app, terminal_size=(80, 24), run_before=after(measured, *PAGES[page]))
