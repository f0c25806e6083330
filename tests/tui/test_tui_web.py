"""The dashboard in a browser: who may open it, that nobody else can drive it, and that it is the dashboard."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fnmatch
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

import aiohttp
import httpx
import msgspec
import pytest

from tests.support.browser import Page, browser_page
from tests.support.daemon import DaemonProcess, alive, descendants, running_daemon, wait_gone
from tests.support.dashboard import scripted
from tests.support.sweep import sweep

TOKEN = "correct-horse-battery-staple"


class WebProcess:
    """``wattview tui --web`` on a free port."""

    def __init__(self, *arguments: str, stderr: IO[bytes] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wattview", "tui", "--web", "--port", "0", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        found = re.search(r"(http://127\.0\.0\.1:(\d+))/\?key=(\S+)", said)
        assert found is not None, said
        self.address, self.origin, self.port, self.key = found[0], found[1], int(found[2]), found[3]
        self.cookie = {"Cookie": f"wattview-{self.port}={self.key}"}

    def get(self, path: str = "/", **headers: str) -> httpx.Response:
        return httpx.get(self.origin + path, headers=headers, trust_env=False, timeout=20)

    async def visit(self, **headers: str) -> int:
        """The status that a websocket's handshake is answered with."""
        async with aiohttp.ClientSession() as session:
            try:
                async with session.ws_connect(f"{self.origin}/ws", headers=headers):
                    return 101
            except aiohttp.WSServerHandshakeError as refused:
                return refused.status

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    token_file = tmp_path_factory.mktemp("web") / "token"
    token_file.write_text(TOKEN)
    web = WebProcess("--url", "http://127.0.0.1:9", "--token-file", str(token_file))
    yield web
    web.stop()


def test_the_key_of_the_address_becomes_a_cookie_that_no_other_site_can_send(web: WebProcess) -> None:
    welcome = httpx.get(web.address, trust_env=False)
    assert (welcome.status_code, welcome.headers["location"]) == (303, "/")
    cookie = welcome.headers["set-cookie"]
    assert cookie.startswith(f"wattview-{web.port}={web.key}")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    page = web.get(**web.cookie)
    assert page.status_code == 200
    assert "WattView" in page.text
    assert web.key not in page.text


@pytest.mark.parametrize("path", ["/", "/?key=", "/?key=guess", "/ws", "/static/js/textual.js", "/download/1", "/no"])
def test_without_the_key_nothing_is_shown(web: WebProcess, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 403
    assert "open the address printed by wattview tui --web" in answer.text


def test_dns_rebinding_to_this_machine_is_refused(web: WebProcess) -> None:
    for host in ("evil.example", f"evil.example:{web.port}", "127.0.0.1", f"127.0.0.1:{web.port + 1}"):
        assert web.get(Host=host, **web.cookie).status_code == 421
        assert web.get(f"/?key={web.key}", Host=host).status_code == 421


def test_localhost_leads_to_the_one_address(web: WebProcess) -> None:
    answer = web.get("/?key=x", Host=f"localhost:{web.port}")
    assert (answer.status_code, answer.headers["location"]) == (307, f"{web.origin}/?key=x")


def test_no_page_may_frame_it_or_fetch_for_it_from_elsewhere(web: WebProcess) -> None:
    policy = web.get(**web.cookie).headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_a_served_file_cannot_run_scripts(web: WebProcess) -> None:
    answer = web.get("/download/no-such-key", **web.cookie)
    assert answer.status_code == 404
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


async def test_a_websocket_requires_the_own_page_and_its_key(web: WebProcess) -> None:
    assert await web.visit(Origin=web.origin) == 403
    assert await web.visit(**web.cookie) == 403
    for origin in ("https://evil.example", "null", f"http://localhost:{web.port}", f"{web.origin}.evil.example"):
        assert await web.visit(Origin=origin, **web.cookie) == 403
    assert descendants(web.process.pid) == set(), "nobody who was refused may have started a dashboard"
    assert await web.visit(Origin=web.origin, **web.cookie) == 101


def test_it_listens_on_one_address_alone(web: WebProcess) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", web.port), timeout=5).close()


async def test_no_secret_is_in_the_list_of_processes(web: WebProcess) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(
        f"{web.origin}/ws", headers={"Origin": web.origin, **web.cookie}
    ) as visit:  # fmt: skip
        await visit.receive()  # the dashboard runs
        pids = {web.process.pid, *descendants(web.process.pid)}
        assert len(pids) >= 2
        for pid in pids:
            shown = _command(pid)
            assert "wattview" in shown
            assert web.key not in shown
            assert TOKEN not in shown


def _kernel_file(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_the_dashboards_end_with_the_server_however_it_ends(number: signal.Signals) -> None:
    web = WebProcess("--url", "http://127.0.0.1:9")
    async with aiohttp.ClientSession() as session, session.ws_connect(
        f"{web.origin}/ws", headers={"Origin": web.origin, **web.cookie}
    ) as visit:  # fmt: skip
        await visit.receive()
        dashboards = descendants(web.process.pid)
        assert dashboards
        stopped = asyncio.create_task(asyncio.to_thread(web.stop, number))
        async for _ in visit:
            pass  # until it is closed
        assert await stopped == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    assert await asyncio.to_thread(wait_gone, dashboards) == set()


@pytest.mark.parametrize("width", ["1000000000", "-1", "1e308", "nan", "9" * 4000])
async def test_a_dashboard_is_as_large_as_a_screen_can_be_and_no_larger(web: WebProcess, width: str) -> None:
    """Whatever size the page asks for at first, and as the size that it is changed to."""
    before = descendants(web.process.pid)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"{web.origin}/ws?width={width}&height={width}", headers=web.cookie | {"Origin": web.origin}
        ) as visit,
    ):
        await asyncio.wait_for(visit.receive(), 20)
        (dashboard,) = (pid for pid in descendants(web.process.pid) - before if "tui" in _command(pid))
        environment = dict(one.partition("=")[::2] for one in _kernel_file(dashboard, "environ").split("\0"))
        assert 1 <= int(environment["COLUMNS"]) <= 600
        assert 1 <= int(environment["ROWS"]) <= 300
        for size in (10**9, width, -1, None):
            await visit.send_json(["resize", {"width": size, "height": size}])
        await visit.send_json(["ping", "still here"])
        async with asyncio.timeout(20):
            while (message := await visit.receive()).type is not aiohttp.WSMsgType.TEXT:
                assert message.type is aiohttp.WSMsgType.BINARY
        assert json.loads(message.data) == ["pong", "still here"]
        resident = int(re.findall(r"VmRSS:\s+(\d+)", _kernel_file(dashboard, "status"))[0])
        assert resident < 300_000


