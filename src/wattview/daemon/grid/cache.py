"""Data from grid sources, stored in ``<state>/grid``, so that a source's failure loses no known value, and old results
keep the values of their time.

One CSV file per source and quantity: ``start,end,value``. A damaged file counts as missing.
"""

from __future__ import annotations

import csv
import logging
import re
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

from wattview import whole_file
from wattview.config import Config, GridSettings
from wattview.model import GridPrices, GridQuantity, GridSeries, GridSpan
from wattview.model.power.grid import grid_kind
from wattview.probes.grid.grid_source import Spans, is_span

log = logging.getLogger("wattview.grid")

KEPT_SECONDS = 800 * 86400.0
MAX_BYTES = 16 * 1024 * 1024
QUANTITIES: tuple[GridQuantity, ...] = ("carbon", "price")


class GridCache:
    """The files of the configured sources. All methods that touch the disk block."""

    def __init__(self, config: Config) -> None:
        self._directory = Path(config.paths.state) / "grid"
        self._sources = config.cost.grid
        self._series: dict[tuple[str, GridQuantity], GridSeries] = {}

    def load(self) -> GridPrices:
        """Reads the files. Blocks."""
        for source in self._sources:
            for quantity in QUANTITIES:
                if spans := self._read(self._file(source, quantity)):
                    self._keep(source, quantity, spans)
        return self.prices()

    def prices(self) -> GridPrices:
        """The known values: of each quantity, by the first configured source that has any."""
        first: dict[GridQuantity, GridSeries] = {}
        for source in self._sources:
            for quantity in QUANTITIES:
                if (series := self._series.get((source.title, quantity))) is not None:
                    first.setdefault(quantity, series)
        return GridPrices(**first)

    def newest(self, source: GridSettings) -> float:
        """How far this source's values reach (Unix seconds); 0 if there are none."""
        series = [self._series.get((source.title, quantity)) for quantity in QUANTITIES]
        return max((one.spans[-1].end for one in series if one is not None), default=0.0)

    def add_all(self, source: GridSettings, told: Spans) -> bool:
        """Adds an answer. Returns whether anything is new. Takes a while for the largest."""
        return any([self.add(source, quantity, spans) for quantity, spans in told.items()])  # noqa: C419 - adds all

    def add(self, source: GridSettings, quantity: GridQuantity, spans: Iterable[GridSpan]) -> bool:
        """Adds values from a source; repeated values replace older ones. Returns whether anything is new."""
        before = self._series.get((source.title, quantity))
        kind = grid_kind(source.kind)
        adds = before is not None and kind is not None and not kind.whole
        merged = _merged(before.spans if before is not None and adds else (), sorted(spans))
        if not merged or (before is not None and before.spans == merged):
            return False
        self._keep(source, quantity, merged)
        return True

    def write(self, source: GridSettings) -> None:
        """Writes this source's files. Blocks; raises OSError."""
        for quantity in QUANTITIES:
            series = self._series.get((source.title, quantity))
            if series is not None:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                text = "start,end,value\n" + "".join(f"{a!r},{b!r},{value!r}\n" for a, b, value in series.spans)
                whole_file.write(self._file(source, quantity), text.encode())

    def _keep(self, source: GridSettings, quantity: GridQuantity, spans: tuple[GridSpan, ...]) -> None:
        self._series[source.title, quantity] = GridSeries(quantity=quantity, source=source.title, spans=spans)

    def _file(self, source: GridSettings, quantity: GridQuantity) -> Path:
        return self._directory / f"{re.sub(r'[^A-Za-z0-9-]+', '_', source.title)}-{quantity}.csv"

    def _read(self, file: Path) -> tuple[GridSpan, ...]:
        try:
            rows = csv.reader(whole_file.read(file, MAX_BYTES).decode("ascii").splitlines()[1:])
            spans = sorted(GridSpan(*map(float, row)) for row in rows)
            if not all(map(is_span, spans)):
                raise ValueError("a row has an impossible time span")
            return _merged((), spans)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError, csv.Error) as error:
            log.warning("%s cannot be used: %s", file, error)
            return ()


def _merged(old: tuple[GridSpan, ...], new: list[GridSpan]) -> tuple[GridSpan, ...]:
    """Both in order of time without overlap: newer spans replace older ones."""
    if not new:
        return old
    kept: list[GridSpan] = []
    for span in new:  # of two in one answer, the later one starts where it says
        while kept and kept[-1].end > span.start:
            last = kept.pop()
            if last.start < span.start:
                kept.append(last._replace(end=span.start))
                break
        kept.append(span)
    start, end = kept[0].start, kept[-1].end
    before = [span._replace(end=min(span.end, start)) for span in old if span.start < start]
    after = [span._replace(start=max(span.start, end)) for span in old if span.end > end]
    starts = [span.start for span in kept]
    inside = [span for span in old if span.start >= start and span.end <= end and not _touches(span, kept, starts)]
    oldest = end - KEPT_SECONDS
    return tuple(sorted(span for span in (*before, *kept, *inside, *after) if span.end > max(span.start, oldest)))


def _touches(span: GridSpan, others: list[GridSpan], starts: list[float]) -> bool:
    """Whether it overlaps one of the others, which are in order of time, as are their ``starts``."""
    before_its_end = bisect_left(starts, span.end)
    return before_its_end > 0 and others[before_its_end - 1].end > span.start
