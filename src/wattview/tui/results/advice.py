"""The advice page: the target, the objective, and the daemon's answer with all candidates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Input, Label, Select

from wattview.client import Client, ClientError
from wattview.model import Advice, Choice
from wattview.tui.results.question import PATIENCE_SECONDS, QuestionPage, refused
from wattview.tui.text import UNKNOWN
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Pane, Parts
from wattview.tui.widgets.table import Table

OBJECTIVES = (("energy", "energy"), ("power", "power"), ("cost", "cost"), ("carbon", "carbon"))
"""The words of ``wattview results advise`` and of the API."""


class AdviceAnswer(NamedTuple):
    """A line of the ranking. ``place`` is 0 for a setting that is not known to meet the target."""

    place: int
    choice: Choice
    unit: str


class AdviceAsked(NamedTuple):
    vmaf: float | None = None
    qoe: float | None = None
    streams: int | None = None
    most: float | None = None


def asked(fields: dict[str, str]) -> tuple[AdviceAsked, str]:
    """The target in the fields, and its error ("" if there is none)."""
    values: dict[str, float | None] = {}
    for name, (title, least, most) in FIELDS.items():
        text = fields.get(name, "").strip().replace(",", ".")
        try:
            values[name] = value = float(text) if text else None
        except ValueError:
            return AdviceAsked(), f"{title}: a number, not {text!r}"
        if value is not None and not least <= value <= most:
            return AdviceAsked(), f"{title}: {least:g} to {most:g}"
    streams = values["streams"]
    if streams is not None and streams != int(streams):
        return AdviceAsked(), "Streams: a whole number"
    whole = int(streams) if streams is not None else None
    return AdviceAsked(values["vmaf"], values["qoe"], whole, values["most"]), ""


FIELDS = {
    "vmaf": ("VMAF ≥", 0.0, 100.0), "qoe": ("QoE ≥", 1.0, 5.0), "streams": ("Streams ≥", 1.0, 1e6),
    "most": ("At most", 0.0, 1e12),
}  # fmt: skip

COLUMNS: tuple[Column[AdviceAnswer], ...] = (
    Column("#", 2, lambda row: str(row.place) if row.place else "-", left=True),
    Column("Setting", 52, lambda row: row.choice.label, left=True),
    Column("Takes", 14, lambda row: _amount(row.choice.value, row.unit)),
    Column("Above the best", 14, lambda row: _above(row), rank=3),
    Column("Interval", 20, lambda row: _interval(row), rank=2),
    Column("Verdict", 30, lambda row: verdict(row), left=True, rank=1,
           tone=lambda row: "" if row.place == 1 else "good" if row.place else "dim"),
)  # fmt: skip


def _amount(value: float | None, unit: str) -> str:
    return UNKNOWN if value is None else f"{value:.4g} {unit}".rstrip()


def _above(row: AdviceAnswer) -> str:
    return UNKNOWN if row.choice.above_best is None or row.place == 1 else f"+{row.choice.above_best:.3g} {row.unit}"


def _interval(row: AdviceAnswer) -> str:
    gap = row.choice.difference
    known = gap is not None and gap.low is not None and gap.high is not None
    return f"{gap.low:+.3g} to {gap.high:+.3g}" if known and gap is not None else UNKNOWN


def verdict(row: AdviceAnswer) -> str:
    """The reason for its place, in words."""
    if row.choice.reason:
        return f"{'may meet it' if row.choice.meets == 'may meet' else 'rejected'}: {row.choice.reason}"
    gap = row.choice.difference
    judged = "the best" if row.place == 1 else gap.verdict if gap is not None else ""
    return ", ".join((judged, *row.choice.remarks))


class Advise(QuestionPage):
    """The form, the answer in a sentence, and the ranking."""

    TABLE: ClassVar[str] = "ranking"
    DEFAULT_CSS = """
    Advise {
        .fields #most { width: 8; margin-right: 0; }
        .fields #unit { width: 7; padding: 0 0 0 1; }
        .answer { max-height: 5; }
        #ranking { height: 1fr; }
    }
    """

    def compose(self) -> ComposeResult:
        with Vertical(id="form", classes="box form"):
            with Horizontal(classes="fields"):
                yield from self._fields()
            yield Pane(id="answer", classes="answer")
        yield Table(COLUMNS, lambda row: (row.place, row.choice.label), empty="", stretch=-1, id="ranking",
                    classes="box")  # fmt: skip

    def _fields(self) -> Iterator[Widget]:
        for name, value in (("vmaf", "90"), ("qoe", ""), ("streams", "1"), ("most", "")):
            kind = "qoe" if name == "qoe" else ""
            yield Label(FIELDS[name][0], classes=kind)
            yield Input(value, id=name, compact=True, select_on_focus=True, classes=kind)
        yield Label("", id="unit")
        yield Label("lowest")
        yield Select(OBJECTIVES, value="energy", allow_blank=False, compact=True, id="objective")

    def on_mount(self) -> None:
        self.query_one("#form").border_title = "Which setting is good enough, and cheapest? Tab: edit"
        self.query_one("#ranking").border_title = "Ranking"

    def put_question(self, client: Client) -> None:
        wish, wrong = asked({field.id or "": field.value for field in self.query(Input)})
        if wrong:
            self.query_one("#answer", Pane).put((wrong, "$text-error"))
            return
        self._ask(client, wish, str(self.query_one(Select).value))

    @work(exclusive=True, exit_on_error=False)
    async def _ask(self, client: Client, wish: AdviceAsked, objective: str) -> None:
        await asyncio.sleep(PATIENCE_SECONDS)
        answer, ranking = self.query_one("#answer", Pane), self.query_one("#ranking", Table)
        try:
            advice = await client.advice(objective=objective, runs=self.runs, **wish._asdict())
        except ClientError as error:
            answer.put(*refused(error))
            ranking.show([], "")
            return
        self._show(advice)

    def _show(self, advice: Advice) -> None:
        self.query_one("#unit", Label).update(advice.unit)
        perhaps = f", {len(advice.undecided)} may be" if advice.undecided else ""
        self.query_one("#answer", Pane).put(
            (f"{advice.verdict[:1].upper()}{advice.verdict[1:]}.", "bold"), "\n",
            (f"By {advice.figure}, from {self.asked_about}{f' of {advice.machine}' if advice.machine else ''}:"
             f" {len(advice.choices)} good enough{perhaps}, {len(advice.rejected)} rejected."
             f" {advice.left_out}", "$muted"),
        )  # fmt: skip
        rows = [AdviceAnswer(place, choice, advice.unit) for place, choice in enumerate(advice.choices, 1)]
        rows += [AdviceAnswer(0, choice, advice.unit) for choice in (*advice.undecided, *advice.rejected)]
        self.query_one("#ranking", Table).show(rows, "no setting has been measured yet; press n to run a scenario")

    @on(Table.Highlighted)
    def _weighed(self, message: Table.Highlighted) -> None:
        message.stop()
        self.post_message(self.Said(self, weighed_parts(message.row)))


def weighed_parts(row: AdviceAnswer | None) -> Parts:
    """One line of the ranking as a sentence."""
    if row is None:
        return [""]
    place = f"Place {row.place}" if row.place else "May meet it" if row.choice.meets == "may meet" else "Rejected"
    takes = f": {_amount(row.choice.value, row.unit)}" if row.choice.value is not None else ""
    parts: Parts = [(row.choice.label, "bold $primary"), f"\n{place}{takes}"]
    if row.choice.reason:
        return [*parts, f": {row.choice.reason}"]
    if row.place > 1:
        interval = "" if _interval(row) == UNKNOWN else f", interval {_interval(row)} {row.unit}"
        parts.append(f", {_above(row)} above the best{interval}\n{verdict(row)}")
    parts += [(f"\n! {text}", "$text-warning") for text in row.choice.remarks.values()]
    return parts
