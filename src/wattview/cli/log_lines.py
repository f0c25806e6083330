"""The daemon's log format: one record is one line, whatever a name in it contains."""

from __future__ import annotations

import logging

from wattview.foreign_text import clean, cut, one_line

LONGEST_LINE = 8192
"""In characters. A journal splits longer lines."""


class LogLines(logging.Formatter):
    """A traceback follows in its own lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return one_line(cut(super().formatMessage(record), LONGEST_LINE))

    def formatException(self, ei: object) -> str:
        return clean(super().formatException(ei))  # type: ignore[arg-type]
