"""The health check goes by what exporters answered to others, and fetches those that it cannot judge by that."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from wattview.daemon.exporters.check import ExporterTarget
from wattview.daemon.exporters.expected import Expected, SelfReport
from wattview.daemon.exporters.health import FETCH_SECONDS, OWN_AGENT, Health
from wattview.exposition import Family
from wattview.model import ExporterHealth, ProbeState, ProbeStatus

DATA = [Family("node_load1", "gauge", "Load.", [("", 0.5)]), Family("node_load5", "gauge", "Load.", [("", 0.4)])]
NO_DATA = [Family("wattview_probe_success", "gauge", "Success.", [('{probe="node"}', 0)])]


class Exporter:
    """An HTTP server with one metric, which counts how often its metrics were fetched. ``state`` is its probe's."""

    def __init__(self) -> None:
        self.fetches = self.calls = 0
        self.state: ProbeState = "ok"
        self.metrics = b"# TYPE node_load1 gauge\nnode_load1 0.5\n"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.calls += 1
                outer.fetches += self.path == "/metrics"
                body = outer.metrics if self.path == "/metrics" else msgspec.json.encode(outer.report())
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        url = f"http://127.0.0.1:{self.server.server_port}"
        self.target = ExporterTarget("node-exporter", url, "node", expected=Expected(needs={"node": ()}))
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def report(self) -> SelfReport:
        probe = ProbeStatus(probe="node", state=self.state)
        return SelfReport(exporter="node-exporter", version="1", pid=1, status="healthy", probes=(probe,))

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    running = Exporter()
    yield running
    running.close()


async def judged(health: Health) -> ExporterHealth:
    (one,) = await health.check()
    return one


async def test_who_scraped_last_is_known_and_our_own_checks_do_not_count(exporter: Exporter) -> None:
    health = Health([exporter.target], fresh_seconds=-1.0)
    assert (await judged(health)).scrapes == 0
    health.count("node-exporter", "Prometheus/3.5.0", "10.0.0.2", 812)
    health.count("node-exporter", OWN_AGENT, "127.0.0.1", 812)
    one = await judged(health)
    assert (one.scrapes, one.scraper, one.scraped_bytes) == (1, "Prometheus/3.5.0 at 10.0.0.2", 812)
    assert time.time() - (one.scraped or 0) < 60
    await health.close()


async def test_a_recently_scraped_exporter_is_not_fetched_again(exporter: Exporter) -> None:
    health = Health([exporter.target], fresh_seconds=-1.0)
    assert ((await judged(health)).metric_count, exporter.fetches) == (1, 1)
    health.note("node-exporter", DATA, 0.005)
    one = await judged(health)
    assert (one.healthy, one.metric_count, one.sample_count, one.scrape_seconds) == (True, 2, 2, 0.005)
    assert exporter.fetches == 1
    await health.close()


async def test_an_exporter_is_fetched_if_it_was_not_scraped_or_lost_its_data(exporter: Exporter) -> None:
    health = Health([exporter.target], fresh_seconds=-1.0)
    await health.check()
    await health.check()
    assert exporter.fetches == 2
    health.note("node-exporter", DATA, 0.005)
    health.note("node-exporter", NO_DATA, 0.005)
    await health.check()
    assert exporter.fetches == 3
    await health.close()


@pytest.mark.parametrize(("state", "fetches"), [("absent", 1), ("refused", 2)])
async def test_an_exporter_without_source_is_not_fetched_again_and_a_refused_one_is(
    exporter: Exporter, state: ProbeState, fetches: int
) -> None:
    exporter.state, exporter.metrics = state, b'wattview_probe_success{probe="node"} 0\n'
    health = Health([exporter.target], fresh_seconds=-1.0)
    assert (await judged(health)).healthy is (state == "absent")
    health.note("node-exporter", NO_DATA, 0.005)
    await health.check()
    assert exporter.fetches == fetches
    await health.close()


async def test_scrapes_replace_a_fetch_for_two_minutes(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    health = Health([exporter.target], fresh_seconds=-1.0)
    await health.check()
    now = time.monotonic()
    monkeypatch.setattr("wattview.daemon.exporters.health.time.monotonic", lambda: now + FETCH_SECONDS + 1)
    health.note("node-exporter", DATA, 0.005)
    await health.check()
    assert exporter.fetches == 2
    await health.close()


async def test_a_scraped_checker_does_not_fetch_itself(exporter: Exporter) -> None:
    health = Health([], itself=exporter.target, fresh_seconds=-1.0)
    assert ((await judged(health)).healthy, exporter.calls) == (True, 1)
    health.note("node-exporter", DATA, 0.005)
    one = await judged(health)
    assert (one.healthy, one.scrape_seconds, exporter.calls) == (True, 0.005, 1)
    await health.fetch()
    assert exporter.calls == 2
    await health.close()


async def test_a_caller_that_requires_a_fetch_gets_one(exporter: Exporter) -> None:
    health = Health([exporter.target], fresh_seconds=-1.0)
    await health.check()
    health.note("node-exporter", DATA, 0.005)
    await health.fetch()
    assert exporter.fetches == 2
    await health.close()
