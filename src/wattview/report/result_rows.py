"""Runs as tables for other programs: one row per scenario, one column per figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

import msgspec

from wattview.foreign_text import csv_cell
from wattview.model import RunResult

PARTS = ("efficiency", "net_efficiency", "power_percentile_watts", "playback")
"""Fields of a scenario whose own fields become columns."""


def rows_of(runs: Iterable[RunResult]) -> list[dict[str, Any]]:
    """Nested values (``efficiency``) become one column each; lists are left out."""
    rows = []
    for run in runs:
        for one in run.scenarios:
            row: dict[str, Any] = {"run": run.id}
            for name, value in (msgspec.to_builtins(one.record) | msgspec.to_builtins(one)).items():
                if isinstance(value, dict) and name in PARTS:
                    row |= {f"{name}_{part}": figure for part, figure in value.items()}
                elif not isinstance(value, list | dict):
                    row[name] = value
            rows.append(row)
    return rows


def csv_text(runs: Iterable[RunResult]) -> str:
    """RFC 4180, with a header; unknown values are empty, and no text is read as a formula."""
    rows = rows_of(runs)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()
