"""What the screens of one container, workload, stream and GPU share: its facts, its graphs over a range, its events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Container as Box
from textual.containers import VerticalScroll
from textual.widget import Widget

from wattview.model import Snapshot
from wattview.model.snapshot import TrendKind, TrendQuantity
from wattview.tui.events import LogLine
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.text import moment
from wattview.tui.time_travel.part_history import PartHistory, fitting_range
from wattview.tui.time_travel.power_range import RANGES, step_of
from wattview.tui.time_travel.trend_buffers import Point
from wattview.tui.view import Picture, View
from wattview.tui.widgets.pane import Pane, Parts, entitle

RANGE = Binding.Group("Range", compact=True)
EVENTS = 40
_EVENT_STYLES = {"info": "$muted", "warning": "$text-warning", "error": "$text-error"}


class DetailGraph(NamedTuple):
    """A graph: ``trend`` names the live trend after the subject's key, ``kept`` what the history has of it; ``below``
    is a second trend, drawn as a line, which the history has not. Values are multiplied by ``scale``."""

    id: str
    title: str
    unit: str
    trend: tuple[str, ...]
    kept: TrendQuantity | None = None
    below: tuple[str, ...] = ()
    least: float = 1.0
    scale: float = 1.0
    whole: bool = False


class PartView(View):
    """One thing, which ``turn_to`` chooses. Subclasses say ``KIND``, ``GRAPHS`` and the methods that raise here."""

    KIND: ClassVar[TrendKind]
    GRAPHS: ClassVar[tuple[DetailGraph, ...]]

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "range(-1)", "Shorter range", key_display="[", id="details_shorter",
                group=RANGE),
        Binding("right_square_bracket", "range(1)", "Longer range", key_display="]", id="details_longer",
                group=RANGE),
    ]  # fmt: skip
    DEFAULT_CSS = """
    PartView {
        #sheet { layout: vertical; height: 1fr; }
        #main { layout: vertical; height: 5fr; }
        #graphs { layout: grid; grid-size: 2; height: 1fr; }
        #side { layout: horizontal; height: 4fr; min-height: 8; }
        #facts { width: 2fr; }
        #happened { width: 1fr; display: none; }
        &.-middle #happened, &.-wide #happened { display: block; }
        &.-low .box { border: none; border-top: solid $border-blurred; }
        &.-low .box:focus { border: none; border-top: solid $border; }
        &.-wide #sheet { layout: horizontal; }
        &.-wide #main { height: 1fr; width: 2fr; }
        &.-wide #side { height: 1fr; width: 1fr; layout: vertical; }
        &.-wide #facts, &.-wide #happened { width: 1fr; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.subject: tuple[str, ...] = ()
        self.range = 0
        self._fits = False
        self._past = PartHistory(self.KIND, [one.kept for one in self.GRAPHS if one.kept is not None])

    def turn_to(self, subject: tuple[str, ...]) -> None:
        """Shows another of its kind, over the range that fits it."""
        if subject != self.subject:
            self.subject, self._fits, self._last = subject, False, None
            self._past.forget()

    # what a subclass says of its subject, by ``subject``

    def part(self, snapshot: Snapshot) -> Any:
        """The subject; None if it is not there."""
        raise NotImplementedError

    @property
    def called(self) -> str:
        raise NotImplementedError

    @property
    def about(self) -> str:
        """What its events are about."""
        return f"{self.KIND} {self.called}"

    @property
    def history_name(self) -> tuple[str, ...]:
        return self.subject

    def age(self, now: float) -> float | None:
        """Seconds since it began."""
        return None

    def facts(self, one: Any, now: float) -> Parts:
        """Of the subject as it was last seen."""
        raise NotImplementedError

    _last: Any = None
    """The subject as it was last seen."""

    _widest = False
    """Whether the range is as long as it is old; once the history has answered, no longer than what is known of it."""

    GONE: ClassVar[str] = "no longer there"

    def beside(self) -> Iterator[Widget]:
        """The widgets beside the graphs."""
        yield from ()

    def below_facts(self) -> Iterator[Widget]:
        yield from ()

    def below(self) -> Iterator[Widget]:
        """The widgets below the graphs."""
        yield from ()

    # the screen

    def content(self) -> Iterator[Widget]:
        with Box(id="sheet"):
            with Box(id="main"):
                with Box(id="graphs"):
                    for one in self.GRAPHS:
                        yield Graph(one.unit, least=one.least, whole=one.whole, id=one.id, classes="box")
                    yield from self.beside()
                yield from self.below()
            with Box(id="side"):
                with VerticalScroll(id="facts", classes="box"):
                    yield Pane(id="text")
                yield from self.below_facts()
                with VerticalScroll(id="happened", classes="box"):
                    yield Pane(id="events")

    def on_mount(self) -> None:
        self.query_one("#happened").border_title = "Events"
        for pane in self.query("#text, #events").results(Pane):
            pane.grows = True

    def show(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        if snapshot is None or not self.subject:
            return
        one = self.part(snapshot)
        self._last = one or self._last
        entitle(self.query_one("#facts"), self.called, "" if one is not None else f"! {self.GONE}; its last figures")
        if self._last is not None:
            self.query_one("#text", Pane).put(*self.facts(self._last, snapshot.time))
        if not self._fits:
            self.range, self._fits = fitting_range(self.age(snapshot.time)), True
            self._widest = True
        self._draw(picture, snapshot.time)
        self.query_one("#events", Pane).put(*self._events(picture, snapshot.time))

    @property
    def window(self) -> float:
        return RANGES[self.range][1]

    def _draw(self, picture: Picture, now: float) -> None:
        start = now - self.window
        key = (self.KIND, *self.subject)
        step = step_of(self.window) or picture.step_seconds
        for one in self.GRAPHS:
            graph = self.query_one(f"#{one.id}", Graph)
            trend = picture.trends[(*key, *one.trend)]
            points = self._past.points(one.kept, trend, now) if one.kept is not None else list(trend)
            series = [Series(_scaled(points, one.scale))]
            if one.below:
                series.append(Series(_scaled(picture.trends[(*key, *one.below)], one.scale), "a"))
            graph.show(series, start, now, step_seconds=step, live=picture.live and self.window <= 3600,
                       empty=picture.no_values)  # fmt: skip
            entitle(graph, f"{one.title}, {RANGES[self.range][0]}")
        if self._last is not None and self._past.wants(start, now, picture.playback is not None) and self.is_current:
            self._load(start, now)

    @work(exclusive=True, exit_on_error=False)
    async def _load(self, start: float, now: float) -> None:
        await self._past.load(self.dashboard.client, start, now, *self.history_name)
        picture = self.dashboard.picture
        if self._widest:
            self._widest = False
            trend = picture.trends[self.KIND, *self.subject]
            self.range = fitting_range(now - min([now, *self._past.oldest(), *(at for at, _ in trend)]))
        self.paint(picture)

    def _events(self, picture: Picture, now: float) -> Parts:
        until = now if picture.playback is not None else float("inf")
        lines = [one for one in self.dashboard.events if one.event.about == self.about and one.event.time <= until]
        return event_parts(lines)

    def action_range(self, step: int) -> None:
        self.range = max(0, min(len(RANGES) - 1, self.range + step))
        self._widest = False
        self._past.forget()
        self.paint(self.dashboard.picture)


class Details(PartView):
    """One that is opened from a table."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,left,h", "app.pop_screen", "Back", key_display="esc", id="details_back"),
        *PartView.BINDINGS,
    ]


def event_parts(lines: Sequence[LogLine], most: int = EVENTS, *, about: bool = False) -> Parts:
    """The newest of these events, newest first; with ``about``, each after the name of what it is about."""
    parts: Parts = []
    for line in lines[: -most - 1 : -1]:
        text = f"{line.event.about}: {line.event.text}" if about else line.event.text
        parts += [f"{moment(line.time)}  ", (f"{text}\n", _EVENT_STYLES[line.event.level])]
    return parts or [("none since the daemon's log began", "$muted")]


def _scaled(points: Iterable[Point], scale: float) -> list[Point]:
    return list(points) if scale == 1.0 else [(at, value * scale) for at, value in points]