async def test_a_page_cannot_enlarge_a_dashboard_by_typing_a_terminal_s_report_of_its_size(web: WebProcess) -> None:
    """The report is the one of in-band resize notifications: CSI 48 ; rows ; columns ; pixels ; pixels t."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{web.origin}/ws", headers=web.cookie | {"Origin": web.origin}, max_msg_size=0) as visit,
    ):
        await asyncio.wait_for(visit.receive(), 20)
        await visit.send_json(["stdin", "\x1b[48;5000;5000;5000;5000t"])
        async with asyncio.timeout(20):
            while (drawn := (await visit.receive()).data).count(b"\n") < 100:
                pass
    rows = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode()).split("\n")
    assert (len(rows), {len(row) for row in rows}) == (300, {600})


@pytest.mark.slow
async def test_a_page_that_is_closed_while_it_is_drawn_leaves_no_traceback(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("wb") as output:
        web = WebProcess("--url", "http://127.0.0.1:9", stderr=output)
    sockets = []

    def small(address: aiohttp.AddrInfoType) -> socket.socket:
        sockets.append(one := socket.socket(*address[:3]))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed by a reset
        return one

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=small)) as session:
        visit = await session.ws_connect(
            f"{web.origin}/ws?width=600&height=300", headers={"Origin": web.origin, **web.cookie}
        )
        await visit.receive()  # the dashboard runs; nothing more is read
        for screen in "1357" * 8:
            await visit.send_json(["stdin", screen])
            await asyncio.sleep(0.3)
    await asyncio.sleep(1)
    web.process.terminate()
    said, _ = await asyncio.to_thread(web.process.communicate, timeout=30)
    assert said.splitlines()[1:] == []  # after the line that says where the dashboard is
    assert (tmp_path / "stderr").read_text() == ""


async def test_a_malformed_message_ends_its_own_visit_with_one_line(tmp_path: Path) -> None:
    malformed = "{", "[" * 100_000, "null", '["stdin"]', r'["stdin", "\ud800"]'
    stderr = tmp_path / "stderr"
    with stderr.open("wb") as output:
        web = WebProcess("--url", "http://127.0.0.1:9", stderr=output)
    async with aiohttp.ClientSession() as session:

        async def visit(message: str) -> object:
            """The last that comes, after ``message`` was sent."""
            async with session.ws_connect(f"{web.origin}/ws", headers={"Origin": web.origin, **web.cookie}) as opened:
                await opened.receive()  # the dashboard runs
                await opened.send_str(message)
                async for answer in opened:
                    if answer.type is aiohttp.WSMsgType.TEXT:
                        return answer.json()
                return opened.close_code

        async with asyncio.timeout(60):
            *ended, other = await asyncio.gather(*map(visit, [*malformed, '["ping", "still here"]']))
    assert await asyncio.to_thread(web.stop) == 0
    assert ended == [1000] * len(malformed)
    assert other == ["pong", "still here"]
    lines = stderr.read_text().splitlines()
    assert len(lines) == len(malformed), lines
    assert all(re.fullmatch(r"A page sent a malformed message \(\w+\); its dashboard ends\.", line) for line in lines)


async def test_a_page_closes_when_its_dashboard_is_killed(web: WebProcess) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(
        f"{web.origin}/ws", headers={"Origin": web.origin, **web.cookie}
    ) as visit:  # fmt: skip
        before = descendants(web.process.pid)
        await visit.receive()
        for dashboard in before | descendants(web.process.pid):
            os.kill(dashboard, signal.SIGKILL)
        async with asyncio.timeout(10):
            async for _ in visit:
                pass  # until it is closed


async def test_requests_that_are_none_fill_no_terminal(tmp_path: Path) -> None:
    """Every user of the machine can send them, without the key."""
    with (tmp_path / "stderr").open("wb") as output:
        web = WebProcess("--url", "http://127.0.0.1:9", stderr=output)
    host = f"Host: 127.0.0.1:{web.port}\r\n".encode()
    for sent, status in (
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + host + b"\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + host + f"Cookie: wattview-{web.port}=".encode() + b"\xff\xfe\r\n\r\n", b"403"),
        (b"GET /ws HTTP/1.1\r\n" + host + _headers(web.cookie | {"Origin": web.origin}) + b"\r\n", b"400"),
    ):
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
            writer.write(sent)
            assert (await reader.read(12)).split()[1] == status, sent[:60]
            writer.close()
    assert await asyncio.to_thread(web.stop) == 0
    lines = (tmp_path / "stderr").read_text().splitlines()
    assert len(lines) < 5, lines
    assert "Traceback" not in "".join(lines)


def _headers(named: dict[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in named.items()).encode()


@pytest.mark.slow
async def test_connections_that_ask_nothing_do_not_keep_others_away(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("wb") as output:
        web = WebProcess("--url", "http://127.0.0.1:9", stderr=output)
    resource.prlimit(web.process.pid, resource.RLIMIT_NOFILE, (200, 200))
    async with aiohttp.ClientSession() as session, session.ws_connect(
        f"{web.origin}/ws", headers={"Origin": web.origin, **web.cookie}
    ) as visit:  # fmt: skip
        await visit.receive()
        silent = []
        for number in range(400):
            silent.append((await asyncio.open_connection("127.0.0.1", web.port))[1])
            silent[-1].write(b"GET / HTTP/1.1\r\nHost: " if number % 2 else b"")
        assert (await asyncio.to_thread(web.get, **web.cookie)).status_code == 200
        assert await web.visit(**web.cookie, Origin=web.origin) == 101
        await visit.send_json(["ping", "still here"])
        async with asyncio.timeout(20):
            while (message := await visit.receive()).type is not aiohttp.WSMsgType.TEXT:
                assert message.type is aiohttp.WSMsgType.BINARY
        for writer in silent:
            writer.close()
    assert await asyncio.to_thread(web.stop) == 0
    assert (tmp_path / "stderr").read_text() == ""


async def test_a_dashboard_ends_with_its_visit(web: WebProcess) -> None:
    before = descendants(web.process.pid)
    async with aiohttp.ClientSession() as session, session.ws_connect(
        f"{web.origin}/ws", headers={"Origin": web.origin, **web.cookie}
    ) as visit:  # fmt: skip
        await visit.receive()
        mine = descendants(web.process.pid) - before
        assert mine
    assert await asyncio.to_thread(wait_gone, mine, 20.0) == set()


@pytest.mark.slow
async def test_a_dashboard_that_hangs_ends_with_its_visit_and_with_the_server() -> None:
    """It is stopped, so that it obeys no signal but KILL and reads nothing: neither visit nor server waits for it."""
    web = WebProcess("--url", "http://127.0.0.1:9")
    async with aiohttp.ClientSession() as session:
        for end, keys in (("visit", "x" * 200_000), ("server", "")):
            visit = await session.ws_connect(f"{web.origin}/ws", headers={"Origin": web.origin, **web.cookie})
            await visit.receive()
            [hung] = descendants(web.process.pid)
            os.kill(hung, signal.SIGSTOP)
            await visit.send_json(["stdin", keys])
            if end == "visit":
                await visit.close()
            else:
                assert await asyncio.to_thread(web.stop) == 0
                await visit.close()
            assert await asyncio.to_thread(wait_gone, {hung}, 15.0) == set(), end


def test_a_taken_port_is_reported_with_its_fix() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "wattview", "tui", "--web", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert re.fullmatch(r"Error: port \d+: Address already in use; set another with --port\n", done.stderr)


def test_without_its_libraries_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['aiohttp'] = None; from wattview.cli.commands import main; main(['tui', '--web'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "-m pip install '.[web]'" in done.stderr


# in a browser


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    with running_daemon(
        tmp_path, "power.sources=estimated", f"docker.host=unix://{tmp_path}/no-docker.sock"
    ) as running:  # fmt: skip
        yield running


TAB_X = {"overview": 20, "workloads": 205, "log": 825}
"""Cells of the line of tabs, in pixels of a page of 1280 that has cells of 9."""

LIT = """new Promise(done => {
  const image = new Image()
  image.onload = () => {
    const canvas = document.createElement("canvas"), pen = canvas.getContext("2d")
    canvas.width = image.width; canvas.height = image.height
    pen.drawImage(image, 0, 0)
    const at = x => pen.getImageData(x, 1, 1, 1).data.join()
    const colours = new Set()
    for (let y = 0; y < image.height; y += 3) for (let x = 0; x < image.width; x += 3)
      colours.add(pen.getImageData(x, y, 1, 1).data.join())
    done({lit: XS.map(x => at(x) != at(1000)), colours: colours.size})
  }
  image.src = "data:image/png;base64,PICTURE"
})"""


async def _lit(page: Page) -> list[str]:
    """The tabs that are painted in another colour than the line that they are on."""
    picture = base64.b64encode(await page.picture()).decode()
    seen = await page.evaluate(LIT.replace("XS", str(list(TAB_X.values()))).replace("PICTURE", picture))
    assert seen["colours"] > 10, "the page is empty"
    return [name for name, lit in zip(TAB_X, seen["lit"], strict=True) if lit]


async def _until_lit(page: Page, tab: str) -> None:
    async with asyncio.timeout(30):
        while await _lit(page) != [tab]:  # noqa: ASYNC110  a picture is asked for
            await asyncio.sleep(0.2)


@pytest.mark.slow
async def test_the_dashboard_is_on_the_page_and_answers_to_mouse_and_keys(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    web = WebProcess(*daemon.arguments)
    try:
        async with browser_page(tmp_path) as page:
            await page.open(web.address)
            await page.until(lambda: "ESTIMATE" in page.received() and "MiB" in page.received())
            await _until_lit(page, "overview")
            await page.click(TAB_X["workloads"], 9)
            await _until_lit(page, "workloads")
            await page.press("9")
            await _until_lit(page, "log")
            await page.until(lambda: "ready: control socket" in page.received())
            assert await page.evaluate("document.location.href") == f"{web.origin}/", "the key has left the address"
            assert await page.evaluate("document.cookie") == ""
            elsewhere = {one for one in page.requested if not one.startswith((web.origin, "data:"))}
            assert elsewhere <= set(page.failed), "nothing is fetched from elsewhere"
    finally:
        assert web.stop() == 0


@contextlib.asynccontextmanager
async def results_page(directory: Path) -> AsyncIterator[tuple[Page, WebProcess]]:
    """The results screen of a scripted daemon in a browser that may save files and use the clipboard."""
    with tempfile.TemporaryDirectory(prefix="wv") as short, scripted(Path(short) / "s") as daemon:
        daemon.results = [sweep()]
        web = WebProcess("--url", daemon.url)
        try:
            async with browser_page(directory) as page:
                await page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(directory))
                allowed = ["clipboardReadWrite", "clipboardSanitizedWrite"]
                await page.call("Browser.grantPermissions", origin=web.origin, permissions=allowed)
                await page.open(web.address)
                await page.until(lambda: "transcoder-a" in page.received())
                await page.until(lambda: "Overview" in page.received())
                await page.evaluate(FOCUSED)
                await page.press("7")
                await page.until(lambda: "wasteful" in page.received())
                yield page, web
        finally:
            web.stop()


FOCUSED = """new Promise(done => setInterval(() => {
    if (document.activeElement.tagName === "TEXTAREA") done(true)
}, 20))"""
"""Without a click: keys go to the dashboard from the start."""


async def file_in(directory: Path, pattern: str) -> str:
    """What a browser has saved there, once it has."""
    async with asyncio.timeout(30):
        while not (found := fnmatch.filter(os.listdir(directory), pattern)):  # noqa: ASYNC110  the browser writes it
            await asyncio.sleep(0.05)
    return await asyncio.to_thread((directory / found[0]).read_text)


@pytest.mark.slow
async def test_what_is_exported_is_a_download_of_the_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started_in, saved_in = tmp_path / "started", tmp_path / "saved"
    started_in.mkdir()
    monkeypatch.chdir(started_in)
    async with results_page(saved_in) as (page, _):
        await page.press("e")
        await page.until(lambda: "all runs; enter writes the file" in page.received())
        await page.enter()
        assert json.loads(await file_in(saved_in, "wattview-results-*.csv")) == ["csv", ["20250615_150000"]]
        await page.until(lambda: "Sent to the browser" in page.received())
        await page.press("3")
        await page.until(lambda: "transcoder-a" in page.received())
        await page.press("e")
        table = await file_in(saved_in, "wattview-workloads-*.csv")
        assert "transcoder-a" in table
    assert list(started_in.iterdir()) == [], "and no file of the machine that serves it"


@pytest.mark.slow
async def test_the_report_opens_in_a_tab_of_its_own(tmp_path: Path) -> None:
    async with results_page(tmp_path) as (page, web):
        await page.press("o")
        await page.until(lambda: "deliver_file_start" in page.received())
        async with asyncio.timeout(30):
            while not (tabs := [url for url in await page.tabs() if "/download/" in url]):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert tabs[0].startswith(f"{web.origin}/download/")


@pytest.mark.slow
async def test_y_copies_to_the_clipboard_of_the_browser(tmp_path: Path) -> None:
    async with results_page(tmp_path) as (page, _):
        await page.press("y")
        await page.until(lambda: "Copied" in page.received())
        async with asyncio.timeout(30):
            read = "navigator.clipboard.readText()"
            while "Scenario: baseline" not in (copied := await page.evaluate(read)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert "Mean W ±: 30.00 ±0.20" in copied


@pytest.mark.slow
async def test_a_page_of_another_site_cannot_open_its_websocket(tmp_path: Path) -> None:
    web = WebProcess("--url", "http://127.0.0.1:9")
    try:
        async with browser_page(tmp_path) as page:
            await page.open(web.address)
            await page.until(lambda: any(not mine for mine, _, _ in page.frames))
            # The same browser, with its cookie, on a page that is not ours; the other name leads to this machine too.
            await page.open("about:blank")
            outcome = await page.evaluate(
                f"""new Promise(done => {{
                    const socket = new WebSocket("ws://127.0.0.1:{web.port}/ws")
                    socket.onopen = () => done("open")
                    socket.onerror = () => done("refused")
                }})"""
            )
            assert outcome == "refused"
    finally:
        web.stop()


@pytest.mark.slow
async def test_the_fleet_leads_into_a_dashboard_and_back_in_one_visit(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        daemons = []
        for name in ("studio-1", "studio-2"):
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="wv"))
            daemons.append(stack.enter_context(scripted(Path(directory) / "s")))
            host = msgspec.structs.replace(daemons[-1].now.host, hostname=name)
            daemons[-1].now = msgspec.structs.replace(daemons[-1].now, host=host)
        web = WebProcess("--url", daemons[0].url, "--url", daemons[1].url)
        stack.callback(web.stop)
        async with browser_page(tmp_path) as page:
            await page.open(web.address)
            await page.until(lambda: "84.0 W" in page.received() and "studio-2" in page.received())
            await page.click(200, 5)  # keys go to what was clicked
            for _ in range(2):
                before = len(page.received())
                await page.enter()
                await page.until(lambda before=before: "Power of studio-1 " in page.received()[before:])
                before = len(page.received())
                await page.press("0")
                await page.until(lambda before=before: " Hosts 2" in page.received()[before:])
            await page.press("q")
            await page.until(lambda: not any(alive(pid) for pid in descendants(web.process.pid)))
            async with asyncio.timeout(30):
                while not await page.evaluate("document.body.classList.contains('-closed')"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
