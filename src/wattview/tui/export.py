"""Export: a row to the clipboard, a table as a CSV file, and files written by the daemon.

In a terminal a file is written to the current directory; in a browser it is a download.
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from textual.app import App

from wattview.foreign_text import csv_cell, one_line
from wattview.model import MEDIA_TYPES
from wattview.tui.text import UNKNOWN
from wattview.tui.widgets.table import Table


def row_text(table: Table[Any]) -> str:
    """``Title: value`` lines for the row under the cursor; "" if there is none."""
    row = table.row
    if row is None:
        return ""
    return "\n".join(one_line(f"{column.title}: {column.text(row)}") for column in table.columns)


def table_csv(table: Table[Any]) -> str:
    """All columns of the visible rows, in order. Figures in full precision, unknown ones empty."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.title for column in table.columns])
    for row in table.rows:
        writer.writerow([csv_cell(_value(column, row)) for column in table.columns])
    return out.getvalue()


def _value(column: Any, row: Any) -> Any:
    value = column.sort(row) if column.sort is not None and not column.left else None
    if isinstance(value, int | float):
        return value
    text = column.text(row)
    return "" if text == UNKNOWN else text


class Delivered(NamedTuple):
    """Title and text of the toast for an exported file."""

    title: str
    text: str


POP_UPS = "if nothing opens, allow pop-ups for this page"
"""A download starts as a new window, which a browser may block silently."""


async def deliver(app: App[Any], data: bytes, name: str, kind: str, *, show: bool = False) -> Delivered:
    """Delivers ``wattview-<name>-<time>.<kind>``; with ``show`` it is opened, if there is a browser.

    Raises OSError if it could not be written.
    """
    if app.is_web:
        file_name = f"{_stem(name)}.{kind}"
        how: Literal["browser", "download"] = "browser" if show else "download"
        app.deliver_binary(io.BytesIO(data), save_filename=file_name, open_method=how, mime_type=MEDIA_TYPES[kind])
        return Delivered("Sent to the browser", f"{file_name}; {POP_UPS}")
    path = await asyncio.to_thread(keep, data, name, kind, Path.cwd())
    if not show:
        return Delivered("Exported", str(path))
    opened = await asyncio.to_thread(open_page, path)
    return Delivered("The report is open in the browser" if opened else "Open it in a browser", str(path))


def _stem(name: str) -> str:
    return f"wattview-{name}-{time.strftime('%Y%m%d-%H%M%S')}"


def keep(data: bytes, name: str, kind: str, directory: Path) -> Path:
    """Writes ``wattview-<name>-<time>.<kind>`` without replacing a file, and returns its path. Raises OSError."""
    stem = _stem(name)
    for number in range(1, 100):
        path = directory / f"{stem}{f'-{number}' if number > 1 else ''}.{kind}"
        try:
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{stem}.{kind} and 98 more already exist")


def open_page(path: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Opens a page in the user's browser, and returns whether there is one. A text-mode browser would draw over the
    dashboard and does not count. May block."""
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
