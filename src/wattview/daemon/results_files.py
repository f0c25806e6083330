"""Results files: ``test_results_YYYYmmdd_HHMMSS.json``, written whole and read with patience.

``write`` leaves either the complete new file or the old one. ``read`` takes what WattView and other programs have
written in this form: a field that is missing or wrong costs that one field, and the scenario's notes say which; only
a file that is no JSON object with a list of scenarios is refused. These functions block: call them off the event loop.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from wattview.analysis.results import is_baseline
from wattview.model import EncoderStatus, Output, Playback, RenditionRecord, ResultsFile, ScenarioRecord

T = TypeVar("T")

LEAST, MOST = 1e-9, 1e15
"""The magnitudes of numbers that a results file may hold, beside 0."""

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_NAME_LENGTH = 200
LEFTOVER_SECONDS = 600.0

_FILE_NAME = re.compile(r"test_results_([0-9]{8}_[0-9]{6})\.json")
_STAMP = re.compile(r"[0-9]{8}_[0-9]{6}")

ALWAYS_WRITTEN = (
    "name", "bitrate", "resolution", "fps", "duration", "start_time", "end_time", "outputs", "vmaf_score",
    "psnr_score", "ssim_score",
)  # fmt: skip
"""The contract's fields of a scenario: null where unknown. Fields of our own are left out instead."""


class ResultsFileError(Exception):
    """A results file, or the directory of them, that cannot be used. ``str()`` is the reason, for people."""


def is_stamp(text: str) -> bool:
    """Whether a text has the form of a stamp, ``YYYYmmdd_HHMMSS``: digits and an underscore, nothing of a path."""
    return _STAMP.fullmatch(text) is not None


def stamp_of(path: Path) -> str | None:
    """The stamp in a results file's name, None where the name is not one."""
    match = _FILE_NAME.fullmatch(path.name)
    return match[1] if match else None


def path_for(directory: Path, stamp: str) -> Path:
    """Where the results file of that stamp is or would be. Raises ValueError for what is not a stamp."""
    if not is_stamp(stamp):
        raise ValueError(f"not a results stamp (YYYYmmdd_HHMMSS): {stamp!r}")
    return directory / f"test_results_{stamp}.json"


