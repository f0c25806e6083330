"""Errors in words: one that says how it is fixed, and those of msgspec, json and tomllib explained.

For settings, suites, run requests, results files, web configurations, and other programs' answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from wattview.foreign_text import cut

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec's decoders raise for any bytes."""

LONGEST = 60
LONGEST_REASON = 8000
"""Enough for forty meters that fail at once."""

_WHERE = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>.*)`$", re.DOTALL)
_FIELD = re.compile(r"Object (?P<what>contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
_GOT = re.compile(r", got (?P<got>.*)$", re.DOTALL)
_PLAIN = {"object": "an object", "array": "a list", "str": "text", "bool": "true or false", "int": "a number",
          "float": "a number", "null": "null"}  # fmt: skip


class Explained(Exception):
    """An error for users: ``reason`` names the place and the problem; ``fix`` says how to fix it, or is "". Both may
    quote something from outside, and are cut."""

    def __init__(self, reason: str, fix: str = "") -> None:
        self.reason = cut(reason, LONGEST_REASON)
        self.fix = cut(fix, LONGEST_REASON)
        super().__init__(f"{self.reason}; {self.fix}" if fix else self.reason)


class Mistake(Struct, frozen=True):
    """One value of the wrong type. ``path`` leads to it, ``scenarios[2].bitrate``, "" for the whole; ``unknown`` and
    ``missing``: the field does not exist, or is missing; else ``expected`` and ``got`` are msgspec's words, with type
    names in backquotes."""

    path: str
    unknown: bool = False
    missing: bool = False
    expected: str = ""
    got: str = ""

    def type_words(self) -> str:
        """``expected int >= 1``: in the types of the settings."""
        return self.expected.replace("`", "")

    def plain_words(self) -> str:
        """``expected an object, got a list``, without type names. ``got`` is left out if unknown."""
        if self.unknown or self.missing:
            return "no such field" if self.unknown else "missing"
        text = self.expected + (f", got {self.got}" if self.got else "")
        return re.sub(r"`(\w+)`", lambda match: _PLAIN.get(match[1], match[1]), text)


def mistake(error: msgspec.ValidationError) -> Mistake:
    """Parses msgspec's message."""
    text = str(error)
    where = _WHERE.search(text)
    path = where["path"] if where else ""
    text = _WHERE.sub("", text)
    if field := _FIELD.match(text):
        unknown = field["what"] == "contains unknown"
        return Mistake(f"{path}.{field['name']}" if path else field["name"], unknown=unknown, missing=not unknown)
    got = _GOT.search(text)
    return Mistake(path, expected=text[:1].lower() + _GOT.sub("", text)[1:], got=got["got"] if got else "")


def why_unreadable(error: Exception, of: str = "JSON") -> str:
    """Why a text cannot be read, in one line. ``of`` is the format that msgspec expected."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 text"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, msgspec.ValidationError):
        found = mistake(error)
        return (f"{found.path}: " if found.path else "") + found.plain_words()
    if isinstance(error, msgspec.DecodeError):
        return f"not valid {of}: {error}"
    match type(error).__name__:
        case "JSONDecodeError":
            return f"not valid JSON: {error.msg} at line {error.lineno}"  # type: ignore[attr-defined]
        case "TOMLDecodeError":
            return f"not valid TOML: {error}"
        case _:
            return " ".join(str(error).split())


def steps(path: str) -> list[str | int]:
    """The steps of a path such as ``cost.tariff[0].start``."""
    return [int(step[1:-1]) if step.startswith("[") else step for step in re.findall(r"[^.\[\]]+|\[[0-9]+\]", path)]


def value_at(tree: Any, path: str) -> object:
    """The value at that path; None if there is none."""
    for step in steps(path):
        try:
            tree = tree[step]
        except (LookupError, TypeError):
            return None
    return tree


def shown(value: object) -> str:
    """A given value, shortened to fit a line."""
    return brief(repr(value))


def brief(text: str) -> str:
    """``text``, or its beginning, for a message that quotes it."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}…"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean bitrate?``, or "" if nothing is similar."""
    import difflib

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""
