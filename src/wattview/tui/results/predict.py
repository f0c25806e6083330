"""The prediction page: the question, the answer, and the measured loads behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from msgspec.structs import replace
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Input, Label, Select

from wattview.client import CallRefused, Client, ClientError
from wattview.model import Load, MeasuredLoad, PowerPrediction, Question, Setting
from wattview.model.quantities import POWER
from wattview.tui.plots.panel import Plot
from wattview.tui.plots.plot import SERIES, Axis, Caption, Chart, PlotLine
from wattview.tui.results.question import NARROWER, PATIENCE_SECONDS, QuestionPage, refused
from wattview.tui.text import number, signed
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Pane, Parts
from wattview.tui.widgets.table import Table

WITHIN, BEYOND = "no answer", "a guess"
BEYOND_CHOICES = (("no answer", WITHIN), ("a guess", BEYOND))
"""What to do outside of the measured range."""

OUTSIDE = "Measure it (n), or extrapolate with Beyond (tab)."


def wanted(fields: Mapping[str, str]) -> tuple[Question | None, str]:
    """The question in the fields, or its error."""
    try:
        streams = int(fields["streams"])
    except ValueError:
        return None, f"Streams: a whole number, not {fields['streams']!r}"
    try:
        fps = float(fields["fps"].replace(",", "."))
    except ValueError:
        return None, f"Frames a second: a number, not {fields['fps']!r}"
    if not 1 <= streams <= 100_000:
        return None, "Streams: 1 to 100000"
    if not 1 <= fps <= 240:
        return None, "Frames a second: 1 to 240"
    resolutions = tuple(fields["picture"].replace(",", " ").split())
    if not resolutions:
        return None, "Picture: such as 1280x720, several for a ladder"
    bitrates = tuple(fields["bitrate"].replace(",", " ").split())
    if len(bitrates) not in (0, len(resolutions)):
        return None, "Bitrate: such as 2500k, one for each picture"
    source, encoder, preset = (fields[name].strip() for name in ("source", "encoder", "preset"))
    return Question(
        streams=streams, resolutions=resolutions, fps=fps, bitrates=bitrates, source=source, encoder=encoder,
        preset=preset, extrapolate=fields["beyond"] == BEYOND,
    ), ""  # fmt: skip


COLUMNS: tuple[Column[MeasuredLoad], ...] = (
    Column("Streams", 14, lambda row: _streams(row), lambda row: row.load.streams, left=True),
    Column("Megapixel/s", 12, lambda row: number(row.load.megapixels), lambda row: row.load.megapixels),
    Column("Bit/pixel", 9, lambda row: number(row.load.bits_per_pixel, 3), lambda row: row.load.bits_per_pixel, rank=2),
    Column(f"Measured {POWER.unit}", 12, lambda row: number(row.watts, POWER.decimals), lambda row: row.watts),
    Column("Times", 6, lambda row: str(row.repeats), lambda row: row.repeats, rank=1),
    Column(
        f"Unseen {POWER.unit}",
        12,
        lambda row: number(row.left_out_watts, POWER.decimals),
        lambda row: row.left_out_watts,
    ),
    Column(
        f"Misses by {POWER.unit}",
        12,
        lambda row: signed(_miss(row), POWER.decimals),
        lambda row: abs(_miss(row) or 0.0),
    ),
)


def _streams(row: MeasuredLoad) -> str:
    count = row.load.streams
    return f"{count:>4g} {'idle' if not count else 'stream' if count == 1 else 'streams'}"


def _miss(row: MeasuredLoad) -> float | None:
    return None if row.left_out_watts is None else row.left_out_watts - row.watts


class Predict(QuestionPage):
    """The form and the answer in a sentence; the measured loads, as a plot and in numbers."""

    TABLE: ClassVar[str] = "loads"
    DEFAULT_CSS = """
    Predict {
        .fields #predict-picture { width: 16; }
        .fields #predict-encoder { width: 10; }
        .fields #predict-preset { width: 9; }
        .fields #predict-source { width: 8; }
        .answer { max-height: 9; }
        #load-picture { height: 3fr; }
        #loads { height: 2fr; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._found: PowerPrediction | None = None
        self._answered = False
        self._suggested = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="box form"):
            with Horizontal(classes="fields"):
                yield from self._field("streams", "Streams", "2")
                yield from self._field("picture", "Picture", "1280x720")
                yield from self._field("fps", "Frames/s", "30")
                yield from self._field("bitrate", "Bitrate", "")
            with Horizontal(classes="fields"):
                yield from self._field("encoder", "Encoder", "")
                yield from self._field("preset", "Preset", "")
                yield from self._field("source", "Source", "")
                yield Label("Beyond")
                yield Select(BEYOND_CHOICES, value=WITHIN, allow_blank=False, compact=True, id="predict-beyond")
            yield Pane(classes="answer")
        yield Plot(id="load-picture", classes="box")
        yield Table(COLUMNS, lambda row: row.load, empty="", id="loads", classes="box")

    def _field(self, name: str, title: str, value: str) -> Iterator[Widget]:
        yield Label(title)
        yield Input(value, placeholder="any" if not value else "", id=f"predict-{name}", compact=True,
                    select_on_focus=True)  # fmt: skip

    def on_mount(self) -> None:
        self.query_one(".form").border_title = "What power will this take? Tab: edit"
        self.query_one("#loads").border_title = "Measured loads, and the leave-one-out check"

    def suggest(self, settings: Sequence[Setting]) -> None:
        """Suggests the first measured picture with one stream less than the maximum, which is inside the measured
        range."""
        known = next((one for one in settings if one.streams and one.resolution and one.fps), None)
        if self._suggested or known is None:
            return
        self._suggested = True
        most = max(one.streams or 1 for one in settings if one.resolution == known.resolution)
        picture = ",".join(output.resolution for output in known.outputs) or known.resolution
        with self.prevent(Input.Changed):
            for name, value in (("streams", max(1, most - 1)), ("picture", picture), ("fps", known.fps)):
                self.query_one(f"#predict-{name}", Input).value = f"{value:g}" if name == "fps" else str(value)

    def edited(self) -> None:
        self._suggested = True

    def put_question(self, client: Client) -> None:
        fields = {(field.id or "").removeprefix("predict-"): field.value for field in self.query(Input)}
        wish, wrong = wanted({**fields, "beyond": str(self.query_one(Select).value)})
        if wish is None:
            self.query_one(".answer", Pane).put((wrong, "$text-error"))
            return
        self._ask(client, wish)

    @work(exclusive=True, exit_on_error=False)
    async def _ask(self, client: Client, wish: Question) -> None:
        await asyncio.sleep(PATIENCE_SECONDS)
        why: ClientError | None = None
        try:
            self._found = await client.predict(wish, self.runs)
        except ClientError as error:
            why, self._found = error, None
        if isinstance(why, CallRefused) and not wish.extrapolate:
            self._found = await self._measured(client, wish)
        self._answered = why is None
        hint = OUTSIDE if self._found is not None else NARROWER
        self.query_one(".answer", Pane).put(*(self._answer(wish) if why is None else refused(why, hint)))
        self._show()

    async def _measured(self, client: Client, wish: Question) -> PowerPrediction | None:
        """The measured range, for a question without an answer."""
        try:
            return await client.predict(replace(wish, extrapolate=True), self.runs)
        except ClientError:
            return None

    def _answer(self, wish: Question) -> Parts:
        found = self._found
        assert found is not None
        asked = f"{wish.streams} x {', '.join(wish.resolutions)} {wish.fps:g} fps"
        on = f" on {found.machine}" if found.machine else ""
        parts: Parts = []
        if found.extrapolated:
            parts.append(("EXTRAPOLATED  ", "bold $text-warning"))
        return [
            *parts, (f"{POWER.text(found.watts)} ±{POWER.text(found.error_watts)}", "bold $primary"),
            (f"  {asked} {found.of}", "bold"), f"\nPower of the host ({found.power_source}) = {found.formula}",
            *((f"\n! {remark}", "$text-warning") for remark in found.remarks),
            (f"\n± is the leave-one-out error: how far the fit misses {found.fit.settings} loads, each left out in"
             f" turn{found.fit.by_load}. From {found.scenarios} scenarios of {self.asked_about}{on}; measured range:"
             f" {found.spans}.{f' {found.left_out[0].upper()}{found.left_out[1:]}.' if found.left_out else ''}",
             "$muted"),
        ]  # fmt: skip

    def _show(self) -> None:
        found = self._found
        table: Table[MeasuredLoad] = self.query_one("#loads", Table)
        table.show(found.measured if found is not None else [], "nothing to predict from: see above")
        self._draw(table.row)

    def _draw(self, here: MeasuredLoad | None) -> None:
        picture = self.query_one(Plot)
        picture.border_title = "Power of the host: measured, and the fit with its leave-one-out error"
        if self._found is None:
            picture.show(Chart(Axis(""), Axis(""), empty="no fit"))
        else:
            picture.show(fit_chart(self._found, here, self._answered))

    @on(Table.Highlighted)
    def _highlighted(self, message: Table.Highlighted) -> None:
        message.stop()
        self._draw(message.row)
        self.post_message(self.Said(self, load_words(message.row)))


