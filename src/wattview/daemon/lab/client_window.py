"""A measured window whose ends come from a client, because the client runs what is measured: ``wattview measure``.

The daemon never runs foreign commands, which would have its privileges. It keeps the window open while the client
reports that it is alive, and records the client's report at the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from wattview.model import CommandReport

WAITING = "waiting for the command to begin"
"""The message of the progress of a run whose client may open the window."""

LEASE_SECONDS = 30.0
"""How long a client may be silent before it counts as dead. A live one reports every few seconds."""


class ClientGone(Exception):
    """The client has not called for ``LEASE_SECONDS``. ``str()`` says so."""

    def __init__(self) -> None:
        super().__init__(f"the client that ran the command has not reported for {LEASE_SECONDS:.0f} s")


class WrongTurn(Exception):
    """A call that does not fit the window's state. ``str()`` says why."""


class ClientWindow:
    """One window. Its client calls ``open``, ``alive``, ``close`` and ``report``, in this order; the run calls the
    rest. A client that is silent for ``lease_seconds`` is gone."""

    def __init__(self, lease_seconds: float | None = None) -> None:
        self._lease = LEASE_SECONDS if lease_seconds is None else lease_seconds
        self._open, self._opened = asyncio.Event(), asyncio.Event()
        self._close, self._closed = asyncio.Event(), asyncio.Event()
        self._reported = asyncio.Event()
        self._report: CommandReport | None = None
        self._heard = time.monotonic()

    async def open(self) -> None:
        """Returns when the window is open, at once if it is or was: the call then only reports that the client is
        alive."""
        self.alive()
        self._open.set()
        await self._opened.wait()

    def alive(self) -> None:
        self._heard = time.monotonic()

    async def close(self) -> None:
        """Returns when the window is closed. Raises WrongTurn."""
        if not self._opened.is_set():
            raise WrongTurn("the window is not open")
        self.alive()
        self._close.set()
        await self._closed.wait()

    def report(self, report: CommandReport) -> None:
        """Raises WrongTurn."""
        if not self._closed.is_set():
            raise WrongTurn("the window is not closed")
        self.alive()
        self._report = report
        self._reported.set()

    async def until_asked(self) -> None:
        """Returns when the client wants the window open. Raises ClientGone."""
        await self._until(self._open)

    def opened(self) -> None:
        self._opened.set()

    async def hold(self, look: Callable[[], Awaitable[bool]], every_seconds: float, most_seconds: float) -> bool:
        """Returns when the client wants it closed, or False after the longest time. Raises ClientGone."""
        end = time.monotonic() + most_seconds
        while not self._close.is_set():
            if time.monotonic() >= end:
                return False
            await self._wait(self._close, every_seconds)
            await look()
        return True

    def closed(self) -> None:
        self._opened.set()
        self._closed.set()

    async def reported(self) -> CommandReport:
        """The client's report. Raises ClientGone."""
        await self._until(self._reported)
        assert self._report is not None
        return self._report

    async def _until(self, event: asyncio.Event) -> None:
        while not event.is_set():
            await self._wait(event, 1.0)

    async def _wait(self, event: asyncio.Event, seconds: float) -> None:
        if time.monotonic() - self._heard > self._lease:
            raise ClientGone
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
