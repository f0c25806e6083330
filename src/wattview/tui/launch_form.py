"""The launch form without the screen: its fields, what is wrong with them, and what a run would be.

The rules are those of ``model.Scenario`` and ``model.RunRequest`` themselves, asked through msgspec field by
field; only the words for people are here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from wattview.model import RunRequest, Scenario, ScenarioPreset
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


class Choice(NamedTuple):
    """A preset taken apart: its idle window, if it has one, and the scenarios that do something."""

    idle: Scenario | None
    scenarios: list[Scenario]

    @property
    def is_suite(self) -> bool:
        """Several settings: only the idle window before them is one field for all."""
        return len(self.scenarios) > 1


def choice(preset: ScenarioPreset) -> Choice:
    first, *rest = preset.scenarios
    return Choice(first, rest) if rest and first.type == "baseline" else Choice(None, preset.scenarios)


def texts(chosen: Choice) -> dict[str, str]:
    """The fields of a choice as they stand in the form."""
    scenario = chosen.scenarios[0]
    idle = chosen.idle.duration if chosen.idle is not None else DEFAULT_BASELINE_SECONDS
    baseline = 0.0 if scenario.type == "baseline" else idle
    values: dict[str, Any] = {**msgspec.structs.asdict(scenario), "baseline": baseline}
    return {field.name: _plain(values[field.name]) for field in FIELDS}


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def read(fields: Mapping[str, str], chosen: Choice) -> Form:
    """The request that the fields make, over ``chosen`` for what the form does not show."""
    values = {name: text.strip() for name, text in fields.items()}
    shown = [field for field in FIELDS if not chosen.is_suite or field.name == "baseline"]
    errors = {field.name: field.expects for field in shown if not accepts(field.name, values[field.name])}
    if errors:
        return Form(None, errors)
    baseline = float(values.pop("baseline"))
    scenarios = chosen.scenarios
    if not chosen.is_suite:
        merged = {**msgspec.structs.asdict(scenarios[0]), **values}
        scenarios = [msgspec.convert(merged, Scenario, strict=False)]
    if baseline and chosen.idle is not None:
        idle = msgspec.structs.replace(chosen.idle, duration=baseline)
        return Form(RunRequest(scenarios=[idle, *scenarios]), {})
    return Form(RunRequest(scenarios=scenarios, baseline=baseline), {})


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
    """What will run and how long it takes, in two sentences."""
    idle = request.baseline + sum(_seconds(one) for one in request.scenarios if one.type == "baseline")
    streams = [one for one in request.scenarios if one.type != "baseline"]
    if not streams:
        return f"The idle machine, for comparison. It takes about {about(idle)}."
    total = idle + sum(_seconds(one) for one in streams)
    first = f"{about(idle)} of idle first, " if idle else ""
    quality = ", then the quality of the picture" if any(one.quality for one in streams) else ""
    return f"{_what(streams)} It takes about {about(total)}: {first}{_windows(streams)}{quality}."


def _seconds(scenario: Scenario) -> float:
    return scenario.warmup + scenario.duration + scenario.cooldown


def _what(scenarios: Sequence[Scenario]) -> str:
    if len(scenarios) > 1:
        names = ", ".join(one.name for one in scenarios)
        return f"{len(scenarios)} scenarios, one after the other: {names}."
    one = scenarios[0]
    streams, each = (f"{one.streams} streams", ", each") if one.streams > 1 else ("1 stream", "")
    return f"{streams} of {one.source}{each} {one.resolution} at {one.fps} fps and {one.bitrate}, x264 {one.preset}."


def _windows(scenarios: Sequence[Scenario]) -> str:
    if len(scenarios) > 1:
        return f"{len(scenarios)} windows with warm-up and cool-down"
    one = scenarios[0]
    around = f"{about(one.warmup)} of warm-up and {about(one.cooldown)} of cool-down"
    return f"{about(one.duration)} measured between {around}"


def field_of(path: str) -> str:
    """``scenarios[0].bitrate`` → ``bitrate``: the form's field that the daemon speaks of, or ""."""
    name = path.rsplit(".", 1)[-1]
    return name if any(field.name == name for field in FIELDS) else ""
