"""XML from outside, parsed in pieces, between which other threads run: expat holds the interpreter's lock.

Names are as written, with their prefix: resolving one of a name space of megabytes takes that long for each tag. No
DTD, no entities but XML's five predefined ones.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.parsers import expat

from wattview.probes import SourceBroken

_PIECE = 64 * 1024
_MAX_TOKEN = 256 * 1024
"""expat parses an unfinished tag again with every piece."""


def parse(
    xml: bytes,
    what: str,
    *,
    start: Callable[[str], object],
    end: Callable[[str], object],
    text: Callable[[str], object],
    fix: str = "",
) -> None:
    """Calls ``start`` and ``end`` with the name of each element, and ``text`` with what is between. Raises ExpatError,
    and SourceBroken, which names ``what``, for a DTD or a tag of more than 256 KiB."""

    def refuse_dtd(*_: object) -> None:
        raise SourceBroken(f"{what} has a DTD, which may define entities: it is not read")

    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = lambda tag, _: start(tag)
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse_dtd
    for begin in range(0, len(xml), _PIECE):
        parser.Parse(xml[begin : begin + _PIECE], False)
        if begin + _PIECE - parser.CurrentByteIndex > _MAX_TOKEN:
            raise SourceBroken(f"{what} has a tag of more than {_MAX_TOKEN // 1024} KiB", fix)
    parser.Parse(b"", True)
