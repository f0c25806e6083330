"""Makes untrusted text safe for the medium that shows it.

Container names, stream names and fields of results files may contain anything. A terminal interprets control characters
(ECMA-48), readers are misled by characters that reorder text or are invisible (Unicode TR 36), and a spreadsheet
evaluates a cell that looks like a formula (OWASP, *CSV Injection*).
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2s
from typing import Any

import msgspec

REPLACEMENT = "·"

_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Marks and letters without a shape (Unicode's Default_Ignorable_Code_Point) that Python calls printable."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""First characters of a cell that a spreadsheet may evaluate; some normalise the full-width forms."""


def clean(text: str, keep: str = "\n") -> str:
    """``text`` with a dot for every control and format character (C0, C1, bidirectional, zero-width, tags, surrogates)
    except those in ``keep``, and for every character without a shape."""
    if _is_plain(text):
        return text
    return "".join(one if _is_shown(one) or one in keep else REPLACEMENT for one in text)


def cut(text: str, longest: int) -> str:
    """``text``, or its beginning with an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def shortened(name: str, longest: int = 256) -> str:
    """``name``, or its beginning with a digest of the whole, so that two long names stay two."""
    if len(name) <= longest:
        return name
    return f"{name[:longest]}…{blake2s(name.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def encodable(text: str) -> str:
    """``text`` with a question mark for every lone surrogate. Python makes these of invalid UTF-8 in a file's, cgroup's
    or program's name (PEP 383), and of half a pair in JSON; no encoder accepts them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def wire_json(value: Any) -> bytes:
    """A value as JSON, even if its texts are not valid Unicode: one such name must not lose the whole answer."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_encodable_tree(msgspec.to_builtins(value)))


def _encodable_tree(tree: Any) -> Any:
    if isinstance(tree, str):
        return encodable(tree)
    if isinstance(tree, dict):
        return {_encodable_tree(key): _encodable_tree(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_encodable_tree(value) for value in tree]
    return tree


def one_line(text: str) -> str:
    """The same with line breaks as dots."""
    return clean(text, keep="")


def _is_plain(text: str) -> bool:
    return text.isprintable() and (text.isascii() or _UNSEEN.search(text) is None)


def _is_shown(character: str) -> bool:
    return _is_plain(character) or unicodedata.category(character) == "Zs"


def json_escaped(text: str) -> str:
    r"""Equivalent JSON in which characters that a terminal would interpret are ``\uXXXX``."""
    if _is_plain(text):
        return text
    return "".join(one if _is_shown(one) or one == "\n" else _json_escape(ord(one)) for one in text)


def _json_escape(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def csv_cell(value: Any) -> Any:
    """A cell of a CSV file. An apostrophe marks a text that a spreadsheet would treat as a formula; numbers are
    unchanged."""
    if not isinstance(value, str):
        return value
    text = clean(value)
    return f"'{text}" if value.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text
