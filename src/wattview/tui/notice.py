"""What a toast shows, and for how long."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from textual.notifications import Notification

LEAST_SECONDS = 0.05


@dataclass
class Notice(Notification):
    """A notification whose time cannot expire before its toast's timer starts, and does not jump with the clock.

    Textual counts the seconds that are left by the wall clock, and a timer of a negative time never ends: it holds the
    event loop, and the app for good, where screens are switched in the millisecond in which a toast expires.
    """

    raised_at: float = field(default_factory=time.monotonic)

    @property
    def time_left(self) -> float:
        return max(LEAST_SECONDS, self._seconds())

    @property
    def has_expired(self) -> bool:
        return self._seconds() <= 0

    def _seconds(self) -> float:
        return self.raised_at + self.timeout - time.monotonic()
