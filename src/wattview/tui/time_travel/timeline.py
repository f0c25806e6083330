"""The timeline, visible only in the past: the position in the history, how far back, and the speed."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from wattview.model import Snapshot
from wattview.tui.text import about, clock, date, span
from wattview.tui.time_travel.playback import PastPlayback

LEAST_TRACK = 8


class Timeline(Widget):
    """One line. A click on the track goes to that moment."""

    DEFAULT_CSS = """
    Timeline { height: 1; display: none; background: $accent 25%; color: $foreground; }
    Timeline.-there { display: block; }
    Timeline:ansi { background: ansi_default; text-style: reverse; }
    """

    class Chosen(Message):
        def __init__(self, at: float) -> None:
            super().__init__()
            self.at = at

    def __init__(self) -> None:
        super().__init__()
        self._playback: PastPlayback | None = None
        self._parts: tuple[str, ...] = ()
        self._track = (0, 0)

    def show(self, playback: PastPlayback | None, shown: Snapshot | None, now: float) -> None:
        self._playback = playback
        self.set_class(playback is not None, "-there")
        parts = () if playback is None else line_of(playback, shown, now, self.app.size.width)
        if parts != self._parts:
            self._parts = parts
            self.refresh()

    def render(self) -> Content:
        if not self._parts:
            return Content("")
        mark, where, before, track, after, how = self._parts
        start = len(mark) + len(where) + len(before)
        self._track = (start, len(track))
        return Content.assemble((mark, "bold reverse"), (where, "bold"), before, track, after, (how, "bold"))

    def on_click(self, event: events.Click) -> None:
        start, width = self._track
        if self._playback is not None and start <= event.x < start + width and width > 1:
            first, last = self._playback.scale()
            self.post_message(self.Chosen(first + (last - first) * (event.x - start) / (width - 1)))


def line_of(playback: PastPlayback, shown: Snapshot | None, now: float, width: int) -> tuple[str, ...]:
    """(mark, position, before the track, track, after it, speed), ``width`` cells in all."""
    mark = " RUN " if playback.title else " PAST "
    first, last = playback.scale()
    moment = clock(playback.at) if now - playback.at < 20 * 3600 else date(playback.at)
    if playback.title:
        where = f" {playback.title}  {span(playback.at - playback.first)} of {span(playback.last - playback.first)}"
    else:
        where = f" {moment}  {about(max(0.0, now - playback.at))} ago"
    if shown is not None and shown.recorded is not None and shown.recorded.sampled is None:
        where += "  nothing recorded"
    move = f"▶ {playback.speed}x" if playback.playing else f"held {playback.speed}x"
    how = f"  {move}  L: live "
    begins = clock(first) if now - first < 20 * 3600 else date(first)
    before = f"  {begins} "
    after = f" {clock(last)}" if playback.title else " now"
    room = width - len(mark) - len(where) - len(before) - len(after) - len(how)
    if room < LEAST_TRACK:
        before, after = "  ", ""
        room = width - len(mark) - len(where) - len(before) - len(how)
    if room < LEAST_TRACK and playback.title:
        where = f" {span(playback.at - playback.first)} of {span(playback.last - playback.first)}"
        room = width - len(mark) - len(where) - len(before) - len(how)
    return mark, where, before, track_of(playback.at, first, last, max(0, room)), after, how


def track_of(at: float, first: float, last: float, width: int) -> str:
    """``├───●──┤`` of ``width`` cells."""
    if width < LEAST_TRACK:
        return " " * width
    place = round((width - 1) * (at - first) / (last - first)) if last > first else width - 1
    line = ["├", *("─" * (width - 2)), "┤"]
    line[max(0, min(width - 1, place))] = "●"
    return "".join(line)
