"""The dashboard in plain ASCII, for terminals and fonts without Unicode.

A filter over everything that is drawn: lines become ``-`` and ``|``, dots and blocks become characters of about their
weight.
"""

from __future__ import annotations

import locale
from collections.abc import Mapping

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_SAME = {
    "—": "-", "–": "-", "…": ".", "●": "*", "○": "o", "✓": "+", "✗": "x", "▾": "v", "▴": "^", "▸": ">", "▶": ">",
    "↓": "v", "↑": "^", "←": "<", "→": ">", "·": ".", "•": ".", "×": "x", "Δ": "d", "≈": "~", "²": "2", "₂": "2",
    "‹": "<", "›": ">", "⏸": "=", "±": "+", "µ": "u", "█": "#", "▉": "#", "▊": "#", "▋": "#", "▌": "#", "▍": "#",
    "▎": "|", "▏": "|", "▁": "_", "▂": "_", "▃": ".", "▄": "=", "▅": "=", "▆": "=", "▇": "=", "▀": "\"", "░": ".",
    "▒": ":", "▓": "#", "⚡": "!", "⚠": "!", "▐": "#", "▔": "-", "▕": "|", "■": "#", "▪": "*",
    "▖": "-", "≠": "#", "▼": "v", "▲": "^", "≥": ">",
}  # fmt: skip
_BRAILLE = " .,:;ox%#"


def ascii_text(text: str) -> str:
    """``text`` with every character in ASCII and of the same width."""
    if text.isascii():
        return text
    return "".join(character if character.isascii() else _ascii(character) for character in text)


def _ascii(character: str) -> str:
    if character in _SAME:
        return _SAME[character]
    code = ord(character)
    if 0x2800 <= code <= 0x28FF:
        return _BRAILLE[(code - 0x2800).bit_count()]
    if 0x2500 <= code <= 0x257F:
        return "-" if character in "─━┄┅┈┉═╌╍╴╶╸╺╼╾" else "|" if character in "│┃┆┇┊┋║╎╏╵╷╹╻╽╿" else "+"
    return "?" * cell_len(character)


class AsciiFilter(LineFilter):
    """Rewrites drawn lines."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(ascii_text(segment.text), segment.style, segment.control)
            for segment in segments
        ]


def needs_ascii(environ: Mapping[str, str]) -> bool:
    """Whether the terminal lacks Unicode: no UTF-8 locale, or a console with a font of 256 glyphs."""
    if environ.get("TERM", "") in ("linux", "dumb", "vt100", "vt102", "vt220"):
        return True
    return "utf" not in locale.getpreferredencoding(False).lower()
