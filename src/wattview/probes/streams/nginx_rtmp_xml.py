"""The XML of the RTMP module's statistics page, including the malformed output of some builds.

Well-formed pages are parsed by expat. Others are parsed again, leniently: unescaped names are text, and a closing tag
that lost letters closes the open element. A truncated page is refused. Both parsers take linear time, in small steps
that release the interpreter to other threads, and hand each stream on when it ends, so that at most one is in memory.
No DTD, no entities but XML's five predefined ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar
from xml.etree.ElementTree import Element, SubElement
from xml.parsers import expat

from wattview.probes import SourceBroken, xml_pieces

UPDATE = "update the nginx RTMP module (1.2 or later escapes its page correctly)"
PAGE = "set streams.nginx_rtmp_url to where nginx.conf says `rtmp_stat all;`"

MAX_DEPTH = 32
"""The module nests elements nine deep."""

MAX_HELD = 400_000
"""Maximum number of elements outside of finished streams: as many as 35,000 viewers of one stream have."""

MAX_TEXT = 4096
"""Maximum number of characters kept of an element's text."""

_TOKEN = re.compile(rb"<(?P<close>/?)(?P<tag>[a-zA-Z_][a-zA-Z0-9_]{0,39}) {0,8}(?P<empty>/?)>")
_ENTITY = re.compile(r"&(?:#(?P<decimal>\d{1,7})|#x(?P<hex>[0-9a-fA-F]{1,6})|(?P<name>amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
# fmt: off
_TAGS = frozenset({
    "rtmp", "nginx_version", "nginx_rtmp_version", "version", "compiler", "built", "pid", "uptime", "naccepted",
    "bw_in", "bw_out", "bytes_in", "bytes_out", "in", "out", "bwin", "bwout", "bw_audio", "bw_video", "server",
    "application", "name", "live", "play", "stream", "time", "client", "id", "address", "flashver", "pageurl",
    "swfurl", "dropped", "avsync", "timestamp", "publishing", "active", "meta", "video", "audio", "width", "height",
    "framerate", "frame_rate", "codec", "profile", "compat", "level", "channels", "sample_rate", "nclients",
    "recording", "recorders", "recorder", "bw_data", "pool", "nlarge", "size",
})
# fmt: on


class StatBuilder(Protocol):
    """Receives the streams of a page, in order."""

    def take(self, app: str, kind: str, stream: Element) -> None:
        """A finished stream: its application's name, ``live`` or ``play``, and its element."""
        ...


C = TypeVar("C", bound=StatBuilder)


def read(xml: bytes, collector: Callable[[], C]) -> tuple[Element, C, str]:
    """(root element without its streams, a collector that received them, description of repairs or "").

    Raises SourceBroken if this is not such a page, or is truncated.
    """
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:
        raise SourceBroken("the statistics page carries a DTD, which the RTMP module never sends")
    found, repairs = collector(), ""
    try:
        root = _strict(xml, found)
    except expat.ExpatError as error:
        found, repairs = collector(), str(error)
        root = _lenient(xml, found)
    if root.tag != "rtmp":
        raise _not_a_page(xml)
    return root, found, repairs


def _not_a_page(xml: bytes) -> SourceBroken:
    begin = " ".join(xml[:200].decode("utf-8", "replace").split())[:60]
    what = "nothing" if not begin else "HTML" if re.match(r"(?i)<(!doctype )?html|<head|<body", begin) else repr(begin)
    return SourceBroken(f"expected the RTMP module's statistics page, got {what}", PAGE)


class _Builder:
    """The open elements, and the closed ones other than streams, which are handed on."""

    def __init__(self, collector: StatBuilder) -> None:
        self.root: Element | None = None
        self.open: list[Element] = []
        self._collector = collector
        self._held = 0
        self._held_before: list[int] = []

    def start(self, tag: str) -> None:
        if len(self.open) >= MAX_DEPTH or self._held >= MAX_HELD:
            raise SourceBroken(
                f"the statistics page nests its elements more than {MAX_DEPTH} deep"
                if len(self.open) >= MAX_DEPTH
                else f"the statistics page has more than {MAX_HELD} elements in one of its parts"
            )
        element = SubElement(self.open[-1], tag) if self.open else Element(tag)
        if self.root is None:
            self.root = element
        self._held_before.append(self._held)
        self._held += 1
        self.open.append(element)

    def end(self) -> None:
        element, held = self.open.pop(), self._held_before.pop()
        if element.tag == "stream" and len(self.open) >= 2:
            parent, application = self.open[-1], self.open[-2]
            if parent.tag in ("live", "play") and application.tag == "application":
                del parent[-1]
                self._held = held
                self._collector.take(application.findtext("name") or "", parent.tag, element)

    def text(self, text: str) -> None:
        element = self.open[-1]
        if not len(element) and len(element.text or "") < MAX_TEXT:
            element.text = ((element.text or "") + text)[:MAX_TEXT]


def _strict(xml: bytes, collector: StatBuilder) -> Element:
    builder = _Builder(collector)
    xml_pieces.parse(
        xml, "the statistics page", start=builder.start, end=lambda _: builder.end(), text=builder.text, fix=PAGE
    )
    assert builder.root is not None  # expat has found it
    return builder.root


def _lenient(xml: bytes, collector: StatBuilder) -> Element:
    """The tree of a malformed page: stray ``<`` and ``&`` are text, a damaged closing tag closes the open element.
    Raises SourceBroken if the page does not reach ``</rtmp>``."""
    builder = _Builder(collector)
    begin = 0
    for token in _tokens(xml):
        tag = token["tag"].decode()
        if builder.root is None:
            if tag != "rtmp" or token["close"]:
                raise _not_a_page(xml)
        elif tag not in _TAGS and not (token["close"] and _damaged(tag, builder.open[-1].tag)):
            continue
        if token["close"]:
            if len(builder.open) == 1 and tag != "rtmp":
                continue  # only its own tag ends the page
            text = xml[begin : min(token.start(), begin + MAX_TEXT)].decode("utf-8", "replace")
            builder.text(_ENTITY.sub(_character, text))
            names = [element.tag for element in builder.open]
            depth = len(names) - 1 - names[::-1].index(tag) if tag in names else len(names) - 1
            while len(builder.open) > depth:
                builder.end()
            if not builder.open:
                break
        else:
            builder.start(tag)
            if token["empty"]:
                builder.end()
        begin = token.end()
    if builder.root is None:
        raise _not_a_page(xml)
    if builder.open:
        raise SourceBroken(f"the statistics page was cut off after {len(xml)} bytes")
    return builder.root


def _tokens(xml: bytes) -> Iterator[re.Match[bytes]]:
    at = xml.find(b"<")
    while at >= 0:
        token = _TOKEN.match(xml, at)
        if token is not None:
            yield token
        at = xml.find(b"<", at + 1 if token is None else token.end())


def _damaged(closing: str, opened: str) -> bool:
    """Whether ``closing`` is ``opened`` with letters missing in its middle (the module's number buffer was too
    short)."""
    prefix, underscore, suffix = opened.partition("_")
    return bool(underscore) and closing.endswith(suffix) and f"{prefix}_".startswith(closing.removesuffix(suffix))


def _character(entity: re.Match[str]) -> str:
    if entity["name"]:
        return _NAMED[entity["name"]]
    code = int(entity["decimal"]) if entity["decimal"] else int(entity["hex"], 16)
    return chr(code) if 0x20 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else " "
