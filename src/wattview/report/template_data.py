"""Content of a report as plain data; all HTML is in the templates.

Only ``PlotView.svg`` is markup, which ``svg`` has escaped.
"""

from __future__ import annotations

from msgspec import Struct


class SheetCell(Struct, frozen=True):
    """A table cell: ``text`` is "" if the figure is unknown, and ``reason`` then says why."""

    text: str
    reason: str = ""


class SheetLine(Struct, frozen=True):
    """A table row: its subject, the subject's names in the results files, and its short warnings. ``part``: it belongs
    to the row above."""

    label: str
    cells: tuple[SheetCell, ...]
    names: str = ""
    warnings: tuple[str, ...] = ()
    part: bool = False


class Sheet(Struct, frozen=True):
    """A table. ``words``: its cells are text, not figures."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[SheetLine, ...]
    first: str = "Setting"
    note: str = ""
    words: bool = False


class PlotView(Struct, frozen=True):
    """A plot and its captions. ``points`` explain its numbered points, those of the front marked."""

    title: str
    svg: str
    note: str = ""
    points: tuple[tuple[str, bool], ...] = ()


class VerdictView(Struct, frozen=True):
    """The verdict: ``best`` is the setting that it starts with; "" if none meets the target."""

    best: str
    text: str
    note: str
    weighed: Sheet | None = None


class Findings(Struct, frozen=True):
    """Findings: sentences, then a table, then items with notes."""

    title: str
    sentences: tuple[str, ...] = ()
    sheet: Sheet | None = None
    items: tuple[str, ...] = ()
    note: str = ""


class MachineView(Struct, frozen=True):
    """Results of one machine. ``estimate`` is "" if all its power was measured."""

    name: str
    answer: VerdictView | None
    estimate: str
    facts: tuple[tuple[str, tuple[str, ...]], ...]
    common: str
    pictures: tuple[PlotView, ...]
    findings: tuple[Findings, ...]
    sheets: tuple[Sheet, ...]


class RunView(Struct, frozen=True):
    """One results file: its power over time, and its problems."""

    id: str
    facts: str
    error: str
    svg: str
    windows: str
    remarks: tuple[str, ...]


class ReportView(Struct, frozen=True):
    """The whole page. ``remarks`` are sentences, each with the scenarios it applies to."""

    title: str
    counts: str
    machines: tuple[MachineView, ...]
    runs: tuple[RunView, ...]
    remarks: tuple[tuple[str, str], ...]
