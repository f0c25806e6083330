"""A comparison as table rows: columns of figures, and every column's difference from the first.

A block is one comparison: one for scenarios; for runs, one per setting that the first run has in common with another.
All figures and intervals come from the control API.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from wattview.model import Difference, Group, RunComparison, SideBySide
from wattview.model.quantities import OF_RESULTS, Quantity
from wattview.tui.results.rows import ResultRow, notes
from wattview.tui.results.values import Value, around, of_group, signed_written, written
from wattview.tui.text import UNKNOWN, signed

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Block(NamedTuple):
    """``differences`` and ``remarks`` are by column, from the second on; ``currency`` is that of prices. ``cells`` are
    those of its heading, if it is not about a setting."""

    title: str
    columns: Sequence[ResultRow | Group | None]
    differences: Sequence[dict[str, Difference]]
    remarks: Sequence[str]
    currency: str = ""
    cells: Sequence[str] = ()

    def value(self, column: int, name: str) -> Value:
        there = self.columns[column]
        if there is None:
            return Value()
        return there.value(name) if isinstance(there, ResultRow) else of_group(there, name)

    def difference(self, column: int, name: str) -> Difference | None:
        """That column less the first."""
        return self.differences[column - 1].get(name) if column else None


class Line(NamedTuple):
    """A figure of a block, or the block's heading."""

    place: int
    block: Block
    figure: Quantity | None = None

    @property
    def key(self) -> tuple[int, str]:
        return self.place, self.figure.name if self.figure is not None else ""


def of_rows(rows: Sequence[ResultRow], answer: SideBySide | None) -> list[Block]:
    """One block: these rows side by side. ``answer`` is None until the daemon has answered."""
    others = len(rows) - 1
    differences = answer.differences if answer is not None else [{} for _ in range(others)]
    remarks = answer.remarks if answer is not None else [""] * others
    return [Block("", rows, differences, remarks, next((row.currency for row in rows if row.currency), ""))]


def of_runs(answers: Sequence[RunComparison]) -> list[Block]:
    """The difference of the runs as a whole; then a block for each setting of the first run that another has too. A
    column is empty if its run lacks the setting."""
    settings: dict[str, tuple[Group, dict[int, Group], dict[int, dict[str, Difference]], dict[int, str]]] = {}
    for column, answer in enumerate(answers):
        for pair in answer.pairs:
            _, groups, differences, remarks = settings.setdefault(pair.first.label, (pair.first, {}, {}, {}))
            groups[column], differences[column], remarks[column] = (
                pair.second,
                pair.differences,
                pair.remark or answer.remark,
            )
    places = range(len(answers))
    whole = Block("Idle machine W", [None] * (len(answers) + 1), [{} for _ in answers],
                  [whole_words(answer) for answer in answers], cells=["", *map(_idle, answers)])  # fmt: skip
    return [
        whole,
        *(Block(label, [first, *(groups.get(at) for at in places)], [differences.get(at, {}) for at in places],
              [remarks.get(at, "") for at in places])
        for label, (first, groups, differences, remarks) in settings.items())
    ]  # fmt: skip


def _idle(answer: RunComparison) -> str:
    gap = answer.baseline_watts
    return UNKNOWN if gap is None else f"{signed(gap.difference, 2)} {_sign(gap)}"


def whole_words(answer: RunComparison) -> str:
    """The difference of the idle machine, settings of one run only, and how the verdicts were computed."""
    texts = [] if answer.pairs else ["the runs have no setting in common"]
    if (gap := answer.baseline_watts) is not None:
        within = (
            f", {level(gap)} interval {signed(gap.low, 2)} to {signed(gap.high, 2)} W" if gap.low is not None else ""
        )
        texts.append(f"the idle machine less A's: {signed(gap.difference, 2)} W{within}: {gap.verdict}")
    for run_id, labels in ((answer.first, answer.only_first), (answer.second, answer.only_second)):
        if labels:
            texts.append(f"only in {run_id}: {', '.join(labels)}")
    if answer.correction:
        texts.append(answer.correction)
    return "; ".join(texts)


