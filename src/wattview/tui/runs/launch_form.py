"""The launch form without its screen: fields, validation, and the resulting run.

The rules are those of ``model.Scenario`` and ``model.RunRequest``, applied by msgspec field by field, with the messages
of ``run_request``. What only the daemon can check is checked through a plan.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple, get_args

import msgspec

from wattview.frame_rate import written_rate
from wattview.model import (
    EncoderOffer,
    Preset,
    RateControl,
    Rendition,
    RunPlan,
    RunRequest,
    Scenario,
    ScenarioPreset,
    VideoEncoder,
)
from wattview.model.run_request import EXPECTED
from wattview.model.scenarios import MAX_NAME
from wattview.tui.text import about, clock


class Field(NamedTuple):
    """One line of the form. ``whole``: it belongs to the run, not to one scenario. ``sweeps``: it takes several
    values, separated by commas, and each is measured. ``values`` are the completions."""

    name: str
    label: str
    whole: bool = False
    sweeps: bool = False
    values: tuple[str, ...] = ()


FIELDS = (
    Field("name", "Name"),
    Field("streams", "Streams", sweeps=True),
    Field("bitrate", "Bitrate", sweeps=True),
    Field("resolution", "Resolution", sweeps=True, values=("1920x1080", "1280x720", "854x480", "640x360", "3840x2160")),
    Field("fps", "Frames/s", sweeps=True),
    Field("duration", "Duration s"),
    Field("source", "Source", sweeps=True),
    Field("encoder", "Encoder", sweeps=True, values=get_args(VideoEncoder)),
    Field("preset", "Preset", sweeps=True, values=get_args(Preset)),
    Field("encoder_args", "Encoder args"),
    Field("bit_depth", "Bits", sweeps=True, values=("8", "10")),
    Field("rate_control", "Rate control", values=get_args(RateControl)),
    Field("crf", "CRF", sweeps=True),
    Field("gop_seconds", "GOP s", sweeps=True),
    Field("renditions", "Ladder"),
    Field("vmaf_model", "VMAF model", values=("hd", "phone", "4k", "neg", "newest")),
    Field("viewers", "Viewers", sweeps=True),
    Field("push", "Push", values=("yes", "no")),
    Field("target", "Push to"),
    Field("baseline", "Baseline s", whole=True),
    Field("repeat", "Repeats", whole=True),
)

LADDER = "outputs such as 1280x720, 854x480@25, 640x360=800k; nothing for a single one"
MOST_COMBINATIONS = 100
_OUTPUT = re.compile(r"(?P<resolution>[0-9]+x[0-9]+)(?:@(?P<fps>[0-9.]+(?:/[0-9]+)?))?(?:=(?P<bitrate>\S+))?", re.ASCII)

WHOLE = tuple(field.name for field in FIELDS if field.whole)

DEFAULT_BASELINE_SECONDS = 20.0

NARROW = 0.05
"""A range narrower than this share of the time is shown as one time."""


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
        alternate=preset.alternate,
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
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_output_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _output_text(output: Rendition) -> str:
    fps = f"@{output.fps:g}" if output.fps is not None else ""
    return f"{output.resolution}{fps}{f'={output.bitrate}' if output.bitrate is not None else ''}"


def unusable(offers: Sequence[EncoderOffer]) -> dict[str, str]:
    """The encoders that do not work on the daemon's machine, each with the reason."""
    reasons = dict.fromkeys(get_args(VideoEncoder), "the FFmpeg of that machine does not have it")
    reasons |= {one.name: one.reason and f"it does not work there: {one.reason}" for one in offers}
    return {name: reason for name, reason in reasons.items() if reason}


