"""A scripted daemon for each test, and times of day that are the same everywhere."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dashboard import ScriptedDaemon, scripted


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
