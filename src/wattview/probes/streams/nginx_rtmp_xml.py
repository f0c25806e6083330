"""The XML of the RTMP module's statistics page, also of builds that write it damaged.

A page that is well-formed goes through the standard parser. What is not is read once more, leniently: names that were
not escaped are text, and a closing tag that lost letters closes the element that is open. A page without its end is
refused. Pure functions; no DTD, no entities but XML's own five.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from wattview.probes import SourceBroken

UPDATE = "update the nginx RTMP module (1.2 or later escapes its page correctly)"
_TOKEN = re.compile(r"<(?P<close>/?)(?P<tag>[a-zA-Z_][a-zA-Z0-9_]*) *(?P<empty>/?)>|<\?[^>]*\?>")
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


def tree(xml: bytes) -> tuple[Element, str]:
    """(the root element, what had to be repaired or ""). No DTD, no entities but XML's own five."""
    text = xml.decode("utf-8", "replace")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise SourceBroken("the statistics page carries a DTD, which the RTMP module never writes", "")
    try:
        root, repairs = ElementTree.fromstring(text), ""  # noqa: S314 (no DTD gets here)
    except ElementTree.ParseError as error:
        root, repairs = _lenient(text), str(error)
    if root.tag != "rtmp":
        raise _not_a_page(text)
    return root, repairs


def _not_a_page(text: str) -> SourceBroken:
    begin = " ".join(text[:200].split())[:60]
    what = "nothing" if not begin else "HTML" if re.match(r"(?i)<(!doctype )?html|<head|<body", begin) else repr(begin)
    return SourceBroken(
        f"expected the RTMP module's statistics page, got {what}",
        "set streams.nginx_rtmp_url to where nginx.conf says `rtmp_stat all;`",
    )


def _lenient(text: str) -> Element:
    """The tree of a page that is not well-formed: stray ``<`` and ``&`` are text, a damaged closing tag closes the
    element that is open. Raises SourceBroken where the page does not reach ``</rtmp>``."""
    root: Element | None = None
    open_elements: list[Element] = []
    done = False
    begin = 0
    for token in _TOKEN.finditer(text):
        tag = token["tag"]
        if tag is None:
            begin = token.end() if not open_elements else begin
            continue
        if root is None:
            if tag != "rtmp" or token["close"]:
                raise _not_a_page(text)
            root = Element(tag)
            open_elements = [root]
            begin = token.end()
            continue
        if done or (tag not in _TAGS and not (token["close"] and _damaged(tag, open_elements[-1].tag))):
            continue
        top = open_elements[-1]
        if token["close"]:
            if not len(top):
                top.text = _ENTITY.sub(_character, text[begin : token.start()])
            depth = next((i for i in range(len(open_elements) - 1, -1, -1) if open_elements[i].tag == tag), None)
            del open_elements[depth if depth is not None else len(open_elements) - 1 :]
            done = not open_elements
        else:
            element = SubElement(top, tag)
            if not token["empty"]:
                open_elements.append(element)
        begin = token.end()
    if root is None:
        raise _not_a_page(text)
    if not done:
        raise SourceBroken(f"the statistics page was cut off after {len(text)} characters")
    return root


def _damaged(closing: str, opened: str) -> bool:
    """Whether ``closing`` is ``opened`` with letters lost from its middle (the module's number buffer was short)."""
    prefix, underscore, suffix = opened.partition("_")
    return bool(underscore) and closing.endswith(suffix) and f"{prefix}_".startswith(closing.removesuffix(suffix))


def _character(entity: re.Match[str]) -> str:
    if entity["name"]:
        return _NAMED[entity["name"]]
    code = int(entity["decimal"]) if entity["decimal"] else int(entity["hex"], 16)
    return chr(code) if 0x20 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else " "
