"""Time travel: its keys, and the snapshots of the past that all screens then show.

The daemon makes a snapshot of a past moment (``GET /api/v1/snapshot?time=``), so that screens need not know that they
show the past. One request is in flight at a time; moments passed meanwhile are skipped. Nothing here waits for the
daemon, and live data are still collected.
"""

from __future__ import annotations

import time
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.timer import Timer

from wattview.client import CallRefused, Client, ClientError
from wattview.config import Tui
from wattview.model import RunResult, Snapshot
from wattview.tui.base_app import BaseApp
from wattview.tui.time_travel.go_to import GoTo
from wattview.tui.time_travel.playback import PastPlayback
from wattview.tui.time_travel.timeline import Timeline
from wattview.tui.time_travel.trend_backfill import AHEAD_SECONDS, TrendBackfill, backfill_or_none
from wattview.tui.time_travel.trend_buffers import TrendBuffers
from wattview.tui.view import View

PLAY_TICK_SECONDS = 0.5
"""Interval of requests during playback; at normal speed every second tick shows something new."""

EDGE_SECONDS = 5.0
"""Time shown before a run's start and after its end."""

TIME = Binding.Group("Time", compact=True)

ONLY_POWER = "The history no longer has this run (history.retention): only the power of its windows is left."


class TimeTravelApp(BaseApp):
    """An app whose screens can show the past. ``shown_past`` is then the snapshot and its trends."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("comma", "travel(-1)", "Back in time", key_display=",", id="travel_back", group=TIME),
        Binding("full_stop", "travel(1)", "Forward in time", key_display=".", id="travel_forward", group=TIME),
        Binding("less_than_sign", "leap(-1)", "Far back in time", show=False, key_display="<", id="travel_far_back"),
        Binding(
            "greater_than_sign", "leap(1)", "Far forward in time", show=False, key_display=">", id="travel_far_forward"
        ),
        Binding("at", "go_to", "Go to a time", show=False, key_display="@", id="travel_go_to"),
        Binding("p", "play", "Play", id="travel_play"),
        Binding("plus,equals_sign", "faster(1)", "Faster", show=False, key_display="+", id="travel_faster"),
        Binding("minus", "faster(-1)", "Slower", show=False, key_display="-", id="travel_slower"),
        Binding("L", "live", "Live", id="travel_live"),
    ]

    client: Client
    latest: Snapshot | None

    def __init__(self, settings: Tui) -> None:
        super().__init__(settings)
        self.playback: PastPlayback | None = None
        self.shown_past: tuple[Snapshot, TrendBuffers] | None = None
        self._backfill: TrendBackfill | None = None
        self._fetching = False
        self._played = 0.0
        self._clock: Timer | None = None
        self._travel_error = ""

    # the way through time

    def travel_to(self, at: float) -> None:
        """Shows the moment ``at`` on every screen."""
        if self.latest is None:
            return
        now = self.latest.time
        if self.playback is None:
            self.playback = PastPlayback(at, 0.0, now)
            self.refresh_bindings()
        elif not self.playback.title:
            self.playback.bound(self.playback.first, now)
        self.playback.go(at)
        self._fetch_soon()

    def _steps(self) -> tuple[float, float]:
        """The small and the large step of the active screen."""
        return next((one.steps() for one in reversed(self.screen_stack) if isinstance(one, View)), View.STEPS)

    def _step(self, seconds: float) -> None:
        if self.latest is None:
            return
        at = self.playback.at if self.playback is not None else self.latest.time
        free = self.playback is None or not self.playback.title
        if free and seconds > 0 and at + seconds > self.latest.time - self._steps()[0]:
            self.action_live()  # less than a step from now counts as now
        else:
            self.travel_to(at + seconds)

    def action_travel(self, step: int) -> None:
        self._step(step * self._steps()[0])

    def action_leap(self, step: int) -> None:
        self._step(step * self._steps()[1])

    def action_go_to(self) -> None:
        if isinstance(self.screen, ModalScreen) or self.latest is None:
            return
        now = self.latest.time

        def answered(at: float | None) -> None:
            if at is not None:
                self.travel_to(at)

        self.push_screen(GoTo(now), answered)

    def action_live(self) -> None:
        """Back to now, from anywhere."""
        self.playback = self.shown_past = self._backfill = None
        self._travel_error = ""
        self._keep_time()
        self.refresh_bindings()
        self.paint_soon()

    def action_play(self) -> None:
        playback = self.playback
        if playback is None:
            return
        playback.play()
        self._keep_time()
        self._fetch_soon()

    def action_faster(self, steps: int) -> None:
        if self.playback is not None:
            self.playback.faster(steps)
            self.paint_soon()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("live", "play", "faster"):
            return self.playback is not None
        return super().check_action(action, parameters)

    def on_timeline_chosen(self, message: Timeline.Chosen) -> None:
        self.travel_to(message.at)

    # a run again

    @work(exclusive=True, group="replay", exit_on_error=False)
    async def replay(self, run_id: str) -> None:
        """Replays a recorded run from its start."""
        try:
            start, end = await self._window(run_id)
            first = await self._reached(start, end)
        except ClientError as error:
            self.notify(str(error), title=f"Run {run_id} cannot be shown again", severity="error")
            return
        if first > start + 1.0:
            late = "The history no longer has the start of the run (history.retention): playback starts later."
            self.notify(late, title=f"Run {run_id}", severity="warning")
        self.playback = PastPlayback(first, first, end, run_id)
        self._backfill = None
        self.refresh_bindings()
        self.switch_mode("overview")
        self.playback.play()
        self._keep_time()
        self._fetch_soon()

    async def _window(self, run_id: str) -> tuple[float, float]:
        """Start and end of a run: from its journal, else from the windows of its results."""
        try:
            run = await self.client.run(run_id)
        except CallRefused as error:
            if error.status != 404:
                raise
        else:
            now = self.latest.time if self.latest is not None else time.time()
            return run.started, run.ended if run.ended is not None else now
        window = window_of(await self.client.result(run_id))
        if window is None:
            raise ClientError("its results do not say when it was")
        return window

    async def _reached(self, start: float, end: float) -> float:
        """The run's first moment with a picture. Raises CallRefused if there is none."""
        try:
            begin = await self.client.snapshot(start)
        except CallRefused as error:
            if error.status != 404:
                raise
            last = await self.client.snapshot(end)
            return max(start, last.recorded.first) if last.recorded is not None else start
        if begin.recorded is not None and begin.recorded.run:
            self.notify(ONLY_POWER, title=f"Run {begin.recorded.run}", severity="warning")
        return start

    # the pictures of it

    def _fetch_soon(self) -> None:
        self.paint_soon()
        if not self._fetching:
            self._fetching = True
            self._fetch()

    def _keep_time(self) -> None:
        """The clock ticks only during playback."""
        playing = self.playback is not None and self.playback.playing
        if playing and self._clock is None:
            self._played = time.monotonic()
            self._clock = self.set_interval(PLAY_TICK_SECONDS, self._tick)
        elif not playing and self._clock is not None:
            self._clock.stop()
            self._clock = None

    def _tick(self) -> None:
        now = time.monotonic()
        elapsed, self._played = now - self._played, now
        playback = self.playback
        if playback is None or not playback.playing:
            return
        if self.latest is not None:
            playback.bound(playback.first, self.latest.time)
        playback.advance(elapsed)
        self._keep_time()
        if playback.at_end and not playback.title:
            self.action_live()
        else:
            self._fetch_soon()

    @work(exit_on_error=False)
    async def _fetch(self) -> None:
        """Requests pictures until the displayed moment is the wanted one."""
        try:
            while (playback := self.playback) is not None:
                at = playback.at
                shown = self.shown_past[0].time if self.shown_past is not None else None
                if at == shown or not await self._fetch_one(playback, at):
                    return
        finally:
            self._fetching = False

    async def _fetch_one(self, playback: PastPlayback, at: float) -> bool:
        """Whether there is a picture of that moment now."""
        try:
            snapshot = await self.client.snapshot(at)
        except ClientError as error:
            self._failed(playback, error)
            return False
        if self._backfill is None or not self._backfill.cover(at):
            self._backfill = await backfill_or_none(self.client, at, AHEAD_SECONDS)
        if self.playback is not playback:
            return False  # the user left meanwhile
        self._travel_error = ""
        if snapshot.recorded is not None:
            playback.bound(snapshot.recorded.first, self.latest.time if self.latest is not None else at)
        self.shown_past = (snapshot, self._trends(snapshot))
        self.paint_soon()
        return True

    def _trends(self, snapshot: Snapshot) -> TrendBuffers:
        """The trends at that time. For a run that the history has lost: of the moments shown so far."""
        if snapshot.recorded is not None and snapshot.recorded.run:
            before = self.shown_past
            trends = before[1] if before is not None and before[0].time < snapshot.time else TrendBuffers()
            trends.record(snapshot)
            return trends
        return self._backfill.until(snapshot) if self._backfill is not None else TrendBuffers()

    def _failed(self, playback: PastPlayback, error: ClientError) -> None:
        """Reports a failure once and keeps the display. If nothing of the past has been shown yet, returns to now."""
        playback.playing = False
        self._keep_time()
        if str(error) != self._travel_error:
            self._travel_error = str(error)
            self.notify(str(error), title="That moment cannot be shown", severity="warning")
        if self.shown_past is None:
            if self.playback is playback:
                self.action_live()
        else:
            playback.at = self.shown_past[0].time
            self.paint_soon()


def window_of(result: RunResult) -> tuple[float, float] | None:
    """From the first to the last measured window of a results file, with a margin."""
    starts = [one.record.start_time for one in result.scenarios if one.record.start_time is not None]
    ends = [one.record.end_time for one in result.scenarios if one.record.end_time is not None]
    return (min(starts) - EDGE_SECONDS, max(ends) + EDGE_SECONDS) if starts and ends else None
