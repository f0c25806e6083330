"""Text from elsewhere, made safe for each medium that shows it.

Container names, stream names and the fields of results files may hold anything. A terminal obeys control characters
(ECMA-48), a reader is misled by characters that turn the order of text around or take no room (Unicode TR 36), and a
spreadsheet runs a cell that looks like a formula (OWASP, *CSV Injection*).
"""

from __future__ import annotations

import unicodedata
from typing import Any

REPLACEMENT = "·"

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a cell begins with that a spreadsheet may run: the full-width forms are folded by some of them."""


def clean(text: str, keep: str = "\n") -> str:
    """``text`` with a dot for every control and format character (C0, C1, bidirectional, zero-width, tags, surrogates);
    those in ``keep`` stay."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep or _is_space(one) else REPLACEMENT for one in text)


def one_line(text: str) -> str:
    """The same with line breaks as dots."""
    return clean(text, keep="")


def _is_space(character: str) -> bool:
    return unicodedata.category(character) == "Zs"


def json_escaped(text: str) -> str:
    """JSON that says the same with no character that a terminal would obey: they are written as ``\\uXXXX``."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one == "\n" or _is_space(one) else _json_escape(ord(one)) for one in text
    )


def _json_escape(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def csv_cell(value: Any) -> Any:
    """A cell of a CSV file. A text that a spreadsheet would take for a formula begins with an apostrophe, which says
    that it is a text; a number stays one."""
    if not isinstance(value, str):
        return value
    text = clean(value)
    return f"'{text}" if value.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text
