"""A machine whose figures all move: power, containers and streams that come and go. Nothing of it is real.

RAPL is ``powercap``'s tree, containers are cgroups of version 2 beside a scripted Docker API, streams are pages of
nginx's RTMP module. Each step writes the counters as they are then; every ``churn`` steps the oldest container and the
oldest stream end, and new ones with names of their own begin.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.support import cgroup_tree as tree
from tests.support import stat_pages
from tests.support.docker_api import FakeDockerApi
from tests.support.powercap import PowercapTree, Sine, machine

STEP_SECONDS = 0.25
CHURN = 8


class BusyMachine:
    """Moves from ``start`` to ``close`` in a thread of its own. ``settings`` point a daemon at it."""

    def __init__(self, root: Path, containers: int = 20, streams: int = 10, churn: int = CHURN) -> None:
        self._churn = churn
        self._root = root
        self._sys = root / "sys"
        self._proc = tree.procfs(root / "proc")
        tree.process(self._proc, 1)
        tree.v2_mount(self._sys)
        self._power = PowercapTree(self._sys, machine(Sine(60, 40, 7)))
        self._api = FakeDockerApi(root / "docker.sock")
        self._page = _Page()
        self._steps = 0
        self._containers: dict[str, int] = {}
        self._streams: list[int] = []
        for _ in range(containers):
            self._start_container()
        self._streams = list(range(streams))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._step()

    @property
    def settings(self) -> list[str]:
        return [
            f"paths.sysfs={self._sys}",
            f"paths.procfs={self._proc}",
            f"docker.host={self._api.host}",
            f"streams.nginx_rtmp_url={self._page.url}",
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join()
        self._power.close()
        self._page.close()
        self._api.close()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            self._step()
            due = max(due + STEP_SECONDS, time.monotonic())
            self._stop.wait(due - time.monotonic())

    def _step(self) -> None:
        self._steps += 1
        seconds = self._steps * STEP_SECONDS
        self._power.write(seconds)
        busy = round(seconds * 100)
        cpus = "".join(f"cpu{n} {busy} 0 1 {busy} 0 0 0 0 0 0\n" for n in range(4))
        (self._proc / "stat").write_text(f"cpu {4 * busy} 0 4 {4 * busy} 0 0 0 0 0 0\n{cpus}btime 1700000000\n")
        for place, container_id in enumerate(self._containers):
            used = round(seconds * 1e6 * (0.05 + place % 7 / 20))
            tree.v2_cgroup(self._sys, _cgroup(container_id), usage_usec=used)
        if self._steps % self._churn == 0:
            self._end_container(next(iter(self._containers)))
            self._start_container()
            self._streams = [*self._streams[1:], self._streams[-1] + 1]
        self._page.body = stat_pages.page(
            *(
                stat_pages.stream(
                    f"cam{number}", milliseconds=round(seconds * 1000), bytes_in=round(seconds * 1e5 * (1 + number % 5))
                )
                for number in self._streams
            )
        )

    def _start_container(self) -> None:
        number = self._steps * 1000 + len(self._containers)
        container_id = hashlib.sha256(str(number).encode()).hexdigest()
        pid = 1000 + number % 30_000
        path = _cgroup(container_id)
        tree.v2_cgroup(self._sys, path, usage_usec=0)
        tree.process(self._proc, pid, name="worker", cgroup=f"0::{path}\n")
        self._containers[container_id] = pid
        self._api.add(container_id, f"job-{number}", pid)
        self._api.event("start", container_id)

    def _end_container(self, container_id: str) -> None:
        pid = self._containers.pop(container_id)
        del self._api.containers[container_id]
        shutil.rmtree(self._proc / str(pid))
        shutil.rmtree(self._sys / "fs" / "cgroup" / _cgroup(container_id).lstrip("/"))
        self._api.event("die", container_id)


def _cgroup(container_id: str) -> str:
    return f"/system.slice/docker-{container_id}.scope"


class _Page:
    """The statistics page, over HTTP."""

    def __init__(self) -> None:
        self.body = stat_pages.page()
        page = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = page.body
                self.send_response(200)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/stat"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
