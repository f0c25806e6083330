"""RD curves: one per encoder, and how much more, or less, one needs than another.

The figures, their intervals and the sentence are the daemon's. Curves are marked by letters, in the plot and in the
table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import on, work
from textual.app import ComposeResult

from wattview.client import Client, ClientError
from wattview.model import Curve, CurveComparison, CurveDifference, CurvePair
from wattview.model.quantities import CURRENCY, QUANTITIES, unknown_differences
from wattview.tui.plots.panel import Plot
from wattview.tui.plots.plot import SERIES, Axis, Caption, Chart, PlotLine
from wattview.tui.results.question import QuestionPage, refused
from wattview.tui.text import UNKNOWN, apart, signed
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Parts, heading
from wattview.tui.widgets.table import Table

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

QUALITIES = ("vmaf", "psnr", "ssim")


PRICES = ("bitrate_bps", "net_watts_per_stream", "watts_per_stream", "cost_per_stream_hour")
"""The price axes, in the order of key ``f``."""

SWEEP = "Such a run: n, then tab to Bitrate, and 1M,2M,4M there; a preset on screen 6 has three bitrates too."
NO_SUCH_PAIR = "these two differ in streams or pictures and cannot be compared"
ALONE = "there is no other curve to compare it with: measure another encoder, or another preset, at several bitrates"


class Drawn(NamedTuple):
    """A curve as a row of the table. ``pair`` compares it with ``anchor``, another curve's label; None: it is the
    anchor itself, or the daemon has not compared them."""

    letter: str
    curve: Curve
    anchor: str = ""
    pair: CurvePair | None = None

    def difference(self, price: str) -> CurveDifference | None:
        known = self.pair.differences if self.pair is not None else ()
        return next((one for one in known if one.price == price), None)


def columns(quality: str, price: str) -> tuple[Column[Drawn], ...]:
    """``price`` is the one on the plot's axis."""
    axis = QUANTITIES[price]
    digits = 3 if quality == "ssim" else 1

    def span(row: Drawn) -> str:
        values = [axis.scaled(point.prices[price].mean) for point in row.curve.points if price in point.prices]
        return _span(values, axis.decimals)

    return (
        Column("Curve", 50, lambda row: f"{row.letter} {row.curve.label}", lambda row: row.letter, left=True),
        Column("Bitrate", 10, lambda row: _gap(row, "bitrate_bps"), lambda row: _percent(row, "bitrate_bps")),
        Column("Power", 10, lambda row: _gap(row, _power(row)), lambda row: _percent(row, _power(row))),
        Column(quality.upper(), 14, lambda row: _span([point.quality.mean for point in row.curve.points], digits),
               rank=1),
        Column(axis.title if axis.unit == CURRENCY else axis.unit, 16, span, rank=2),
        Column("Points", 6, lambda row: str(len(row.curve.points)), rank=3),
        Column("Repeats", 7, lambda row: _span([point.quality.count for point in row.curve.points], 0), rank=4),
        Column("Power by", 10, lambda row: row.curve.power_source or UNKNOWN, left=True, rank=5),
    )  # fmt: skip


