"""Screen 8: the exporters' health, and the doctor's findings on each source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.widget import Widget

from wattview.client import ClientError
from wattview.model import ExporterHealth, Finding
from wattview.model.quantities import counted
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.screens.details import event_parts
from wattview.tui.text import UNKNOWN, clock, number
from wattview.tui.view import Picture, View
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Pane, Parts, entitle, fit_height, listed
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab

GRAPH_SECONDS = 120.0

STATE_MARKS = {"healthy": "✓", "no source": "○", "unhealthy": "✗"}
STATE_TONES = {"healthy": "good", "no source": "dim", "unhealthy": "bad"}


def _state(one: ExporterHealth) -> str:
    return f"{STATE_MARKS[one.state]} {one.state}"


EXPORTERS: tuple[Column[ExporterHealth], ...] = (
    Column("Exporter", 23, lambda one: one.exporter, lambda one: one.exporter, left=True),
    Column("State", 11, _state, _state, left=True, tone=lambda one: STATE_TONES[one.state]),
    Column("Families", 8, lambda one: number(one.metric_count, 0), lambda one: one.metric_count, rank=2),
    Column("Samples", 8, lambda one: number(one.sample_count, 0), lambda one: one.sample_count, rank=1),
    Column("ms", 7, lambda one: number(_milliseconds(one)), lambda one: one.scrape_seconds, rank=3),
    Column("Checked", 8, lambda one: clock(one.checked), lambda one: one.checked, rank=4),
    Column("URL", 34, lambda one: one.url, left=True, rank=5),
)


def _milliseconds(one: ExporterHealth) -> float | None:
    return None if one.scrape_seconds is None else one.scrape_seconds * 1000


MARKS = {"works": "✓", "absent": "○", "not permitted": "✗", "broken": "✗"}
TONES = {"works": "good", "absent": "dim", "not permitted": "bad", "broken": "bad"}

FINDINGS: tuple[Column[Finding], ...] = (
    Column("Source", 16, lambda one: one.source, lambda one: one.source, left=True),
    Column("State", 15, lambda one: f"{MARKS[one.state]} {one.state}", lambda one: one.state, left=True,
           tone=lambda one: TONES[one.state]),
    Column("Detail", 40, lambda one: one.detail, left=True),
)  # fmt: skip


class ExportersScreen(View):
    ENTRY = Tab("8", "exporters", "Exporters", "Exp")
    TAB = ENTRY.mode
    FILTERS = "doctor"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "load", "Check", id="exporters_check"),
        Binding("y", "copy", "Copy", id="exporters_copy"),
    ]
    DEFAULT_CSS = """
    ExportersScreen {
        #health { height: 1fr; min-height: 6; }
        #doctor { height: 1fr; min-height: 5; }
        #reason { height: 3; padding: 0 2; }
        #below { display: none; height: 1fr; }
        #about { height: 1fr; }
        &.-high #below { display: block; }
        &.-high #reason { display: none; }
    }
    """

    _asked = False

    def content(self) -> Iterator[Widget]:
        with Container():
            yield Table(EXPORTERS, lambda one: one.exporter, empty="waiting for the daemon", id="health", classes="box")
            yield Table(
                FINDINGS, lambda one: (one.source, one.detail), empty="asking the doctor …", stretch=-1, id="doctor",
                classes="box",
            )  # fmt: skip
            yield Pane(id="reason")
            with Horizontal(id="below"):
                yield Pane(id="about", classes="box")
                yield Graph("ms", least=5.0, id="took", classes="box")

    def on_mount(self) -> None:
        self.query_one("#health").border_title = "Exporters"
        self.query_one("#doctor").border_title = "Doctor: the sources and tools of this machine"
        self.query_one("#health").focus()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.is_current and not self._asked:
            self._asked = True
            self.load()

    def show(self, picture: Picture) -> None:
        if picture.snapshot is not None:
            past = picture.snapshot.recorded is not None
            empty = "their health was not recorded at this moment" if past else "no exporter has been checked yet"
            health = self.query_one("#health", Table)
            health.show(picture.snapshot.exporters, empty)
            fit_height(health, len(health.rows), self.size.height // 2)
            self._explain(self._here)

    def action_load(self) -> None:
        self.dashboard.action_retry()
        self.load()

    @work(exclusive=True, exit_on_error=False)
    async def load(self) -> None:
        doctor: Table[Finding] = self.query_one("#doctor", Table)
        try:
            doctor.show(await self.dashboard.client.doctor(), "the doctor found nothing to look at")
            fit_height(doctor, len(doctor.rows), self.size.height // 3 if self.has_class("-high") else 0)
            self.query_one("#health", Table).show(await self.dashboard.client.exporters())
        except ClientError as error:
            doctor.show([], str(error))

    @property
    def _here(self) -> ExporterHealth | Finding | None:
        """What is under the cursor of the table that has the keys."""
        table = self.focused if isinstance(self.focused, Table) else self.query_one("#health", Table)
        return table.row if isinstance(table.row, (ExporterHealth, Finding)) else None

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        focused = self.focused if isinstance(self.focused, Table) else message.table
        if focused is message.table:
            self._explain(message.row)

    def on_descendant_focus(self) -> None:
        if isinstance(self.focused, Table):
            self._explain(self.focused.row)

    def _explain(self, row: ExporterHealth | Finding | None) -> None:
        if self.has_class("-high"):
            self._explain_more(row)
            return
        reason = self.query_one("#reason", Pane)
        match row:
            case None:
                reason.put("")
            case ExporterHealth(state="healthy"):
                reason.put(f"{row.exporter} answers at {row.url} with {row.sample_count} samples.")
            case ExporterHealth():
                reason.put((f"{row.exporter}: ", "bold"), row.reason or UNKNOWN, f"\n{row.url}")
            case Finding():
                fix: Parts = [("\nFix: ", "bold"), row.fix, ("   (y copies it)", "$muted")] if row.fix else []
                reason.put((f"{row.source}: ", "bold"), row.detail, *fix)

    def _explain_more(self, row: ExporterHealth | Finding | None) -> None:
        about, took = self.query_one("#about", Pane), self.query_one("#took", Graph)
        took.display = isinstance(row, ExporterHealth)
        if not isinstance(row, ExporterHealth):
            entitle(about, row.source if row is not None else "")
            about.put(*(_finding(row) if row is not None else []))
            return
        entitle(about, row.exporter)
        about.put(*self._exporter(row))
        picture = self.dashboard.picture
        end = picture.snapshot.time if picture.snapshot is not None else GRAPH_SECONDS
        points = [(at, 1000 * seconds) for at, seconds in picture.trends["exporter", row.exporter]]
        entitle(took, f"How long {row.exporter} takes to answer")
        took.show([Series(points)], end - GRAPH_SECONDS, end, live=picture.live, empty=picture.no_values)

    def _exporter(self, one: ExporterHealth) -> Parts:
        """Its answer, who asks for it, and what happened to it."""
        milliseconds = number(_milliseconds(one), 1)
        lines = [
            ("State", _state(one)), ("Address", one.url),
            ("Answer", f"{one.metric_count} families, {one.sample_count} samples in {milliseconds} ms"),
            ("Checked", clock(one.checked)),
            ("Scraped", f"{counted(one.scrapes, 'time')} since the daemon started" if one.scrapes else "by nobody yet"),
            *_last_scrape(one),
            *([("Missing", ", ".join(one.missing))] if one.missing else []),
            *([("Reason", one.reason)] if one.reason else []),
        ]  # fmt: skip
        told = [line for line in self.dashboard.events if one.exporter in line.event.about]
        return [*listed(lines, 9), ("\nEvents\n", "bold"), *event_parts(told)]

    def action_copy(self) -> None:
        row = self.focused.row if isinstance(self.focused, Table) else None
        text = row.fix if isinstance(row, Finding) else row.url if isinstance(row, ExporterHealth) else ""
        if text:
            self.app.copy_to_clipboard(text)
            self.notify(text, title="Copied")


def _last_scrape(one: ExporterHealth) -> list[tuple[str, str]]:
    if one.scraped is None or one.scraped_bytes is None:
        return []
    return [("Last", f"{clock(one.scraped)}, {one.scraped_bytes / 1024:.1f} KiB on the wire"), ("By", one.scraper)]


def _finding(one: Finding) -> Parts:
    fix: Parts = [("\nFix      ", "$muted"), one.fix, ("\n         y copies it", "$muted")] if one.fix else []
    return [("State    ", "$muted"), f"{MARKS[one.state]} {one.state}\n", ("Detail   ", "$muted"), one.detail, *fix]