def read(fields: Mapping[str, str], chosen: FieldChoice, lacking: Mapping[str, str] | None = None) -> Form:
    """The request from the fields; ``chosen`` supplies what the form does not show. ``lacking``: see ``unusable``."""
    values = {name: text.strip() for name, text in fields.items()}
    shown = [field for field in FIELDS if not chosen.is_suite or field.whole]
    errors = {field.name: _expected(field) for field in shown if not accepts(field, values[field.name])}
    if not chosen.is_suite and "encoder" not in errors:
        missing = [name for name in _parts(field_named("encoder"), values["encoder"]) if name in (lacking or {})]
        errors |= {"encoder": f"{missing[0]}: {(lacking or {})[missing[0]]}"} if missing else {}
    if errors:
        return Form(None, errors)
    baseline, repeat = float(values.pop("baseline")), int(values.pop("repeat"))
    scenarios = chosen.scenarios
    if not chosen.is_suite:
        scenarios, problem = _combinations(values, scenarios[0])
        if problem:
            return Form(None, {"name": problem})
    request = msgspec.structs.replace(chosen.request, scenarios=scenarios, repeat=repeat, baseline=baseline)
    if baseline and chosen.idle is not None and repeat == 1:
        idle = msgspec.structs.replace(chosen.idle, duration=baseline)
        request = msgspec.structs.replace(request, scenarios=[idle, *scenarios], baseline=0.0)
    return Form(request, {})


def _combinations(values: Mapping[str, str], base: Scenario) -> tuple[list[Scenario], str]:
    """One scenario for each combination of the swept values, and an error if there are too many, else ""."""
    parts = {field.name: _parts(field, values[field.name]) for field in FIELDS if field.name in values}
    swept = [name for name, several in parts.items() if len(several) > 1]
    count = math.prod(len(parts[name]) for name in swept)
    if count > MOST_COMBINATIONS:
        return [], f"{count} combinations; at most {MOST_COMBINATIONS} in one run"
    fixed = {**msgspec.structs.asdict(base), **{name: _value(name, several[0]) for name, several in parts.items()}}
    found = []
    for chosen in product(*(parts[name] for name in swept)):
        some = {name: _value(name, text) for name, text in zip(swept, chosen, strict=True)}
        one = msgspec.convert({**fixed, **some}, Scenario, strict=False)
        name, untold = one.name, list(chosen)
        if name == base.name and any(getattr(one, field) != getattr(base, field) for field in NAMING):
            name = _by_options(one, base)
            untold = [text for field, text in zip(swept, chosen, strict=True) if field not in NAMING]
        name = " ".join([name, *untold])
        found.append(msgspec.structs.replace(one, name=name[:MAX_NAME]))
    return found, ""


NAMING = ("streams", "resolution", "bitrate", "encoder", "preset")
"""What a name says: a preset's own name is wrong where one of these is another."""


def _by_options(one: Scenario, base: Scenario) -> str:
    """``4x 1920x1080 5M slow``, as ``wattview run`` names it."""
    options = [f"{one.streams}x", one.resolution, one.bitrate]
    return " ".join(
        [*options, *(getattr(one, field) for field in NAMING[3:] if getattr(one, field) != getattr(base, field))]
    )


def _parts(field: Field, text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()] or [text] if field.sweeps else [text]


def _value(name: str, text: str) -> Any:
    """What a field's text is for msgspec, which makes numbers of texts itself."""
    if name in ("crf", "bit_depth", "vmaf_model"):
        return text or None
    if name == "fps":
        return rate(text)
    if name == "push":
        return {"yes": True, "no": False}.get(text, text)
    return _ladder(text) if name == "renditions" else text


def _ladder(text: str) -> list[dict[str, str]] | None:
    """Outputs of a ladder. None for no ladder; one that is no output has no resolution, which msgspec refuses."""
    found = [_OUTPUT.fullmatch(part.strip()) for part in text.split(",")] if text else []
    outputs = [{key: value for key, value in (one.groupdict() if one else {}).items() if value} for one in found]
    return [one | ({"fps": rate(one["fps"])} if "fps" in one else {}) for one in outputs] or None


