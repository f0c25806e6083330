"""A real daemon under peers that mean it harm: its memory stays, and others are answered."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.daemon import DaemonProcess, running_daemon

pytestmark = pytest.mark.slow

MEGABYTES = 30
"""What the daemon's memory may grow by, whatever it is sent."""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    with running_daemon(tmp_path, f"docker.host=unix://{tmp_path}/no-docker.sock") as running:
        scrape(running)
        yield running


def node(daemon: DaemonProcess) -> str:
    return daemon.exporters()["node-exporter"].url


def scrape(daemon: DaemonProcess) -> float:
    """The seconds that a scrape takes."""
    began = time.monotonic()
    assert httpx.get(f"{node(daemon)}/metrics", trust_env=False, timeout=20).status_code == 200
    return time.monotonic() - began


def resident(daemon: DaemonProcess) -> float:
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def descriptors(daemon: DaemonProcess) -> int:
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def connected(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=3)


def test_pipelined_requests_that_are_never_read_cost_nothing_and_do_not_keep_it_from_ending(
    daemon: DaemonProcess,
) -> None:
    before, url = resident(daemon), node(daemon)
    flood = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n" * 10_000
    peers = [connected(url) for _ in range(8)]

    def send(peer: socket.socket) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 25_000_000:
                sent += peer.send(flood)

    threads = [threading.Thread(target=send, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scrape(daemon) < 10
    assert resident(daemon) - before < MEGABYTES
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 15
    for peer in peers:
        peer.close()


def test_endless_headers_are_refused_and_their_memory_is_released(daemon: DaemonProcess) -> None:
    before = resident(daemon)
    with connected(node(daemon)) as peer, contextlib.suppress(OSError):
        peer.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n" + b"X-A: b\r\n" * 40_000_000)
    assert scrape(daemon) < 10
    assert resident(daemon) - before < MEGABYTES


def test_half_open_requests_are_gone_after_ten_seconds(daemon: DaemonProcess) -> None:
    url, before, held = node(daemon), resident(daemon), descriptors(daemon)
    peers = [connected(url) for _ in range(500)]
    for peer in peers:
        peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: h")
    assert scrape(daemon) < 10
    assert resident(daemon) - before < MEGABYTES
    deadline = time.monotonic() + 25
    while descriptors(daemon) > held + 50:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for peer in peers:
        peer.close()


def test_a_thousand_scrapes_at_once_are_all_answered(daemon: DaemonProcess) -> None:
    url, before = daemon.exporters()["cost-exporter"].url, resident(daemon)
    peers = [connected(url) for _ in range(1000)]
    for peer in peers:
        peer.settimeout(40)
        peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
    assert [peer.recv(12) for peer in peers] == [b"HTTP/1.1 200"] * 1000
    for peer in peers:
        peer.close()
    assert resident(daemon) - before < MEGABYTES


def test_with_few_descriptors_new_peers_are_answered_and_it_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 descriptors, and 40 connections that do nothing."""
    start = subprocess.Popen

    def with_few(*arguments, **options):  # type: ignore[no-untyped-def]
        few = (64, 64)
        return start(*arguments, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, few), **options)

    monkeypatch.setattr(subprocess, "Popen", with_few)
    with running_daemon(tmp_path, f"docker.host=unix://{tmp_path}/no-docker.sock") as daemon:
        monkeypatch.undo()
        url = node(daemon)
        peers = [connected(url) for _ in range(40)]
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = httpx.get(f"{url}/metrics", trust_env=False, timeout=5)
                if answer.status_code == 200:
                    break
            assert time.monotonic() < deadline, daemon.log
        assert "node_cpu_seconds_total" in answer.text
        assert 'node_scrape_collector_success{collector="stat"} 1' in answer.text
        assert daemon.snapshot().host is not None
        assert daemon.api.get("/api/v1/exporters").status_code == 200
        assert descriptors(daemon) < 60, "a check of its own exporters keeps none"
        assert len(daemon.log) < 20_000
        for peer in peers:
            peer.close()
        assert "Too many open files: '/" not in daemon.log
