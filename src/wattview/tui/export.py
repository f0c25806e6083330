"""What leaves the dashboard: a row for the clipboard, a table as a CSV file, and files that the daemon has written."""

from __future__ import annotations

import csv
import io
import os
import sys
import time
from collections.abc import Mapping
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
    return keep(table_csv(table).encode(), name, "csv", directory)


def keep(data: bytes, name: str, kind: str, directory: Path) -> Path:
    """Writes ``wattview-<name>-<time>.<kind>``, beside what is there already, and gives its path. Raises OSError."""
    stem = f"wattview-{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in range(1, 100):
        path = directory / f"{stem}{f'-{number}' if number > 1 else ''}.{kind}"
        try:
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{stem}.{kind} and 98 more are there already")


def open_page(path: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Opens a page in the user's browser, and says whether there is one. A browser of the terminal would draw over the
    dashboard and is none. May block."""
    if sys.platform not in ("darwin", "win32") and not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return False
    import webbrowser

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    in_terminal = isinstance(browser, webbrowser.GenericBrowser) and not isinstance(
        browser, webbrowser.BackgroundBrowser
    )
    return not in_terminal and browser.open(path.as_uri())
