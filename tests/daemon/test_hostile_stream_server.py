"""A daemon whose stream server's page is made to harm: its other exporters answer as ever, and it stays as small."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import running_daemon
from tests.support.stat_pages import page, stream
from tests.support.wire import Script, Wire, endlessly, head


def question_marks(_: str) -> Iterator[bytes]:
    yield head("Connection: close") + b"<?" * 3_900_000


def compressed(_: str) -> Iterator[bytes]:
    yield head("Content-Encoding: gzip", "Connection: close") + gzip.compress(b"<?" * 2**26, 1)


def endless(_: str) -> Iterator[bytes]:
    yield head("Connection: close") + b"<rtmp>"
    yield from endlessly(b"<pid>1</pid>" * 10_000)


def many_streams(_: str) -> Iterator[bytes]:
    yield head("Connection: close") + page(*(stream(f"s{number}") for number in range(8500)))


@pytest.mark.slow
@pytest.mark.parametrize("script", [question_marks, compressed, endless, many_streams])
def test_a_hostile_status_page_affects_only_its_exporter(tmp_path: Path, script: Script) -> None:
    with (
        Wire(script) as wire,
        running_daemon(tmp_path, f"streams.nginx_rtmp_url={wire.url}/stat", "streams.server=nginx-rtmp") as daemon,
    ):
        slowest = 0.0
        for _ in range(4):
            daemon.metrics("nginx-rtmp-exporter")
            for exporter in ("rapl-exporter", "node-exporter", "cost-exporter"):
                began = time.monotonic()
                daemon.metrics(exporter)
                slowest = max(slowest, time.monotonic() - began)
        resident = int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1]) * 4096 / 2**20
        assert slowest < 6
        assert resident < 250
        assert "Traceback" not in daemon.log
