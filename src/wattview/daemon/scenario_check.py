"""What a run request must be before anything starts: the rules that types alone cannot say."""

from __future__ import annotations

from pathlib import Path

from wattview.daemon import ffmpeg
from wattview.model import RunRequest, Scenario

MIN_BITS_PER_SECOND = 10_000
MAX_BITS_PER_SECOND = 1_000_000_000
MAX_SIDE = 8192


class InvalidScenario(ValueError):
    """A request that cannot be run. ``field`` names what is wrong, as in ``scenarios[0].source``."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class MediaError(ValueError):
    """A source that is no file of the media directory. The text is the reason."""


def scenarios_of(request: RunRequest, media_dir: Path) -> list[Scenario]:
    """The scenarios to run in their order, with the idle window that ``baseline`` asks for. Raises InvalidScenario."""
    names: dict[str, int] = {}
    for index, scenario in enumerate(request.scenarios):
        field = f"scenarios[{index}]"
        if scenario.name in names:
            raise InvalidScenario(f"{field}.name", f"scenarios[{names[scenario.name]}] has the same name")
        names[scenario.name] = index
        if scenario.type == "streams":
            _check_streams(field, scenario, media_dir)
    scenarios = list(request.scenarios)
    if request.baseline > 0 and scenarios[0].type != "baseline":
        name = "baseline" if "baseline" not in names else "baseline (idle)"
        scenarios.insert(0, Scenario(name=name, type="baseline", duration=request.baseline, cooldown=0.0))
    return scenarios


def media_file(scenario: Scenario, media_dir: Path) -> Path | None:
    """The file behind ``scenario.source``, None for the test picture. Raises MediaError."""
    name = scenario.source
    if name == ffmpeg.TEST_SOURCE:
        return None
    if "/" in name or "\\" in name or "\0" in name or name in {".", ".."}:
        raise MediaError("expected testsrc2 or the name of a file in the media directory, without a path")
    try:
        directory = media_dir.resolve()
        path = (directory / name).resolve()
        is_file = path.is_file()
    except OSError as error:
        raise MediaError(f"{name}: {error.strerror}") from None
    if path.parent != directory:
        raise MediaError(f"{name} leads out of the media directory {directory}")
    if not is_file:
        raise MediaError(f"no file {name} in the media directory {directory}")
    return path


def _check_streams(field: str, scenario: Scenario, media_dir: Path) -> None:
    width, height = ffmpeg.picture_size(scenario.resolution)
    if width % 2 or height % 2:
        raise InvalidScenario(f"{field}.resolution", f"{scenario.resolution}: width and height must be even numbers")
    if max(width, height) > MAX_SIDE or min(width, height) < 32:
        raise InvalidScenario(f"{field}.resolution", f"{scenario.resolution}: expected 32 to {MAX_SIDE} pixels a side")
    bits = ffmpeg.bits_per_second(scenario.bitrate)
    if bits < MIN_BITS_PER_SECOND:
        hint = f"; did you mean {scenario.bitrate}k?" if scenario.bitrate.isdecimal() else ""
        raise InvalidScenario(f"{field}.bitrate", f"{scenario.bitrate} is {bits} bits a second{hint}")
    if bits > MAX_BITS_PER_SECOND:
        raise InvalidScenario(
            f"{field}.bitrate", f"{scenario.bitrate} is more than {MAX_BITS_PER_SECOND} bits a second"
        )
    try:
        media_file(scenario, media_dir)
    except MediaError as error:
        raise InvalidScenario(f"{field}.source", str(error)) from None