def rate(text: str) -> str:
    """A frame rate as a number; other text is returned unchanged, and msgspec refuses it."""
    try:
        return str(written_rate(text))
    except ValueError:
        return text


def _expected(field: Field) -> str:
    if field.name in ("renditions", "push"):
        return f"expected {LADDER if field.name == 'renditions' else 'yes or no'}"
    return f"expected {EXPECTED[field.name]}{', or several with commas' if field.sweeps else ''}"


def accepts(field: Field, text: str) -> bool:
    """Whether the model takes ``text`` for that field, or each of its parts."""
    try:
        for part in _parts(field, text):
            if field.whole:
                msgspec.convert({"scenarios": [Scenario(name="x")], field.name: part}, RunRequest, strict=False)
            else:
                msgspec.convert({"name": "x", field.name: _value(field.name, part)}, Scenario, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def preview(request: RunRequest, plan: RunPlan | None, now: float) -> str:
    """What will run, how long it takes and when it ends, in two sentences. Without the daemon's plan only the first."""
    streams = [one for one in request.scenarios if one.type != "baseline"]
    time = _time(plan, now) if plan is not None else "…"
    idle = request.baseline + sum(_seconds(one) for one in request.scenarios if one.type == "baseline")
    if not streams:
        return f"The idle machine, for comparison. It takes {time}."
    parts = [f"{about(idle)} of idle first"] if idle else []
    parts.append(_windows(streams))
    if any(one.quality for one in streams):
        untimed = plan is not None and plan.least_seconds is not None and plan.most_seconds is None
        parts.append(f"then the quality of the picture{' (how fast is not known here yet)' if untimed else ''}")
    if request.repeat > 1:
        parts.append(f"all of it {request.repeat} times")
    if request.baseline_after:
        parts.append("idle again last")
    pushed = f" It is pushed to {plan.pushes_to}." if plan is not None and plan.pushes_to else ""
    return f"{_what(streams)} It takes {time}: {', '.join(parts)}.{pushed}"


def _time(plan: RunPlan, now: float) -> str:
    """How long it takes and when it ends, as far as that is known."""
    least, most = plan.least_seconds, plan.most_seconds
    if least is None or (most is not None and most - least <= NARROW * plan.seconds):
        return f"about {about(plan.seconds)}, until {clock(now + plan.seconds)[:5]}"
    if most is None:
        return f"at least {about(least)}, until {clock(now + least)[:5]} or later"
    ends = (least, most)
    times = dict.fromkeys(clock(now + end)[:5] for end in ends)
    return f"{' to '.join(map(about, ends))}, as the last runs did, until {' to '.join(times)}"


def _seconds(scenario: Scenario) -> float:
    return scenario.warmup + scenario.duration + scenario.cooldown


def _what(scenarios: Sequence[Scenario]) -> str:
    if len(scenarios) > 1:
        names = ", ".join(one.name for one in scenarios)
        return f"{len(scenarios)} scenarios, one after the other: {names}."
    one = scenarios[0]
    streams, each = (f"{one.streams} streams", ", each") if one.streams > 1 else ("1 stream", "")
    encoder = " ".join(part for part in (one.encoder, one.preset, one.encoder_args) if part)
    picture = f"{one.resolution} at {one.fps:g} fps and {one.bitrate}, {encoder}"
    return f"{streams} of {one.source}{each} {picture}."


def _windows(scenarios: Sequence[Scenario]) -> str:
    if len(scenarios) > 1:
        return f"{len(scenarios)} windows with warm-up and cool-down"
    one = scenarios[0]
    around = f"{about(one.warmup)} of warm-up and {about(one.cooldown)} of cool-down"
    return f"{about(one.duration)} measured between {around}"


def field_named(name: str) -> Field:
    return next(field for field in FIELDS if field.name == name)


def field_of(path: str) -> str:
    """The form's field for a path such as ``scenarios[0].bitrate``, or ""."""
    name = path.rsplit(".", 1)[-1]
    return name if any(field.name == name for field in FIELDS) else ""
