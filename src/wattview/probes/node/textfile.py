"""Metrics that other programs write to files: ``*.prom`` in a directory, in Prometheus' text format 0.0.4.

A malformed file is skipped as a whole, and ``node_textfile_scrape_error`` is set. A family in two files becomes one
family; if they disagree on its type or help, the first file counts.
"""

from __future__ import annotations

import glob
import logging
import math
import os
import re
from pathlib import Path
from typing import NamedTuple, cast

from wattview import whole_file
from wattview.config import Config
from wattview.exposition import Family, FamilyType, gauge, label_text, labels, parse_series

log = logging.getLogger("wattview.node")

MAX_BYTES = 16 * 1024 * 1024
"""Of one file: more than 100,000 series."""

_TYPES = frozenset(("counter", "gauge", "untyped", "histogram", "summary"))
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}


class _File(NamedTuple):
    """A file at the time it was read; ``families`` is None if it is malformed."""

    stamp: tuple[int, int, int]
    families: list[Family] | None


class Textfile:
    """All metrics in ``node.textfile_directory`` (a directory, or a pattern for several)."""

    def __init__(self, config: Config) -> None:
        self._directory = config.node.textfile_directory
        self._read: dict[str, _File] = {}
        self._said_before: dict[str, str] = {}
        self._said: dict[str, str] = {}

    def collect(self) -> list[Family]:
        self._said_before, self._said = self._said, {}
        merged: dict[str, Family] = {}
        mtimes = gauge("node_textfile_mtime_seconds", "Unixtime mtime of textfiles successfully read.")
        paths, error = self._paths()
        for path in paths:
            file = self._file(path)
            if file is None or file.families is None:
                error = True
                continue
            for family in file.families:
                error |= not _merge(merged, family, path)
            mtimes.add(file.stamp[0] // 1_000_000_000, labels(file=path))
        for path in self._read.keys() - set(paths):
            del self._read[path]
        help_text = "1 if there was an error opening or reading a file, 0 otherwise"
        return [*merged.values(), mtimes, gauge("node_textfile_scrape_error", help_text, 1 if error else 0)]

    def _paths(self) -> tuple[list[str], bool]:
        """The files, and whether a directory could not be read."""
        if not self._directory:
            return [], False
        found = []
        failed = False
        for directory in sorted(glob.glob(self._directory)) or [self._directory]:
            try:
                names = sorted(os.listdir(directory))
            except OSError as error:
                self._say(directory, str(error))
                failed = True
                continue
            found += [f"{directory}/{name}" for name in names if name.endswith(".prom")]
        return found, failed

    def _file(self, path: str) -> _File | None:
        """A file's families, parsed again only if the file has changed."""
        known = self._read.get(path)
        try:
            status = os.stat(path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if known is None or known.stamp != stamp:
                text = whole_file.read(Path(path), MAX_BYTES).decode()
                known = self._read[path] = _File(stamp, parse(text))
        except OSError as error:
            self._say(path, error.strerror or str(error))
            return None
        except ValueError as error:
            self._say(path, str(error))
            known = self._read[path] = _File(stamp, None)
        return known

    def _say(self, path: str, reason: str) -> None:
        if self._said_before.get(path) != reason:
            log.warning("textfile %s: %s", path, reason)
        self._said[path] = reason


def _merge(merged: dict[str, Family], family: Family, path: str) -> bool:
    """Adds a file's family to those of earlier files; False if they are incompatible."""
    help_text = family.help or f"Metric read from {path}"
    known = merged.get(family.name)
    if known is None:
        merged[family.name] = Family(family.name, family.type, help_text, list(family.samples))
        return True
    keys = {text for text, _ in known.samples}
    if known.type != family.type or (family.help and known.help != family.help):
        return False
    if any(text in keys for text, _ in family.samples):
        return False
    known.samples += family.samples
    return True


def parse(text: str) -> list[Family]:
    """Parses Prometheus' text format. Raises ValueError with the line if it is malformed.

    Time stamps are refused: a sample here has the time of the scrape. A family without a HELP line has no help.
    """
    families: dict[str, Family] = {}
    seen: set[tuple[str, str]] = set()
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        try:
            if line.startswith("#"):
                _comment(families, line)
            elif line:
                name, suffix, pairs, value = _sample(families, line)
                family = families.setdefault(name, Family(name, "untyped", ""))
                key = suffix + label_text(dict(sorted(pairs.items())))
                if (name, key) in seen:
                    raise ValueError("the same series twice")
                seen.add((name, key))
                family.samples.append((key, value))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}: {line[:120]!r}") from None
    return [family for family in families.values() if family.samples]


def _comment(families: dict[str, Family], line: str) -> None:
    _, *words = line.split(None, 3)
    if len(words) < 2 or words[0] not in ("HELP", "TYPE"):
        return
    name, rest = words[1], words[2] if len(words) > 2 else ""
    if not _NAME.fullmatch(name):
        raise ValueError("not a metric name")
    family = families.setdefault(name, Family(name, "untyped", ""))
    if words[0] == "HELP":
        if family.help:
            raise ValueError("a second HELP line")
        family.help = re.sub(r"\\[n\\]", lambda match: "\n" if match[0] == "\\n" else "\\", rest)
    elif rest.strip() not in _TYPES:
        raise ValueError("not a metric type")
    elif family.samples:
        raise ValueError("a TYPE line after its samples")
    else:
        family.type = cast(FamilyType, rest.strip())


def _sample(families: dict[str, Family], line: str) -> tuple[str, str, dict[str, str], float]:
    """(family, suffix, labels, value) of a sample's line."""
    match = _NAME.match(line)
    if match is None:
        raise ValueError("not a metric name")
    full_name, rest = match[0], line[match.end() :].lstrip()
    pairs: dict[str, str] = {}
    if rest.startswith("{"):
        end = _closing_brace(rest)
        _, pairs = parse_series("x{" + _tidy(rest[1:end]) + "}")
        rest = rest[end + 1 :]
    fields = rest.split()
    if len(fields) == 2:
        raise ValueError("time stamps are not supported")
    if len(fields) != 1:
        raise ValueError("not a value")
    for kind, suffixes in _SUFFIXES.items():
        for suffix in suffixes:
            base = full_name.removesuffix(suffix)
            if base != full_name and base in families and families[base].type == kind:
                return base, suffix, pairs, _value(fields[0])
    return full_name, "", pairs, _value(fields[0])


def _closing_brace(text: str) -> int:
    """Index of the end of the labels: the first brace outside of quotes."""
    quoted = escaped = False
    for index, letter in enumerate(text):
        if escaped:
            escaped = False
        elif letter == "\\" and quoted:
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif letter == "}" and not quoted:
            return index
    raise ValueError("the labels' brace is not closed")


_PAIR = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*("(?:[^"\\]++|\\.)*+")\s*(,|$)')


def _tidy(body: str) -> str:
    """Labels without the optional spaces and trailing comma."""
    pairs = []
    at = 0
    names = set()
    while match := _PAIR.match(body, at):
        if match[1] in names:
            raise ValueError("the same label twice")
        if match[1].startswith("__"):
            raise ValueError("a label that Prometheus keeps for itself")
        names.add(match[1])
        pairs.append(f"{match[1]}={match[2]}")
        at = match.end()
    if body[at:].strip():
        raise ValueError("not a label")
    return ",".join(pairs)


def _value(text: str) -> float:
    if "_" in text:
        raise ValueError("not a value")
    value = float(text)
    return int(value) if math.isfinite(value) and value == int(value) and abs(value) < 2**53 else value
