"""Every theme starts, in every kind of terminal: also the one with sixteen colours that a bare console has."""

from __future__ import annotations

from pathlib import Path

import pytest

from wattview.config import Tui
from wattview.tui import themes
from wattview.tui.app import Dashboard


@pytest.mark.parametrize("name", themes.NAMES)
async def test_the_dashboard_starts_in_every_theme(tmp_path: Path, name: str) -> None:
    app = Dashboard(f"unix://{tmp_path}/none.sock", settings=Tui(theme=name))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.theme == name
        assert app.export_screenshot()


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"TERM": "xterm"}, "wattview-terminal"),
        ({"TERM": "linux"}, "wattview-terminal"),
        ({"TERM": "xterm-256color"}, "wattview-dark"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "wattview-dark"),
    ],
)
def test_the_theme_follows_what_the_terminal_can_show(environ: dict[str, str], name: str) -> None:
    assert themes.default_theme(environ) == name
