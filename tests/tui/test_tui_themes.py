"""Themes: readable in every pair of colours that carries text, and the right one for each terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import Theme

from tests.support.dashboard import ScriptedDaemon, opened, screen_text, until
from wattview.config import Tui
from wattview.tui.app import Dashboard
from wattview.tui.themes import THEMES

RGB = [theme for theme in THEMES if not theme.ansi]


def luminance(color: Color) -> float:
    """Relative luminance, as WCAG 2 defines it."""

    def linear(channel: int) -> float:
        part = channel / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(color.r) + 0.7152 * linear(color.g) + 0.0722 * linear(color.b)


def contrast(one: str, other: str) -> float:
    a, b = sorted((luminance(Color.parse(one)), luminance(Color.parse(other))), reverse=True)
    return (a + 0.05) / (b + 0.05)


@pytest.mark.parametrize("theme", RGB, ids=lambda theme: theme.name)
def test_every_colour_of_text_is_readable_on_every_ground(theme: Theme) -> None:
    inks = [theme.foreground, theme.primary, theme.warning, theme.error, theme.success, theme.variables["muted"]]
    for ink in inks:
        for ground in (theme.background, theme.surface, theme.panel):
            assert ink is not None
            assert ground is not None
            assert contrast(ink, ground) >= 4.5, f"{ink} on {ground}"
    cursor = theme.variables
    assert contrast(cursor["block-cursor-foreground"], cursor["block-cursor-background"]) >= 4.5


async def test_no_color_draws_without_any(daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(daemon) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: "✗ unhealthy" in screen_text(pilot.app))
        for strip in pilot.app.screen._compositor.render_strips():
            for segment in strip:
                for color in (segment.style.color, segment.style.bgcolor) if segment.style is not None else ():
                    triplet = color.triplet if color is not None else None
                    assert triplet is None or triplet.red == triplet.green == triplet.blue, segment


async def test_meaningless_settings_are_reported_and_the_rest_applies(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, theme="solarised", keys={"qiut": "z", "quit": "ctrl+d"}) as pilot:
        await until(pilot, lambda: "no such key binding: qiut" in screen_text(pilot.app))
        assert "no theme solarised" in screen_text(pilot.app)
        await pilot.press("ctrl+d")
        await until(pilot, lambda: pilot.app._exit)


def test_the_settings_choose_theme_and_glyphs() -> None:
    app = Dashboard("unix:///x", settings=Tui(theme="wattview-light", glyphs="ascii"))
    assert app.theme == "wattview-light"
    assert app.settings.glyphs == "ascii"


async def test_the_theme_that_was_chosen_is_there_the_next_time(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    memory = tmp_path / "state" / "theme"
    first = Dashboard(daemon.url)
    first.remember_theme(memory)
    async with first.run_test() as pilot:
        await pilot.press("t")
        await until(pilot, memory.is_file)
    again = Dashboard(daemon.url)
    again.remember_theme(memory)
    assert again.theme == first.theme != Dashboard(daemon.url).theme
    named = Dashboard(daemon.url, settings=Tui(theme="wattview-dark"))
    named.remember_theme(memory)
    assert named.theme == "wattview-dark"
    memory.write_bytes(b"\xff no such theme")
    broken = Dashboard(daemon.url)
    broken.remember_theme(memory)
    assert broken.theme == Dashboard(daemon.url).theme
