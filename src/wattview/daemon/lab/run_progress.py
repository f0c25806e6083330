"""Duration, progress and remaining time of a run: a clock over a plan of phases. No I/O."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from msgspec.structs import replace

from wattview.analysis.efficiency import pixels
from wattview.daemon.lab.encoding.renditions import streams_of
from wattview.daemon.lab.judging.content import pixels_looked_at
from wattview.model import Phase, Run, RunProgress, Scenario
from wattview.model.scenarios import LONGEST_SECONDS

PREPARING_SECONDS = 1.5
SAVING_SECONDS = 0.2
STEADY_SECONDS = 15.0
"""Usual duration of a warm-up that waits for a steady machine."""

VMAF_PIXELS_PER_SECOND = 35e6
"""One CPU's comparison speed, where nothing has been compared yet."""

LAST_JUDGED = 20
"""The scenarios that tell how fast this machine judges: it does so with what other programs leave it."""

PHASES: tuple[Phase, ...] = ("preparing", "warmup", "measuring", "cooldown", "quality", "saving")


class JudgingSpeed(NamedTuple):
    """Pixels judged in a second: compared, or looked at for SI and TI."""

    slowest: float
    usual: float
    fastest: float


class Duration(NamedTuple):
    """See ``RunPlan``."""

    seconds: float
    least_seconds: float
    most_seconds: float | None


def judging_speed(runs: Iterable[Run]) -> JudgingSpeed | None:
    """As the last runs had it; None if they judged nothing. ``runs``: newest first."""
    speeds = (one.judged_pixels_per_second for run in runs for one in reversed(run.finished))
    known = list(islice((speed for speed in speeds if speed), LAST_JUDGED))
    return JudgingSpeed(min(known), statistics.median(known), max(known)) if known else None


def duration_of(
    scenarios: Sequence[Scenario], quality_seconds: float, pause_seconds: float, speed: JudgingSpeed | None
) -> Duration:
    """Of these scenarios, before the first one has started."""

    def seconds(pixels_per_second: float | None, steady: float = STEADY_SECONDS, known_content: bool = False) -> float:
        clock = ProgressClock(
            scenarios, quality_seconds, pause_seconds, clock=lambda: 0.0, pixels_per_second=pixels_per_second,
            steady_seconds=steady, known_content=known_content,
        )  # fmt: skip
        return clock.now().remaining_seconds or 0.0

    least = seconds(math.inf if speed is None else speed.fastest, steady=0.0, known_content=True)
    if speed is None and any(map(_is_judged, scenarios)):
        return Duration(seconds(None), least, None)
    return Duration(seconds(speed and speed.usual), least, seconds(speed and speed.slowest, steady=math.inf))


def _is_open(scenario: Scenario) -> bool:
    """Whether its end is unknown: a command, or a recording that lasts until it is ended."""
    return scenario.type == "command" or (scenario.type == "recording" and scenario.duration >= LONGEST_SECONDS)


def _is_judged(scenario: Scenario) -> bool:
    return scenario.type == "streams" and scenario.quality


class ProgressClock:
    """The progress of one run, updated by ``enter`` and ``advance``; ``now`` is cheap."""

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        quality_seconds: float,
        pause_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        pixels_per_second: float | None = None,
        steady_seconds: float = STEADY_SECONDS,
        known_content: bool = False,
    ) -> None:
        """``known_content``: SI and TI of all sources are known already."""
        self._scenarios = scenarios
        self._pause_seconds = pause_seconds
        self._quality_seconds = quality_seconds
        self._clock = clock
        self._pixels_per_second = pixels_per_second or VMAF_PIXELS_PER_SECOND * (os.cpu_count() or 1)
        self._steady_seconds = steady_seconds
        sources = set() if not known_content else {_source(one) for one in scenarios}
        self._pixels: list[float] = []
        """To judge, of each scenario."""
        for one in scenarios:
            looked_at = pixels_looked_at(one) if _source(one) not in sources else 0.0
            self._pixels.append(self._compared(one) + looked_at if _is_judged(one) else 0.0)
            sources |= {_source(one)} if _is_judged(one) else set()
        self._started = self._entered = clock()
        self._index = 0
        self._phase: Phase = "preparing"
        self._advanced: float | None = None
        self._message = ""

    def enter(self, index: int, phase: Phase, message: str = "") -> None:
        """Scenario ``index`` has entered ``phase``."""
        if self._phase == "quality" and self._advanced and phase != "quality":
            self._learn_quality_speed()
        self._index, self._phase, self._message = index, phase, message
        self._entered = self._clock()
        self._advanced = None

    def advance(self, fraction: float) -> None:
        """Progress of the current phase, where it is counted rather than timed."""
        self._advanced = min(max(fraction, 0.0), 1.0)

    def now(self) -> RunProgress:
        elapsed = self._clock() - self._started
        remaining: float | None
        if any(map(_is_open, self._scenarios[self._index :])):
            remaining, fraction = None, self._index / len(self._scenarios)
        else:
            remaining = self._remaining()
            fraction = elapsed / (elapsed + remaining) if elapsed + remaining > 0 else 0.0
        return RunProgress(
            phase=self._phase,
            scenario=self._scenarios[self._index].name,
            scenario_index=self._index,
            scenario_count=len(self._scenarios),
            fraction=min(fraction, 1.0),
            elapsed_seconds=elapsed,
            remaining_seconds=remaining,
            message=self._message,
        )

    def finished(self) -> RunProgress:
        """The progress of a run that has ended, by itself or early."""
        return replace(self.now(), phase="finished", fraction=1.0, remaining_seconds=0.0, message="")

    def _remaining(self) -> float:
        planned = self._planned(self._index, self._phase)
        inside = self._clock() - self._entered
        if self._advanced is None:
            left = max(planned - inside, 0.0)
        elif self._advanced > 0.1:
            left = inside * (1 - self._advanced) / self._advanced
        else:
            left = planned * (1 - self._advanced)
        later = PHASES[PHASES.index(self._phase) + 1 :]
        left += sum(self._planned(self._index, phase) for phase in later)
        following = range(self._index + 1, len(self._scenarios))
        return left + sum(self._planned(index, phase) for index in following for phase in PHASES)

    def _planned(self, index: int, phase: Phase) -> float:
        scenario = self._scenarios[index]
        encodes = scenario.type == "streams"
        seconds: dict[Phase, float] = {
            "preparing": (PREPARING_SECONDS if encodes else 0.0) + self._pause_seconds,
            "warmup": scenario.warmup + min(scenario.steady, self._steady_seconds),
            "measuring": scenario.duration,
            "cooldown": scenario.cooldown,
            "quality": self._pixels[index] / self._pixels_per_second,
            "saving": SAVING_SECONDS,
        }
        return seconds.get(phase, 0.0)

    def _compared(self, scenario: Scenario) -> float:
        settings = {variant.setting for stream in streams_of(scenario) for variant in stream.variants}
        frames = sum(fps for _, fps, _ in settings) * min(scenario.duration, self._quality_seconds)
        return pixels(scenario.resolution) * frames

    def _learn_quality_speed(self) -> None:
        seconds = self._clock() - self._entered
        done = self._pixels[self._index] * (self._advanced or 0.0)
        if seconds > 0.2 and done > 0:
            self._pixels_per_second = done / seconds


def _source(scenario: Scenario) -> tuple[object, ...]:
    """What SI and TI are measured of once."""
    return scenario.source, scenario.resolution, scenario.fps, scenario.duration
