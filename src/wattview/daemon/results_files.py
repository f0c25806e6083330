"""Results files: ``test_results_YYYYmmdd_HHMMSS.json``, written atomically and read tolerantly.

``write`` leaves either the complete new file or the old one. ``read`` accepts what WattView and other programs have
written in this form: a missing or wrong field costs that field only, and the scenario's notes name it; only a file that
is not a JSON object with a list of scenarios is refused. These functions block: call them off the event loop.
"""

from __future__ import annotations

import codecs
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields, replace

from wattview import whole_file
from wattview.analysis.results import is_baseline
from wattview.decoding import UNREADABLE, brief, why_unreadable
from wattview.foreign_text import shortened
from wattview.model import (
    CommandRecord,
    EncoderStatus,
    Output,
    Playback,
    RecordedPart,
    RenditionRecord,
    ResultsFile,
    ScenarioRecord,
)

T = TypeVar("T")

LEAST = 1e-9
"""Smallest number other than 0 in a results file."""

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_ODD_BYTES = 8 * 1024 * 1024
"""Maximum size of a file whose JSON is not strict, as it needs a slower parser."""
MAX_NAME_LENGTH = 200
MAX_TEXT_LENGTH = 4096
MAX_NOTES = 100
"""Of other texts, and of one scenario's notes. Tables repeat them in many lines, padded to the longest."""
LEFTOVER_SECONDS = 600.0

_FILE_NAME = re.compile(r"test_results_([0-9]{8}_[0-9]{6})\.json")
_STAMP = re.compile(r"[0-9]{8}_[0-9]{6}")

ALWAYS_WRITTEN = (
    "name", "bitrate", "resolution", "fps", "duration", "start_time", "end_time", "outputs", "vmaf_score",
    "psnr_score", "ssim_score",
)  # fmt: skip
"""Fields of a scenario that all programs share: null if unknown. Our own fields are left out instead."""


class ResultsFileError(Exception):
    """An unusable results file or directory. ``str()`` is the reason."""


def is_stamp(text: str) -> bool:
    """Whether a text has the form of a stamp, ``YYYYmmdd_HHMMSS``: digits and an underscore, no path."""
    return _STAMP.fullmatch(text) is not None


def stamp_of(path: Path) -> str | None:
    """The stamp in a results file's name; None for other names."""
    match = _FILE_NAME.fullmatch(path.name)
    return match[1] if match else None


def path_for(directory: Path, stamp: str) -> Path:
    """Path of the results file with that stamp. Raises ValueError for anything but a stamp."""
    if not is_stamp(stamp):
        raise ValueError(f"not a results stamp (YYYYmmdd_HHMMSS): {stamp!r}")
    return directory / f"test_results_{stamp}.json"


