"""A log for what peers cause: one of them, or a thousand, must not be able to fill a disk with it."""

from __future__ import annotations

import logging
import time

QUIET_SECONDS = 60.0


class Seldom:
    """Says a thing of each kind once, and then how often it happened, once a minute at the most."""

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