def lines_of(blocks: Sequence[Block]) -> list[Line]:
    """The figures that any column of a block has; figures that are 0 everywhere count too."""
    lines = []
    for place, block in enumerate(blocks):
        if block.title or any(block.remarks) or any(map(column_notes, block.columns)):
            lines.append(Line(place, block))
        lines += [
            Line(place, block, figure)
            for figure in OF_RESULTS
            if any(block.value(column, figure.name).value is not None for column in range(len(block.columns)))
        ]
    return lines


def cell(line: Line, column: int) -> str:
    """``2160.0 ±3.1``, and in columns after the first ``-10.0 % ≠``."""
    if line.figure is None and line.block.cells:
        return line.block.cells[column]
    if line.figure is None:
        notes_of = column_notes(line.block.columns[column])
        return "; ".join(text for text in (other_setting(line.block, column), notes_of) if text)
    value = line.block.value(column, line.figure.name)
    if value.value is None:
        return UNKNOWN
    text = " ".join(part for part in (written(line.figure, value.value), around(line.figure, value.half)) if part)
    return f"{text}  {mark(line, column)}" if column else text


def other_setting(block: Block, column: int) -> str:
    """The setting that another run measured instead."""
    there = block.columns[column]
    if there is None:
        return "not measured"
    return there.label if isinstance(there, Group) and there.label != block.title else ""


def column_notes(there: ResultRow | Group | None) -> str:
    """Warnings about a column, in short words."""
    return notes(there) if isinstance(there, ResultRow) else ", ".join(there.remarks) if there is not None else ""


def column_remarks(there: ResultRow | Group | None) -> list[str]:
    """The same in sentences, if they say more."""
    return list(there.remarks.values()) if there is not None else []


def mark(line: Line, column: int) -> str:
    """``-10.0 % ≠``: ``≠`` significant, ``=`` not significant, ``?`` too few repeats to test it."""
    gap = line.block.difference(column, line.figure.name) if line.figure is not None else None
    if gap is None or line.figure is None:
        return f"{'':>10}"
    return f"{percent(line.figure, gap.difference, line.block.value(0, line.figure.name).value):>8} {_sign(gap)}"


def level(gap: Difference) -> str:
    """``95 %``, or the higher level of a corrected test."""
    return f"{100 * gap.confidence:.3g} %" if gap.confidence < 0.9995 else f"{100 * gap.confidence:.4f} %"


def _sign(gap: Difference) -> str:
    return "?" if gap.differ is None else "≠" if gap.differ else "="


def percent(figure: Quantity, difference: float, base: float | None) -> str:
    if difference == 0:
        return "same"
    if base is None or not figure.shows(base):
        return ""
    share = 100 * difference / abs(base)
    return f"{signed(share)} %" if abs(share) < 1000 else f"{1 + share / 100:.1f} x"


def sentence(line: Line, column: int) -> str:
    """``B less A: -4.02 W (-9.1 %), 95 % interval -4.31 to -3.73 W: significant``."""
    letter, figure = LETTERS[column % len(LETTERS)], line.figure
    remark = line.block.remarks[column - 1]
    if figure is None:
        return f"{letter}: {remark}" if remark else ""
    gap = line.block.difference(column, figure.name)
    if gap is None:
        known = line.block.value(column, figure.name).value is not None
        both = known and line.block.value(0, figure.name).value is not None
        return f"{letter}: {remark or 'not compared'}" if both else f"{letter}: not known on both sides"
    unit = figure.unit_in(line.block.currency)
    base = line.block.value(0, figure.name).value
    share = percent(figure, gap.difference, base)
    text = f"{letter} less A: {signed_written(figure, gap.difference)} {unit}".rstrip() + (
        f" ({share})" if share else ""
    )
    if gap.low is not None and gap.high is not None:
        low, high = (signed_written(figure, end) for end in (gap.low, gap.high))
        text += f", {level(gap)} interval {low} to {high} {unit}".rstrip()
    return f"{text}: {gap.verdict}"
