"""Carbon intensity and price of the grid's energy over time, and the list of their sources.

To add a source, add its module and one entry here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

GridQuantity = Literal["carbon", "price"]


class GridKind(NamedTuple):
    """One kind of source. ``name`` is the value of ``kind`` in ``[[cost.grid]]``, ``words`` say what it is, ``place``
    is its file and class in ``probes/grid/``, made of ``(settings, config)``. ``needs`` and ``takes`` are settings,
    ``url`` where it answers unless these say another place, ``seconds`` how often it is asked. ``licence`` is that of
    its data. ``whole``: an answer is all that it tells, and not the latest part."""

    name: str
    words: str
    place: str
    licence: str
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    url: str = ""
    seconds: float = 900.0
    whole: bool = False


KEY = ("token_file", "token_env", "ca_file", "url")

GRIDS: tuple[GridKind, ...] = (
    GridKind(
        "csv",
        "a CSV file",
        "csv_file.CsvFile",
        "yours",
        needs=("file",),
        takes=("factor", "per_kwh"),
        seconds=60.0,
        whole=True,
    ),
    GridKind(
        "uk-carbon-intensity",
        "Carbon Intensity API of Great Britain",
        "uk_carbon_intensity.UkCarbonIntensity",
        "CC BY 4.0 (National Energy System Operator)",
        takes=("zone", "url", "ca_file"),
        url="https://api.carbonintensity.org.uk",
    ),
    GridKind(
        "electricity-maps",
        "Electricity Maps",
        "electricity_maps.ElectricityMaps",
        "by your contract; the free tier is for one zone, not commercial, and names its source",
        needs=("zone",),
        takes=KEY,
        url="https://api.electricitymaps.com",
    ),
    GridKind(
        "entsoe",
        "ENTSO-E day-ahead prices",
        "entsoe.Entsoe",
        "CC BY 4.0 (ENTSO-E Transparency Platform)",
        needs=("zone",),
        takes=(*KEY, "factor", "per_kwh"),
        url="https://web-api.tp.entsoe.eu",
        seconds=3600.0,
    ),
)
"""Every kind of source for the settings."""

GRID_KINDS = [kind.name for kind in GRIDS]


def grid_kind(name: str) -> GridKind | None:
    """The entry of a kind; None if this version does not know it."""
    return next((kind for kind in GRIDS if kind.name == name), None)


class GridSpan(NamedTuple):
    """A kilowatt-hour has this ``value`` from ``start`` to ``end`` (Unix seconds): grams of CO2 equivalent, or its
    price in the configured currency."""

    start: float
    end: float
    value: float


class GridSeries(Struct, frozen=True, kw_only=True):
    """One quantity from one source: spans in order of time, without overlap."""

    quantity: GridQuantity
    source: str
    spans: tuple[GridSpan, ...] = ()


class GridPrices(Struct, frozen=True, kw_only=True):
    """Carbon intensity and price over time. None: no source is configured, or it has never answered."""

    carbon: GridSeries | None = None
    price: GridSeries | None = None
