"""Screen 6: the run in progress, with its live figures against the baseline; presets; past runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import msgspec
from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Container as Box
from textual.widget import Widget

from wattview.client import ClientError
from wattview.model import EncoderStatus, Run, ScenarioPreset, ScenarioRecord, Snapshot
from wattview.model.power_sources import is_estimate
from wattview.model.quantities import QUANTITIES
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.text import UNKNOWN, about, bar, clock, count, date, number, signed, span
from wattview.tui.time_travel.power_range import windows_of
from wattview.tui.time_travel.trend_buffers import TrendBuffers, energy_between
from wattview.tui.view import LoadedView, Picture
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Pane, Parts, fit_height
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab

GRAPH_SECONDS = 900.0


class LabRow(NamedTuple):
    """A row of the lower table: a preset, or a past run."""

    preset: ScenarioPreset | None
    run: Run | None


PRESETS: tuple[Column[LabRow], ...] = (
    Column("Preset or suite", 30, lambda row: _title(row.preset), left=True,
           tone=lambda row: "bad" if row.preset and row.preset.error else ""),
    Column("Scenarios", 9, lambda row: _scenarios(row.preset), rank=1),
    Column("Takes about", 12, lambda row: _takes(row.preset)),
)  # fmt: skip


def _title(preset: ScenarioPreset | None) -> str:
    if preset is None:
        return ""
    return f"✗ {preset.title}: {preset.error}" if preset.error else preset.title


def _scenarios(preset: ScenarioPreset | None) -> str:
    if preset is None or preset.error:
        return UNKNOWN
    return f"{len(preset.scenarios)} ×{preset.repeat}" if preset.repeat > 1 else str(len(preset.scenarios))


def _takes(preset: ScenarioPreset | None) -> str:
    if preset is None or preset.seconds is None:
        return UNKNOWN
    if preset.least_seconds is not None and preset.most_seconds is None:
        return f">{about(preset.least_seconds)}"
    return about(preset.seconds)


RUNS: tuple[Column[LabRow], ...] = (
    Column("Run", 15, lambda row: row.run.id if row.run else "", left=True),
    Column("State", 12, lambda row: _run_state(row.run), left=True, tone=lambda row: _run_tone(row.run)),
    Column("Started", 16, lambda row: date(row.run.started) if row.run else "", left=True, rank=2),
    Column("Scenarios", 9, lambda row: str(len(row.run.scenarios)) if row.run else "", rank=1),
    Column(
        "Took", 8, lambda row: span(row.run.ended - row.run.started) if row.run and row.run.ended else UNKNOWN, rank=3
    ),
)

RATE = QUANTITIES["bitrate_bps"]

ENCODERS: tuple[Column[EncoderStatus], ...] = (
    Column("Encoder", 16, lambda one: one.stream, lambda one: one.stream, left=True),
    Column("fps", 6, lambda one: number(one.fps), lambda one: one.fps),
    Column("Speed", 7, lambda one: f"{number(one.speed, 2)}x" if one.speed is not None else UNKNOWN,
           lambda one: one.speed, tone=lambda one: "bad" if one.behind else ""),
    Column("Real time", 9, lambda one: _realtime(one), left=True, rank=1),
    Column("Frames", 8, lambda one: count(one.frames), lambda one: one.frames, rank=3),
    Column("Dropped", 7, lambda one: count(one.dropped_frames), lambda one: one.dropped_frames),
    Column("Repeated", 8, lambda one: count(one.duplicated_frames), lambda one: one.duplicated_frames, rank=4),
    Column(RATE.title, 8, lambda one: number(None if one.bitrate_bps is None else RATE.scaled(one.bitrate_bps), 0),
           lambda one: one.bitrate_bps, rank=2),
)  # fmt: skip


def _with_rate(one: EncoderStatus, snapshot: Snapshot) -> EncoderStatus:
    """FFmpeg's tee muxer reports no bitrate: what the server receives of the stream, or of the ladder's outputs."""
    if one.bitrate_bps is not None:
        return one
    received = [
        stream.bandwidth_in_bytes
        for stream in snapshot.streams
        if stream.name == one.stream or stream.name.startswith(f"{one.stream}-")
    ]
    known = [rate for rate in received if rate is not None]
    if not known or len(known) < len(received):
        return one
    return msgspec.structs.replace(one, bitrate_bps=sum(known) * 8)


def _realtime(one: EncoderStatus) -> str:
    return UNKNOWN if one.speed is None else "no" if one.behind else "yes"


def _run_state(run: Run | None) -> str:
    marks = {"running": "▶", "done": "✓", "aborted": "!", "failed": "✗", "interrupted": "✗"}
    return f"{marks[run.state]} {run.state}" if run is not None else ""


def _run_tone(run: Run | None) -> str:
    tones = {"done": "good", "aborted": "warn", "failed": "bad", "interrupted": "bad"}
    return tones.get(run.state, "") if run is not None else ""


class ScenariosScreen(LoadedView):
    ENTRY = Tab("6", "scenarios", "Scenarios", "Scen")
    TAB = ENTRY.mode

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "load", "Refresh", show=False, id="scenarios_refresh"),
    ]
    DEFAULT_CSS = """
    ScenariosScreen {
        #now { height: auto; }
        #encoders { height: 8; display: none; }
        #choices { height: 1fr; layout: vertical; }
        #watts { display: none; }
        &.-high #watts { display: block; }
        &.-tall #watts { display: block; }
        &.-tall.-running #watts { display: none; }
        #choices > Table { width: 1fr; height: 1fr; }
        &.-middle #choices, &.-wide #choices { layout: horizontal; }
        &.-running #encoders { display: block; }
        &.-low #encoders { height: 6; }
        &.-low.-running #runs { display: none; }
    }
    """

    def content(self) -> Iterator[Widget]:
        yield Pane(id="now", classes="box")
        yield Table(
            ENCODERS, lambda one: one.stream, empty="no encoder runs in this phase", id="encoders", classes="box"
        )
        with Box(id="choices"):
            yield Table(PRESETS, lambda row: row.preset.id if row.preset else "", empty="asking the daemon …",
                        opens=True, id="presets", classes="box")  # fmt: skip
            yield Table(RUNS, lambda row: row.run.id if row.run else "", empty="no run yet; n starts one", opens=True,
                        id="runs", classes="box")  # fmt: skip
        yield Graph("W", least=10.0, id="watts", classes="box")

    def on_mount(self) -> None:
        self.query_one("#now", Pane).grows = True
        self.query_one("#now").border_title = "Now"
        self.query_one("#encoders").border_title = "Encoders"
        self.query_one("#presets").border_title = "Presets and suites: enter opens one"
        self.query_one("#runs").border_title = "Runs: enter shows the results"
        self.query_one("#watts").border_title = "Power, 15 minutes"
        self.query_one("#presets").focus()

    def show(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        run = snapshot.run if snapshot is not None else None
        self.set_class(run is not None, "-running")
        if self.query_one("#watts").display:
            self._draw(picture, run)
        self._fit()
        now = self.query_one("#now", Pane)
        if snapshot is None or run is None:
            how = "n starts a run; enter opens the selected one. Suite files are in scenarios.suite_dir."
            now.put(("Nothing runs. ", "bold"), how)
            return
        now.put(*run_parts(run, snapshot, picture.trends, max(20, self.app.size.width - 4)))
        past = snapshot.recorded is not None
        empty = "how encoders were doing was not recorded" if past else "no encoder runs in this phase"
        self.query_one("#encoders", Table).show([_with_rate(one, snapshot) for one in run.encoders], empty)

    def _draw(self, picture: Picture, run: Run | None) -> None:
        """Power where there is room for it, with the scenarios that are done."""
        end = picture.snapshot.time if picture.snapshot is not None else GRAPH_SECONDS
        listed = [row.run for row in self.query_one("#runs", Table).rows if run is None or row.run.id != run.id]
        windows = windows_of(listed if run is None else [*listed, run], end - GRAPH_SECONDS, end)
        self.query_one("#watts", Graph).show(
            [Series(picture.trends["power",])], end - GRAPH_SECONDS, end, step_seconds=picture.step_seconds,
            live=picture.live, empty=picture.no_values, windows=windows,
        )  # fmt: skip

    def _fit(self) -> None:
        """A few presets and runs side by side leave their room to the graph below."""
        beside = self.query_one("#watts").display and not self.has_class("-narrow")
        rows = max(len(self.query_one(f"#{name}", Table).rows) for name in ("presets", "runs"))
        fit_height(self.query_one("#choices"), rows, self.size.height // 2 if beside else 0)

    @work(exclusive=True, exit_on_error=False)
    async def load(self) -> None:
        presets, runs = self.query_one("#presets", Table), self.query_one("#runs", Table)
        try:
            presets.show([LabRow(one, None) for one in await self.dashboard.client.presets()], "the daemon has none")
            runs.show([LabRow(None, one) for one in await self.dashboard.client.runs()])
            self._fit()
        except ClientError as error:
            if not presets.rows:
                presets.show([], str(error))

    def on_table_opened(self, message: Table.Opened) -> None:
        if not isinstance(message.row, LabRow):
            return
        if message.row.preset is not None:
            self.dashboard.launch(message.row.preset.id)
        elif message.row.run is not None:
            self.dashboard.show_results(message.row.run.results_id or "")


def run_parts(run: Run, snapshot: Snapshot, trends: TrendBuffers, width: int) -> Parts:
    """The run in a few lines: its progress, its trend, and its power against its own idle window."""
    progress = run.progress
    if progress is None:
        return [f"run {run.id} is {run.state}"]
    rest = progress.remaining_seconds
    left = f"{about(rest)} left, until {clock(snapshot.time + rest)[:5]}" if rest is not None else "unknown time left"
    lines: Parts = [
        (f"{progress.scenario or run.id}", "bold $primary"),
        f"  {progress.scenario_index + 1} of {progress.scenario_count}, {progress.phase}"
        f"{': ' + progress.message if progress.message else ''}\n",
        (bar(progress.fraction, max(10, width - 8)), "$primary"), f" {progress.fraction * 100:5.1f} %\n",
        f"{span(progress.elapsed_seconds)} elapsed, {left}   ",
    ]  # fmt: skip
    lines += _steps(run)
    lines += ["\n", ("Pushes to ", "$muted"), run.pushes_to] if run.pushes_to else []
    machine = snapshot.machine_power
    watts = machine.watts if machine is not None else None
    estimated = machine is not None and is_estimate(machine.source)
    lines += ["\n", ("Power ", "$muted"), (f"{'~' if estimated else ''}{number(watts)} W", "bold")]
    idle, known_by = idle_watts(run, snapshot, trends)
    if idle is not None:
        difference = watts - idle if watts is not None else None
        lines.append(f"   {known_by} {number(idle)} W   difference {signed(difference)} W")
    cpu = snapshot.host.cpu_percent if snapshot.host is not None else None
    lines += [("   CPU ", "$muted"), f"{number(cpu)} %"]
    return lines


def _steps(run: Run) -> Parts:
    """``✓ baseline ▶ quick · next``."""
    here = run.progress.scenario_index if run.progress is not None else -1
    parts: Parts = []
    for index, scenario in enumerate(run.scenarios[:8]):
        mark = "✓" if index < here else "▶" if index == here else "·"
        parts.append((f"{mark} {scenario.name}  ", "bold" if index == here else "$muted"))
    if len(run.scenarios) > 8:
        parts.append(f"and {len(run.scenarios) - 8} more")
    return parts


def idle_watts(run: Run, snapshot: Snapshot, trends: TrendBuffers) -> tuple[float | None, str]:
    """Idle power and its origin: from this run's idle window if the dashboard has seen it, else the daemon's."""
    window = baseline_watts(run.finished, trends)
    if window is not None:
        return window, "idle window"
    use = snapshot.power_use
    return (use.idle_watts, f"idle (by {use.idle_method})") if use is not None else (None, "")


def baseline_watts(finished: list[ScenarioRecord], trends: TrendBuffers) -> float | None:
    """Mean power of the run's idle window, from the energy counter as seen by this dashboard; None if it did not see
    the whole window. The results have the exact figure."""
    for one in finished:
        if one.type == "baseline" and one.start_time is not None and one.end_time is not None:
            joules = energy_between(trends["joules",], one.start_time, one.end_time)
            seconds = one.end_time - one.start_time
            return None if joules is None or seconds <= 0 else joules / seconds
    return None
