"""The table and the graph by themselves: what they draw, and that they draw no more than has changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.app import App, ComposeResult
from textual.geometry import Region

from tests.support.dashboard import screen_text
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.themes import DEFAULTS
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.table import Table

Row = tuple[str, float | None]

COLUMNS: tuple[Column[Row], ...] = (
    Column("Name", 8, lambda row: row[0], lambda row: row[0], left=True),
    Column("Value", 8, lambda row: "—" if row[1] is None else f"{row[1]:.1f}", lambda row: row[1]),
)


class Bench(App[None]):
    """One table and one graph on a screen."""

    CSS = "Table { height: 12; } Graph { height: 8; }"

    def __init__(self, columns: tuple[Column[Row], ...] = COLUMNS) -> None:
        super().__init__()
        self.columns = columns

    def compose(self) -> ComposeResult:
        yield Table(self.columns, lambda row: row[0], empty="nothing to see")
        yield Graph("W")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return DEFAULTS

    @property
    def table(self) -> Table[Row]:
        return self.query_one(Table)


def rows(count: int) -> list[Row]:
    return [(f"row{index:03}", float(index)) for index in range(count)]


def names(app: Bench) -> list[str]:
    return [line.split()[0] for line in screen_text(app).splitlines()[1:12] if line.startswith("row")]


class Refreshes:
    """The lines that a widget asks to have drawn again."""

    def __init__(self, widget: Any) -> None:
        self.lines: set[int] = set()
        self.whole = False
        draw = widget.refresh

        def refresh(*regions: Region, **options: Any) -> Any:
            self.whole = self.whole or not regions
            self.lines |= {y for region in regions for y in region.line_range}
            return draw(*regions, **options)

        widget.refresh = refresh


async def test_only_lines_whose_text_has_changed_are_drawn_again() -> None:
    app = Bench()
    async with app.run_test(size=(40, 24)) as pilot:
        app.table.show(rows(8))
        await pilot.pause()
        seen = Refreshes(app.table)
        changed = rows(8)
        changed[3] = ("row003", 3.04)  # the same text
        changed[5] = ("row005", 99.0)
        app.table.show(changed)
        await pilot.pause()
        assert seen.lines == {6}
        assert not seen.whole
        assert "99.0" in screen_text(app)


async def test_rows_out_of_view_are_not_even_formatted() -> None:
    formatted: list[str] = []

    def name(row: Row) -> str:
        formatted.append(row[0])
        return row[0]

    app = Bench((Column("Name", 8, name, left=True), COLUMNS[1]))
    async with app.run_test(size=(40, 24)) as pilot:
        app.table.show(rows(500))
        await pilot.pause()
        formatted.clear()
        app.table.show([(row, value + 1) for row, value in rows(500) if value is not None])
        await pilot.pause()
        assert 0 < len(set(formatted)) <= 12


async def test_the_cursor_scrolls_and_keeps_its_row_when_the_order_changes() -> None:
    app = Bench()
    async with app.run_test(size=(40, 24)) as pilot:
        app.table.show(rows(100))
        app.table.focus()
        await pilot.press("end")
        assert names(app)[-1] == "row099"
        await pilot.press("pageup", "k")
        assert app.table.row is not None
        here = app.table.row[0]
        app.table.show(rows(100)[::-1])
        assert app.table.row[0] == here
        await pilot.press("g")
        assert names(app)[0] == "row099"


async def test_the_unknown_sorts_last_both_ways() -> None:
    app = Bench()
    async with app.run_test(size=(40, 24)) as pilot:
        app.table.show([("rowa", 1.0), ("rowb", None), ("rowc", 3.0)])
        app.table.sort_by(1)
        await pilot.pause()
        assert names(app) == ["rowc", "rowa", "rowb"]
        app.table.action_sort_reverse()
        await pilot.pause()
        assert names(app) == ["rowa", "rowc", "rowb"]


async def test_a_click_chooses_a_row_and_a_click_on_a_head_sorts() -> None:
    app = Bench()
    async with app.run_test(size=(40, 24)) as pilot:
        app.table.show(rows(5))
        await pilot.pause()
        await pilot.click(Table, offset=(2, 4))
        assert app.table.row == ("row003", 3.0)
        x = screen_text(app).splitlines()[0].index("Value")
        await pilot.click(Table, offset=(x, 0))
        assert names(app)[0] == "row004"
        await pilot.click(Table, offset=(x, 0))
        assert names(app)[0] == "row000"


async def test_a_vanished_row_leaves_the_cursor_on_its_line() -> None:
    app = Bench()
    async with app.run_test(size=(40, 24)) as pilot:
        app.table.show(rows(5))
        app.table.focus()
        await pilot.press("j", "j")
        app.table.show([row for row in rows(5) if row[0] != "row002"])
        assert app.table.row == ("row003", 3.0)
        app.table.show([])
        await pilot.pause()
        assert app.table.row is None
        assert "nothing to see" in screen_text(app)
        await pilot.press("j", "enter", "end")


async def test_a_narrow_table_drops_columns_and_a_wide_one_brings_them_back() -> None:
    app = Bench()
    async with app.run_test(size=(40, 24)) as pilot:
        app.table.show(rows(3))
        await pilot.resize_terminal(12, 24)
        await pilot.pause()
        assert "Value" not in screen_text(app)
        assert "row001" in screen_text(app)
        await pilot.resize_terminal(40, 24)
        await pilot.pause()
        assert "Value" in screen_text(app)


# graph


def dots(app: Bench) -> list[str]:
    """The lines of the graph without its scale."""
    graph = app.query_one(Graph)
    return ["".join(text for text, _ in line)[7:] for line in graph._lines]


def steps(value: float, count: int) -> Iterator[tuple[float, float]]:
    return ((float(index), value) for index in range(count))


async def test_missing_data_is_a_gap_and_a_measured_zero_is_drawn() -> None:
    app = Bench()
    async with app.run_test(size=(37, 24)) as pilot:
        graph = app.query_one(Graph)
        points = [*steps(10.0, 20), *((float(index), 0.0) for index in range(20, 40))]
        graph.show([Series(points)], 0.0, 60.0)
        await pilot.pause()
        bottom = dots(app)[-2]
        assert graph.columns == 60
        assert bottom.startswith("⣿" * 9)
        assert "⣀" * 9 in bottom, "a zero is a measurement"
        assert bottom.endswith("┈" * 9), "after it nothing is known: the line at 0 alone"


async def test_heights_are_in_proportion_from_zero() -> None:
    app = Bench()
    async with app.run_test(size=(37, 24)) as pilot:
        graph = app.query_one(Graph)
        graph.top = 10.0
        graph.show([Series(list(steps(5.0, 60)))], 0.0, 60.0)
        await pilot.pause()
        lines = dots(app)[:-1]
        filled = sum(bin(ord(line[5]) - 0x2800).count("1") / 2 for line in lines if "⠀" < line[5] <= "⣿")
        assert filled == round(0.5 * 4 * len(lines))


async def test_a_fitted_scale_has_distinct_tick_labels() -> None:
    app = Bench()
    async with app.run_test(size=(37, 24)) as pilot:
        graph = app.query_one(Graph)
        graph.zero = False
        graph.show([Series([(float(at), 42.0 + at % 3 / 10) for at in range(60)])], 0.0, 60.0)
        await pilot.pause()
        texts = [line[0][0].strip() for line in graph._lines]
        ticks = [text for text in texts if text]
        assert len(ticks) == len(set(ticks)) >= 3, ticks


async def test_an_unchanged_picture_is_not_drawn_again() -> None:
    app = Bench()
    async with app.run_test(size=(37, 24)) as pilot:
        graph = app.query_one(Graph)
        points = list(steps(10.0, 60))
        graph.show([Series(points)], 0.0, 60.0)
        await pilot.pause()
        seen = Refreshes(graph)
        graph.show([Series(points)], 0.0, 60.0)
        assert not seen.lines
        assert not seen.whole


async def test_a_graph_without_values_says_so() -> None:
    app = Bench()
    async with app.run_test(size=(37, 24)) as pilot:
        app.query_one(Graph).show([Series([])], 0.0, 60.0, empty="nothing measured")
        await pilot.pause()
        assert "nothing measured" in screen_text(app)
