"""The fleet page's sources: daemons that are queried directly, or the store that scrapes them.

Both are followed in the background, each daemon separately, with growing delays after a failure; the last data stay
visible, with their age. The page never waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec
from textual.message import Message

from wattview.client import Address, Client, ClientError
from wattview.fleet import FleetError, FleetStore, HostRow, of_snapshot
from wattview.tui.feed import (
    FIRST_DELAY_SECONDS,
    LONGEST_DELAY_SECONDS,
    Link,
    LinkChanged,
    SnapshotArrived,
    follow,
)
from wattview.tui.time_travel.trend_buffers import Point

LIVE_INTERVAL_SECONDS = 2.0
STORE_INTERVAL_SECONDS = 5.0
QUIET_SECONDS = 8.0
"""A connected daemon that has been silent for longer is not live."""

PAST_SECONDS = 900.0
PAST_STEP_SECONDS = 15.0
PAST_POINTS = 512


class FleetHost(NamedTuple):
    """One host on the page. ``key`` identifies it; ``address`` is its daemon's, if known; ``retry_seconds``: time until
    the next attempt, if it is lost."""

    key: str
    row: HostRow
    trend: Sequence[Point] = ()
    address: Address | None = None
    version: str = ""
    retry_seconds: float = 0.0
    now: float = 0.0


class FleetSource(Protocol):
    """Source of the page. ``link`` is the connection to the store; daemons each have their own state, and then it is
    live."""

    title: str
    empty: str
    changed: Callable[[], object]

    @property
    def link(self) -> Link: ...

    @property
    def age_seconds(self) -> float | None: ...

    def hosts(self) -> list[FleetHost]: ...

    def retry(self) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class _FollowedDaemon:
    """One daemon that is followed."""

    def __init__(self, address: Address, changed: Callable[[], object]) -> None:
        self.address = address
        self.client = Client(address.url, address.token, ca_file=address.ca_file)
        self.retry_now = asyncio.Event()
        self._changed = changed
        self._link = Link()
        self._row = HostRow(host=label_of(address.url), state="connecting")
        self._version = ""
        self._trend: deque[Point] = deque(maxlen=PAST_POINTS)
        self._began = self._arrived = self._retry_at = time.monotonic()
        self._now = 0.0
        self._seeding: asyncio.Task[None] | None = None

    def told(self, message: Message) -> None:
        if isinstance(message, SnapshotArrived):
            snapshot = message.snapshot
            self._row = of_snapshot(snapshot, label_of(self.address.url))
            self._version, self._now, self._arrived = snapshot.version, snapshot.time, time.monotonic()
            if self._row.power_watts is not None and (not self._trend or snapshot.time > self._trend[-1][0]):
                self._trend.append((snapshot.time, self._row.power_watts))
            if self._seeding is None:
                self._seeding = asyncio.create_task(self._seed(snapshot.time))
        elif isinstance(message, LinkChanged):
            self._link = message.link
            self._retry_at = time.monotonic() + message.link.retry_seconds
            if message.link.state == "lost":
                self._seeding = None
        self._changed()

    async def _seed(self, now: float) -> None:
        """Loads the minutes before the start. A missing history is not an error."""
        with contextlib.suppress(ClientError):
            start = now - PAST_SECONDS
            found = await self.client.trends("machine", "power", start, now, step=PAST_STEP_SECONDS)
            older = sorted(point for one in found for point in one.points)
            first = self._trend[0][0] if self._trend else now
            self._trend = deque([*(point for point in older if point[0] < first), *self._trend], maxlen=PAST_POINTS)
            self._changed()

    def host(self) -> FleetHost:
        now = time.monotonic()
        age = now - self._arrived
        state = self._link.state if self._link.state != "live" or age < QUIET_SECONDS else "quiet"
        seen = age if self._now else None
        row = msgspec.structs.replace(self._row, state=state, reason=self._link.reason, seen_seconds=seen)
        wait = max(0.0, self._retry_at - now) if state == "lost" else 0.0
        return FleetHost(self.address.url, row, self._trend, self.address, self._version, wait, self._now)

    async def close(self) -> None:
        if self._seeding is not None:
            self._seeding.cancel()
        await self.client.close()


class LiveFleet:
    """Daemons by their addresses, in that order."""

    link = Link("live")
    age_seconds: float | None = 0.0
    empty = "no daemon to follow; name them with --url"

    def __init__(self, addresses: Sequence[Address], interval: float = LIVE_INTERVAL_SECONDS) -> None:
        self.title = f"{len(addresses)} daemons"
        self.changed: Callable[[], object] = lambda: None
        self._addresses = addresses
        self._interval = interval
        self._daemons: list[_FollowedDaemon] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._daemons = [_FollowedDaemon(address, lambda: self.changed()) for address in self._addresses]
        for one in self._daemons:
            line = follow(one.client, one.told, one.retry_now, self._interval)
            self._tasks.append(asyncio.create_task(line))

    def hosts(self) -> list[FleetHost]:
        return [one.host() for one in self._daemons]

    def retry(self) -> None:
        for one in self._daemons:
            one.retry_now.set()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(one.close() for one in self._daemons))


class StoreFleet:
    """The hosts in a store. ``addresses`` are those of daemons that can be opened: a host matches the address with its
    name, with or without domain."""

    empty = (
        "the store has no sample from the last hour with the label host, by which hosts are told apart. Scrape them: "
        "http_sd_configs with url http://HOST:9600/discovery for each host gives all exporters and that label "
        "(docs/many-hosts.md)."
    )

    def __init__(
        self, store: FleetStore, addresses: Sequence[Address] = (), interval: float = STORE_INTERVAL_SECONDS
    ) -> None:
        self.store = store
        self.title = store.url
        self.changed: Callable[[], object] = lambda: None
        self._addresses = {name_of(one.url).partition(".")[0]: one for one in reversed(addresses)}
        self._addresses |= {name_of(one.url): one for one in reversed(addresses)}
        self._interval = interval
        self._link = Link()
        self._rows: dict[str, HostRow] = {}
        self._trends: dict[str, deque[Point]] = {}
        self._arrived = time.monotonic()
        self._told_at = 0.0
        self._seeded = False
        self._retry_at = 0.0
        self._retry_now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._follow())

    @property
    def link(self) -> Link:
        return self._link._replace(retry_seconds=max(0.0, self._retry_at - time.monotonic()))

    @property
    def age_seconds(self) -> float | None:
        return time.monotonic() - self._arrived

    def hosts(self) -> list[FleetHost]:
        age = time.monotonic() - self._arrived if self._link.state == "lost" else 0.0
        hosts = []
        for name, row in self._rows.items():
            seen = None if row.seen_seconds is None else row.seen_seconds + age
            shown = msgspec.structs.replace(row, seen_seconds=seen)
            hosts.append(FleetHost(name, shown, self._trends.get(name, ()), self._address(name), now=self._told_at))
        return hosts

    def _address(self, host: str) -> Address | None:
        return self._addresses.get(host) or self._addresses.get(host.partition(".")[0])

    def retry(self) -> None:
        self._retry_now.set()

    async def _follow(self) -> None:
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                self._take(await self.store.hosts())
                if not self._seeded:
                    await self._seed()
            except FleetError as error:
                self._seeded = False
                self._link, wait = Link("lost", str(error)), delay
                delay = min(2 * delay, LONGEST_DELAY_SECONDS)
            else:
                self._link, wait = Link("live"), self._interval
                delay = FIRST_DELAY_SECONDS
            self._retry_at = time.monotonic() + wait
            self.changed()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._retry_now.wait(), wait)
            self._retry_now.clear()

    def _take(self, rows: list[HostRow]) -> None:
        """Takes the new rows. The store has no figures of a lost host: the last ones are kept."""
        self._arrived = time.monotonic()
        self._told_at = time.time()
        self._rows = {row.host: self._with_last(row) for row in rows}
        for row in rows:
            if row.power_watts is not None:
                trend = self._trends.setdefault(row.host, deque(maxlen=PAST_POINTS))
                trend.append((self._told_at, row.power_watts))

    def _with_last(self, row: HostRow) -> HostRow:
        last = self._rows.get(row.host)
        if row.state != "lost" or last is None:
            return row
        now = {name: getattr(row, name) for name in ("state", "reason", "seen_seconds", "targets", "targets_up")}
        return msgspec.structs.replace(last, **now)

    async def _seed(self) -> None:
        past = await self.store.past_power(self._told_at - PAST_SECONDS, self._told_at, PAST_STEP_SECONDS)
        for host, points in past.items():
            here = self._trends.get(host, ())
            later = [point for point in here if point[0] > points[-1][0]] if points else here
            self._trends[host] = deque([*points, *later], maxlen=PAST_POINTS)
        self._seeded = True

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.store.close()


def name_of(url: str) -> str:
    """The host of a daemon's address, or its socket."""
    return urlsplit(url).hostname or url.removeprefix("unix://")


def label_of(url: str) -> str:
    """The name of a daemon until its host name is known."""
    return urlsplit(url).netloc.rpartition("@")[2] or url.removeprefix("unix://")
