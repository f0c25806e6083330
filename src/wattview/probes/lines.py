"""A kernel file taken apart line by line, so that an odd line costs itself.

Kernels, their drivers and what stands in for them (LXCFS, gVisor) print lines that no document knows: an empty one, a
table above the fields, a device without a name. Such a line is left out, and the log says so once for each file.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

log = logging.getLogger("wattview.probes")

_Line = TypeVar("_Line", str, bytes)
_Item = TypeVar("_Item")

_PAIR = re.compile(rb"^[ \t]*(\S+)[ \t]+(-?[0-9]{1,20})[ \t]*$", re.MULTILINE)
_INTEGER = re.compile(rb"^[ \t]*(-?[0-9]{1,20})[ \t]*$", re.MULTILINE)

_said: set[str] = set()


def understood(lines: Iterable[_Line], parse: Callable[[_Line], _Item | None], file: str) -> list[_Item]:
    """What ``parse`` makes of each line. It gives None for a line without an item, such as a heading.

    A line that it refuses with a ValueError or an IndexError is left out. Raises ValueError, naming ``file``, where
    every line was refused: then this is another kind of file.
    """
    found: list[_Item] = []
    known = False
    refused: _Line | None = None
    for line in lines:
        try:
            item = parse(line)
        except (ValueError, IndexError):
            if refused is None and line.strip():
                refused = line
            continue
        known = True
        if item is not None:
            found.append(item)
    if refused is not None:
        if not known:
            raise ValueError(f"{file}: has no line that is understood: {shown(refused)}")
        odd(file, refused)
    return found


def odd(file: str, line: str | bytes) -> None:
    """Says once for each file that a line of it is left out."""
    if file not in _said:
        _said.add(file)
        log.warning("%s: a line is not understood and left out: %s", file, shown(line))


def pairs(data: bytes) -> list[tuple[bytes, bytes]]:
    """The ``name integer`` lines of a file, and no others."""
    words = data.split()
    values = words[1::2]
    if len(words) == 2 * len(values) and b"".join(values).isdigit():
        # Nothing else is in it: the way that is taken again and again.
        return list(zip(words[::2], values, strict=True))
    return _PAIR.findall(data)


def integer(data: bytes, file: str) -> int:
    """The number that is all there is in a file. Raises ValueError."""
    match = _INTEGER.search(data)
    if match is None:
        raise ValueError(f"{file}: is not a number: {shown(data)}")
    return int(match[1])


def value(text: str | None, parse: Callable[[str], _Item], file: str) -> _Item | None:
    """What ``parse`` makes of one value; None where there is no such text, or ``parse`` refuses it."""
    if text is None:
        return None
    try:
        return parse(text)
    except (ValueError, IndexError, OverflowError):
        odd(file, text)
        return None


def shown(text: str | bytes) -> str:
    """A piece of a file as a message shows it."""
    return repr(text[:80]).removeprefix("b")