def _span(values: Sequence[float], decimals: int) -> str:
    if not values:
        return UNKNOWN
    low, high = (f"{value:.{decimals}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _power(row: Drawn) -> str:
    """Its power: above baseline per stream, else total per stream."""
    net = row.difference("net_watts_per_stream")
    return "net_watts_per_stream" if net is not None and net.percent is not None else "watts_per_stream"


def _gap(row: Drawn, price: str) -> str:
    """``-31.2 % ≠``, as in a comparison: ``≠`` significant, ``=`` not significant, ``?`` too few repeats to test it."""
    if row.anchor == row.curve.label:
        return "reference"
    found = row.difference(price)
    if found is None or found.percent is None:
        return UNKNOWN
    sign = "?" if found.differ is None else "≠" if found.differ else "="
    return f"{percent(found.percent)} {sign}"


def _percent(row: Drawn, price: str) -> float | None:
    """The sort key of a row: 0 for the anchor itself."""
    if row.anchor == row.curve.label:
        return 0.0
    found = row.difference(price)
    return found.percent if found is not None else None


def percent(value: float) -> str:
    return f"{signed(value)} %" if value < 1000 else f"{1 + value / 100:.1f} x"


class Curves(QuestionPage):
    """The plot, and below it the curves. The curve under the cursor is compared with the marked one, else with the
    first of its kind."""

    TABLE: ClassVar[str] = "curve-table"
    DEFAULT_CSS = """
    Curves {
        #curve-picture { height: 2fr; }
        #curve-table { height: 1fr; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.price, self.quality = "bitrate_bps", "vmaf"
        self._found: CurveComparison | None = None
        self._against: dict[str, list[CurvePair]] = {}
        """Pairs with a marked curve, by its label."""

    def compose(self) -> ComposeResult:
        yield Plot(id="curve-picture", classes="box")
        yield Table(columns(self.quality, self.price), lambda row: row.curve.label, empty="", stretch=0,
                    opens=True, id="curve-table", classes="box")  # fmt: skip

    @property
    def table(self) -> Table[Drawn]:
        return self.query_one("#curve-table", Table)

    @property
    def marked(self) -> str:
        """The label of the marked curve; "" if there is none."""
        known = {curve.label for curve in self._found.curves} if self._found is not None else set()
        return next((str(key) for key in self.table.marked if key in known), "")

    # keys

    @on(Table.Opened)
    def _opened(self, message: Table.Opened) -> None:
        """Switches between the description and the plot."""
        message.stop()
        self.screen.toggle_class("-words")

    def next_price(self) -> None:
        names = PRICES
        self.price = names[(names.index(self.price) + 1) % len(names)]
        self._show()

    def next_quality(self) -> None:
        self.quality = QUALITIES[(QUALITIES.index(self.quality) + 1) % len(QUALITIES)]
        if self.client is not None:
            self.put_question(self.client)

    def mark(self) -> None:
        """Marks the curve under the cursor as the anchor; there is only one."""
        if self.table.row is None:
            return
        self.table.marked &= {self.table.row.curve.label}
        self.table.toggle_mark()
        if self.marked and self.marked not in self._against and self.client is not None:
            self._ask(self.client, self.marked)
        else:
            self._show()

    # the daemon's answers

    def put_question(self, client: Client) -> None:
        self._against.clear()
        self._ask(client, "")

    @work(exclusive=True, exit_on_error=False)
    async def _ask(self, client: Client, first: str) -> None:
        """Requests all curves, and if one is marked, every other compared with it."""
        try:
            if not first:
                self._found = await client.curves(quality=self.quality, runs=self.runs)
                first = self.marked
            if first:
                found = await client.curves(first=first, quality=self.quality, runs=self.runs)
                self._against[first] = [pair for pair in found.pairs if pair.first == first]
        except ClientError as error:
            self._found = None
            self.table.show([], "no curves")
            self.query_one(Plot).show(Chart(Axis(""), Axis(""), empty=str(error)))
            self.post_message(self.Said(self, refused(error)))
            return
        self._show()

    def _rows(self) -> list[Drawn]:
        if self._found is None:
            return []
        anchor = self.marked
        rows = []
        for at, curve in enumerate(self._found.curves):
            pairs = self._against.get(anchor, []) if anchor else self._found.pairs
            pair = next((pair for pair in pairs if pair.second == curve.label), None)
            against = anchor or (pair.first if pair is not None else "")
            if not against and any(pair.first == curve.label for pair in pairs):
                against = curve.label
            rows.append(Drawn(LETTERS[at % len(LETTERS)], curve, against, pair))
        return rows

    def _show(self) -> None:
        if self._found is None:
            return
        table = self.table
        table.set_columns(columns(self.quality, self.price))
        table.border_title = heading(f"What each needs for the same {self.quality.upper()}")
        table.border_subtitle = "space: against this one   ≠ significant   = not significant   ? too few repeats"
        table.show(self._rows(), "none yet")

    def _draw(self, here: Drawn | None) -> None:
        axis = QUANTITIES[self.price]
        picture = self.query_one(Plot)
        price = axis.words if axis.unit == CURRENCY else f"{axis.words}, {axis.unit}"
        picture.border_title = heading(f"{self.quality.upper()} against {axis.words}")
        picture.border_subtitle = "f: another price   v: another quality"
        shown = self._held(here) if here is not None else None
        chosen = [shown.curve.label, shown.anchor] if shown is not None else []
        names = apart([row.curve.label for row in self.table.rows])
        traces, labels = [], []
        for row in sorted(self.table.rows, key=lambda row: row.curve.label in chosen):
            points = [(axis.scaled(point.prices[self.price].mean), point.quality.mean)
                      for point in row.curve.points if self.price in point.prices]  # fmt: skip
            if points:
                tone = SERIES[LETTERS.index(row.letter) % len(SERIES)]
                traces.append(PlotLine(points, tone, mark=row.letter))
                if row.curve.label in chosen:
                    labels.append(Caption(*points[-1], names[row.curve.label], tone))
        lacking = self._found.reason if self._found is not None and not self._found.curves else ""
        picture.show(Chart(Axis(price), Axis(self.quality.upper()), traces, labels=labels,
                           empty=lacking or f"{axis.words} is unknown of all of them"))  # fmt: skip

    @on(Table.Highlighted)
    def _highlighted(self, message: Table.Highlighted) -> None:
        message.stop()
        self._draw(message.row)
        self.post_message(self.Said(self, self._words(message.row)))

    def _words(self, row: Drawn | None) -> Parts:
        if row is None or self._found is None:
            return [SWEEP] if self._found is not None else [""]
        shown = self._held(row)
        parts: Parts = []
        if shown.pair is None:
            lone = self._found.reason if not self._found.pairs else NO_SUCH_PAIR
            parts += [(row.curve.label, "bold $primary"), "\n", ALONE if len(self._found.curves) == 1 else lone]
        else:
            parts += pair_words(shown.pair, self.quality)
        if self._found.left_out:
            parts.append((f"\n{self._found.left_out}", "$muted"))
        return parts

    def _held(self, row: Drawn) -> Drawn:
        """The curve to describe: this one; for the anchor itself, the first that is compared with it."""
        rows = [] if row.pair is not None else self.table.rows
        return next((one for one in rows if one.pair is not None and one.pair.first == row.curve.label), row)


def pair_words(pair: CurvePair, quality: str) -> Parts:
    """The sentence, its remarks, and a line for each price."""
    parts: Parts = []
    if pair.sentence:
        parts.append((f"{pair.sentence}.", "bold $primary"))
    else:
        parts += [(pair.second, "bold $primary"), " against ", (pair.first, "bold $primary")]
    parts += [(f"\n! {remark}", "$text-warning") for remark in pair.remarks]
    over = ""
    for one in pair.differences:
        if one.percent is None:
            continue
        parts.append(f"\n{_line(one, quality)}")
        if over != (over := _range(one, quality)):
            parts.append(f"; {over}")
    parts += [(f"\n{reason}", "$muted") for reason in unknown_differences(pair.differences)]
    return parts


def _line(one: CurveDifference, quality: str) -> str:
    """``bitrate -31.2 % (-35.0 to -28.1): significant; +3.21 VMAF at equal bitrate``."""
    assert one.percent is not None
    text = f"{QUANTITIES[one.price].words} {percent(one.percent)}"
    if one.low is not None and one.high is not None:
        text += f" ({signed(one.low)} to {signed(one.high)}): {one.verdict.partition(':')[0]}"
    if one.quality_gain is not None:
        gain = signed(one.quality_gain, QUANTITIES[f"{quality}_score"].decimals)
        text += f"; {gain} {quality.upper()} at equal {QUANTITIES[one.price].words}"
    return text


def _range(one: CurveDifference, quality: str) -> str:
    """The quality range of the mean: ``over VMAF 60.0 to 90.2, 80 % of both``."""
    if one.quality_from is None or one.quality_to is None:
        return ""
    digits = 3 if quality == "ssim" else 1
    share = f", {100 * one.overlap:.0f} % of both" if one.overlap is not None else ""
    return f"over {quality.upper()} {one.quality_from:.{digits}f} to {one.quality_to:.{digits}f}{share}"
