"""Text that a terminal would obey or a reader be misled by, in every place of a struct that may hold any text."""

from __future__ import annotations

import re
import types
import typing
import unicodedata
from typing import Any, TypeVar

import msgspec

HOSTILE = (
    "\x1b]0;owned\x07",  # the window's title
    "\x1b[2J\x1b[31m",  # an empty screen, and red, which is ours too
    "\x9b2J\x90q\x9c",  # the same in C1, and a device control string
    "\x1b]52;c;b3duZWQ=\x1b\\",  # the clipboard
    "\r\nfake: done\b\b\x7f",
    "\u202egpj.exe\u2066\u2069\u200f\u061c",  # the order of text
    "a\u200bb\u200db\u2060\ufeff\u00ad\U000e0041",  # what takes no room
    "\u3164\ufe0f\U000e0101\u034f",  # letters and marks without a shape
    "\u2028\u2029\x85",  # more line breaks
    "\ufdd1[red]x[/red]",  # our own marks, and markup
)
EVIL = "".join(HOSTILE)
SHAPELESS = {
    chr(code)
    for first, last in ((0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x3164, 0x3164),
                        (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF))
    for code in range(first, last + 1)
}  # fmt: skip
"""What is printable to Python and has no shape: what of DerivedCoreProperties.txt's Default_Ignorable_Code_Point is in
the categories Mn and Lo."""
OUR_COLOURS = re.compile(r"\x1b\[(?:0|1|2|3[1-6])m")

Made = TypeVar("Made")


def obeyed(text: str) -> list[str]:
    """What a terminal would obey, or a reader be misled by, but our own colours and line breaks."""
    text = OUR_COLOURS.sub("", text)
    return [
        one
        for one in text
        if (one != "\n" and not one.isprintable() and unicodedata.category(one) != "Zs") or one in SHAPELESS
    ]


def with_hostile_text(value: Made, evil: str = EVIL) -> Made:
    """A copy of a struct with ``evil`` before every text in it, for as far as the text's type allows it: one of a few
    words stays as it is. An ``id`` stays too, because others are asked by it."""
    changed: Made = _changed(value, Any, evil)
    return changed


def _changed(value: Any, kind: Any, evil: str) -> Any:
    if isinstance(value, msgspec.Struct):
        kinds = typing.get_type_hints(type(value), include_extras=True)
        names = [name for name in value.__struct_fields__ if name not in ("id", "uuid")]
        return msgspec.structs.replace(
            value, **{name: _changed(getattr(value, name), kinds[name], evil) for name in names}
        )
    if isinstance(value, str):
        return _allowed(evil, value, kind)
    if isinstance(value, dict):
        return {key: _changed(one, typing.get_args(_some(kind))[1], evil) for key, one in value.items()}
    if isinstance(value, list | tuple):
        of = (*typing.get_args(_some(kind)), Any)[0]
        return type(value)(_changed(one, of, evil) for one in value)
    return value


def _allowed(evil: str, text: str, kind: Any) -> str:
    """As much of ``evil`` before ``text`` as ``kind`` takes."""
    without_c0 = re.sub(r"[\x00-\x1f\x7f]", "", evil)
    for one in (evil, without_c0, without_c0[: 90 - len(text)]):
        try:
            return msgspec.convert(f"{one}{text}", kind)  # type: ignore[no-any-return]
        except msgspec.ValidationError:
            continue
    return text


def _some(kind: Any) -> Any:
    """``list[str] | None`` → ``list[str]``, and the same without what bounds it."""
    if typing.get_origin(kind) is typing.Annotated:
        return _some(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return next(_some(one) for one in typing.get_args(kind) if one is not type(None))
    return kind
