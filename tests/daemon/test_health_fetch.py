"""What is fetched to judge an exporter may be anything that listens on its port: it costs a stated time and size."""

from __future__ import annotations

import gzip
import time
import tracemalloc
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from tests.support.wire import Script, Wire, endlessly, head, slowly
from wattview.daemon.exporters import check
from wattview.daemon.exporters.check import ExporterTarget, check_all
from wattview.daemon.exporters.expected import SelfReport

MIB = 2**20


def trickling(_: str) -> Iterator[bytes]:
    yield from slowly(b"HTTP/1.1 200 OK\r\nX-Header: " + b"a" * 1000, 0.02)


def endless(_: str) -> Iterator[bytes]:
    yield head()
    yield from endlessly(b"up 1\n" * 10_000)


def compressed(_: str) -> Iterator[bytes]:
    yield head("Content-Encoding: gzip") + gzip.compress(b"up 1\n" * 10 * MIB, 1)


REPORT = msgspec.json.encode(SelfReport(exporter="rapl-exporter", version="1", pid=1, status="healthy"))


def one_line(request: str) -> Iterator[bytes]:
    yield head() + REPORT if "/health" in request else head() + b'up{a="' + b'\\"' * MIB + b'"} 1\n'


def no_text(request: str) -> Iterator[bytes]:
    yield head() + REPORT if "/health" in request else head() + b"\xff\xfe"


@pytest.mark.parametrize(
    ("script", "reachable", "said"),
    [
        (trickling, False, "no answer within 1 s"),
        (endless, True, "more than 4 MiB"),
        (compressed, True, "more than 4 MiB"),
        (one_line, True, "not valid metrics: a line of more than 64 KiB"),
        (no_text, True, "not valid metrics"),
    ],
)
async def test_another_program_on_the_port_is_judged_in_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch, script: Script, reachable: bool, said: str
) -> None:
    monkeypatch.setattr(check, "MAX_BODY_BYTES", 4 * MIB)
    with Wire(script) as wire:
        began = time.monotonic()
        async with httpx.AsyncClient(trust_env=False) as client:
            (found,) = await check_all(client, [ExporterTarget("rapl-exporter", wire.url, "rapl")], 1.0)
        assert time.monotonic() - began < 4
    assert (found.healthy, found.reachable) == (False, reachable)
    assert said in found.reason


def test_a_large_answer_is_judged_in_little_memory() -> None:
    """Of 20 containers: 70 families of 200 samples each. The text itself is 2.5 MB."""
    labels = ",".join(f'label_{number}="{"v" * 20}"' for number in range(5))
    body = "".join(
        f"# HELP family_{family} Help.\n# TYPE family_{family} gauge\n"
        + "".join(f'family_{family}{{id="{sample}",{labels}}} 1\n' for sample in range(200))
        for family in range(70)
    ).encode()
    check.content_of_text(b"first 1\n")  # what the parser itself takes
    tracemalloc.start()
    found = check.content_of_text(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.families, found.samples) == (70, 14_000)
    assert peak < len(body)
