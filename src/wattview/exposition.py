"""Metric families to text: Prometheus text format 0.0.4 and OpenMetrics 1.0.0.

A family is plain data; rendering is a pure function. A sample carries its labels as printed text
(``{cpu="0",mode="idle"}``), made once by ``labels()`` and cached by its reader, because formatting labels is the
expensive part of a scrape. ``name + text`` is the key of the series everywhere: in a scrape, in the history and in a
PromQL selector.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
"""

from __future__ import annotations

import functools
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Literal, NamedTuple

from msgspec import Struct, field

from wattview.foreign_text import encodable
from wattview.gc_tuning import kept_for_a_while

FAST_ZLIB = "isal.isal_zlib"
"""It has zlib's interface, is several times as fast, and exists for x86-64 and ARM64."""

GZIP_LEVEL = 1
"""On a scrape's text, level 1 saves nine tenths of what level 9 does, at a fraction of the CPU time."""

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

FamilyType = Literal["counter", "gauge", "untyped", "histogram", "summary"]
Sample = tuple[str, float]
"""(label text, value). The label text may start with a suffix of the name: ``_bucket{le="1"}``."""


class Family(Struct):
    """One metric family: name, type, help and samples. ``add`` appends a sample, unless its value is None."""

    name: str
    type: FamilyType
    help: str
    samples: list[Sample] = field(default_factory=list)

    def add(self, value: float | None, labels_text: str = "") -> Family:
        if value is not None:
            self.samples.append((labels_text, value))
        return self


def gauge(name: str, help_text: str, value: float | None = None, labels_text: str = "") -> Family:
    """A gauge family, with its only sample or, without a value, with none yet."""
    return Family(name, "gauge", help_text).add(value, labels_text)


def counter(name: str, help_text: str, value: float | None = None) -> Family:
    """A counter family, with its only sample or, without a value, with none yet."""
    return Family(name, "counter", help_text).add(value)


def named(name: str, help_text: str, value: float | None = None) -> Family:
    """A counter if the name ends in ``_total``, else a gauge: for names that follow that rule."""
    return Family(name, "counter" if name.endswith("_total") else "gauge", help_text).add(value)


class Row(NamedTuple):
    """One family of a table: the field, file or column that it shows, its name, and its help."""

    source: str
    name: str
    help: str


def described(text: str) -> tuple[tuple[str, str], ...]:
    """A table as text: each line is a word and its description, which indented lines continue."""
    found: list[tuple[str, str]] = []
    for line in text.strip().splitlines():
        if line[0].isspace():
            word, begun = found.pop()
            found.append((word, f"{begun} {line.strip()}".lstrip()))
        else:
            word, _, begun = line.partition(" ")
            found.append((word, begun.strip()))
    return tuple(found)


def rows(text: str) -> tuple[Row, ...]:
    """A table of families as text: source, name and help of each, as ``described`` reads them."""
    found = []
    for source, rest in described(text):
        name, _, help_text = rest.partition(" ")
        found.append(Row(source, name, help_text.strip()))
    return tuple(found)


def families_of(
    table: Sequence[Row], items: Iterable[tuple[str, Any]], read: Callable[[Any, str], float | None] = getattr
) -> list[Family]:
    """A family for each row, with a sample of each item, given as (label text, item): what ``read`` finds in it under
    the row's source, by default its attribute."""
    items = list(items)
    families = [named(row.name, row.help) for row in table]
    for family, row in zip(families, table, strict=True):
        source = row.source
        family.samples = [(text, value) for text, item in items if (value := read(item, source)) is not None]
    return families


def empty_families(table: Sequence[Row]) -> dict[str, Family]:
    """A family without samples for each row, by its source."""
    return {row.source: named(row.name, row.help) for row in table}


class Families:
    """Families under construction, each made with its first sample, in that order. Without a type, its name says which
    it has, as in ``named``."""

    def __init__(self) -> None:
        self._by_name: dict[str, Family] = {}

    def add(
        self, name: str, help_text: str, value: float | None, labels_text: str = "", type: FamilyType | None = None
    ) -> None:
        """Adds a sample, unless its value is None."""
        if value is None:
            return
        family = self._by_name.get(name)
        if family is None:
            family = named(name, help_text) if type is None else Family(name, type, help_text)
            self._by_name[name] = family
        family.samples.append((labels_text, value))

    def all(self) -> list[Family]:
        return list(self._by_name.values())


@kept_for_a_while(32_768)
def labels(**pairs: str) -> str:
    """``{a="1",b="2"}`` in the given order, escaped."""
    return label_text(pairs)


def label_text(pairs: Mapping[str, str]) -> str:
    """The same for label names that are not Python identifiers, uncached. Names that are not plain words are quoted, as
    in Prometheus 3."""
    return "{" + ",".join(f'{_quoted(name)}="{_escape(value)}"' for name, value in pairs.items()) + "}" if pairs else ""


