"""Explanations of the operating system's errors."""

from __future__ import annotations

import errno


def os_error_text(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"{where}no space left on the disk; free some, or set paths.results and paths.state elsewhere"
    return f"{where}{error.strerror}"
