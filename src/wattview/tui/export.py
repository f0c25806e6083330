"""A table as text: one row for the clipboard, all rows as a CSV file."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

from wattview.tui.text import UNKNOWN
from wattview.tui.widgets.table import Table


def row_text(table: Table[Any]) -> str:
    """``Title: value`` a line, for the row under the cursor; "" where there is none."""
    row = table.row
    if row is None:
        return ""
    return "\n".join(f"{column.title}: {column.text(row)}" for column in table.columns)


def table_csv(table: Table[Any]) -> str:
    """All columns of the rows that are shown, in their order. Figures in full precision, unknown ones empty."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.title for column in table.columns])
    for row in table.rows:
        writer.writerow([_value(column, row) for column in table.columns])
    return out.getvalue()


def _value(column: Any, row: Any) -> Any:
    value = column.sort(row) if column.sort is not None and not column.left else None
    if isinstance(value, int | float):
        return value
    text = column.text(row)
    return "" if text == UNKNOWN else text


def save(table: Table[Any], name: str, directory: Path) -> Path:
    """Writes ``wattview-<name>-<time>.csv`` and gives its path. Raises OSError."""
    path = directory / f"wattview-{name}-{time.strftime('%Y%m%d-%H%M%S')}.csv"
    path.write_text(table_csv(table), encoding="utf-8")
    return path