def listing(directory: Path) -> list[Path]:
    """The results files of a directory, newest first by the stamp in the name. A missing directory holds none.

    Raises ResultsFileError where the directory may not be read.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ResultsFileError(f"{directory}: {error.strerror}") from None
    return [directory / name for name in sorted(names, reverse=True) if _FILE_NAME.fullmatch(name)]


def stamped(directory: Path) -> list[Path]:
    """``listing``, and nothing where the directory cannot be read."""
    try:
        return listing(directory)
    except ResultsFileError:
        return []


def write(directory: Path, results: ResultsFile, stamp: str) -> Path:
    """Writes one results file whole: temporary file beside it, fsync, rename, fsync of the directory.

    A file of the same stamp is replaced. Raises OSError (disk full, no permission …); then the temporary file is
    removed and what was there before is untouched. The directory is made where it is missing.
    """
    path = path_for(directory, stamp)
    content = msgspec.json.format(msgspec.json.encode(_plain(results)), indent=2) + b"\n"
    directory.mkdir(parents=True, exist_ok=True)
    _sweep(directory)
    temporary = directory / f".{path.name}.{os.getpid()}.tmp"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _fsync_directory(directory)
    return path


def read(path: Path) -> ResultsFile:
    """One results file. Raises ResultsFileError where it cannot be read, or is not a results file at all."""
    try:
        text = _content(path).decode("utf-8-sig")
        tree = json.loads(text, parse_int=_parse_int)
    except OSError as error:
        raise ResultsFileError(f"{path.name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ResultsFileError(f"{path.name}: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        cut = " (the file is empty)" if not text.strip() else f": {error.msg} at line {error.lineno}"
        raise ResultsFileError(f"{path.name}: not valid JSON{cut}") from None
    except RecursionError:
        raise ResultsFileError(f"{path.name}: not a results file: nested too deeply") from None
    if not isinstance(tree, dict):
        raise ResultsFileError(f"{path.name}: not a results file: expected an object, got {_kind(tree)}")
    scenarios = tree.get("scenarios")
    if not isinstance(scenarios, list):
        raise ResultsFileError(f"{path.name}: not a results file: no list of scenarios")
    machine = tree.get("machine")
    return ResultsFile(
        test_date=_optional_text(tree, "test_date") or _date_of(path),
        scenarios=[_record(item, position) for position, item in enumerate(scenarios, start=1)],
        run=_optional_text(tree, "run"),
        status=_optional_text(tree, "status"),
        wattview_version=_optional_text(tree, "wattview_version"),
        machine=machine if isinstance(machine, dict) else None,
    )


# writing


def _plain(results: ResultsFile) -> dict[str, Any]:
    tree = _without_none(msgspec.to_builtins(results))
    tree["scenarios"] = [_plain_record(record) for record in results.scenarios]
    return tree


def _plain_record(record: ScenarioRecord) -> dict[str, Any]:
    tree = msgspec.to_builtins(record)
    return {name: tree[name] for name in ALWAYS_WRITTEN} | _without_none(tree)


def _without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tree.items() if value is not None}


def _sweep(directory: Path) -> None:
    """Removes temporary files that a killed writer left behind."""
    for leftover in directory.glob(".test_results_*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > LEFTOVER_SECONDS:
                leftover.unlink()


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# reading


def _content(path: Path) -> bytes:
    # O_NONBLOCK: a FIFO of that name must not hang the reader.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ResultsFileError(f"{path.name}: not a regular file")
        content = stream.read(MAX_FILE_BYTES + 1) if status.st_size <= MAX_FILE_BYTES else b""
    if status.st_size > MAX_FILE_BYTES or len(content) > MAX_FILE_BYTES:
        raise ResultsFileError(f"{path.name}: larger than {MAX_FILE_BYTES // 2**20} MiB, which no results file is")
    return content


def _parse_int(text: str) -> int | float:
    # int() refuses thousands of digits with an error that would cost the whole file.
    return int(text) if len(text) <= 20 else float(text)


def _date_of(path: Path) -> str:
    stamp = stamp_of(path)
    try:
        return datetime.strptime(stamp or "", "%Y%m%d_%H%M%S").isoformat()
    except ValueError:
        return ""


def _record(item: object, position: int) -> ScenarioRecord:
    if not isinstance(item, dict):
        return ScenarioRecord(name=f"scenario {position}", notes=[f"expected an object, got {_kind(item)}"])
    notes: list[str] = []
    fields: dict[str, Any] = {}
    for name, convert in _FIELDS.items():
        value = item.get(name)
        if value is None:
            continue
        try:
            fields[name] = convert(value)
        except _Wrong as wrong:
            notes.append(f"{name}: expected {wrong}, got {_shown(value)}")
    if "name" not in fields:
        fields["name"] = f"scenario {position}"
        if item.get("name") is None:
            notes.append("name: missing")
    kept = fields.get("notes") or []
    fields["notes"] = [*kept, *(note for note in notes if note not in kept)] or None
    return _without_empty_zeros(ScenarioRecord(**fields))


_NO_BITRATE = re.compile(r"0*\.?0*[kKmMgG]?")
_NO_PICTURE = re.compile(r"0*x0*")


def _without_empty_zeros(record: ScenarioRecord) -> ScenarioRecord:
    """Takes out zeros that say "none", as programs write them whose fields cannot be empty: a picture of 0x0, a
    bit rate or a frame rate of 0, and scores of 0.

    No picture that was compared has a PSNR or an SSIM of 0. It may have a VMAF of 0, so that this one stands unless
    the other scores are such zeros, or nothing was encoded.
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


