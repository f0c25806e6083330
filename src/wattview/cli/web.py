"""``wattview tui --web``: the dashboard in a browser, through textual-serve, on this machine only.

A page that shows the dashboard can start runs. It is therefore served on 127.0.0.1 only, and only with the key in the
printed address: every user of the machine can reach the port, and browsers let any web page send requests to it. The
key becomes a cookie that other sites cannot send; the ``Host`` header must be our own address (against DNS rebinding),
and a websocket's ``Origin`` our own page.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import secrets
import shlex
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import click
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server

from wattview.cli import terminal as term
from wattview.cli.log_lines import LogLines
from wattview.daemon.children import child_command
from wattview.daemon.http.listener import bind_tcp
from wattview.daemon.http.throttled_log import ThrottledLog
from wattview.tui import web_size

HOST = "127.0.0.1"
KEY_BYTES = 24

POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src {socket}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Blocks the font that the page would fetch, and other pages from framing ours."""

DOWNLOAD_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
"""Exported files, above all reports, are isolated from the dashboard's page: they run no script and get no cookie."""

FOCUS = """<script>
const looking = setInterval(() => {
  const keys = document.querySelector("#terminal textarea")
  if (keys) { keys.focus(); if (document.activeElement === keys) clearInterval(looking) }
}, 100)
</script>"""
"""Keys go to the dashboard from the start, and not only after a click."""

MAX_VISITS = 10
"""Each is a process."""

MAX_IDLE, BACKLOG = 64, 16
"""Connections without a request: of more, the oldest are closed, so that nobody who reaches the port can take them all.
So many more may be accepted before that."""

END_SECONDS = 3.0
"""How long a dashboard may take to accept input, and to end once its page is closed. After that it is killed."""

SAID = "wattview.web"
"""The logger whose lines are printed."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def dashboard_command(arguments: Sequence[str]) -> str:
    """The dashboard as a shell's command line: one process for each visitor, which ends with this one.

    ``arguments`` are those of ``wattview tui``. A token is in a file that they name, never among them.
    """
    argv = [sys.executable, "-m", "wattview", "tui", "--set", "tui.glyphs=unicode", *arguments]
    return "exec " + shlex.join(child_command(argv, death_signal=signal.SIGTERM))


class WebDashboard(Server):
    """textual-serve's server behind a guard. ``key`` is what a visitor must bring once; ``address`` has it."""

    def __init__(self, command: str, port: int, key: str) -> None:
        super().__init__(command, host=HOST, port=port, title="WattView", public_url=f"http://{HOST}:{port}")
        self._key = key
        self._cookie = f"wattview-{port}"
        self._visits: set[asyncio.Task[Any]] = set()
        self._asking: set[object] = set()

    async def serve_at(self, sock: socket.socket) -> None:
        """Serves until SIGINT or SIGTERM."""
        loop, end = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end.set)
        runner = web.AppRunner(await self.application(), access_log=None)
        await runner.setup()
        assert runner.server is not None
        admitted = partial(self._admitted, runner.server)
        listening = await loop.create_server(admitted, sock=sock, backlog=BACKLOG)
        try:
            await end.wait()
        finally:
            listening.close()
            await runner.cleanup()

    def _admitted(self, server: web.Server) -> asyncio.Protocol:
        """The protocol of a new connection."""
        idle = [one for one in server.connections if one not in self._asking]
        for one in idle[: max(0, len(idle) + 1 - MAX_IDLE)]:
            one.force_close()
        return server()

    @property
    def address(self) -> str:
        return f"{self.public_url}/?key={self._key}"

    async def application(self) -> web.Application:
        app: web.Application = await self._make_app()
        app.middlewares.append(self._guard)
        app.on_response_prepare.append(self._say_headers)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """textual-serve's greeting is not ours."""

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        if len(self._visits) >= MAX_VISITS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_VISITS} dashboards are open; close one\n")
        if not web.WebSocketResponse().can_prepare(request).ok:
            raise web.HTTPBadRequest(text="only websockets are served here\n")
        visit = asyncio.current_task()
        assert visit is not None
        asked = request.query.get
        size = {"width": web_size.columns(asked("width")), "height": web_size.rows(asked("height"))}
        request = request.clone(rel_url=request.rel_url.update_query(size))
        self._visits.add(visit)
        try:
            return await super().handle_websocket(request)
        finally:
            self._visits.discard(visit)

    async def _process_messages(self, websocket: web.WebSocketResponse, app_service: AppService) -> None:
        resize = app_service.set_terminal_size

        async def bounded(width: object, height: object) -> None:
            await resize(web_size.columns(width), web_size.rows(height))

        app_service.set_terminal_size = bounded  # type: ignore[method-assign]
        app_service.send_bytes = _taken_in_time(app_service, app_service.send_bytes)  # type: ignore
        app_service.send_meta = _taken_in_time(app_service, app_service.send_meta)  # type: ignore
        app_service.remote_write_bytes = _until_closed(app_service.remote_write_bytes)
        app_service.remote_write_str = _until_closed(app_service.remote_write_str)
        closing = asyncio.create_task(_closed_with(app_service, websocket))
        try:
            await super()._process_messages(websocket, app_service)
        except Exception as error:  # textual-serve takes a message for what it should be, and does not check it
            term.say(f"A page sent a malformed message ({type(error).__name__}); its dashboard ends.", err=True)
        finally:
            closing.cancel()
            asyncio.get_running_loop().call_later(END_SECONDS, _kill, app_service)

    async def on_shutdown(self, app: web.Application) -> None:
        """Every visit ends with its dashboard."""
        for visit in self._visits:
            visit.cancel()
        if self._visits:
            await asyncio.wait(self._visits, timeout=2 * END_SECONDS)

    @property
    def _guard(self) -> Any:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._asking.add(request.protocol)
            try:
                return await guarded(request, handler)
            finally:
                self._asking.discard(request.protocol)

        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            own = self.public_url.removeprefix("http://")
            if request.headers.get("Host") == own.replace(HOST, "localhost"):
                raise web.HTTPTemporaryRedirect(self.public_url + request.path_qs)
            if request.headers.get("Host") != own:
                raise web.HTTPMisdirectedRequest(text=f"this is {self.public_url}; other names are refused\n")
            if request.path == "/" and _same(request.query.get("key", ""), self._key):
                return self._welcome()
            if not _same(request.cookies.get(self._cookie, ""), self._key):
                raise web.HTTPForbidden(text="open the address printed by wattview tui --web, with its key\n")
            origin = request.headers.get("Origin")
            if origin != self.public_url and (origin is not None or request.path == "/ws"):
                raise web.HTTPForbidden(text=f"only pages of {self.public_url} may request this\n")
            response = await handler(request)
            if request.path == "/" and isinstance(response, web.Response) and response.text:
                response.text = response.text.replace("</body>", f"{FOCUS}</body>")
            return response

        return guard

    async def _say_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        download = request.path.startswith("/download/")
        policy = DOWNLOAD_POLICY if download else POLICY.format(socket=f"ws://{HOST}:{self.port}/ws")
        response.headers["Content-Security-Policy"] = policy
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"

    def _welcome(self) -> web.Response:
        """To the page, with the key as a cookie and no longer in the address bar."""
        answer = web.Response(status=303, headers={"Location": "/"})
        answer.set_cookie(self._cookie, self._key, httponly=True, samesite="Strict", path="/")
        return answer


