"""What the dashboard does with runs: starts one, records whatever is running, aborts one."""

from __future__ import annotations

from collections.abc import Awaitable

from textual import work
from textual.binding import Binding
from textual.screen import ModalScreen

from wattview.client import Client, ClientError
from wattview.model import Run, RunRequest, Snapshot
from wattview.model.scenarios import window
from wattview.tui.runs.launch import Launch
from wattview.tui.screens.confirm import Confirm
from wattview.tui.text import clock
from wattview.tui.time_travel.travel import TimeTravelApp

RUN_KEYS = (
    Binding("n", "launch", "New run", id="new_run"),
    Binding("R", "record", "Record / stop", show=False, id="record"),
    Binding("x", "abort", "Abort run", id="abort"),
)


class RunsApp(TimeTravelApp):
    """The keys of runs."""

    client: Client
    latest: Snapshot | None

    @property
    def running(self) -> Run | None:
        run = self.latest.run if self.latest is not None else None
        return run if run is not None and run.state == "running" else None

    def action_launch(self) -> None:
        self.launch()

    def launch(self, preset_id: str = "") -> None:
        """Opens the launch dialog with that preset selected."""
        if not isinstance(self.screen, ModalScreen):
            self.push_screen(Launch(self.client, preset_id), self._launched)

    def _launched(self, run: Run | None) -> None:
        if run is not None:
            names = ", ".join(one.name for one in run.scenarios)
            self.notify(names, title="Run started")

    def action_record(self) -> None:
        """Begins a recording of whatever runs, or ends the one that is going on."""
        run = self.running
        if run is None:
            name = f"recording {clock(self.latest.time)[:5]}" if self.latest is not None else "recording"
            started = self.client.start_run(RunRequest(scenarios=[window(name, "recording")]))
            self._ask(started, "Not recorded", "R ends it. The result has every workload and stream.")
        elif _is_recording(run):
            self._ask(self.client.close_window(run.id), "The recording was not ended")
        else:
            self.notify(f"Run {run.id} is active, and is recorded already.", title="Not recorded", severity="warning")

    @work(exit_on_error=False)
    async def _ask(self, call: Awaitable[Run], refused: str, recording: str = "") -> None:
        """A call to the daemon: ``refused`` is the title of its error, ``recording`` what a recording then says."""
        try:
            await call
        except ClientError as error:
            self.notify(str(error), title=refused, severity="error")
        else:
            if recording:
                self.notify(recording, title="Recording")

    def action_abort(self) -> None:
        run = self.running
        if run is None or isinstance(self.screen, ModalScreen):
            return
        question = f"Abort run {run.id}? Finished scenarios are kept."

        def abort() -> None:
            self._ask(self.client.stop_run(run.id), "The run was not aborted")

        self.push_screen(Confirm(question, "Abort the run", "Let it run", abort))


def _is_recording(run: Run) -> bool:
    return run.progress is not None and any(
        one.name == run.progress.scenario and one.type == "recording" for one in run.scenarios
    )
