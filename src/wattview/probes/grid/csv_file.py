"""A CSV file with a header: ``time``, and ``carbon_g_per_kwh`` or ``price_per_kwh`` or both.

``time`` is when a row starts to apply: Unix seconds, or ISO 8601 with an offset. It applies until the next row; the
last one as long as the previous one. An empty cell is unknown.
"""

from __future__ import annotations

import asyncio
import csv
import io
import math
from pathlib import Path

from wattview import whole_file
from wattview.config import Config, GridSettings
from wattview.model import GridQuantity, GridSpan
from wattview.probes import SourceAbsent, SourceBroken
from wattview.probes.grid.grid_source import MAX_BYTES, MAX_SPANS, Spans, plausible, unix

COLUMNS: dict[str, GridQuantity] = {"carbon_g_per_kwh": "carbon", "price_per_kwh": "price"}
HOUR = 3600.0


class CsvFile:
    def __init__(self, settings: GridSettings, config: Config) -> None:
        self._settings = settings
        self._path = Path(settings.file).expanduser()

    async def spans(self, start: float, end: float) -> Spans:
        """Of the whole file, whatever the requested span."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> Spans:
        try:
            text = whole_file.read(self._path, MAX_BYTES).decode("utf-8-sig")
        except FileNotFoundError:
            raise SourceAbsent(f"there is no file {self._path}", "see file of [[cost.grid]]") from None
        except (OSError, UnicodeDecodeError) as error:
            raise SourceBroken(f"{self._path}: {getattr(error, 'strerror', None) or 'is not text'}") from None
        return rows_to_spans(text, str(self._path), self._settings)


def rows_to_spans(text: str, name: str, settings: GridSettings) -> Spans:
    """Raises SourceBroken, which names the line."""
    reader = csv.reader(io.StringIO(text))
    rows: list[tuple[float, dict[str, float]]] = []
    try:
        header = next(reader, [])
        given = [column for column in COLUMNS if column in header]
        if "time" not in header or not given:
            raise SourceBroken(f"{name}: the first line must name time, and {' or '.join(COLUMNS)}")
        # Not csv.DictReader, which fills every row up to the header's length.
        places = {column: header.index(column) for column in given}
        at = header.index("time")
        for row in filter(None, reader):
            if len(rows) == MAX_SPANS:
                raise ValueError(f"more than {MAX_SPANS:,} rows")
            cells = {column: row[place] for column, place in places.items() if place < len(row)}
            values = {column: float(cell) for column, cell in cells.items() if cell.strip()}
            if not all(map(math.isfinite, values.values())):
                raise ValueError("a value is not a number")
            rows.append((_time(row[at] if at < len(row) else ""), values))
    except (ValueError, csv.Error) as error:
        raise SourceBroken(f"{name}, line {reader.line_num}: {error}") from None
    rows = sorted((row for row in rows if math.isfinite(row[0])), key=lambda row: row[0])
    times = [time for time, _ in rows]
    last = times[-1] - times[-2] if len(times) > 1 else HOUR
    ends = [*times[1:], *(time + last for time in times[-1:])]
    spans: dict[GridQuantity, list[GridSpan]] = {}
    for column in given:
        quantity = COLUMNS[column]
        found = [
            GridSpan(time, end, settings.retail(values[column]) if quantity == "price" else values[column])
            for (time, values), end in zip(rows, ends, strict=True)
            if column in values
        ]
        spans[quantity] = plausible(quantity, found)
    return spans


def _time(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return unix(text.strip())
