"""Several apps, one after the other, in one browser session.

Textual's web driver expects one app per session: it starts with a greeting, which the server reads once, and its last
message ends the session. Both are suppressed between the fleet page and a host's dashboard: ``run_in_visit`` runs each
of them, and ``end_visit`` ends the session.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from textual.app import App
from textual.drivers.web_driver import WebDriver

from wattview.tui.base_app import BaseApp

_END = b'{"type": "exit"}'
_GREETING = b"__GANGLION__\n"
_INPUT_SECONDS = 2.0


def _write_all_but_greeting(write: Callable[[bytes], int], data: bytes) -> int:
    return len(data) if data == _GREETING else write(data)


class VisitDriver(WebDriver):
    """A driver that continues where the previous one stopped, at the browser's current size."""

    _greeted: ClassVar[bool] = False
    _last_size: ClassVar[tuple[int, int] | None] = None

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size or VisitDriver._last_size)

    def start_application_mode(self) -> None:
        write = self._write
        if VisitDriver._greeted:
            self._write = partial(_write_all_but_greeting, write)
        VisitDriver._greeted = True
        super().start_application_mode()
        self._write = write

    def stop_application_mode(self) -> None:
        self.exit_event.set()
        self._input_reader.close()
        self._key_thread.join(_INPUT_SECONDS)  # further input belongs to the next app

    def on_meta(self, packet_type: str, payload: dict[str, Any]) -> None:
        if packet_type == "resize":
            VisitDriver._last_size = payload["width"], payload["height"]
        super().on_meta(packet_type, payload)


async def run_in_visit(app: BaseApp) -> str | None:
    """Runs one of the apps of this session."""
    app.driver_class = VisitDriver
    return await app.run_async()


def end_visit() -> None:
    """Tells the server that no app follows."""
    assert sys.__stdout__ is not None
    os.write(sys.__stdout__.fileno(), b"M" + len(_END).to_bytes(4, "big") + _END)
