"""The processes of a workload, as a table that asks the daemon for them while it is looked at."""

from __future__ import annotations

from collections.abc import Iterator

from textual import work
from textual.widget import Widget

from wattview.client import ClientError
from wattview.model import Snapshot, WorkloadProcess, WorkloadProcesses
from wattview.tui.screens.details import Details
from wattview.tui.text import mib, number, span
from wattview.tui.view import Picture, View
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import entitle, fit_height
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.workload_columns import titled

PROCESSES: tuple[Column[WorkloadProcess], ...] = (
    Column("PID", 7, lambda one: str(one.pid), lambda one: one.pid),
    Column("~W", 6, lambda one: number(one.power_watts), lambda one: one.power_watts),
    Column("CPU %", 6, lambda one: number(one.cpu_percent), lambda one: one.cpu_percent),
    Column("MiB", 7, lambda one: mib(one.memory_bytes), lambda one: one.memory_bytes, rank=1),
    Column("User", 9, lambda one: one.user, lambda one: one.user.casefold(), left=True, rank=3),
    Column("CPU time", 9, lambda one: span(one.cpu_seconds_total), lambda one: one.cpu_seconds_total, rank=5),
    Column("Program", 15, lambda one: one.program, lambda one: one.program.casefold(), left=True, rank=4),
    Column("Command", 32, lambda one: one.command, lambda one: one.command.casefold(), left=True),
)
_CPU = 2
"""The column that it is sorted by at first."""


class ProcessTable(Table[WorkloadProcess]):
    """The answer to the last question, asked again with every snapshot."""

    def __init__(self) -> None:
        super().__init__(
            PROCESSES, lambda one: one.pid, sort=_CPU, descending=True, stretch=-1, id="processes", classes="box"
        )
        self._workload = ""
        self._asking = False

    def look(self, workload: str, picture: Picture) -> None:
        """Asks for the processes of a workload, by its id ("" if it has none), unless the picture stands still."""
        if workload != self._workload:
            self._workload = workload
            self.show([], "asking the daemon …")
            entitle(self, "Processes", "")
        if picture.playback is not None:
            self.show([], "the processes of the past are not recorded")
            entitle(self, "Processes", "")
        elif not workload:
            self.show([], "the daemon does not know its control group")
        elif not picture.paused and not self._asking:
            self._asking = True
            self._ask(workload)

    @work(exit_on_error=False)
    async def _ask(self, workload: str) -> None:
        view = self.screen
        assert isinstance(view, View)
        try:
            answer = await view.dashboard.client.processes(workload)
        except ClientError as error:
            answer = WorkloadProcesses(workload=workload, time=0.0, total=0, reason=str(error))
        finally:
            self._asking = False
        if workload == self._workload and view.dashboard.picture.playback is None:
            self._take(answer)

    def _take(self, answer: WorkloadProcesses) -> None:
        listed = len(answer.processes)
        self.show(answer.processes, answer.reason or "it has no processes")
        fit_height(self, listed, 0 if self.screen.has_class("-low") else self.screen.size.height // 4)
        entitle(self, titled("Processes", listed, answer.total), answer.reason or "~W: by CPU time" if listed else "")


class ProcessDetails(Details):
    """The screen of one thing that runs, with its processes."""

    FILTERS = "processes"
    DEFAULT_CSS = """
    ProcessDetails {
        #processes { height: 1fr; }
        &.-low #side { height: 6; min-height: 6; }
        &.-low #graphs { height: 6; }
    }
    """

    def workload_id(self, snapshot: Snapshot) -> str:
        """The id of its workload; "" if there is none."""
        raise NotImplementedError

    def below(self) -> Iterator[Widget]:
        yield ProcessTable()

    def age(self, now: float) -> float | None:
        return None if self._last is None or self._last.started is None else now - self._last.started

    def show(self, picture: Picture) -> None:
        super().show(picture)
        if picture.snapshot is not None and self.subject:
            self.query_one(ProcessTable).look(self.workload_id(picture.snapshot), picture)