def listing(directory: Path) -> list[Path]:
    """The results files of a directory, newest first by the stamp in the name; none if it does not exist.

    Raises ResultsFileError without permission.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ResultsFileError(f"{directory}: {error.strerror}") from None
    return [directory / name for name in sorted(names, reverse=True) if _FILE_NAME.fullmatch(name)]


def stamped(directory: Path) -> list[Path]:
    """Like ``listing``, but empty if the directory cannot be read."""
    try:
        return listing(directory)
    except ResultsFileError:
        return []


def write(directory: Path, results: ResultsFile, stamp: str) -> Path:
    """Writes one results file atomically: temporary file beside it, fsync, rename, fsync of the directory.

    A file with the same stamp is replaced. Raises OSError (disk full, no permission …); then the temporary file is
    removed and the previous file is unchanged. Creates the directory if necessary.
    """
    path = path_for(directory, stamp)
    content = msgspec.json.format(msgspec.json.encode(_plain(results)), indent=2) + b"\n"
    directory.mkdir(parents=True, exist_ok=True)
    sweep(directory, LEFTOVER_SECONDS)
    whole_file.write(path, content, mode=0o644)
    return path


def copy(path: Path, directory: Path) -> None:
    """Copies a results file into another directory, atomically. Raises OSError."""
    whole_file.write(directory / path.name, whole_file.read(path, MAX_FILE_BYTES))


def sweep(directory: Path, older_than: float = 0.0) -> None:
    """Removes temporary files that killed writers left in a directory."""
    whole_file.sweep(directory, "test_results_*", older_than)


def read(path: Path, limit: int | None = None) -> ResultsFile:
    """One results file, with at most the first ``limit`` scenarios; ``left_out`` counts the others.

    Raises ResultsFileError if it cannot be read, or is not a results file.
    """
    try:
        content = whole_file.read(path, MAX_FILE_BYTES).removeprefix(codecs.BOM_UTF8)
        tree, scenarios = _parsed(content)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ResultsFileError(f"{path.name}: not a results file: {why_unreadable(error)}") from None
    except (OSError, *UNREADABLE) as error:
        raise ResultsFileError(f"{path.name}: {why_unreadable(error)}") from None
    shown = scenarios[:limit]
    return ResultsFile(
        test_date=_optional(tree, "test_date", str) or _date_of(path),
        scenarios=[_record(item, position) for position, item in enumerate(shown, start=1)],
        run=_optional(tree, "run", str),
        status=_optional(tree, "status", str),
        wattview_version=_optional(tree, "wattview_version", str),
        machine=_optional(tree, "machine", dict[str, Any]),
        left_out=len(scenarios) - len(shown),
    )


# writing


def _plain(results: ResultsFile) -> dict[str, Any]:
    tree = _without_none(msgspec.to_builtins(results))
    tree.pop("left_out")
    tree["scenarios"] = [_plain_record(record) for record in results.scenarios]
    return tree


def _plain_record(record: ScenarioRecord) -> dict[str, Any]:
    tree = msgspec.to_builtins(record)
    return {name: tree[name] for name in ALWAYS_WRITTEN} | _without_none(tree)


def _without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tree.items() if value is not None}


# reading


_Members = dict[str, msgspec.Raw]

_ANY = msgspec.json.Decoder()
_RAW = msgspec.json.Decoder(msgspec.Raw)
_MEMBERS = msgspec.json.Decoder(_Members)
_SCENARIOS = msgspec.json.Decoder(list[msgspec.Raw])


def _parsed(content: bytes) -> tuple[_Members, list[msgspec.Raw]]:
    """The members of the file's object and its scenarios, still undecoded: as objects, a file's scenarios would take a
    thousand times its size."""
    content.decode()
    try:
        tree = _MEMBERS.decode(content)
    except msgspec.ValidationError:
        _RAW.decode(content)  # report invalid JSON first
        raise
    except msgspec.DecodeError:
        tree = _MEMBERS.decode(_strict(content))
    if "scenarios" not in tree:
        raise msgspec.ValidationError("no list of scenarios")
    try:
        return tree, _SCENARIOS.decode(tree["scenarios"])
    except msgspec.ValidationError:
        raise msgspec.ValidationError("no list of scenarios") from None


def _strict(content: bytes) -> bytes:
    """Converts to strict JSON. Python and others write NaN, Infinity and unpaired surrogates; as texts they cost only
    their own field."""
    if len(content) > MAX_ODD_BYTES:
        return content
    try:
        tree = json.loads(content, parse_constant=str, parse_int=_parse_int, parse_float=_parse_float)
    except json.JSONDecodeError as error:
        cut = "the file is empty" if not content.strip() else f"{error.msg} at line {error.lineno}"
        raise msgspec.DecodeError(cut) from None
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "replace")


def _parse_int(text: str) -> int | str:
    # int() raises an error for thousands of digits, which would cost the whole file.
    return int(text) if len(text) <= 20 else text


def _parse_float(text: str) -> float | str:
    return number if math.isfinite(number := float(text)) else text


def _date_of(path: Path) -> str:
    stamp = stamp_of(path)
    try:
        return datetime.strptime(stamp or "", "%Y%m%d_%H%M%S").isoformat()
    except ValueError:
        return ""


def _record(item: msgspec.Raw, position: int) -> ScenarioRecord:
    try:
        members = _MEMBERS.decode(item)
    except msgspec.ValidationError as error:
        return ScenarioRecord(name=f"scenario {position}", notes=[why_unreadable(error)])
    notes: list[str] = []
    fields: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        member = members.get(name)
        if member is None or bytes(member) == b"null":
            continue
        try:
            fields[name] = field.read(member)
        except (ValueError, OverflowError, OSError, RecursionError):
            notes.append(f"{name}: expected {field.expected}, got {_shown(member)}")
    if "name" not in fields:
        fields["name"] = f"scenario {position}"
        if not notes or not notes[0].startswith("name: "):
            notes.insert(0, "name: missing")
    kept = fields.get("notes") or []
    fields["notes"] = [*kept, *(note for note in notes if note not in kept)] or None
    return _without_empty_zeros(ScenarioRecord(**fields))


_NO_BITRATE = re.compile(r"0*\.?0*[kKmMgG]?")
_NO_PICTURE = re.compile(r"0*x0*")


def _without_empty_zeros(record: ScenarioRecord) -> ScenarioRecord:
    """Removes zeros that mean "none", as written by programs whose fields cannot be empty: a picture of 0x0, a bitrate
    or frame rate of 0, and scores of 0.

    No compared picture has a PSNR or SSIM of 0. It may have a VMAF of 0, so VMAF is kept unless the other scores are
    such zeros, or nothing was encoded.
    """
    empty: set[str] = {
        name
        for name, text, said in (
            ("bitrate", record.bitrate, _NO_BITRATE),
            ("resolution", record.resolution, _NO_PICTURE),
        )
        if text is not None and said.fullmatch(text.strip())
    }
    empty |= {name for name in ("fps", "psnr_score", "ssim_score", "xpsnr_score") if getattr(record, name) == 0}
    scores = {name for name in ("psnr_score", "ssim_score") if getattr(record, name) is not None}
    if is_baseline(record) or {"resolution", "fps"} & empty or (scores and scores <= empty):
        empty |= {name for name in record.__struct_fields__ if name.startswith("vmaf_") and not getattr(record, name)}
    outputs = [one for one in record.outputs or [] if not _NO_PICTURE.fullmatch(one.resolution)]
    return replace(record, outputs=outputs or None, **dict.fromkeys(empty))


_MOST = 10**15
_Positive = Annotated[int, Meta(ge=0, le=_MOST)] | Annotated[float, Meta(ge=0, le=float(_MOST))]
_Whole = Annotated[int, Meta(ge=0, le=_MOST)] | Annotated[float, Meta(ge=0, le=float(_MOST), multiple_of=1)]
_UnixSeconds = Annotated[int, Meta(gt=0, lt=10**11)] | Annotated[float, Meta(gt=0, lt=1e11)]


class _RecordField(Struct, frozen=True):
    """How one field is read: its type, the type's name, and the conversion of its value."""

    type: Any
    expected: str
    make: Callable[[Any], Any] = lambda value: value

    def read(self, member: msgspec.Raw) -> Any:
        """Raises ValueError and similar if the field is wrong."""
        tree = _ANY.decode(member)
        if len(bytes(member)) > MAX_TEXT_LENGTH:
            tree = _bounded_texts(tree)
        if not all(map(_usual, _numbers(tree))):
            raise ValueError
        return self.make(msgspec.convert(tree, self.type))


