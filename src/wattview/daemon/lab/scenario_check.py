"""Validation of a run request before anything starts: rules that types cannot express, and the order of scenarios."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from wattview.config import Scenarios
from wattview.daemon.lab.encoding import destination, encoder_options, ffmpeg_command
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.film import FilmError
from wattview.daemon.lab.encoding.renditions import picture_size, streams_of
from wattview.daemon.lab.judging.tool import why_not_models
from wattview.daemon.lab.judging.vmaf_models import model_of
from wattview.model import RunRequest, Scenario
from wattview.model.run_request import WrongField, bits_per_second
from wattview.model.scenarios import MAX_NAME

MIN_BITS_PER_SECOND = 10_000
MAX_BITS_PER_SECOND = 1_000_000_000
MIN_SIDE = 32
MAX_SIDE = 8192
MAX_SCENARIOS = 1000
MAX_VIEWERS = 500
START_SECONDS = 5.0
"""How much of a film may have played before the warm-up starts."""


class MediaError(ValueError):
    """A source that is not a file of the media directory. The text is the reason."""


class Planned(Struct, frozen=True, kw_only=True):
    """One scenario in its place. ``field`` is its path in the request, "" for an added idle window; ``setting`` is its
    name there, and ``repeat`` the number of the repeat, from 1; None without repeats."""

    scenario: Scenario
    field: str
    setting: str | None = None
    repeat: int | None = None


def plan_of(request: RunRequest, media_dir: Path, targets: Mapping[str, str] | None = None) -> list[Planned]:
    """Everything that runs, in order. ``targets`` are the named ones of the settings. Raises WrongField.

    Repeats are interleaved: the whole list once, then again. Drift over the run (heat, a neighbour's load) then affects
    all settings alike.
    """
    if request.repeat * len(request.scenarios) > MAX_SCENARIOS:
        raise WrongField("repeat", f"{request.repeat} × {len(request.scenarios)} scenarios; at most {MAX_SCENARIOS}")
    for index, scenario in enumerate(request.scenarios):
        if scenario.type == "streams":
            _check_streams(f"scenarios[{index}]", scenario, media_dir)
            _check_target(f"scenarios[{index}]", scenario, targets or {})
    listed = list(enumerate(request.scenarios))
    plan = [
        _repeated(scenario, f"scenarios[{index}]", repeat if request.repeat > 1 else None)
        for repeat in range(1, request.repeat + 1)
        for index, scenario in (listed[::-1] if request.alternate and repeat % 2 == 0 else listed)
    ]
    names: dict[str, str] = {}
    for planned in plan:
        if planned.scenario.name in names:
            raise WrongField(f"{planned.field}.name", f"{names[planned.scenario.name]} has the same name")
        names[planned.scenario.name] = planned.field
    if request.baseline > 0 and plan[0].scenario.type != "baseline":
        plan.insert(0, _idle(request.baseline, "baseline", names))
    if request.baseline_after:
        first = next((planned.scenario for planned in plan if planned.scenario.type == "baseline"), None)
        if first is None:
            raise WrongField("baseline_after", "there is no baseline before; set baseline to its seconds")
        if plan[-1].scenario.type != "baseline":
            plan.append(_idle(first.duration, "baseline after", names))
    return plan


def media_file(scenario: Scenario, media_dir: Path) -> Path | None:
    """The file behind ``scenario.source``, None for a test picture. Raises MediaError."""
    name = scenario.source
    if name in ffmpeg_command.TEST_SOURCES:
        return None
    if "/" in name or "\\" in name or "\0" in name or name in {".", ".."}:
        tests = ", ".join(ffmpeg_command.TEST_SOURCES)
        raise MediaError(f"expected {tests}, or the name of a file in the media directory, without a path")
    try:
        # Path.resolve raises RuntimeError for a link to itself.
        directory = Path(os.path.realpath(media_dir))
        path = Path(os.path.realpath(directory / name))
        is_file = path.is_file()
    except OSError as error:
        raise MediaError(f"{name}: {error.strerror}") from None
    if path.parent != directory:
        raise MediaError(f"{name} leads outside the media directory {directory}")
    if not is_file:
        raise MediaError(f"no file {name} in the media directory {directory}")
    return path


def pushes_to(plan: Iterable[Planned], server: str, targets: Mapping[str, str]) -> str:
    """Where the streams of a plan are pushed, as text without secrets. ``server`` is that of the settings."""
    pushed = [one.scenario for one in plan if one.scenario.type == "streams" and one.scenario.push]
    shown = [destination.target(one.target, targets).shown if one.target else server for one in pushed]
    return ", ".join(dict.fromkeys(one for one in shown if one))


async def check_on_this_machine(plan: Iterable[Planned], settings: Scenarios, capabilities: Capabilities) -> None:
    """Lets every required encoder encode a few frames, and decodes a little of every media file, before anything is
    measured. Raises WrongField for what does not work, ``children.ProgramMissing``, OSError."""
    plan = list(plan)
    await _check_models(plan, settings, capabilities)
    for planned in plan:
        scenario = planned.scenario
        if scenario.type != "streams":
            continue
        reason = await capabilities.why_not_encode(settings.ffmpeg, scenario)
        if reason:
            if scenario.encoder_args and not await capabilities.why_not_encode(
                settings.ffmpeg, replace(scenario, encoder_args="")
            ):
                text = f"{scenario.encoder} does not take {scenario.encoder_args}: {reason}"
                raise WrongField(f"{planned.field}.encoder_args", text)
            text = f"{scenario.encoder} does not work on this machine: {reason}"
            raise WrongField(f"{planned.field}.encoder", text)
        if scenario.target:
            transport = destination.target(scenario.target, settings.targets).transport
            if reason := await capabilities.why_not_encode(settings.ffmpeg, scenario, transport):
                text = f"{transport.name} does not carry {scenario.encoder} with this FFmpeg: {reason}"
                raise WrongField(f"{planned.field}.target", text)
        try:
            media = media_file(scenario, Path(settings.media_dir))
        except MediaError as error:
            raise WrongField(f"{planned.field}.source", str(error)) from None
        if media is not None:
            try:
                film = await capabilities.film(settings.ffmpeg, media)
                needed = scenario.warmup + scenario.steady + scenario.duration + START_SECONDS
                if film.seconds is not None and not film.begins_again and film.seconds < needed:
                    raise FilmError(
                        f"it is {film.seconds:.1f} s long, and FFmpeg cannot restart it from its first picture; "
                        "put it into another container (ffmpeg -i FILE -c copy FILE.mkv), or measure for a shorter time"
                    )
            except FilmError as error:
                text = f"{scenario.source} cannot be streamed: {error}"
                raise WrongField(f"{planned.field}.source", text) from None


async def _check_models(plan: Iterable[Planned], settings: Scenarios, capabilities: Capabilities) -> None:
    """Whether one FFmpeg can judge by all VMAF models of the plan."""
    judged = [planned for planned in plan if planned.scenario.type == "streams" and planned.scenario.quality]
    chosen = {model_of(settings, planned.scenario): planned for planned in judged}
    if reason := await why_not_models(settings, capabilities, list(chosen)):
        first = next(iter(chosen.values()))
        field = f"{first.field}.vmaf_model" if first.scenario.vmaf_model else "scenarios.vmaf_model"
        raise WrongField(field, reason)


def _repeated(scenario: Scenario, field: str, repeat: int | None) -> Planned:
    if repeat is None:
        return Planned(scenario=scenario, field=field)
    number = f" #{repeat}"
    numbered = replace(scenario, name=scenario.name[: MAX_NAME - len(number)] + number)
    return Planned(scenario=numbered, field=field, setting=scenario.name, repeat=repeat)


def _idle(seconds: float, name: str, taken: dict[str, str]) -> Planned:
    name = name if name not in taken else f"{name} (idle)"
    return Planned(scenario=Scenario(name=name, type="baseline", duration=seconds, cooldown=0.0), field="")


def _check_streams(field: str, scenario: Scenario, media_dir: Path) -> None:
    if scenario.bitrates is not None and scenario.streams not in {1, len(scenario.bitrates)}:
        raise WrongField(
            f"{field}.bitrates", f"{len(scenario.bitrates)} bitrates for {scenario.streams} streams; expected one each"
        )
    if not encoder_options.accepts_preset(scenario.encoder, scenario.preset):
        raise WrongField(f"{field}.preset", f"{scenario.encoder} has no preset {scenario.preset}")
    if scenario.bit_depth == 10 and not encoder_options.takes_ten_bits(scenario.encoder):
        raise WrongField(f"{field}.bit_depth", f"{scenario.encoder} takes 8 bits")
    try:
        encoder_options.encoder_arguments(scenario, bits=MIN_BITS_PER_SECOND, fps=scenario.fps)
    except ValueError as error:
        raise WrongField(f"{field}.encoder_args", str(error)) from None
    if scenario.viewers and not scenario.push:
        raise WrongField(f"{field}.viewers", "viewers need pushed streams: set push, or no viewers")
    _check_crf(field, scenario)
    _check_picture(f"{field}.resolution", scenario.resolution)
    if scenario.bitrates is None:
        _check_bits(f"{field}.bitrate", scenario.bitrate)
    for index, bitrate in enumerate(scenario.bitrates or []):
        _check_bits(f"{field}.bitrates[{index}]", bitrate)
    for index, rendition in enumerate(scenario.renditions or []):
        _check_picture(f"{field}.renditions[{index}].resolution", rendition.resolution)
        if rendition.bitrate is not None:
            _check_bits(f"{field}.renditions[{index}].bitrate", rendition.bitrate)
    if scenario.audio != "none":
        _check_bits(f"{field}.audio_bitrate", scenario.audio_bitrate)
    viewers = scenario.viewers * sum(len(stream.variants) for stream in streams_of(scenario))
    if viewers > MAX_VIEWERS:
        raise WrongField(f"{field}.viewers", f"{viewers} viewers in all; at most {MAX_VIEWERS}")
    try:
        media_file(scenario, media_dir)
    except MediaError as error:
        raise WrongField(f"{field}.source", str(error)) from None


def _check_target(field: str, scenario: Scenario, targets: Mapping[str, str]) -> None:
    if not scenario.target:
        return
    if not scenario.push:
        raise WrongField(f"{field}.target", "it needs push")
    try:
        found = destination.target(scenario.target, targets)
    except ValueError as error:
        raise WrongField(f"{field}.target", str(error)) from None
    outputs = sum(len(stream.variants) for stream in streams_of(scenario))
    if outputs > 1 and not found.takes_several:
        text = f"one address for {outputs} streams; put {destination.STREAM} where the name of each belongs"
        raise WrongField(f"{field}.target", text)
    if scenario.viewers and not found.watchable:
        text = f"players cannot pull from {found.transport.name} targets; leave them out, or push elsewhere"
        raise WrongField(f"{field}.viewers", text)


def _check_crf(field: str, scenario: Scenario) -> None:
    if (scenario.crf is not None) != (scenario.rate_control == "crf"):
        given = "is missing" if scenario.crf is None else f"has no meaning with rate_control = {scenario.rate_control}"
        raise WrongField(f"{field}.crf", f"{given}; the two belong together: rate_control = crf, and a crf")
    most = encoder_options.entry_of(scenario.encoder).max_crf
    if scenario.crf is not None and scenario.crf > most:
        raise WrongField(f"{field}.crf", f"{scenario.encoder} takes 0 to {most}, got {scenario.crf}")


def _check_picture(field: str, resolution: str) -> None:
    width, height = picture_size(resolution)
    if width % 2 or height % 2:
        raise WrongField(field, f"{resolution}: width and height must be even numbers")
    if max(width, height) > MAX_SIDE or min(width, height) < MIN_SIDE:
        raise WrongField(field, f"{resolution}: expected {MIN_SIDE} to {MAX_SIDE} pixels a side")


def _check_bits(field: str, bitrate: str) -> None:
    bits = bits_per_second(bitrate)
    if bits < MIN_BITS_PER_SECOND:
        hint = f"; did you mean {bitrate}k?" if bitrate.isdecimal() else ""
        raise WrongField(field, f"{bitrate} is {bits} bits a second{hint}")
    if bits > MAX_BITS_PER_SECOND:
        raise WrongField(field, f"{bitrate} is more than {MAX_BITS_PER_SECOND} bits a second")
