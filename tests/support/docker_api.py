"""The boundary of Docker's engine in a few lines: its HTTP API on a Unix socket, its answers in the test's hands.

For what a real engine cannot be made to do on this machine: cgroup v2, answers that make no sense, a hang.
"""

from __future__ import annotations

import json
import queue
import socketserver
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


class FakeDockerApi:
    """Answers for ``containers`` (inspect answers by id). ``hang`` holds every answer back until it is cleared."""

    def __init__(self, socket_path: Path, *, podman: bool = False) -> None:
        self.host = f"unix://{socket_path}"
        self.containers: dict[str, dict[str, Any]] = {}
        self.raw: dict[str, bytes] = {}
        self.failing: set[str] = set()
        """Paths of ``raw`` whose answer is a 500."""
        self.verbatim: dict[str, Callable[[], Iterable[bytes]]] = {}
        """By path, makes an answer's bytes, from its status line on; its connection ends with them."""
        self.requests: list[str] = []
        self.selected: set[str] = set()
        """The events that the last client asked for, by the names that this engine selects them by."""
        self.podman = podman
        self.answering = threading.Event()
        self.answering.set()
        self.followed = threading.Semaphore(0)
        self._events: list[queue.SimpleQueue[bytes | None]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api._answer(self)

            def address_string(self) -> str:
                return "unix"

            def version_string(self) -> str:
                return f"{'Libpod' if podman else 'Docker'}/99.0 (linux)"

            def log_message(self, *_: Any) -> None:
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass

        self._server = Server(str(socket_path), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def add(self, container_id: str, name: str, pid: int, **more: Any) -> None:
        self.containers[container_id] = inspected(container_id, name, pid, **more)

    def event(self, action: str, container_id: str) -> None:
        selected = {"die": "died", "destroy": "remove"}.get(action, action) if self.podman else action
        if selected in self.selected:
            line = json.dumps({"Type": "container", "Action": action, "Actor": {"ID": container_id, "Attributes": {}}})
            self.say(line.encode() + b"\n")

    def say(self, text: bytes) -> None:
        """Puts text into every event stream as it is."""
        for events in self._events:
            events.put(text)

    def drop_streams(self) -> None:
        """Ends every event stream, as an engine that is stopped does."""
        for events in self._events:
            events.put(None)
        self._events.clear()

    def close(self) -> None:
        self.answering.set()
        self.drop_streams()
        self._server.shutdown()
        self._server.server_close()
        Path(self.host.removeprefix("unix://")).unlink(missing_ok=True)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = urlsplit(handler.path).path
        path = path[path.find("/", 1) :] if path.startswith("/v1.") else path
        self.requests.append(path)
        self.answering.wait()
        if path in self.verbatim:
            handler.close_connection = True
            for piece in self.verbatim[path]():
                handler.wfile.write(piece)
        elif path in self.raw:
            self._send(handler, 500 if path in self.failing else 200, self.raw[path])
        elif path == "/_ping":
            self._send(handler, 200, b"OK")
        elif path == "/containers/json":
            self._json(
                handler,
                [
                    {"Id": one["Id"], "Names": [one["Name"]], "Image": "", "Labels": one["Config"]["Labels"]}
                    for one in self.containers.values()
                ],
            )
        elif path == "/events":
            filters = parse_qs(urlsplit(handler.path).query)["filters"][0]
            self.selected = set(json.loads(filters)["event"])
            self._stream(handler)
        elif path.startswith("/containers/") and path.split("/")[2] in self.containers:
            self._json(handler, self.containers[path.split("/")[2]])
        else:
            self._send(handler, 404, b'{"message":"no such thing"}')

    def _json(self, handler: BaseHTTPRequestHandler, value: Any) -> None:
        self._send(handler, 200, json.dumps(value).encode())

    def _send(self, handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        if self.podman:
            handler.send_header("Libpod-Api-Version", "99.0")
        handler.send_header("Api-Version", "1.41")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _stream(self, handler: BaseHTTPRequestHandler) -> None:
        events: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._events.append(events)
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()
        self.followed.release()
        while (line := events.get()) is not None:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True


def inspected(container_id: str, name: str, pid: int, **more: Any) -> dict[str, Any]:
    """An answer of inspect, with the parts that matter.

    ``more``: labels, health, restarts, network_mode, status, cpu_shares.
    """
    state: dict[str, Any] = {
        "Status": more.get("status", "running"),
        "Running": pid > 0,
        "Pid": pid,
        "StartedAt": "2026-01-01T00:00:02.5Z",
    }
    if "health" in more:
        state["Health"] = {"Status": more["health"]}
    return {
        "Id": container_id,
        "Name": f"/{name}",
        "Created": "2026-01-01T00:00:01.000000001Z",
        "RestartCount": more.get("restarts", 0),
        "LogPath": "",
        "State": state,
        "Config": {"Image": more.get("image", "nginx:1"), "Labels": more.get("labels", {})},
        "HostConfig": {"NetworkMode": more.get("network_mode", "bridge"), "CpuShares": more.get("cpu_shares", 0)},
    }
