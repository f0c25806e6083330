"""The running scenario in one line: phase, bar, time left."""

from __future__ import annotations

from wattview.model import Run
from wattview.tui.text import bar, number, span
from wattview.tui.view import Picture
from wattview.tui.widgets.pane import Pane, Parts


class RunBar(Pane):
    """Visible only during a run."""

    DEFAULT_CSS = """
    RunBar { height: 1; padding: 0 1; display: none; background: $primary 15%; }
    RunBar.-there { display: block; }
    RunBar:ansi { background: ansi_default; }
    """

    def show(self, picture: Picture) -> None:
        run = picture.snapshot.run if picture.snapshot is not None else None
        there = run is not None and run.state == "running"
        self.set_class(there, "-there")
        if run is not None and there:
            self.put(*run_parts(run, self.app.size.width - 2))


def run_parts(run: Run, width: int) -> Parts:
    """One line of ``width`` cells."""
    progress = run.progress
    if progress is None:
        return [("▶ ", "$primary"), f"run {run.id} is starting"]
    of = f" {progress.scenario_index + 1}/{progress.scenario_count}" if progress.scenario_count > 1 else ""
    left = f"{span(progress.remaining_seconds)} left" if progress.remaining_seconds is not None else "time left unknown"
    tail = f"{progress.fraction * 100:5.1f} %  {left}"
    behind = [encoder.speed for encoder in run.encoders if encoder.speed is not None and encoder.behind]
    slow = f"  ! {number(min(behind), 2)}x: not real time" if behind and progress.phase == "measuring" else ""
    head = f"{progress.scenario or 'run'}{of}  {progress.phase}"
    room = width - len(head) - len(tail) - len(slow) - 7
    if room < 6:
        head = head[: max(8, len(head) + room - 6)]
        room = 6
    return [
        ("▶ ", "bold $primary"), (head, "bold"), "  ", (bar(progress.fraction, room), "$primary"), "  ", tail,
        (slow, "bold $text-warning"),
    ]  # fmt: skip
