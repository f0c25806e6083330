"""The launch form without its screen: fields, validation, and the resulting run.

The rules are those of ``model.Scenario`` and ``model.RunRequest``, applied by msgspec field by field, with the messages
of ``run_request``. What only the daemon can check is checked through a plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from wattview.model import RunPlan, RunRequest, Scenario, ScenarioPreset
from wattview.model.run_request import EXPECTED
from wattview.tui.text import about, clock


class Field(NamedTuple):
    """One line of the form. ``whole``: it applies to the run, not to one scenario."""

    name: str
    label: str
    whole: bool = False


FIELDS = (
    Field("name", "Name"),
    Field("streams", "Streams"),
    Field("bitrate", "Bitrate"),
    Field("resolution", "Resolution"),
    Field("fps", "Frames/s"),
    Field("duration", "Duration s"),
    Field("source", "Source"),
    Field("preset", "Preset"),
    Field("baseline", "Baseline s", whole=True),
    Field("repeat", "Repeats", whole=True),
)

WHOLE = tuple(field.name for field in FIELDS if field.whole)

DEFAULT_BASELINE_SECONDS = 20.0


class Form(NamedTuple):
    """The values of the fields. ``request`` is None while any field is invalid; ``errors`` are by field."""

    request: RunRequest | None
    errors: dict[str, str]


class FieldChoice(NamedTuple):
    """A preset taken apart: its idle window, if any, the other scenarios, and its request, for what the form does not
    show."""

    idle: Scenario | None
    scenarios: list[Scenario]
    request: RunRequest

    @property
    def is_suite(self) -> bool:
        """Several settings: the form then shows only the fields that apply to the whole run."""
        return len(self.scenarios) > 1


def choice(preset: ScenarioPreset) -> FieldChoice:
    """Raises msgspec.ValidationError for an invalid preset (a suite with an error)."""
    first, *rest = preset.scenarios
    baseline = preset.baseline if preset.suite or preset.baseline else DEFAULT_BASELINE_SECONDS
    request = RunRequest(
        scenarios=preset.scenarios, baseline=0.0 if first.type == "baseline" else baseline,
        baseline_after=preset.baseline_after, repeat=preset.repeat, pause=preset.pause,
    )  # fmt: skip
    if rest and first.type == "baseline":
        return FieldChoice(first, rest, request)
    return FieldChoice(None, preset.scenarios, request)


def texts(chosen: FieldChoice) -> dict[str, str]:
    """The initial texts of the form's fields."""
    idle = chosen.idle.duration if chosen.idle is not None else chosen.request.baseline
    values: dict[str, Any] = {**msgspec.structs.asdict(chosen.scenarios[0]), "baseline": idle}
    values["repeat"] = chosen.request.repeat
    return {field.name: _plain(values[field.name]) for field in FIELDS}


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def read(fields: Mapping[str, str], chosen: FieldChoice) -> Form:
    """The request from the fields; ``chosen`` supplies what the form does not show."""
    values = {name: text.strip() for name, text in fields.items()}
    shown = [field for field in FIELDS if not chosen.is_suite or field.whole]
    errors = {
        field.name: f"expected {EXPECTED[field.name]}" for field in shown if not accepts(field.name, values[field.name])
    }
    if errors:
        return Form(None, errors)
    baseline, repeat = float(values.pop("baseline")), int(values.pop("repeat"))
    scenarios = chosen.scenarios
    if not chosen.is_suite:
        merged = {**msgspec.structs.asdict(scenarios[0]), **values}
        scenarios = [msgspec.convert(merged, Scenario, strict=False)]
    request = msgspec.structs.replace(chosen.request, scenarios=scenarios, repeat=repeat, baseline=baseline)
    if baseline and chosen.idle is not None and repeat == 1:
        idle = msgspec.structs.replace(chosen.idle, duration=baseline)
        request = msgspec.structs.replace(request, scenarios=[idle, *scenarios], baseline=0.0)
    return Form(request, {})


def accepts(name: str, text: str) -> bool:
    """Whether the model accepts ``text`` for that field."""
    try:
        if name in WHOLE:
            msgspec.convert({"scenarios": [Scenario(name="x")], name: text}, RunRequest, strict=False)
        else:
            msgspec.convert({"name": "x", name: text}, Scenario, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def preview(request: RunRequest, plan: RunPlan | None, now: float) -> str:
    """What will run, how long it takes and when it ends, in two sentences. Without the daemon's plan only the first."""
    streams = [one for one in request.scenarios if one.type != "baseline"]
    time = f"about {about(plan.seconds)}, until {clock(now + plan.seconds)[:5]}" if plan is not None else "…"
    idle = request.baseline + sum(_seconds(one) for one in request.scenarios if one.type == "baseline")
    if not streams:
        return f"The idle machine, for comparison. It takes {time}."
    parts = [f"{about(idle)} of idle first"] if idle else []
    parts.append(_windows(streams))
    if any(one.quality for one in streams):
        parts.append("then the quality of the picture")
    if request.repeat > 1:
        parts.append(f"all of it {request.repeat} times")
    if request.baseline_after:
        parts.append("idle again last")
    pushed = f" It is pushed to {plan.pushes_to}." if plan is not None and plan.pushes_to else ""
    return f"{_what(streams)} It takes {time}: {', '.join(parts)}.{pushed}"


def _seconds(scenario: Scenario) -> float:
    return scenario.warmup + scenario.duration + scenario.cooldown


def _what(scenarios: Sequence[Scenario]) -> str:
    if len(scenarios) > 1:
        names = ", ".join(one.name for one in scenarios)
        return f"{len(scenarios)} scenarios, one after the other: {names}."
    one = scenarios[0]
    streams, each = (f"{one.streams} streams", ", each") if one.streams > 1 else ("1 stream", "")
    picture = f"{one.resolution} at {one.fps} fps and {one.bitrate}, {one.encoder} {one.preset}"
    return f"{streams} of {one.source}{each} {picture}."


def _windows(scenarios: Sequence[Scenario]) -> str:
    if len(scenarios) > 1:
        return f"{len(scenarios)} windows with warm-up and cool-down"
    one = scenarios[0]
    around = f"{about(one.warmup)} of warm-up and {about(one.cooldown)} of cool-down"
    return f"{about(one.duration)} measured between {around}"


def field_of(path: str) -> str:
    """The form's field for a path such as ``scenarios[0].bitrate``, or ""."""
    name = path.rsplit(".", 1)[-1]
    return name if any(field.name == name for field in FIELDS) else ""
