"""What tests of the embedded history share."""

from __future__ import annotations

from pathlib import Path

from wattview.daemon.history.sqlite import SqliteHistory

NOW = 1_700_000_000.0
DAY = 86400
HOUR = 3600
WEEK = 7.0 * DAY


def history_of(path: Path) -> SqliteHistory:
    return SqliteHistory(path, WEEK)


async def count(history: SqliteHistory, start: float, end: float) -> int:
    """How many samples the series ``a`` has."""
    return sum(len(series.points) for series in await history.samples("a", start, end))


def many(count: int, at: float) -> list[tuple[str, float]]:
    """A row of many containers, half of which do nothing."""
    return [(f'rate{{name="c{n}"}}', 0.0 if n % 2 else (n * at) % 97.3) for n in range(count)]