def _quoted(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else f'"{_escape(name)}"'


_NAME = re.compile(r"[^a-zA-Z0-9_]")


def label_name(text: str, prefix: str = "") -> str:
    """A label name from any text (``com.docker.compose.service`` → ``com_docker_compose_service``)."""
    name = prefix + _NAME.sub("_", text)
    return "_" + name if not prefix and name[:1].isdigit() else name


def _escape(value: str) -> str:
    if "\\" in value or '"' in value or "\n" in value:
        value = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return encodable(value)


_TEXT = r'"((?:[^"\\]++|\\.)*+)"'  # possessive: else a text of megabytes takes hundreds of them to go back in
_PAIR = re.compile(rf"(?:([a-zA-Z_][a-zA-Z0-9_]*)|{_TEXT})={_TEXT}")


def parse_series(key: str) -> tuple[str, dict[str, str]]:
    """The name and labels of ``name{a="1"}``. Raises ValueError if the text is not such a key."""
    name, brace, rest = key.partition("{")
    if not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name):
        raise ValueError(f"not a series name: {key!r}")
    if not brace:
        return name, {}
    if not rest.endswith("}"):
        raise ValueError(f"label braces are not closed: {key!r}")
    body, found, at = rest[:-1], {}, 0
    while at < len(body):
        match = _PAIR.match(body, at)
        if match is None:
            raise ValueError(f"not a label pair: {body[at:]!r}")
        found[match[1] or _unescape(match[2])] = _unescape(match[3])
        at = match.end()
        if at < len(body) and body[at] == ",":
            at += 1
        elif at < len(body):
            raise ValueError(f"not a label pair: {body[at:]!r}")
    return name, found


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)


def number(value: float) -> str:
    """A value in the formats' notation. Integers keep every digit."""
    if isinstance(value, int):
        return str(int(value))
    if math.isfinite(value):
        return repr(value)
    return "NaN" if value != value else ("+Inf" if value > 0 else "-Inf")


def render(families: Iterable[Family], openmetrics: bool = False) -> bytes:
    """The text of all families that have samples. Families with the same name must already be merged."""
    return b"".join(_texts(families, openmetrics))


def render_zipped(families: Iterable[Family], openmetrics: bool = False) -> bytes:
    """The same, compressed with gzip family by family, so that a large text never exists as a whole."""
    zipping = _zlib().compressobj(GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    parts = [zipping.compress(text) for text in _texts(families, openmetrics)]
    return b"".join([*parts, zipping.flush()])


@functools.cache
def _zlib() -> Any:
    try:
        return import_module(FAST_ZLIB)
    except ImportError:
        return zlib


def _texts(families: Iterable[Family], openmetrics: bool) -> Iterator[bytes]:
    for family in families:
        if not family.samples:
            continue
        name = family.name
        kind, documented = _openmetrics_type(name, family.type) if openmetrics else (family.type, family.name)
        help_text = family.help.replace("\\", r"\\").replace("\n", r"\n")
        if openmetrics:
            help_text = help_text.replace('"', r"\"")
        head = f"# HELP {documented} {help_text}\n# TYPE {documented} {kind}\n"
        out = [f"{name}{text} {value if type(value) is int else number(value)}\n" for text, value in family.samples]
        yield (head + "".join(out)).encode()
    if openmetrics:
        yield b"# EOF\n"


def _openmetrics_type(name: str, kind: str) -> tuple[str, str]:
    """(type, family name) in OpenMetrics: a counter's family has no ``_total``, its sample does.

    A counter whose established name has no ``_total`` keeps it, as ``unknown``: dashboards rely on the name.
    """
    if kind == "untyped":
        return "unknown", name
    if kind == "counter":
        return ("counter", name.removesuffix("_total")) if name.endswith("_total") else ("unknown", name)
    if kind == "gauge" and name.endswith(("_total", "_bucket", "_count", "_sum", "_info", "_created")):
        return "unknown", name
    return kind, name


def negotiate(accept: str) -> tuple[str, bool]:
    """The content type for an ``Accept`` header, and whether it is OpenMetrics. The default is the text format."""
    best, openmetrics = 0.0, False
    for kind, version, weight in _ranges(accept):
        if kind == "application/openmetrics-text" and version in ("", "0.0.1", "1.0.0") and weight > best:
            best, openmetrics = weight, True
        elif kind in ("text/plain", "text/*", "*/*") and weight > best:
            best, openmetrics = weight, False
    return (OPENMETRICS, True) if openmetrics else (TEXT, False)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an ``Accept-Encoding`` header names gzip, and not with the weight 0, which refuses it."""
    return any(coding == "gzip" and weight > 0 for coding, _, weight in _ranges(accept_encoding))


def _ranges(accept: str) -> Iterator[tuple[str, str, float]]:
    """What an ``Accept`` header lists (RFC 9110, 12.4.2): each with its version, "" without one, and its weight."""
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight, version = 1.0, ""
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.lower() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
            elif key.lower() == "version":
                version = value.strip('"')
        yield kind.lower(), version, weight