def _bounded_texts(tree: object) -> object:
    """The same JSON, with every text cut to a maximum length."""
    if isinstance(tree, str):
        return shortened(tree, MAX_TEXT_LENGTH)
    if isinstance(tree, list):
        return [_bounded_texts(item) for item in tree]
    if isinstance(tree, dict):
        return {name: _bounded_texts(item) for name, item in tree.items()}
    return tree


def _usual(number: float) -> bool:
    """Whether a number is plausible for video or power. Squares and quotients of larger ones exceed a float's range."""
    return number == 0 or LEAST <= abs(number) <= _MOST


def _numbers(tree: object) -> Iterator[float]:
    """Every number in a JSON list or object."""
    if isinstance(tree, dict | list):
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from _numbers(item)
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        yield tree


def _name(text: str) -> str:
    if not text.strip():
        raise ValueError
    return text.strip()[:MAX_NAME_LENGTH]


def _notes(texts: list[str]) -> list[str]:
    left_out = len(texts) - MAX_NOTES
    return texts if left_out <= 0 else [*texts[:MAX_NOTES], f"{left_out:,} more are in the file"]


def _time(value: float | str) -> float:
    """Unix seconds, from a number or an ISO text; a text without a zone is this machine's local time."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip()).timestamp()
    return float(msgspec.convert(value, _UnixSeconds))


_TIME = _RecordField(_UnixSeconds | str, "Unix seconds or an ISO time", _time)
_SCORE = _RecordField(Annotated[float, Meta(ge=0, le=110)], "a score of 0 to 110")
"""VMAF: 0 to 100, and up to 110 by the models for 4K at three heights."""


_OF_NAME = {
    "name": _RecordField(str, "a name", _name),
    "start_time": _TIME,
    "end_time": _TIME,
    "ssim_score": _RecordField(Annotated[float, Meta(ge=-1, le=1)], "a number of -1 to 1"),
    **dict.fromkeys(("vmaf_score", "vmaf_harmonic_mean", "vmaf_percentile_1", "vmaf_minimum"), _SCORE),
}
_OF_TYPE: Mapping[Any, _RecordField] = {
    str | None: _RecordField(str, "text"),
    float | None: _RecordField(_Positive, "a number of at least 0"),
    int | None: _RecordField(_Whole, "a whole number", int),
    bool | None: _RecordField(bool, "true or false"),
    list[str] | None: _RecordField(list[str], "a list of texts", _notes),
    list[Output] | None: _RecordField(list[Output], 'a list of {"resolution", "fps"}'),
    list[EncoderStatus] | None: _RecordField(list[EncoderStatus], "a list of encoder figures"),
    list[RenditionRecord] | None: _RecordField(list[RenditionRecord], "a list of renditions"),
    list[RecordedPart] | None: _RecordField(list[RecordedPart], "a list of workloads and streams"),
    Playback | None: _RecordField(Playback, "what the viewers saw"),
    CommandRecord | None: _RecordField(CommandRecord, "a command and its times"),
}
_FIELDS: Mapping[str, _RecordField] = {
    field.name: _OF_NAME.get(field.name) or _OF_TYPE[field.type] for field in fields(ScenarioRecord)
}


def _optional(tree: _Members, name: str, kind: type[T]) -> T | None:
    """A member of the file's object; None if it is missing or of another type."""
    try:
        return msgspec.convert(_bounded_texts(_ANY.decode(tree[name])), kind)
    except (KeyError, msgspec.DecodeError, RecursionError):
        return None


def _shown(member: msgspec.Raw) -> str:
    return brief(bytes(member).decode("utf-8", "replace"))
