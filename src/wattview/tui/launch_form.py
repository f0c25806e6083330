"""The launch form without the screen: its fields, what is wrong with them, and what a run would be.

The rules are those of ``model.Scenario`` and ``model.RunRequest`` themselves, asked through msgspec field by
field; only the words for people are here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from wattview.model import RunRequest, Scenario
from wattview.tui.text import about


class Field(NamedTuple):
    """One line of the form. ``expects`` is what to say where the value is not accepted."""

    name: str
    label: str
    expects: str


FIELDS = (
    Field("name", "Name", "1 to 100 characters"),
    Field("streams", "Streams", "a whole number, 1 to 64"),
    Field("bitrate", "Bitrate", "a number with k or M, such as 2500k"),
    Field("resolution", "Resolution", "width x height, such as 1280x720"),
    Field("fps", "Frames/s", "a whole number, 1 to 240"),
    Field("duration", "Duration s", "seconds, more than 0, at most 86400"),
    Field("source", "Source", "testsrc2, or a file in the media directory"),
    Field("preset", "x264 preset", "ultrafast, superfast, veryfast, faster, fast, medium, slow …"),
    Field("baseline", "Baseline s", "seconds of idle before it, 0 for none"),
)

DEFAULT_BASELINE_SECONDS = 20.0


class Form(NamedTuple):
    """What the fields say. ``request`` is None while anything is wrong; ``errors`` says what, by field."""

    request: RunRequest | None
    errors: dict[str, str]


def texts(scenario: Scenario, baseline: float) -> dict[str, str]:
    """The fields of a scenario as they stand in the form."""
    values: dict[str, Any] = {**msgspec.structs.asdict(scenario), "baseline": baseline}
    return {field.name: _plain(values[field.name]) for field in FIELDS}


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def read(fields: Mapping[str, str], base: Scenario) -> Form:
    """The request that the fields make, over ``base`` for what the form does not show."""
    errors = {}
    values = {name: text.strip() for name, text in fields.items()}
    for field in FIELDS:
        if not accepts(field.name, values[field.name]):
            errors[field.name] = field.expects
    if errors:
        return Form(None, errors)
    baseline = values.pop("baseline")
    scenario = msgspec.convert({**msgspec.structs.asdict(base), **values}, Scenario, strict=False)
    request = {"scenarios": [scenario], "baseline": baseline}
    return Form(msgspec.convert(request, RunRequest, strict=False), {})


def accepts(name: str, text: str) -> bool:
    """Whether the model takes ``text`` for that field."""
    try:
        if name == "baseline":
            msgspec.convert({"scenarios": [Scenario(name="x")], "baseline": text}, RunRequest, strict=False)
        else:
            msgspec.convert({"name": "x", name: text}, Scenario, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def preview(request: RunRequest) -> str:
    """What will run and how long it takes, in a sentence or two."""
    return f"{what(request.scenarios)} {how_long(request)}"


def what(scenarios: Sequence[Scenario]) -> str:
    if len(scenarios) > 1:
        names = ", ".join(one.name for one in scenarios)
        return f"{len(scenarios)} scenarios, one after the other: {names}."
    one = scenarios[0]
    if one.type == "baseline":
        return "The idle machine, for comparison."
    streams = f"{one.streams} streams" if one.streams > 1 else "1 stream"
    each = ", each" if one.streams > 1 else ""
    return f"{streams} of {one.source}{each} {one.resolution} at {one.fps} fps and {one.bitrate}, x264 {one.preset}."


def how_long(request: RunRequest) -> str:
    windows = [one.warmup * (one.type != "baseline") + one.duration + one.cooldown for one in request.scenarios]
    idle = f"{about(request.baseline)} of idle first, " if request.baseline else ""
    quality = any(one.quality and one.type == "streams" for one in request.scenarios)
    then = ", then the quality of the picture" if quality else ""
    return f"It takes about {about(sum(windows) + request.baseline)}: {idle}{_windows(request)}{then}."


def _windows(request: RunRequest) -> str:
    if len(request.scenarios) > 1:
        return f"{len(request.scenarios)} windows with warm-up and cool-down"
    one = request.scenarios[0]
    around = f" between {about(one.warmup)} of warm-up and {about(one.cooldown)} of cool-down"
    return f"{about(one.duration)} measured{around if one.type != 'baseline' else ''}"


def field_of(path: str) -> str:
    """``scenarios[0].bitrate`` → ``bitrate``: the form's field that the daemon speaks of, or ""."""
    name = path.rsplit(".", 1)[-1]
    return name if any(field.name == name for field in FIELDS) else ""
