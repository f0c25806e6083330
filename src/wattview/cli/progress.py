"""Bars of progress on standard error. Where that is no terminal there are none, and rich is not loaded."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Protocol

from wattview.foreign_text import one_line


class ProgressBar(Protocol):
    """Shows how far something is: the part that is done (0 to 1), words before the bar, and others behind it."""

    def __call__(self, fraction: float, words: str, behind: str = "") -> None: ...


@contextlib.contextmanager
def progress_bars(estimated: bool = False) -> Iterator[Callable[[str], ProgressBar]]:
    """Yields a function that adds a bar with its first words. ``estimated``: with the time left, as rich estimates it.
    The bars go with the end of the block."""
    if not sys.stderr.isatty():
        yield lambda words: lambda fraction, words, behind="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TimeRemainingColumn() if estimated else TextColumn("{task.fields[behind]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, expand=True) as progress:

        def add(words: str) -> ProgressBar:
            task = progress.add_task(one_line(words), total=1.0, behind="")

            def show(fraction: float, words: str, behind: str = "") -> None:
                progress.update(task, completed=fraction, description=one_line(words), behind=behind)

            return show

        yield add