def fit_chart(found: PowerPrediction, here: MeasuredLoad | None, answered: bool) -> Chart:
    """Against what the fit is made of; one of two terms is drawn over the pixels, for streams like those asked for."""
    by_pixels = "megapixels" in found.fit.terms

    def across(load: Load) -> float:
        return load.megapixels if by_pixels else load.streams

    fit, asked = found.fit, across(found.load)
    loads = [across(one.load) for one in found.measured]
    slope = (found.watts - fit.base_watts) / asked
    ends = [(x, fit.base_watts + slope * x) for x in (min(loads), max([*loads, *([asked] if answered else [])]))]
    traces = [
        PlotLine(ends, SERIES[0], f"fit {found.of}".strip()),
        PlotLine([(across(one.load), one.watts) for one in found.measured], "point", "measured", "○", joined=False),
    ]
    labels = []
    if answered:
        traces.append(PlotLine([(asked, found.watts)], "marked", "asked for", "■", joined=False))
        labels.append(
            Caption(asked, found.watts, f"{POWER.text(found.watts)} ±{POWER.text(found.error_watts)}", "marked")
        )
    if here is not None:
        labels.append(Caption(across(here.load), here.watts, here.words, strong=True))
    watts = Axis(POWER.unit)
    return Chart(
        Axis("megapixels a second") if by_pixels else Axis("streams", whole=True), watts, traces, labels=labels,
        band=[(x, y - fit.error_watts, y + fit.error_watts) for x, y in ends], empty="no load",
    )  # fmt: skip


def load_words(row: MeasuredLoad | None) -> Parts:
    """One measured load, with its leave-one-out prediction."""
    if row is None:
        return [""]
    times = "once" if row.repeats == 1 else f"{row.repeats} times"
    what = "Idle, no stream" if not row.load.streams else row.words
    unseen = "\nthere is no fit without it"
    if row.left_out_watts is not None:
        missed = f"{signed(_miss(row), POWER.decimals)} {POWER.unit}"
        unseen = f"\nwithout it the fit predicts {POWER.text(row.left_out_watts)}: it misses by {missed}"
    return [(what, "bold $primary"), f"\nmeasured {times}: {POWER.text(row.watts)}", unseen]