Send = Callable[[Any], Coroutine[Any, Any, bool]]


def _taken_in_time(dashboard: AppService, send: Send) -> Send:
    """``send`` for a dashboard that may have stopped reading."""

    async def sent(data: Any) -> bool:
        try:
            async with asyncio.timeout(END_SECONDS):
                return await send(data)
        except TimeoutError:
            _kill(dashboard)
            return False

    return sent


def _until_closed(write: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """``write`` to a page that may be closed while it reads: of aiohttp's two errors for that, textual-serve knows
    ``ConnectionResetError``, and logs the other with its traceback."""

    async def written(data: Any) -> None:
        try:
            await write(data)
        except ConnectionError as error:
            raise ConnectionResetError(*error.args) from None

    return written


async def _closed_with(dashboard: AppService, websocket: web.WebSocketResponse) -> None:
    """Closes a page whose dashboard has ended without a word, as one does that was killed."""
    assert dashboard._task is not None
    await asyncio.wait({dashboard._task})
    await websocket.close()


def _kill(dashboard: AppService) -> None:
    process = dashboard._process
    if process is not None and process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def _same(given: str, key: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), key.encode())


class LibraryLines(logging.Handler):
    """What libraries log, such as malformed requests: a line without a traceback, one a minute of each kind."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said = ThrottledLog(SAID)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        name = type(error).__name__ if error else ""
        self._said.warning(f"{record.name} {record.levelname} {name}", "%s: %s", record.name,
                           " ".join(filter(None, (record.getMessage(), name, str(error or "")))))  # fmt: skip


def serve_web(arguments: Sequence[str], port: int) -> None:
    """Serves until SIGINT or SIGTERM; the dashboards that are open end with it. Raises ClickException."""
    try:
        sock = bind_tcp(HOST, port)
    except OSError as error:
        raise click.ClickException(f"port {port}: {error.strerror or error}; set another with --port") from None
    os.environ["COLORTERM"] = "truecolor"  # what the page can show, whatever this terminal can
    server = WebDashboard(dashboard_command(arguments), _port(sock), secrets.token_urlsafe(KEY_BYTES))
    own = logging.getLogger(SAID)
    own.propagate = False
    own.addHandler(lines := logging.StreamHandler())
    lines.setFormatter(LogLines("%(message)s"))
    logging.root.addHandler(LibraryLines())
    term.say(f"The dashboard is at {server.address}\nKeep the key to yourself; ctrl+c ends it.")
    asyncio.run(server.serve_at(sock))


def _port(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port
