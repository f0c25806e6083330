"""Events between two snapshots: streams and containers that start and end, errors of GPUs, encoders that fall behind,
power over budget. Values in, values out; changes of sources, exporters and runs are reported where they happen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from wattview.model import Container, EventLevel, Gpu, RtmpServer, Run, Snapshot, Stream

WELL_SPEED = 0.985
"""An encoder that was behind is in real time again from this speed; FFmpeg's own figure varies by a percent."""

WELL_WITHIN = 0.95
"""Power that exceeded its budget is within it again below this share of it."""


SILENT_LOOKS = 2
"""A stream without input for this many snapshots has lost its publisher, and the server removes it later. A stream that
ends while it still receives input ended on purpose, or with its connection."""


MAX_ENDED = 500
"""How many ended containers are remembered, to see whether they restart."""


class Change(NamedTuple):
    """One event between two snapshots. ``alert``: it needs attention now."""

    level: EventLevel
    about: str
    text: str
    alert: bool = False


class Watch:
    """Compares each snapshot with the previous one. A value near its limit (an encoder's speed, power against
    ``budget_watts``; 0: no budget) is reported once until it is well away from the limit again."""

    def __init__(self, budget_watts: float = 0.0) -> None:
        self._budget_watts = budget_watts
        self._before: Snapshot | None = None
        self._behind: set[str] = set()
        self._over = False
        self._silent: dict[tuple[str, str], int] = {}
        self._ended: dict[str, Container] = {}

    def look(self, now: Snapshot) -> list[Change]:
        """The events since the previous snapshot; for the first snapshot, whether power exceeds its budget."""
        before = self._before
        changes = []
        if before is not None:
            changes = [*self._streams(before, now), *self._containers(before, now), *_gpus(before.gpus, now.gpus)]
        changes += [*self._budget(now), *self._encoders(now.run)]
        self._before = now if before is None else _known(before, now)
        self._note_silence(before, now)
        return changes

    def _streams(self, before: Snapshot, now: Snapshot) -> Iterator[Change]:
        was = {(one.app, one.name): one for one in before.streams}
        here = {(one.app, one.name): one for one in now.streams}
        # Without a reading, no stream has ended: only the server cannot be seen.
        if now.rtmp_server is None or before.rtmp_server is None:
            return
        for key in sorted(here.keys() - was.keys()):
            yield Change("info", f"stream {'/'.join(key)}", f"is live{_what(here[key])}")
        # A stream that a truncated list leaves out has not ended.
        if now.rtmp_server.unlisted_streams:
            return
        restarted = _has_restarted(before.rtmp_server, now.rtmp_server)
        for key in sorted(was.keys() - here.keys()):
            why = "has ended"
            if restarted:
                why = "was cut off: the RTMP server has restarted"
            elif self._silent.get(key, 0) >= SILENT_LOOKS:
                why = "was cut off: its publisher had stopped sending"
            failed = why != "has ended"
            yield Change("warning" if failed else "info", f"stream {'/'.join(key)}", why, failed)

    def _note_silence(self, before: Snapshot | None, now: Snapshot) -> None:
        """Counts the snapshots since a stream last received data."""
        if now.rtmp_server is None or before is None:
            return
        taken = {(one.app, one.name): one.bytes_in_total for one in before.streams}
        self._silent = {
            key: self._silent.get(key, 0) + 1
            for one in now.streams
            if one.bytes_in_total is not None and one.bytes_in_total == taken.get(key := (one.app, one.name))
        }

    def _containers(self, before: Snapshot, now: Snapshot) -> Iterator[Change]:
        if before.engine is None or now.engine is None:
            return
        was = {one.id: one for one in before.containers}
        here = {one.id: one for one in now.containers}
        for key in here.keys() - was.keys():
            old = self._ended.pop(key, None)
            yield _restart(old, here[key]) or Change("info", f"container {here[key].name}", f"runs: {here[key].image}")
        for key in was.keys() - here.keys():
            self._ended[key] = was[key]
            yield Change("info", f"container {was[key].name}", "has ended")
        for key in list(self._ended)[:-MAX_ENDED]:
            del self._ended[key]
        for key in was.keys() & here.keys():
            old, new = was[key], here[key]
            if old.health != new.health and new.health is not None:
                level: EventLevel = "error" if new.health == "unhealthy" else "info"
                yield Change(level, f"container {new.name}", f"is {new.health}", level == "error")
            if (change := _restart(old, new)) is not None:
                yield change

    def _encoders(self, run: Run | None) -> Iterator[Change]:
        if run is None or run.progress is None or run.progress.phase != "measuring":
            self._behind.clear()
            return
        for one in run.encoders:
            about = f"encoder {one.stream}"
            if one.behind and one.stream not in self._behind:
                self._behind.add(one.stream)
                yield Change("warning", about, f"is behind real time: {one.speed:.2f}x", True)
            elif one.stream in self._behind and one.speed is not None and one.speed >= WELL_SPEED:
                self._behind.remove(one.stream)
                yield Change("info", about, "is in real time again")

    def _budget(self, now: Snapshot) -> Iterator[Change]:
        watts, budget = now.machine_power.watts if now.machine_power is not None else None, self._budget_watts
        if not budget or watts is None:
            return
        if watts > budget and not self._over:
            self._over = True
            yield Change("warning", "power", f"{watts:.1f} W is over the budget of {budget:g} W", True)
        elif self._over and watts <= WELL_WITHIN * budget:
            self._over = False
            yield Change("info", "power", f"{watts:.1f} W is within the budget of {budget:g} W again")


def _gpus(before: tuple[Gpu, ...], now: tuple[Gpu, ...]) -> Iterator[Change]:
    """XID errors (https://docs.nvidia.com/deploy/xid-errors), and GPUs that the driver suspends and wakes."""
    was = {one.uuid: one for one in before}
    for new in now:
        old = was.get(new.uuid)
        if old is None:
            continue
        for xid, count in new.xids.items():
            if count > old.xids.get(xid, 0):
                yield Change("error", new.called, f"reports XID error {xid}", True)
        if new.asleep != old.asleep:
            yield Change("info", new.called, "is suspended" if new.asleep else "is awake")


def _known(before: Snapshot, now: Snapshot) -> Snapshot:
    """``now``, with the last known part for a source that did not answer: the reference for the next snapshot."""
    if now.engine is None:
        now = replace(now, engine=before.engine, containers=before.containers)
    if now.rtmp_server is None:
        now = replace(now, rtmp_server=before.rtmp_server, streams=before.streams)
    return now


def _has_restarted(before: RtmpServer, now: RtmpServer) -> bool:
    if before.pid is not None and now.pid is not None and before.pid != now.pid:
        return True
    was, now_is = before.uptime_seconds, now.uptime_seconds
    return was is not None and now_is is not None and now_is < was


def _restart(old: Container | None, new: Container) -> Change | None:
    """The engine's own restart of a failed container is a warning, even if it came back between two snapshots; a manual
    start is not."""
    if old is None or old.restarts is None or new.restarts is None or new.restarts <= old.restarts:
        return None
    times = "once" if new.restarts == 1 else f"{new.restarts} times"
    return Change("warning", f"container {new.name}", f"has failed and was restarted ({times})", True)


def _what(one: Stream) -> str:
    return f": {one.video_codec} {one.resolution}".rstrip() if one.video_codec else ""
