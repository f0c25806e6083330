"""The daemon's log format: one record is one line, whatever a name in it contains."""

from __future__ import annotations

import logging

from wattview.foreign_text import clean, one_line


class LogLines(logging.Formatter):
    """A traceback follows in its own lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return one_line(super().formatMessage(record))

    def formatException(self, ei: object) -> str:
        return clean(super().formatException(ei))  # type: ignore[arg-type]
