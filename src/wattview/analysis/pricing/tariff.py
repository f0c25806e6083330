"""Time-of-use tariffs: a window is split wherever the price changes.

Days and hours are in the tariff's time zone, and energy is used in real time: an hour that the clock repeats counts
twice, at its own prices each time, and an hour that it skips does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

from wattview.analysis.pricing.cost import JOULES_PER_KWH
from wattview.config import Cost, Tariff

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

STEP_SECONDS = 3600.0
"""A clock changes at most once in this many seconds."""


def price_at(time: float, prices: Cost) -> float:
    """Price of a kilowatt-hour at that moment: from the first matching row, else the flat price."""
    moment = _local(time, _zone(prices))
    return next((row.energy_per_kwh for row in prices.tariff if _applies(row, moment)), prices.energy_per_kwh)


def slices(start: float, end: float, prices: Cost) -> list[tuple[float, float, float]]:
    """The window as ``(start, end, price)`` parts of one price each."""
    zone = _zone(prices)
    cuts = {start, end, *_clock_changes(start, end, zone)}
    day = _local(start, zone).date() - timedelta(days=1)
    while day <= _local(end, zone).date():
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        for text in {text for row in prices.tariff for text in (row.start, row.end)}:
            clock = midnight + timedelta(minutes=_minutes(text))
            # A time that the clock shows twice is two moments. A time that it skips maps to the change itself.
            cuts |= {cut for fold in (0, 1) if start < (cut := clock.replace(fold=fold).timestamp()) < end}
        day += timedelta(days=1)
    return [(left, right, price_at((left + right) / 2, prices)) for left, right in pairwise(sorted(cuts))]


def energy_cost(joules_between: Callable[[float, float], float], start: float, end: float, prices: Cost) -> float:
    """Cost of a window's energy. ``joules_between`` gives the energy of each part; what it raises is passed on."""
    kwh_prices = (
        joules_between(left, right) / JOULES_PER_KWH * price for left, right, price in slices(start, end, prices)
    )
    return sum(kwh_prices) * prices.pue


def _zone(prices: Cost) -> tzinfo | None:
    return ZoneInfo(prices.timezone) if prices.timezone else None


def _local(time: float, zone: tzinfo | None) -> datetime:
    """Local time at that moment: in the tariff's zone, else in this machine's."""
    return datetime.fromtimestamp(time, zone) if zone is not None else datetime.fromtimestamp(time).astimezone()


def _clock_changes(start: float, end: float, zone: tzinfo | None) -> Iterator[float]:
    """The moments within the window at which the clock changes, to the second."""

    def offset(time: float) -> timedelta | None:
        return _local(time, zone).utcoffset()

    before = start
    while before < end:
        after = min(before + STEP_SECONDS, end)
        if offset(before) != offset(after):
            early, late = before, after
            while late - early > 0.5:
                middle = (early + late) / 2
                early, late = (middle, late) if offset(middle) == offset(before) else (early, middle)
            yield float(round(late))
        before = after


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _applies(row: Tariff, moment: datetime) -> bool:
    now, begin, end = moment.hour * 60 + moment.minute, _minutes(row.start), _minutes(row.end)
    if begin < end:
        return begin <= now < end and _DAYS[moment.weekday()] in row.days
    if now >= begin:
        return _DAYS[moment.weekday()] in row.days
    return now < end and _DAYS[moment.weekday() - 1] in row.days
