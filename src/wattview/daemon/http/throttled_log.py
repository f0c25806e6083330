"""A rate-limited log for events that peers cause, so that no peer can fill the disk."""

from __future__ import annotations

import logging
import time

QUIET_SECONDS = 60.0


class ThrottledLog:
    """Logs the first event of each kind, and then a count, at most once a minute."""

    def __init__(self, logger: str, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._log = logging.getLogger(logger)
        self._quiet = quiet_seconds
        self._said: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def warning(self, kind: str, text: str, *arguments: object) -> None:
        """``kind`` is one of a few constant words; ``text`` is as for ``logging``."""
        now = time.monotonic()
        if now - self._said.get(kind, -self._quiet) < self._quiet:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._said[kind] = now
        unsaid = self._unsaid.pop(kind, 0)
        self._log.warning(
            text + (f" (and {unsaid} more of this kind since the last line)" if unsaid else ""), *arguments
        )
