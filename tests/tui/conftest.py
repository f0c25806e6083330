"""A scripted daemon for each test, and times of day that are the same everywhere."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual._context import active_app
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.pilot import Pilot

from tests.support.dashboard import ScriptedDaemon, scripted
from tests.support.settled import handled, settled


@pytest.fixture
def daemon() -> Iterator[ScriptedDaemon]:
    # A Unix socket's path must be short; pytest's own directories are not.
    with tempfile.TemporaryDirectory(prefix="wv") as directory, scripted(Path(directory) / "s") as running:
        yield running


@pytest.fixture(autouse=True)
def _the_same_terminal_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("wattview.tui.base_app.needs_ascii", lambda environ: False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _screens_are_made_when_they_are_visited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattview.tui.app.AHEAD_SECONDS", 3600.0)


@pytest.fixture(autouse=True)
def _css_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has an app of its own, and all apps have the same CSS."""
    parse = Stylesheet._parse_rules

    def parsed(sheet: Stylesheet, css: str, **where: Any) -> list[RuleSet]:
        key = (css, *where.values(), frozenset(sheet._variables.items()))
        if key not in _rules:
            _rules[key] = parse(sheet, css, **where)
        return _rules[key]

    monkeypatch.setattr(Stylesheet, "_parse_rules", parsed)


_rules: dict[tuple[Any, ...], list[RuleSet]] = {}


@pytest.fixture(autouse=True)
def _a_pilot_that_knows_when_the_app_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait_for_idle(min_sleep: float = 0.0, max_sleep: float = 0.0) -> None:
        await settled(active_app.get())

    async def wait_for_screen(pilot: Pilot[Any], *_: float) -> bool:
        # Textual's waits for every widget of the screen, after every key.
        await handled(pilot.app)
        return True

    for module in ("textual.pilot", "textual.app"):
        monkeypatch.setattr(f"{module}.wait_for_idle", wait_for_idle)
    monkeypatch.setattr(Pilot, "_wait_for_screen", wait_for_screen)


@pytest.fixture
def unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test in which calls to the daemon hang: the pilot goes on without their answers."""
    monkeypatch.setattr("tests.support.settled.PATIENCE_SECONDS", 0.0)
