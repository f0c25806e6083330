"""The styles of a widget's parts: worked out when they are drawn, and again when something has changed them."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.strip import Segment, Strip
from textual.widget import Widget

from wattview.config import Tui
from wattview.tui.base_app import BaseApp
from wattview.tui.toolkit.style_sheet import LazyStylesheet


class Lamp(Widget):
    COMPONENT_CLASSES: ClassVar[set[str]] = {"lamp--light", "lamp--spare"}
    DEFAULT_CSS = """
    Lamp { height: 1;
        & > .lamp--light { color: #800000; }
        & > .lamp--spare { color: #000080; }
    }
    """

    def render_line(self, y: int) -> Strip:
        return Strip([Segment("*", self.get_component_rich_style("lamp--light"))])


class Room(BaseApp):
    CSS = ".-day Lamp > .lamp--light { color: #ffff00; }"

    def compose(self) -> ComposeResult:
        yield Lamp()


def light(pilot: Pilot[str]) -> str:
    """The colour in which it is on the screen now."""
    (style,) = {
        part.style for strip in pilot.app.screen._compositor.render_strips() for part in strip if "*" in part.text
    }
    assert style is not None
    assert style.color is not None
    return style.color.name


async def test_only_what_is_drawn_is_styled() -> None:
    async with Room(Tui()).run_test() as pilot:
        assert isinstance(pilot.app.stylesheet, LazyStylesheet)
        assert light(pilot) == "#800000"
        assert set(pilot.app.query_one(Lamp)._component_styles) == {"lamp--light"}


async def test_a_part_whose_style_changes_is_drawn_again_though_its_widget_looks_the_same() -> None:
    async with Room(Tui()).run_test() as pilot:
        assert light(pilot) == "#800000"
        pilot.app.screen.add_class("-day")
        await pilot.pause()
        assert light(pilot) == "#ffff00"
        pilot.app.screen.remove_class("-day")
        await pilot.pause()
        assert light(pilot) == "#800000"
