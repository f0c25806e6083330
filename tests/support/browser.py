"""A headless Chromium, driven over its DevTools protocol: pages, keys, pictures."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp

START_SECONDS = 30.0
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
    "--window-size=1280,800",
)  # fmt: skip


class Page:
    """One tab. ``frames`` are the messages of its websockets as (sent by the page, opcode, payload);
    ``requested`` the addresses that it asked for, and ``failed`` those that were refused or blocked."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.frames: list[tuple[bool, int, str]] = []
        self.requested: list[str] = []
        self.failed: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._by_request: dict[str, str] = {}
        self._reader = asyncio.create_task(self._read())

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return await asyncio.wait_for(self._answers[number], 30)

    async def open(self, url: str) -> None:
        for domain in ("Page", "Network", "Runtime"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def tabs(self) -> list[str]:
        """The addresses of all that is open."""
        found = (await self.call("Target.getTargets"))["targetInfos"]
        return [one["url"] for one in found if one["type"] == "page"]

    async def click(self, x: int, y: int) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def enter(self) -> None:
        await self.call(
            "Input.dispatchKeyEvent", type="keyDown", text="\r", key="Enter", code="Enter", windowsVirtualKeyCode=13
        )

    async def press(self, key: str) -> None:
        """A key that writes a character."""
        event = {"key": key, "code": f"Digit{key}", "windowsVirtualKeyCode": ord(key.upper())}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=key, **event)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    async def picture(self) -> bytes:
        """What is on the screen, as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])

    def received(self) -> str:
        """Everything that the page's websockets were sent, as text."""
        return "".join(
            base64.b64decode(payload).decode("utf-8", "replace") if opcode == 2 else payload
            for mine, opcode, payload in self.frames
            if not mine
        )

    async def until(self, true: Callable[[], bool], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110  the reader fills lists
                await asyncio.sleep(0.05)

    async def _read(self) -> None:
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said.get("result", {"error": said.get("error")}))
                continue
            match said["method"], said["params"]:
                case "Network.requestWillBeSent", what:
                    self._by_request[what["requestId"]] = what["request"]["url"]
                    self.requested.append(what["request"]["url"])
                case "Network.loadingFailed", what:
                    self.failed.append(self._by_request.get(what["requestId"], ""))
                case "Network.webSocketFrameReceived", what:
                    self.frames.append((False, what["response"]["opcode"], what["response"]["payloadData"]))
                case "Network.webSocketFrameSent", what:
                    self.frames.append((True, what["response"]["opcode"], what["response"]["payloadData"]))

    async def close(self) -> None:
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader


@contextlib.asynccontextmanager
async def browser_page(directory: Path) -> AsyncIterator[Page]:
    """A page of a browser of its own, with nothing in it."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "Chromium is not installed: run scripts/packages.sh test"
    profile = directory / "chromium"
    process = subprocess.Popen(  # noqa: ASYNC220  it only forks
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await _debugging_port(profile / "DevToolsActivePort", process)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                (target,) = [one for one in await answer.json() if one["type"] == "page"]
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                try:
                    yield page
                finally:
                    await page.close()
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _debugging_port(file: Path, process: subprocess.Popen[bytes]) -> int:
    """Chromium writes the port that it has chosen into its profile."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            assert process.poll() is None, f"Chromium ended with {process.returncode}"
            with contextlib.suppress(FileNotFoundError):
                lines = file.read_text().splitlines()  # noqa: ASYNC240  a file of two lines
                if len(lines) == 2:
                    return int(lines[0])
            await asyncio.sleep(0.05)
