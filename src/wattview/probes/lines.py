"""Line-by-line parsing of kernel files, in which an unexpected line costs only itself.

Kernels, drivers and substitutes for them (LXCFS, gVisor) print undocumented lines: an empty one, a table above the
fields, a device without a name. Such a line is skipped, and logged once per file.
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
    """The results of ``parse`` for each line. ``parse`` returns None for a line without an item, such as a heading.

    A line for which it raises ValueError or IndexError is skipped. Raises ValueError, naming ``file``, if every line
    was rejected: it is then a file of another kind.
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
    """Logs once per file that a line was skipped."""
    if file not in _said:
        _said.add(file)
        log.warning("%s: a line is not understood and left out: %s", file, shown(line))


def pairs(data: bytes) -> list[tuple[bytes, bytes]]:
    """The ``name integer`` lines of a file, and no others."""
    words = data.split()
    values = words[1::2]
    if len(words) == 2 * len(values) and b"".join(values).isdigit():
        # The fast path: there are no other lines.
        return list(zip(words[::2], values, strict=True))
    return _PAIR.findall(data)


def integer(data: bytes, file: str) -> int:
    """The only number in a file. Raises ValueError."""
    digits = data.strip()
    if digits.isdigit() and len(digits) <= 20:
        return int(digits)
    match = _INTEGER.search(data)
    if match is None:
        raise ValueError(f"{file}: is not a number: {shown(data)}")
    return int(match[1])


def value(text: str | None, parse: Callable[[str], _Item], file: str) -> _Item | None:
    """The result of ``parse`` for one value; None if there is no text, or ``parse`` rejects it."""
    if text is None:
        return None
    try:
        return parse(text)
    except (ValueError, IndexError, OverflowError):
        odd(file, text)
        return None


def shown(text: str | bytes) -> str:
    """An excerpt of a file for a message."""
    return repr(text[:80]).removeprefix("b")
