"""Web servers of meters on loopback: what Shelly, Tasmota and Redfish devices answer, with their ways of logging in."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, NamedTuple

from tests.support.answers import LoopbackServer


class Asked(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Told(NamedTuple):
    """``body`` is sent as JSON."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = {}


class MeterServer(LoopbackServer):
    """``with MeterServer(respond) as server:``. ``asked`` holds what came; ``silent`` never answers again."""

    def __init__(self, respond: Callable[[Asked], Told]) -> None:
        self.respond = respond
        self.asked: list[Asked] = []
        self.silent = threading.Event()
        self._ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = Asked(self.command, self.path, dict(self.headers), body)
                outer.asked.append(asked)
                if outer.silent.is_set():
                    outer._ended.wait(60)
                    return
                told = outer.respond(asked)
                data = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
                self.send_response(told.status)
                for name, value in told.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(Handler)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        super().__exit__(kind, error, trace)


def served(pages: Mapping[str, Any]) -> Callable[[Asked], Told]:
    """Pages by their path and query."""
    return lambda asked: Told(pages[asked.path]) if asked.path in pages else Told({"error": 404}, 404)


def digested(pages: Mapping[str, Any], user: str, password: str, free: tuple[str, ...] = ()) -> Callable[[Asked], Told]:
    """The same behind digest authentication with SHA-256 (RFC 7616), as Shelly's second generation has it."""
    nonce = secrets.token_hex(8)
    challenge = f'Digest qop="auth", realm="shellyplus1pm-a8032ab12345", nonce="{nonce}", algorithm=SHA-256'

    def respond(asked: Asked) -> Told:
        if asked.path in free:
            return served(pages)(asked)
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', asked.headers.get("Authorization", "")))
        ours = _sha(f"{user}:shellyplus1pm-a8032ab12345:{password}")
        theirs = _sha(f"{asked.method}:{asked.path}")
        fields = [given.get(name, "") for name in ("nonce", "nc", "cnonce", "qop")]
        if given.get("nonce") != nonce or given.get("response") != _sha(":".join([ours, *fields, theirs])):
            return Told({}, 401, {"WWW-Authenticate": challenge})
        return served(pages)(asked)

    return respond


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
