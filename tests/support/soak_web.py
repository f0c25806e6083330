"""A dashboard in a browser, without the browser: a websocket client that reads all and types what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import aiohttp
from msgspec import Struct

from tests.support.daemon import descendants
from tests.support.terminal import KEPT_BYTES

SERVE = """
import sys
from wattview.cli import web
web.dashboard_command = lambda arguments: sys.argv[1]
web.serve_web((), 0)
"""
"""``wattview tui --web`` with a dashboard of another clock."""


class Page:
    """What types into a page, how many messages it has received, and their text since it was told to forget.
    ``closed`` says with which code the server closed it, if it did."""

    def __init__(self, type_: Callable[[str], None]) -> None:
        self.type = type_
        self.received = 0
        self.text = b""
        self.closed = ""

    def receive(self, data: bytes) -> None:
        self.received += 1
        self.text = (self.text + data)[-KEPT_BYTES:]

    def forget(self) -> None:
        self.text = b""

    def wait_for(self, wanted: bytes) -> None:
        _wait(lambda: wanted in self.text, f"{wanted!r} did not appear")


class Browsed(Struct, frozen=True):
    """Two processes by their pids, and the page."""

    server: int
    dashboard: int
    page: Page


@contextlib.contextmanager
def browsed(dashboard: Sequence[str], size: tuple[int, int] = (160, 48)) -> Iterator[Browsed]:
    """Serves the command ``dashboard`` and looks at it for the time of the block. An error there gets a note, how
    the page was closed and what the server printed, the dashboard's stderr included."""
    command = [sys.executable, "-c", SERVE, f"exec {shlex.join(dashboard)}"]
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(tempfile.NamedTemporaryFile())
        printed = Path(output.name)
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        stack.callback(_end, server)
        _wait(lambda: b"?key=" in printed.read_bytes(), "the server has printed no address")
        found = re.search(r"(http://127\.0\.0\.1:(\d+))/\?key=(\S+)", printed.read_text())
        assert found is not None
        page = stack.enter_context(_visited(found[1], f"wattview-{found[2]}={found[3]}", size))
        child = _only_child(server.pid)
        _wait(lambda: page.received > 10, "no dashboard has come up in the page")
        try:
            yield Browsed(server.pid, child, page)
        except Exception as error:
            closed = page.closed
            _end(server)
            error.add_note(
                f"the page is {closed or 'open'}; the server's output:\n{printed.read_text('utf-8', 'replace')}"
            )
            raise


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait(30)


@contextlib.contextmanager
def _visited(origin: str, cookie: str, size: tuple[int, int]) -> Iterator[Page]:
    loop = asyncio.new_event_loop()
    keys: asyncio.Queue[str | None] = asyncio.Queue()

    def type_(text: str | None) -> None:
        loop.call_soon_threadsafe(keys.put_nowait, text)

    page = Page(type_)
    visit = _visit(f"{origin}/ws?width={size[0]}&height={size[1]}", {"Origin": origin, "Cookie": cookie}, page, keys)
    visitor = threading.Thread(target=loop.run_until_complete, args=(visit,))
    visitor.start()
    try:
        yield page
    finally:
        type_(None)
        visitor.join()
        loop.close()


async def _visit(url: str, headers: dict[str, str], page: Page, keys: asyncio.Queue[str | None]) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers, max_msg_size=0) as socket:

        async def read() -> None:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    page.receive(message.data)
            page.closed = f"closed with code {socket.close_code} ({socket.exception()})"

        reading = asyncio.create_task(read())
        while (text := await keys.get()) is not None and not reading.done():
            await socket.send_str(json.dumps(["stdin", text]))
        reading.cancel()


def _only_child(pid: int) -> int:
    _wait(lambda: len(descendants(pid)) == 1, "no dashboard has been started")
    (child,) = descendants(pid)
    return child


def _wait(true: Callable[[], bool], otherwise: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)
