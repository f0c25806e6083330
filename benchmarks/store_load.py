"""What many hosts cost their store: series, samples a second, bytes a sample, CPU, and what that makes of 1,000 hosts.

A real daemon with a Docker engine is scraped a few times, all ten exporters; these answers are sent to a real
VictoriaMetrics as if from as many hosts as ``--hosts``, five seconds apart, each host's labels its own. What was
measured is then scaled: series and samples exactly, bytes and CPU in proportion. Loopback only, about a minute.

    python -m benchmarks.store_load [--hosts 50] [--scrapes 24] [--containers 10]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.table import Result, Row, print_table
from tests.conftest import free_port
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.docker_engine import engine
from tests.support.stack import running

INTERVAL_SECONDS = 5.0
FLEET = 1000
DAY_SECONDS = 86400.0
SAMPLES_OF_A_SCRAPE = 4
"""``up`` and the three that a scraper adds for each target."""


def scrape(daemon: DaemonProcess) -> dict[str, str]:
    """The text of each exporter, by job."""
    return {name: daemon.metrics(name) for name in daemon.exporters()}


def metric(http: httpx.Client, wanted: str, kind: str = "") -> float:
    """The sum of one of the store's own metrics, of those series whose label ``type`` begins with ``kind``."""
    families = text_string_to_metric_families(http.get("/metrics").text)
    samples = (one for family in families for one in family.samples if one.name == wanted)
    return sum(one.value for one in samples if one.labels.get("type", "").startswith(kind))


def send(http: httpx.Client, host: str, job: str, text: str, at: float) -> None:
    labels = [("extra_label", f"host={host}"), ("extra_label", f"job={job}"), ("extra_label", f"instance={host}:1")]
    answer = http.post(
        "/api/v1/import/prometheus", params=[*labels, ("timestamp", str(int(at * 1000)))], content=text.encode()
    )
    answer.raise_for_status()


def wait_for_merges(http: httpx.Client, seconds: float = 120.0) -> None:
    """Until the store has put its parts together: before that, the same samples take twice the place."""
    deadline, size = time.monotonic() + seconds, -1.0
    while time.monotonic() < deadline:
        now = metric(http, "vm_data_size_bytes")
        if metric(http, "vm_active_merges") == 0 and now == size:
            return
        size = now
        time.sleep(2)


def load(http: httpx.Client, answers: list[dict[str, str]], hosts: int) -> Iterator[Result]:
    """Sends the answers as if from ``hosts`` machines, and says what that cost the store."""
    series = sum(len(family.samples) for text in answers[0].values() for family in text_string_to_metric_families(text))
    series += SAMPLES_OF_A_SCRAPE * len(answers[0])
    began, cpu = time.monotonic(), metric(http, "process_cpu_seconds_total")
    start = time.time() - len(answers) * INTERVAL_SECONDS
    for number, answer in enumerate(answers):
        for host in range(hosts):
            for job, text in answer.items():
                send(http, f"host-{host:04}", job, text, start + number * INTERVAL_SECONDS)
    http.get("/internal/force_flush").raise_for_status()
    rows = metric(http, "vm_rows_inserted_total")
    seconds, cpu = time.monotonic() - began, metric(http, "process_cpu_seconds_total") - cpu
    http.get("/internal/force_merge", timeout=60).raise_for_status()
    wait_for_merges(http)
    data, index = (metric(http, "vm_data_size_bytes", kind) for kind in ("storage", "indexdb"))
    memory, known = metric(http, "process_resident_memory_bytes"), hosts * series
    yield Row(subject="store: series of one host", ours=series)
    yield Row(subject="store: CPU for a million samples", ours=cpu / rows * 1e6, unit="s")
    yield Row(subject="store: disk for a sample", ours=data / rows, unit="B")
    yield Row(subject="store: index for a series, once", ours=index / known, unit="B")
    yield (
        f"sent: {hosts} hosts, {len(answers)} scrapes, {rows:.0f} samples in {seconds:.1f} s ({rows / seconds:.0f}/s); "
        f"the store {memory / 1e6:.0f} MB resident"
    )
    for interval in (INTERVAL_SECONDS, 15.0):
        rate = FLEET * series / interval
        yield (
            f"{FLEET} hosts every {interval:.0f} s: {FLEET * series / 1e6:.2f} million series, "
            f"{rate / 1e3:.0f} thousand samples/s, {cpu / rows * rate:.1f} CPUs, "
            f"{rate * data / rows * DAY_SECONDS / 1e9:.0f} GB a day "
            f"and {FLEET * series * index / known / 1e9:.1f} GB of index"
        )


def measure(hosts: int = 50, scrapes: int = 24, containers: int = 10) -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="wv-store-") as name, engine() as docker_engine:
        directory = Path(name)
        for number in range(containers):
            docker_engine.run(f"worker-{number}", "sleep", "600")
        with running_daemon(directory, f"docker.host={docker_engine.host}", "power.sources=estimated") as daemon:
            scrape(daemon)
            answers = []
            for _ in range(scrapes):
                time.sleep(0.5)
                answers.append(scrape(daemon))
        address = f"127.0.0.1:{free_port()}"
        store = (
            "victoria-metrics",
            f"-storageDataPath={directory / 'store'}",
            f"-httpListenAddr={address}",
            "-loggerLevel=ERROR",
        )
        with running(directory, *store, ready=f"http://{address}/health"):
            http = httpx.Client(base_url=f"http://{address}", trust_env=False, timeout=60)
            yield from load(http, answers, hosts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--scrapes", type=int, default=24)
    parser.add_argument("--containers", type=int, default=10)
    options = parser.parse_args()
    print_table(measure(options.hosts, options.scrapes, options.containers))


if __name__ == "__main__":
    main()
