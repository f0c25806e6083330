"""Ready-made scenarios: the choices of the launch dialog, and what ``GET /api/v1/scenarios`` lists.

Each begins with an idle window of its own, so that its results can be told from what the machine draws anyway.
"""

from __future__ import annotations

from wattview.model import Scenario, ScenarioPreset


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
        "sweep",
        "1, 2 and 4 streams 720p 2.5 Mbit/s",
        *(Scenario(name=f"{streams}x 720p 2.5M", streams=streams, bitrate="2500k") for streams in (1, 2, 4)),
    ),
]
