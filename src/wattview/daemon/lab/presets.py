"""Presets: the choices of the launch dialog, and the answer to ``GET /api/v1/scenarios``.

Presets are defined here; suites are the bundled one and the files in ``scenarios.suite_dir``. Each preset starts with
its own idle window, the baseline for its results.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import asdict, replace

from wattview.config import Scenarios
from wattview.daemon.lab.run_progress import JudgingSpeed, duration_of
from wattview.daemon.lab.scenario_check import plan_of
from wattview.daemon.lab.suite import default_suite, load_suite
from wattview.model import Preset, Rendition, RunRequest, Scenario, ScenarioPreset
from wattview.model.run_request import WrongField

SUITE_SUFFIXES = (".toml", ".json")
MAX_SUITES = 200

PRESET_SWEEP: tuple[Preset, ...] = ("ultrafast", "veryfast", "medium")


def _preset(id: str, title: str, *scenarios: Scenario, baseline: float = 15.0) -> ScenarioPreset:
    idle = Scenario(name="baseline", type="baseline", duration=baseline, warmup=2.0, cooldown=0.0)
    return ScenarioPreset(id=id, title=title, scenarios=[idle, *scenarios])


PRESETS: list[ScenarioPreset] = [
    _preset(
        "1x720p", "1 stream 720p 2.5 Mbit/s", Scenario(name="1x 720p 2.5M", bitrate="2500k", resolution="1280x720")
    ),
    _preset(
        "quick",
        "quick look: 1 stream 720p, 15 s",
        Scenario(name="quick 720p 2.5M", bitrate="2500k", duration=15.0, warmup=3.0, cooldown=1.0),
        baseline=5.0,
    ),
    _preset("2x720p", "2 streams 720p 2.5 Mbit/s", Scenario(name="2x 720p 2.5M", streams=2, bitrate="2500k")),
    _preset("4x720p", "4 streams 720p 2.5 Mbit/s", Scenario(name="4x 720p 2.5M", streams=4, bitrate="2500k")),
    _preset("1x1080p", "1 stream 1080p 5 Mbit/s", Scenario(name="1x 1080p 5M", bitrate="5M", resolution="1920x1080")),
    _preset("1x480p", "1 stream 480p 1 Mbit/s", Scenario(name="1x 480p 1M", bitrate="1M", resolution="854x480")),
    _preset(
        "ladder",
        "ladder of 720p, 480p and 360p from one decode",
        Scenario(
            name="ladder 720p 480p 360p",
            bitrate="2500k",
            renditions=[Rendition(resolution=resolution) for resolution in ("1280x720", "854x480", "640x360")],
        ),
    ),
    _preset(
        "bitrates",
        "720p at 1, 2.5 and 5 Mbit/s",
        *(Scenario(name=f"1x 720p {bitrate}", bitrate=bitrate) for bitrate in ("1M", "2.5M", "5M")),
    ),
    _preset(
        "presets",
        "720p with ultrafast, veryfast and medium",
        *(Scenario(name=f"1x 720p {preset}", preset=preset) for preset in PRESET_SWEEP),
    ),
    _preset(
        "sweep",
        "1, 2 and 4 streams 720p 2.5 Mbit/s",
        *(Scenario(name=f"{streams}x 720p 2.5M", streams=streams, bitrate="2500k") for streams in (1, 2, 4)),
    ),
]


def available(settings: Scenarios, speed: JudgingSpeed | None) -> list[ScenarioPreset]:
    """All presets and suites, with their approximate duration where quality is judged so fast. Reads files."""
    suites = [_suite("suite", "the suite that comes with WattView", default_suite())]
    return [_timed(preset, settings, speed) for preset in (*PRESETS, *suites, *_suites(Path(settings.suite_dir)))]


def _suites(directory: Path) -> list[ScenarioPreset]:
    """The suite files, by name. An invalid one has an error; a missing directory means no suites."""
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix in SUITE_SUFFIXES and path.is_file())
    except OSError:
        return []
    return [_suite_file(path) for path in paths[:MAX_SUITES]]


def _suite_file(path: Path) -> ScenarioPreset:
    try:
        return _suite(f"suite:{path.name}", path.name, load_suite(path))
    except WrongField as error:
        return ScenarioPreset(id=f"suite:{path.name}", title=path.name, scenarios=[], suite=True, error=str(error))


def _suite(id: str, title: str, request: RunRequest) -> ScenarioPreset:
    return ScenarioPreset(id=id, title=title, suite=True, **asdict(request))


def _timed(preset: ScenarioPreset, settings: Scenarios, speed: JudgingSpeed | None) -> ScenarioPreset:
    """With its duration, or the reason why it cannot run here."""
    if preset.error:
        return preset
    request = RunRequest(
        scenarios=preset.scenarios, baseline=preset.baseline, baseline_after=preset.baseline_after,
        repeat=preset.repeat, pause=preset.pause,
        alternate=preset.alternate,
    )  # fmt: skip
    try:
        plan = plan_of(request, Path(settings.media_dir), settings.targets)
    except WrongField as error:
        return replace(preset, error=str(error))
    scenarios = [planned.scenario for planned in plan]
    return replace(preset, **duration_of(scenarios, settings.quality_seconds, preset.pause, speed)._asdict())
