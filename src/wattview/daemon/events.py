"""The daemon's event log: recent events, taken from its log records.

Every record at INFO or above of a logger below ``wattview`` is an event, so that standard error and the dashboard show
the same. ``tell`` logs an event about a named subject; other records are about the part that their logger is named
after.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterator

from wattview.model import Event, EventLevel

ROOT = "wattview"
MAX_EVENTS = 1000
MAX_TEXT = 500

LEVELS: dict[EventLevel, int] = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

log = logging.getLogger(f"{ROOT}.events")


def tell(level: EventLevel, about: str, text: str, *, alert: bool = False) -> None:
    """Logs an event about one subject: ``stream live/cam1``, ``source power``, ``run 20260101_120000``."""
    log.log(LEVELS[level], "%s: %s", about, text, extra={"event": (about, text, alert)})


class EventLog(logging.Handler):
    """The most recent events, oldest first. Records may come from any thread."""

    def __init__(self, size: int = MAX_EVENTS) -> None:
        super().__init__(logging.INFO)
        self._events: deque[Event] = deque(maxlen=size)
        # Milliseconds, so that the ids of the next daemon are larger than those of this one.
        self.last_id = time.time_ns() // 1_000_000

    def emit(self, record: logging.LogRecord) -> None:
        about, text, alert = getattr(record, "event", (_part(record.name), record.getMessage(), False))
        self.last_id += 1
        self._events.append(
            Event(
                id=self.last_id, time=record.created, level=_level(record.levelno), about=about,
                text=text[:MAX_TEXT], alert=alert,
            )
        )  # fmt: skip

    def after(self, event_id: int = 0) -> list[Event]:
        """The events newer than ``last_id``, as far as they are still kept."""
        with self._held():
            return [event for event in self._events if event.id > event_id]

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()


@contextlib.contextmanager
def kept_events() -> Iterator[EventLog]:
    """An event log that is fed within the block. It enables INFO records regardless of the logging level."""
    events = EventLog()
    logger = logging.getLogger(ROOT)
    before = logger.level
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    logger.addHandler(events)
    try:
        yield events
    finally:
        logger.removeHandler(events)
        logger.setLevel(before)


def _level(number: int) -> EventLevel:
    return "error" if number >= logging.ERROR else "warning" if number >= logging.WARNING else "info"


def _part(name: str) -> str:
    """``wattview.media_server`` is about the media server."""
    return name.removeprefix(f"{ROOT}.").replace(".", " ").replace("_", " ")
