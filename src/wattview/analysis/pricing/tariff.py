"""Prices of energy that depend on the hour: a window is cut where the price changes, and each part has its own.

Days and hours are those of the tariff's time zone, through daylight saving and back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

from wattview.analysis.pricing.cost import JOULES_PER_KWH
from wattview.config import Cost, Tariff

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def price_at(time: float, prices: Cost) -> float:
    """What a kilowatt-hour costs at that moment: of the first row that applies, else the flat price."""
    moment = datetime.fromtimestamp(time, _zone(prices))
    return next((row.energy_per_kwh for row in prices.tariff if _applies(row, moment)), prices.energy_per_kwh)


def slices(start: float, end: float, prices: Cost) -> list[tuple[float, float, float]]:
    """The window as ``(start, end, price)`` parts of one price each."""
    zone = _zone(prices)
    cuts = {start, end}
    day = datetime.fromtimestamp(start, zone).date() - timedelta(days=1)
    while day <= datetime.fromtimestamp(end, zone).date():
        for row in prices.tariff:
            for text in (row.start, row.end):
                midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
                cut = (midnight + timedelta(minutes=_minutes(text))).timestamp()
                if start < cut < end:
                    cuts.add(cut)
        day += timedelta(days=1)
    return [(left, right, price_at((left + right) / 2, prices)) for left, right in pairwise(sorted(cuts))]


def energy_cost(joules_between: Callable[[float, float], float], start: float, end: float, prices: Cost) -> float:
    """The price of a window's energy; ``joules_between`` gives that of each part, and what it raises is passed on."""
    kwh_prices = (
        joules_between(left, right) / JOULES_PER_KWH * price for left, right, price in slices(start, end, prices)
    )
    return sum(kwh_prices) * prices.pue


def _zone(prices: Cost) -> tzinfo | None:
    return ZoneInfo(prices.timezone) if prices.timezone else None


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
