"""Current power at the wall: by the meter if there is one, else by the calibration from the machine's own counters.

Its inputs are the intervals of the attribution, in which all counters cover the same span, and the meter's readings.
With a meter, both are kept for some minutes, as data for a calibration; a calibration that no longer fits the meter is
reported once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from wattview.analysis.attribution.shares import Interval
from wattview.analysis.wall.agreement import Agreement
from wattview.analysis.wall.wall_model import WallModel
from wattview.daemon.events import tell
from wattview.daemon.wall import calibration_file
from wattview.daemon.wall.identity import difference
from wattview.exposition import Sample
from wattview.model import WallPower
from wattview.model.power.calibration import (
    CalibrationOffer,
    MachineModel,
    WallCalibration,
    WallInputs,
    WallSamples,
)
from wattview.model.power_sources import power_source
from wattview.probes.meters.wall import wall_families
from wattview.probes.plausible import METER_WATTS, implausible

KEPT = 900
"""How many intervals and meter readings are kept: some minutes, in which a calibration fetches them."""

STALE_SECONDS = 60.0
"""An estimate older than this, or than three ticks of the history, is not current."""


class CalibrationRefused(Exception):
    """A calibration that this machine cannot use. The text says why, and ``other_model`` that it can be forced."""

    def __init__(self, reason: str, other_model: bool = False) -> None:
        super().__init__(reason)
        self.other_model = other_model


class Wall:
    """``calibration`` is the one stored in ``state``, None without one. ``gpus`` returns the models of this machine's
    GPUs, None while unknown."""

    def __init__(
        self,
        state: Path,
        here: MachineModel,
        calibration: WallCalibration | None,
        gpus: Callable[[], tuple[str, ...] | None],
        stale_seconds: float,
    ) -> None:
        self._state = state
        self._here = here
        self._gpus = gpus
        self._stale = max(STALE_SECONDS, stale_seconds)
        self._inputs: deque[WallInputs] = deque(maxlen=KEPT)
        self._meters: dict[str, deque[tuple[float, float]]] = {}
        self._metered: WallPower | None = None
        self._source = ""
        self._since = 0.0
        self._power: WallPower | None = None
        self._agreement = Agreement()
        self._use(calibration)

    @property
    def calibration(self) -> WallCalibration | None:
        return self._calibration

    def take(self, interval: Interval | None, source: str) -> None:
        """Takes an interval of the attribution, with the host's power source; None if a part of the machine's power was
        unknown."""
        measured = (entry := power_source(source)) is not None and entry.measures
        if interval is None:
            self._lose("the machine's own power is not known now")
            return
        self._source = source if measured else ""
        inputs = WallInputs(
            interval.time,
            interval.seconds,
            interval.host_joules / interval.seconds,
            sum(gpu.joules for gpu in interval.gpus) / interval.seconds,
            min(100.0, 100.0 * interval.busy_seconds / (interval.cpus * interval.seconds)),
        )
        if self._metered is not None:
            self._inputs.append(inputs)
        if self._model is None:
            return
        if reason := self._misfit(self._model.calibration):
            self._lose(reason)
            return
        said = self._model.after(inputs)
        if reason := implausible(said.watts, METER_WATTS):
            self._lose(f"the calibration makes no sense here: {reason}")
            return
        if self._power is None or self._power.joules_total is None:
            self._since, joules = interval.time, 0.0
        else:
            joules = self._power.joules_total + said.watts * interval.seconds
        self._power = WallPower(
            source="calibrated", time=interval.time, monotonic=interval.monotonic, answered=interval.time,
            watts=said.watts, error_watts=said.error_watts, joules_total=joules, since=self._since,
            reason=said.outside,
        )  # fmt: skip
        if minute := self._agreement.add_model(interval.time, said.watts, said.error_watts):
            tell(
                "warning",
                "wall",
                f"the calibration no longer fits: the meter reads {minute.metered:.1f} W, the"
                f" calibration {minute.calibrated:.1f} W ±{minute.error:.1f} W; run: wattview calibrate",
            )

    def power(self, metered: WallPower | None) -> WallPower | None:
        """Current power at the wall. ``metered`` is by the meters; None if there are none, or they fail."""
        if metered is not None:
            self._note(metered)
            if metered.watts is not None:
                return metered
        calibrated = self.calibrated()
        if calibrated is None:
            return metered
        return replace(calibrated, meters=metered.meters) if metered is not None else calibrated

    def calibrated(self) -> WallPower | None:
        """By the calibration; None without one."""
        power = self._power
        if self._model is None or power is None or time.monotonic() - power.monotonic <= self._stale:
            return power
        return replace(power, watts=None, error_watts=None, joules_total=None, reason="not read recently")

    def kept(self) -> tuple[float, list[Sample]]:
        """The calibration's series for the history, and their time. They include the wall's power only if no meter
        works."""
        power = self.calibrated()
        if power is None:
            return 0.0, []
        metered = self._metered is not None and self._metered.watts is not None
        shown = replace(power, watts=None) if metered else power
        return power.time, [(f.name + text, value) for f in wall_families(shown) for text, value in f.samples]

    def samples(self, after: float, meter: str) -> WallSamples:
        """The data since that moment (Unix seconds). ``meter`` is one by name, "" for all that make up the wall."""
        metered = self._metered
        points = [point for point in self._meters.get(meter, ()) if point[0] > after]
        chosen = [one for one in metered.meters if not meter or one.name == meter] if metered is not None else []
        reason = ""
        if metered is None:
            reason = "no wall meter is configured: add one to [[power.meters]]"
        elif not chosen:
            reason = f"no meter is called {meter!r}; there are: {', '.join(one.name for one in metered.meters)}"
        elif not meter and metered.watts is None:
            reason = metered.reason
        elif meter and chosen[0].watts is None:
            reason = chosen[0].fault.reason if chosen[0].fault is not None else f"{meter} has no figure"
        return WallSamples(
            machine=self._identity(), power_source=self._source,
            inputs=[one for one in self._inputs if one.time > after], meter=points,
            refresh_seconds=max((one.refresh_seconds or one.interval_seconds for one in chosen), default=None),
            resolution_watts=max((one.resolution_watts for one in chosen if one.resolution_watts), default=None),
            reason=reason,
        )  # fmt: skip

    async def adopt(self, offer: CalibrationOffer) -> WallCalibration:
        """Stores a calibration and uses it. Raises CalibrationRefused, and OSError if it cannot be written."""
        offered = offer.calibration
        if reason := calibration_file.problem(offered):
            raise CalibrationRefused(f"the calibration cannot be used: {reason}")
        if offer.imported:
            here = self._identity()
            if offer.instance_type:
                here = replace(here, instance_type=offer.instance_type)
            reason = difference(offered.machine, here)
            if reason and not offer.force:
                raise CalibrationRefused(f"it was made on another model of machine ({reason})", other_model=True)
            offered = replace(offered, imported=True, forced=offered.forced or bool(reason))
        await asyncio.to_thread(calibration_file.save, self._state, offered)
        self._use(offered)
        return offered

    async def forget(self) -> None:
        """Raises OSError."""
        await asyncio.to_thread(calibration_file.forget, self._state)
        self._use(None)

    def _use(self, calibration: WallCalibration | None) -> None:
        self._calibration = calibration
        self._model = WallModel(calibration) if calibration is not None else None
        self._power = None
        self._agreement = Agreement()

    def _lose(self, reason: str) -> None:
        """What follows is unknown: counting restarts after it."""
        if self._model is not None:
            self._power = WallPower(
                source="calibrated", time=time.time(), monotonic=time.monotonic(), answered=time.time(), reason=reason
            )

    def _misfit(self, calibration: WallCalibration) -> str:
        """Why the calibration does not apply to the machine's current state."""
        if calibration.power_source and calibration.power_source != self._source:
            now = self._source or "an estimate"
            return f"calibrated by {calibration.power_source}, and the machine's power comes from {now}"
        gpus = self._gpus()
        if calibration.forced or gpus is None:
            return ""
        # An imported one was compared when it was imported.
        here = replace(calibration.machine if calibration.imported else self._here, gpus=gpus)
        changed = difference(calibration.machine, here)
        return f"the machine has changed since the calibration ({changed}): run wattview calibrate" if changed else ""

    def _identity(self) -> MachineModel:
        return replace(self._here, gpus=self._gpus() or ())

    def _note(self, metered: WallPower) -> None:
        """Remembers new values of the meters."""
        self._metered = metered
        values = {one.name: (one.time, one.watts, one.share) for one in metered.meters}
        for name, (at, watts, share) in {"": (metered.time, metered.watts, 1.0), **values}.items():
            points = self._meters.setdefault(name, deque(maxlen=KEPT))
            if watts is not None and share is not None and (not points or at > points[-1][0]):
                points.append((at, watts * share))
                if not name:
                    self._agreement.add_meter(watts, metered.error_watts)