class _Wrong(Exception):
    """A field of the wrong type or range; the text is what was expected."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong("text")
    return value.encode("utf-8", "replace").decode()


def _name(value: object) -> str:
    text = _text(value).strip()
    if not text:
        raise _Wrong("a name")
    return text[:MAX_NAME_LENGTH]


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _usual(value):
        raise _Wrong("a finite number")
    return value


def _usual(number: float) -> bool:
    """Whether a number can be a quantity of video or power. Beyond, squares and quotients leave a float's range."""
    return number == 0 or LEAST <= abs(number) <= MOST


def _positive(value: object) -> float:
    number = _number(value)
    if number < 0:
        raise _Wrong("a number of at least 0")
    return number


def _count(value: object) -> int:
    number = _positive(value)
    if number != int(number):
        raise _Wrong("a whole number")
    return int(number)


def _time(value: object) -> float:
    """Unix seconds, from a number or an ISO text; a text without a zone is this machine's local time."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip()).timestamp()
        except (ValueError, OverflowError, OSError):
            raise _Wrong("Unix seconds or an ISO time") from None
    number = _number(value)
    if not 0 < number < 1e11:
        raise _Wrong("Unix seconds")
    return float(number)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("true or false")
    return value


def _outputs(value: object) -> list[Output]:
    return _list_of(value, list[Output], 'a list of {"resolution", "fps"}')


def _encoders(value: object) -> list[EncoderStatus]:
    return _list_of(value, list[EncoderStatus], "a list of encoder figures")


def _renditions(value: object) -> list[RenditionRecord]:
    return _list_of(value, list[RenditionRecord], "a list of renditions")


def _playback(value: object) -> Playback:
    return _list_of([value], list[Playback], "what the viewers saw")[0]


def _texts(value: object) -> list[str]:
    return [_text(item) for item in _list_of(value, list[str], "a list of texts")]


def _list_of(value: object, kind: type[list[T]], expected: str) -> list[T]:
    if not all(map(_usual, _numbers(value))):
        raise _Wrong(expected)
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError, OverflowError):
        raise _Wrong(expected) from None


def _numbers(tree: object) -> Iterator[float]:
    """Every number in a list or an object of JSON."""
    if isinstance(tree, dict | list):
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from _numbers(item)
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        yield tree


_FIELDS: Mapping[str, Callable[[object], Any]] = {
    "name": _name,
    "bitrate": _text,
    "resolution": _text,
    "fps": _positive,
    "duration": _positive,
    "start_time": _time,
    "end_time": _time,
    "outputs": _outputs,
    "vmaf_score": _positive,
    "psnr_score": _positive,
    "ssim_score": _number,
    "xpsnr_score": _positive,
    "type": _text,
    "streams": _count,
    "source": _text,
    "preset": _text,
    "encoder": _text,
    "pushed": _flag,
    "realtime": _flag,
    "encoders": _encoders,
    "vmaf_harmonic_mean": _number,
    "vmaf_percentile_1": _number,
    "vmaf_minimum": _number,
    "vmaf_model": _text,
    "quality_tool": _text,
    "quality_frames": _count,
    "viewers": _count,
    "power_source": _text,
    "status": _text,
    "notes": _texts,
    "setting": _text,
    "repeat": _count,
    "rate_control": _text,
    "crf": _count,
    "gop_seconds": _positive,
    "buffer_seconds": _positive,
    "audio": _text,
    "warmup_seconds": _positive,
    "renditions": _renditions,
    "playback": _playback,
}


def _optional_text(tree: Mapping[str, Any], name: str) -> str | None:
    value = tree.get(name)
    return _text(value) if isinstance(value, str) else None


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _shown(value: object) -> str:
    text = repr(value).encode("utf-8", "replace").decode()
    return text if len(text) <= 60 else text[:57] + "…"
