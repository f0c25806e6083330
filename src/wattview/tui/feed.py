"""The connection to the daemon: follows its live snapshots while the dashboard is open.

A lost daemon is a state with a reason; reconnection is attempted at growing intervals. Every snapshot and every change
of state is posted as a message, so that waiting for the daemon never blocks a key.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Literal, NamedTuple

from textual.message import Message

from wattview.client import CallRefused, Client, ClientError
from wattview.decoding import UNREADABLE, why_unreadable
from wattview.model import Snapshot

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10.0


class Link(NamedTuple):
    """State of the connection. ``trouble`` says what is wrong, unless the daemon merely does not answer.
    ``retry_seconds``: time until the next attempt, if the connection is lost."""

    state: Literal["connecting", "live", "lost"] = "connecting"
    reason: str = ""
    retry_seconds: float = 0.0
    trouble: str = ""


class SnapshotArrived(Message):
    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot


class LinkChanged(Message):
    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link


async def follow(
    client: Client, tell: Callable[[Message], object], retry_now: asyncio.Event, interval: float = 1.0
) -> None:
    """Follows ``/api/v1/live`` until cancelled. Setting ``retry_now`` cuts a wait short."""
    delay = FIRST_DELAY_SECONDS
    while True:
        live, trouble = False, ""
        try:
            async for snapshot in client.live(interval):
                if not live:
                    live = True
                    delay = FIRST_DELAY_SECONDS
                    tell(LinkChanged(Link("live")))
                tell(SnapshotArrived(snapshot))
        except CallRefused as error:
            reason = str(error)
            trouble = "The daemon refuses the token" if error.status == 401 else "The daemon refuses"
        except ClientError as error:
            reason = str(error)
        except UNREADABLE as error:
            reason = f"the daemon at {client.url} speaks another version: {why_unreadable(error)}"
        tell(LinkChanged(Link("lost", reason, delay, trouble)))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(retry_now.wait(), delay)
        retry_now.clear()
        delay = min(2 * delay, LONGEST_DELAY_SECONDS)
