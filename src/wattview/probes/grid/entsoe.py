"""Day-ahead prices of Europe's bidding zones (ENTSO-E Transparency Platform, document A44).

https://transparencyplatform.zendesk.com/hc/en-us/sections/12783116987028. Prices are of the single day-ahead coupling
(sequence 1; another sequence is another auction), in euros a megawatt-hour. A position that is missing repeats the one
before it (curve type A03). The token is part of the URL, and appears in no message.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import quote
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError

from wattview.config import GridSettings
from wattview.model import GridSpan
from wattview.probes import SourceBroken, SourceRefused, xml_pieces
from wattview.probes.grid.grid_source import OnlineSource, Spans, iso, plausible, unix

ZONES = {
    "AT": "10YAT-APG------L", "BE": "10YBE----------2", "CH": "10YCH-SWISSGRIDZ", "CZ": "10YCZ-CEPS-----N",
    "DE-LU": "10Y1001A1001A82H", "DE": "10Y1001A1001A82H", "DK1": "10YDK-1--------W", "DK2": "10YDK-2--------M",
    "ES": "10YES-REE------0", "FI": "10YFI-1--------U", "FR": "10YFR-RTE------C", "NL": "10YNL----------L",
    "NO1": "10YNO-1--------2", "NO2": "10YNO-2--------T", "PL": "10YPL-AREA-----S", "PT": "10YPT-REN------W",
    "SE1": "10Y1001A1001A44P", "SE2": "10Y1001A1001A45N", "SE3": "10Y1001A1001A46L", "SE4": "10Y1001A1001A47J",
}  # fmt: skip
"""Short names of bidding zones; any other is written as its EIC code."""

MAX_TAGS = 500_000
"""In one document: each takes many times as much memory as its text."""

EIC = re.compile(r"[0-9A-Z-]{16}")
PER_KWH = 1e-3
SINGLE_COUPLING = "1"
RESOLUTION = re.compile(r"PT(\d+)M|PT(\d+)H")


class Entsoe(OnlineSource):
    async def spans(self, start: float, end: float) -> Spans:
        zone = ZONES.get(self._settings.zone.upper(), self._settings.zone)
        if not EIC.fullmatch(zone):
            raise SourceBroken(
                f"{zone!r} is not a bidding zone", f"set zone to an EIC code, or one of {', '.join(ZONES)}"
            )
        reach = f"periodStart={iso(start, '%Y%m%d%H00')}&periodEnd={iso(end, '%Y%m%d%H00')}"
        asked = f"securityToken={quote(self.secret())}&documentType=A44&in_Domain={zone}&out_Domain={zone}"
        answer = await self.page(f"/api?{asked}&{reach}")
        if answer.status in (401, 403):
            raise SourceRefused("ENTSO-E does not take this token", "see token_file (docs/grid.md says how to get one)")
        return {"price": plausible("price", await asyncio.to_thread(prices, answer.body, self._settings))}


def prices(body: bytes, settings: GridSettings) -> list[GridSpan]:
    """The prices of one answer. Raises SourceBroken, with ENTSO-E's own reason where it gives one."""
    if body.count(b"<") > MAX_TAGS:
        raise SourceBroken(f"ENTSO-E sent a document of more than {MAX_TAGS:,} tags")
    tree = TreeBuilder()
    try:
        xml_pieces.parse(
            body, "ENTSO-E's document", start=lambda tag: tree.start(tag, {}), end=tree.end, text=tree.data
        )
    except ExpatError as error:
        raise SourceBroken(f"ENTSO-E did not answer XML: {error}") from None
    document = tree.close()
    if reason := _text(document, "Reason", "text"):
        raise SourceBroken(f"ENTSO-E: {reason[:200]}")
    try:
        found = [span for series in _all(document, "TimeSeries") for span in _series(series, settings)]
    except (ValueError, OverflowError) as error:
        raise SourceBroken(f"ENTSO-E's prices cannot be understood: {error}") from None
    return sorted(found)


def _series(series: Element, settings: GridSettings) -> Iterator[GridSpan]:
    sequence = _text(series, "classificationSequence_AttributeInstanceComponent.position")
    if sequence not in ("", SINGLE_COUPLING):
        return
    if (unit := _text(series, "price_Measure_Unit.name")) not in ("", "MWH"):
        raise ValueError(f"a price for each {unit}")
    for period in _all(series, "Period"):
        start, end = unix(_text(period, "timeInterval", "start")), unix(_text(period, "timeInterval", "end"))
        step = _seconds(_text(period, "resolution"))
        points = sorted(
            (int(_text(one, "position")), float(_text(one, "price.amount"))) for one in _all(period, "Point")
        )
        ends = [*(start + (position - 1) * step for position, _ in points[1:]), end]
        for (position, price), until in zip(points, ends, strict=True):
            yield GridSpan(start + (position - 1) * step, until, settings.retail(price * PER_KWH))


def _seconds(resolution: str) -> float:
    match = RESOLUTION.fullmatch(resolution)
    if match is None:
        raise ValueError(f"a resolution of {resolution!r}")
    return int(match[1]) * 60.0 if match[1] else int(match[2]) * 3600.0


def _all(element: Element, name: str) -> Iterator[Element]:
    """Children of that name, whatever its prefix."""
    return (child for child in element if child.tag.rpartition(":")[2] == name)


def _text(element: Element, *names: str) -> str:
    for name in names:
        child = next(_all(element, name), None)
        if child is None:
            return ""
        element = child
    return (element.text or "").strip()
