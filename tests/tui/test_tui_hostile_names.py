"""Whatever things are called elsewhere, the dashboard shows nothing that a terminal obeys: on its screens, in its
dialogs and toasts, in what it copies, and in the files that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.dashboard import (
    FINDINGS,
    PRESETS,
    ScriptedDaemon,
    gpu,
    opened,
    result,
    run,
    snapshot,
)
from tests.support.hostile_text import EVIL, HOSTILE, obeyed, with_hostile_text
from tests.support.sweep import encoders, sweep
from tests.tui.test_tui_fleet import fleet_of, live
from tests.tui.test_tui_fleet import opened as fleet_opened

pytestmark = pytest.mark.parallel

WALK = (
    *"123456789",
    "3", "enter", "y", "escape", "y", "e", "slash", "o", "w", "enter", "escape",
    "4", "enter", "escape", "y", "5", "enter", "escape",
    "6", "enter", "escape", "n", "escape", "a", "escape",
    "7", "space", "enter", "right", "right", "right", "right", "right", "escape",
    "space", "down", "space", "c", "escape",
    "8", "enter", "y", "9", "y", "question_mark", "escape", "ctrl+p", "escape", "2", "comma", "L",
)  # fmt: skip
"""Keys that open every screen, detail and dialog there is."""


@pytest.fixture
def hostile(daemon: ScriptedDaemon, request: pytest.FixtureRequest) -> ScriptedDaemon:
    evil: str = request.param
    many = snapshot(gpus=(gpu(),), run=run())
    daemon.now = with_hostile_text(many, evil)
    daemon.past = lambda at: replace(with_hostile_text(many, evil), time=at)
    daemon.results = [with_hostile_text(one, evil) for one in (result(), sweep(), encoders())]
    daemon.presets = [with_hostile_text(one, evil) for one in PRESETS]
    daemon.findings = [with_hostile_text(one, evil) for one in FINDINGS]
    daemon.past_runs = [with_hostile_text(replace(run(), id="20250101_000000", state="failed", error=evil), evil)]
    daemon.tell("error", f"{evil}about", f"{evil}text", alert=True)
    return daemon


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("hostile", [EVIL, "".join(HOSTILE[5:])], ids=["commands", "misleading"], indirect=True)
async def test_no_screen_shows_what_a_terminal_obeys(
    hostile: ScriptedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(hostile, (220, 60)) as pilot:
        shown = await walked(pilot, WALK)
    assert len(shown) >= 14
    written = [path.read_text() for path in tmp_path.iterdir()]  # noqa: ASYNC240  nothing waits for it
    assert written
    assert [obeyed(text.replace("\r\n", "\n")) for text in written if obeyed(text.replace("\r\n", "\n"))] == []


@pytest.mark.parametrize("hostile", [EVIL], ids=["commands"], indirect=True)
async def test_a_fleet_shows_nothing_that_a_terminal_obeys(hostile: ScriptedDaemon) -> None:
    source = fleet_of(hostile)
    async with fleet_opened(source) as pilot:
        await live(pilot, 1)
        shown = await walked(pilot, ("y", "question_mark", "escape", "ctrl+p"))
    assert len(shown) >= 3


async def walked(pilot: Any, keys: Sequence[str]) -> set[str]:
    """Presses the keys and looks after each; the names of the screens that were in front."""
    shown = set()
    for key in keys:
        await pilot.press(key)
        shown.add(name := type(pilot.app.screen).__name__)
        for strip in pilot.app.screen._compositor.render_strips():
            assert obeyed(strip.text) == [], f"{name}: {strip.text.strip()}"
        assert obeyed(pilot.app.clipboard) == [], name
    return shown
