"""What one scrape of the node endpoint costs: CPU time and latency, beside Debian's node_exporter in the same run.

    python -m benchmarks.node_scrape [--scrapes 200]

Both answer with their default collectors, over HTTP on loopback, and are asked by turns. The aim is under half of
node_exporter's CPU time.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import Endpoint
from benchmarks.table import Result, Row, print_table
from tests.support.daemon import running_daemon
from tests.support.node_exporter import RealNodeExporter

AIM_RATIO = 0.5
ROUNDS = 5


def measure(scrapes: int = 200) -> Iterator[Result]:
    with (
        tempfile.TemporaryDirectory() as directory,
        RealNodeExporter() as real,
        running_daemon(Path(directory)) as daemon,
    ):
        theirs = Endpoint(f"http://127.0.0.1:{real.port}", real.process.pid)
        ours = Endpoint(daemon.exporters()["node-exporter"].url, daemon.process.pid)
        for endpoint in (theirs, ours):
            endpoint.warm_up()
        for _ in range(ROUNDS):
            theirs.round(scrapes // ROUNDS)
            ours.round(scrapes // ROUNDS)
        for endpoint in (theirs, ours):
            endpoint.close()
    yield Row(
        subject="node: CPU of a scrape",
        ours=ours.cpu_ms,
        unit="ms",
        peer=theirs.cpu_ms,
        peer_name="node_exporter",
        ratio_below=AIM_RATIO,
    )
    yield Row(
        subject="node: time to the answer, median",
        ours=ours.latency_ms,
        unit="ms",
        peer=theirs.latency_ms,
        peer_name="node_exporter",
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--scrapes", type=int, default=200)
    print_table(measure(arguments.parse_args().scrapes))


if __name__ == "__main__":
    main()
