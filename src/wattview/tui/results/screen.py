"""Screen 7: energy, cost and quality of all scenarios of all runs, as pages of one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, TypeVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.widget import Widget

from wattview.client import ClientError
from wattview.model import RunResult
from wattview.model.quantities import QUANTITIES
from wattview.tui.export import deliver
from wattview.tui.plots.panel import Plot
from wattview.tui.results import columns as result_columns
from wattview.tui.results.advice import Advise
from wattview.tui.results.details import details, run_details
from wattview.tui.results.points import UNMEASURED, draw_points
from wattview.tui.results.predict import Predict
from wattview.tui.results.question import QuestionPage
from wattview.tui.results.rd_curves import Curves
from wattview.tui.results.rows import ResultRow, rows_of
from wattview.tui.screens.export import TABLE, Export
from wattview.tui.view import LoadedView, Picture
from wattview.tui.widgets.filter_bar import FilterBar
from wattview.tui.widgets.pages import Pages
from wattview.tui.widgets.pane import FRAME_LINES, Pane, entitle, fit_height
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab

R = TypeVar("R")

RUNS, ENERGY, COST, QUALITY, BARS, SCATTER, CURVES, ADVICE, PREDICT = PAGES = (
    "Runs", "Energy", "Cost", "Quality", "Bars", "Scatter", "Curves", "Advice", "Predict"
)  # fmt: skip

QUESTIONS: dict[str, type[QuestionPage]] = {CURVES: Curves, ADVICE: Advise, PREDICT: Predict}
"""The pages that ask the daemon about the selected runs."""

READING = "reading the results …"
NOTHING = "no results yet; press n to run a scenario"

LEAST_BESIDE = 23
"""Lines of what a table leaves room for: a picture, or a second table, and the details."""


class ResultsScreen(LoadedView):
    ENTRY = Tab("7", "results", "Results")
    TAB = ENTRY.mode
    FILTERS = "results"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "page(-1)", "Page", show=False, key_display="← →", id="results_page_before"),
        Binding("right,l", "page(1)", "Page", key_display="← →", id="results_page"),
        Binding("space", "mark", "Mark", id="results_mark"),
        Binding("c", "compare", "Compare", id="results_compare"),
        Binding("f", "figure", "Figure", id="results_figure"),
        Binding("v", "quality", "Quality", id="results_quality"),
        Binding("z", "zero", "Zero", show=False, id="results_zero"),
        Binding("o", "report", "Report", id="results_report"),
        Binding("p", "replay", "Replay", show=False, id="results_replay"),
        Binding("e", "export", "Export", id="results_export"),
        Binding("escape", "all_runs", "All runs", id="results_all"),
        Binding("r", "load", "Refresh", show=False, id="results_refresh"),
    ]
    DEFAULT_CSS = """
    ResultsScreen {
        #results, #runs, #scatter, QuestionPage { height: 1fr; display: none; }
        #scatter { height: 2fr; }
        &.-high #scatter { height: 1fr; }
        #details { height: 9; }
        &.-curves #details { height: 12; }
        &.-low #details { height: 7; }
        &.-low .box { border: none; border-top: solid $border-blurred; }
        &.-low .box:focus, &.-low .box:focus-within { border: none; border-top: solid $border; }
        &.-low.-scatter #details, &.-low.-predict #details { display: none; }
        &.-predict #details { height: 5; }
        &.-low Predict .answer { max-height: 3; margin-top: 0; }
        &.-low Predict #loads { height: 5; }
        &.-low Predict #load-picture { height: 1fr; }
        &.-words #curve-picture { display: none; }
        &.-words #details { height: 2fr; }
        &.-words.-low #details { height: 15; }
        &.-narrow .qoe { display: none; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[RunResult] = []
        self._empty = READING
        self.measurements = UNMEASURED
        self.page = ENERGY
        self.bar = 0
        self._placed = self.size
        self._rows: list[ResultRow] = []
        self.scope = ""
        """The run to which the table is limited, "" for all."""

    def content(self) -> Iterator[Widget]:
        yield Pages(PAGES, self.page)
        yield Plot(id="scatter", classes="box")
        yield Table(result_columns.RUNS, _run_key, empty=READING, stretch=-1, opens=True, id="runs", classes="box")
        yield Table(result_columns.ENERGY, lambda row: row.key, empty=READING, opens=True, id="results", classes="box")
        for question in QUESTIONS.values():
            yield question()
        yield Pane(id="details", classes="box")

    def on_mount(self) -> None:
        self.query_one("#runs").border_title = "Runs: enter shows the scenarios of one, p plays it again"
        self._turn(ENERGY)

    def show(self, picture: Picture) -> None:
        """Results are loaded on request, and when a run ends (``run_ended``); only their places depend on the size."""
        if self.size != self._placed:
            self._placed = self.size
            self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        curves, rows = self.page == CURVES, self.page not in QUESTIONS
        shown = {
            "figure": curves or self.page == BARS, "quality": curves, "all_runs": bool(self.scope), "replay": rows,
            "mark": curves or rows, "compare": rows,
        }  # fmt: skip
        return shown.get(action, True) and bool(super().check_action(action, parameters))

    # what is shown

    @property
    def table(self) -> Table[ResultRow]:
        return self.query_one("#results", Table)

    @property
    def run_table(self) -> Table[RunResult]:
        return self.query_one("#runs", Table)

    @work(exclusive=True, exit_on_error=False)
    async def load(self) -> None:
        client = self.dashboard.client
        try:
            runs, measurements = await client.results(), self.measurements
            if usable := [run.id for run in runs if not run.error]:
                measurements = await client.measurements(usable)
        except ClientError as error:
            if self.table.rows:
                self.notify(str(error), title="The results could not be read again", severity="warning")
                return
            self._empty = str(error)
            self._show()
        else:
            if (runs, measurements, NOTHING) != (self.runs, self.measurements, self._empty):
                self.runs, self.measurements, self._empty = runs, measurements, NOTHING
                self._show()
        self._ask()

    def show_run(self, run_id: str) -> None:
        """Shows only the scenarios of one run, "" for all."""
        self.scope = run_id
        if self.query("#results"):
            self._turn(ENERGY)

    def _show(self) -> None:
        """A point is a setting, so that page has no baselines."""
        rows = rows_of(self.runs, self.measurements.measured)
        points = self.page == SCATTER
        self._rows = [row for row in rows if self.scope in ("", row.run.id) and (row.group is not None or not points)]
        self.run_table.show(self.runs, self._empty)
        self._show_rows()

    def _show_rows(self) -> None:
        """Of the run under the cursor, on the page of runs."""
        here = self.run_table.row if self.page == RUNS else None
        rows = self._rows if here is None else [row for row in self._rows if row.run is here]
        self.table.show(rows, self._empty)
        self._place()
        self._write_columns()

    def _write_columns(self) -> None:
        """The columns of the active page; some depend on the rows."""
        rows = self.table.rows
        currency = next((row.currency for row in rows if row.currency), "")
        about = ""
        if self.page == COST:
            self.table.set_columns(result_columns.cost_columns(currency))
        elif self.page == QUALITY:
            self.table.set_columns(result_columns.QUALITY)
        elif self.page == BARS:
            name = result_columns.BARS[self.bar]
            self.table.set_columns(result_columns.bar_columns(name, rows, currency), stretch=-1)
            about = f": {QUANTITIES[name].words}"
        elif self.page == SCATTER:
            self.table.set_columns(result_columns.point_columns(self.measurements))
            about = ": the points, one a setting"
        else:
            self.table.set_columns(result_columns.ENERGY)
        of = f" of run {self.scope} (esc: all)" if self.scope else ""
        if self.page == RUNS and (here := self.run_table.row) is not None:
            of = f" of run {here.id}"
        count = f" {len(rows)}" if rows else ""
        entitle(self.table, f"Results{count}{of}{about}")
        self._draw_points()

    def _draw_points(self) -> None:
        scatter = self.query_one("#scatter", Plot)
        if scatter.display:
            draw_points(scatter, self.table, self.measurements)

    # pages

    def _turn(self, page: str) -> None:
        self.page = page
        self.query_one(Pages).show(page)
        pages = {f"-{name.lower()}": page == name for name in (SCATTER, CURVES, PREDICT)}
        self.update_classes({**pages, "-words": False})
        question = self.question
        table = "runs" if page == RUNS else question.TABLE if question is not None else "results"
        self.query_one(FilterBar).table_id = table
        self.query_one(f"#{table}").focus()
        self._ask()
        self._show()
        self._detail()
        self.refresh_bindings()

    def _place(self) -> None:
        """Where there is room, each table has the picture of its settings above it, and runs have their scenarios."""
        question, runs, points = self.question, self.page == RUNS, self.page == SCATTER
        for one in self.query(QuestionPage):
            one.display = one is question
        high, rows = self.has_class("-high"), len(self.runs if runs else self._rows)
        most = self.size.height * 2 // 5 if high else self.size.height - LEAST_BESIDE
        roomy = high or rows + FRAME_LINES <= most
        self.run_table.display = runs
        self.table.display = question is None and (not runs or roomy)
        picture = question is None and (points or (roomy and (high or not runs)))
        self.query_one("#scatter").display = picture
        fit_height(self.run_table, rows, most if roomy else 0)
        fit_height(self.table, len(self.table.rows) if runs else rows, most if picture and not points else 0)

    def _ask(self) -> None:
        """Loads what the active page needs for the selected runs."""
        if self.question is not None:
            measured = [one.group.setting for one in self.measurements.measured]
            self.question.ask(self.dashboard.client, self.chosen_runs(), measured)

    def action_page(self, step: int) -> None:
        page = self.query_one(Pages).beside(step)
        if page != self.page:
            self._turn(page)

    def on_pages_chosen(self, message: Pages.Chosen) -> None:
        self._turn(message.page)

    @property
    def question(self) -> QuestionPage | None:
        """The active page, if it is one that asks the daemon."""
        kind = QUESTIONS.get(self.page)
        return self.query_one(kind) if kind is not None else None

    def action_quality(self) -> None:
        self.query_one(Curves).next_quality()

    def action_figure(self) -> None:
        if self.page == CURVES:
            self.query_one(Curves).next_price()
            return
        self.bar = (self.bar + 1) % len(result_columns.BARS)
        self._write_columns()

    def action_zero(self) -> None:
        for plot in self.query(Plot):
            plot.toggle_zero()

    def action_all_runs(self) -> None:
        self.scope = ""
        self._show()
        self.refresh_bindings()

    # what is under the cursor

    @on(Table.Highlighted)
    def _moved(self, message: Table.Highlighted) -> None:
        if self.page != RUNS or message.table is self.run_table:
            self._detail()

    def _detail(self) -> None:
        pane = self.query_one("#details", Pane)
        if self.page == RUNS:
            pane.put(*run_details(self.run_table.row))
            if self.table.display:
                self._show_rows()
        elif self.page not in QUESTIONS:
            pane.put(*details(self.table.row, self.page))
            self._draw_points()

    def on_question_page_said(self, message: QuestionPage.Said) -> None:
        if message.question is self.question:
            self.query_one("#details", Pane).put(*message.parts)

    @on(Table.Opened)
    def _opened(self, message: Table.Opened) -> None:
        if isinstance(message.row, RunResult):
            self.show_run(message.row.id)
        elif isinstance(message.row, ResultRow):
            self._compare(alone=True)

    # marks, comparison

    def action_mark(self) -> None:
        if self.page == CURVES:
            self.query_one(Curves).mark()
        elif isinstance(self.focused, Table):
            self.focused.toggle_mark()
            self._draw_points()

    def action_compare(self) -> None:
        self._compare(alone=False)

    def _compare(self, alone: bool) -> None:
        """Compares the marked rows, in the order of the table; with fewer than two, the row under the cursor as
        well."""
        from wattview.tui.results.compare_screen import Compare

        if self.page == RUNS:
            runs = [run for run in _chosen(self.run_table) if not run.error]
            if len(runs) > 1:
                self.app.push_screen(Compare.of_runs(runs))
                return
        else:
            rows = [row for row in _chosen(self.table) if row.numbers]
            if len(rows) > 1 or (rows and alone):
                self.app.push_screen(Compare.of_rows(rows))
                return
        self.notify("Mark two or more with space, then press c.", title="Nothing to compare yet")

    def chosen_runs(self) -> tuple[str, ...]:
        """The runs that are marked, or have a marked scenario; else the one that is shown alone; else none, for all."""
        rows = self._rows if self.page == RUNS else self.table.rows
        marked = {str(key) for key in self.run_table.marked} | {
            row.run.id for row in rows if row.key in self.table.marked
        }
        chosen = [run.id for run in self.runs if run.id in marked and not run.error]
        return tuple(chosen or ([self.scope] if self.scope else []))

    def action_replay(self) -> None:
        """Replays the run under the cursor."""
        if self.run_here is not None:
            self.dashboard.replay(self.run_here.id)

    # files

    def action_report(self) -> None:
        """Reports on the marked runs, else on the one under the cursor."""
        runs = self.chosen_runs() or ((run.id,) if (run := self.run_here) is not None else ())
        if runs:
            self._fetch("html", runs, show=True)
        else:
            self.notify("There is no run to report on yet.", title="No report")

    @property
    def run_here(self) -> RunResult | None:
        """The run under the cursor."""
        if self.page == RUNS:
            return self.run_table.row
        return self.table.row.run if self.table.row is not None else None

    async def action_export(self) -> None:
        runs = self.chosen_runs()
        what = f"{len(runs)} runs" if len(runs) > 1 else f"run {runs[0]}" if runs else "all runs"

        async def chosen(kind: str | None) -> None:
            if kind == TABLE:
                await LoadedView.action_export(self)
            elif kind is not None:
                self._fetch(kind, runs, show=False)

        self.app.push_screen(Export(what), chosen)

    @work(group="files", exit_on_error=False)
    async def _fetch(self, kind: str, runs: Sequence[str], show: bool) -> None:
        try:
            data = await self.dashboard.client.export(kind, runs)
            told = await deliver(self.app, data, "report" if show else "results", kind, show=show)
        except (ClientError, OSError) as error:
            self.notify(str(error), title="Nothing was written", severity="error")
        else:
            self.notify(told.text, title=told.title)


def _run_key(run: RunResult) -> str:
    return run.id or run.path


def _chosen(table: Table[R]) -> list[R]:
    keys = set(table.marked)
    if len(keys) < 2 and table.row is not None:
        keys.add(table.key(table.row))
    return [row for row in table.rows if table.key(row) in keys]
