"""Screen 8: the exporters' health, and the doctor's findings on each source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from wattview.client import ClientError
from wattview.model import ExporterHealth, Finding
from wattview.tui.text import UNKNOWN, clock, number
from wattview.tui.view import Picture, View
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Pane, Parts, fit_height
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab

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

    def action_load(self) -> None:
        self.dashboard.action_retry()
        self.load()

    @work(exclusive=True, exit_on_error=False)
    async def load(self) -> None:
        doctor: Table[Finding] = self.query_one("#doctor", Table)
        try:
            doctor.show(await self.dashboard.client.doctor(), "the doctor found nothing to look at")
            self.query_one("#health", Table).show(await self.dashboard.client.exporters())
        except ClientError as error:
            doctor.show([], str(error))

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        focused = self.focused if isinstance(self.focused, Table) else message.table
        if focused is message.table:
            self._explain(message.row)

    def on_descendant_focus(self) -> None:
        if isinstance(self.focused, Table):
            self._explain(self.focused.row)

    def _explain(self, row: ExporterHealth | Finding | None) -> None:
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

    def action_copy(self) -> None:
        row = self.focused.row if isinstance(self.focused, Table) else None
        text = row.fix if isinstance(row, Finding) else row.url if isinstance(row, ExporterHealth) else ""
        if text:
            self.app.copy_to_clipboard(text)
            self.notify(text, title="Copied")
