"""Programs that are not ours on ports that are: Python's own web server, and the real node_exporter."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

_SERVE = """
import http.server, sys, threading
for port in sys.argv[1:]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever).start()
"""


@contextlib.contextmanager
def web_server(*ports: int) -> Iterator[int]:
    """One process with ``http.server`` on all of the ports; its pid."""
    with _running([sys.executable, "-c", _SERVE, *map(str, ports)], ports) as pid:
        yield pid


@contextlib.contextmanager
def node_exporter(port: int) -> Iterator[int]:
    program = shutil.which("prometheus-node-exporter")
    assert program is not None, "node_exporter is not installed: apt-get install prometheus-node-exporter"
    with _running([program, f"--web.listen-address=127.0.0.1:{port}"], [port]) as pid:
        yield pid


@contextlib.contextmanager
def _running(command: list[str], ports: tuple[int, ...] | list[int]) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for port in ports:
            _wait_for(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < deadline, f"nobody listens on {port}"
        time.sleep(0.05)
