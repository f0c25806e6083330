"""Suite files: many scenarios in one TOML or JSON file, checked field by field.

Two equivalent forms are read. Ours has the fields of ``model.RunRequest`` and ``model.Scenario``. Other programs' batch
form, ``{"scenarios": [{"type": "baseline|single|multi", "count", "stabilization", "outputs", …}]}``, has other names
for some; both may be mixed. What only the daemon can check (whether a file is in its media directory, whether an
encoder works) is checked there, before anything starts.
"""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from wattview.decoding import shown, why_unreadable
from wattview.model import RunRequest
from wattview.model.run_request import WrongField, run_request

MAX_BYTES = 1_000_000

_ALIASES = {"count": "streams", "stabilization": "warmup", "outputs": "renditions"}
"""Fields of the batch form, and their names here."""

_TYPES = {"baseline": "baseline", "streams": "streams", "single": "streams", "multi": "streams"}

_OF_STREAMS = (
    "count",
    "streams",
    "bitrate",
    "bitrates",
    "resolution",
    "fps",
    "outputs",
    "renditions",
    "preset",
    "source",
)
"""Fields that batch files have for an idle window, often as "N/A", and that are ignored."""


def load_suite(source: Path | bytes) -> RunRequest:
    """The run request in a suite file. ``source`` is the file or its content. Raises WrongField."""
    tree = _parse(_read(source), isinstance(source, Path) and source.suffix == ".json")
    scenarios = tree.get("scenarios")
    if not isinstance(scenarios, list) or not scenarios:
        raise WrongField("scenarios", "expected a list of scenarios with at least one")
    tree = {**tree, "scenarios": [_translated(item, f"scenarios[{index}]") for index, item in enumerate(scenarios)]}
    try:
        return run_request(tree, also_known=tuple(_ALIASES))
    except WrongField as error:
        raise WrongField(_as_written(error.field, scenarios), error.message) from None


def default_suite() -> RunRequest:
    """The bundled suite."""
    return load_suite(files("wattview.daemon.lab").joinpath("default_suite.toml").read_bytes())


def _read(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        content = source
    else:
        try:
            with source.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise WrongField("", f"cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise WrongField("", f"larger than {MAX_BYTES} bytes: not a suite")
    return content


def _parse(content: bytes, is_json: bool = False) -> dict[str, Any]:
    """JSON if the file name says so or the text starts with a brace; else TOML."""
    try:
        text = content.decode("utf-8-sig")
        tree: object = json.loads(text) if is_json or text.lstrip().startswith("{") else tomllib.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrongField("", why_unreadable(error)) from None
    except (RecursionError, ValueError):
        raise WrongField("", "not a suite: nested too deeply, or a number that is too long") from None
    if not isinstance(tree, dict):
        raise WrongField("", "expected an object with a list of scenarios")
    return tree


def _translated(item: object, field: str) -> object:
    """One scenario with the batch form's names and types replaced by ours."""
    if not isinstance(item, dict):
        return item
    kind = item.get("type", "streams")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise WrongField(f"{field}.type", f"expected one of {', '.join(_TYPES)}, got {shown(kind)}")
    fields = {**item, "type": _TYPES[kind]}
    if kind == "baseline":
        for name in _OF_STREAMS:
            fields.pop(name, None)
    if kind == "single" and fields.get("count", 1) != 1:
        raise WrongField(f"{field}.count", f"a single stream, got {shown(fields['count'])}; expected type multi")
    for theirs, ours in _ALIASES.items():
        if theirs in fields:
            if ours in fields:
                raise WrongField(f"{field}.{theirs}", f"it duplicates {ours}; give one of them")
            fields[ours] = fields.pop(theirs)
    outputs = fields.get("renditions")
    if isinstance(outputs, list) and outputs and all(isinstance(output, dict) for output in outputs):
        if "resolution" not in fields:
            fields |= _source_of(outputs)
        if len(outputs) == 1 and _is_the_source(outputs[0], fields):
            del fields["renditions"]
    elif outputs == [] or outputs is None:
        fields.pop("renditions", None)
    bitrates = fields.get("bitrates")
    if isinstance(bitrates, list) and bitrates and "streams" not in fields:
        fields["streams"] = len(bitrates)
    return fields


def _source_of(outputs: list[dict[str, Any]]) -> dict[str, Any]:
    """The source picture of a ladder, if the suite does not state it: its largest output."""

    def area(output: dict[str, Any]) -> int:
        match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", str(output.get("resolution")))
        return int(match[1]) * int(match[2]) if match else 0

    largest = max(outputs, key=area)
    return {name: largest[name] for name in ("resolution", "fps") if name in largest} if area(largest) else {}


def _is_the_source(output: dict[str, Any], fields: dict[str, Any]) -> bool:
    """Whether the only output is the scenario's own picture: then there is no ladder."""
    same = output.get("resolution") == fields.get("resolution")
    return same and output.get("fps", fields.get("fps", 30)) == fields.get("fps", 30) and "bitrate" not in output


_REVERSED = {ours: theirs for theirs, ours in _ALIASES.items()}


def _as_written(path: str, original: list[Any]) -> str:
    """The path with the names that the suite itself uses."""
    match = re.match(r"scenarios\[([0-9]+)\]\.([a-z_]+)(.*)$", path)
    if match is None:
        return path
    written = original[int(match[1])]
    theirs = _REVERSED.get(match[2])
    name = theirs if theirs is not None and theirs in written else match[2]
    return f"scenarios[{match[1]}].{name}{match[3]}"
