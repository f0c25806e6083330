"""Every measurement behind a figure that a page of docs/ gives, as one table: ``make bench``.

    python -m benchmarks [NAME …]

Each is a module with a ``measure()`` that yields rows; a name picks some of them, and ``python -m benchmarks.NAME``
runs one with options of its own. Ratios against a peer in the same run are the figures to quote: the absolute times
are this machine's, on this day. Exit status 1 where a benchmark could not measure; an aim that is missed is a verdict.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
import time
from collections.abc import Iterator

from benchmarks.table import Failed, Result, print_table

ALL = (
    "node_scrape",
    "containers_scrape",
    "workloads_scrape",
    "daemon_footprint",
    "dashboard",
    "latency",
    "store_load",
    "scenario_sweep",
    "capacity_real",
    "false_alarms",
    "calibration",
)


def results(names: list[str]) -> Iterator[Result]:
    for name in names:
        began, below = time.monotonic(), []
        try:
            for result in importlib.import_module(f"benchmarks.{name}").measure():
                if isinstance(result, str):
                    below.append(result)
                else:
                    yield result
        except Exception as error:
            # The others can still measure.
            yield Failed(subject=name, reason=f"{type(error).__name__}: {error}".replace("\n", " ")[:200])
        yield from (f"== {name}, {time.monotonic() - began:.0f} s", *below)


def main() -> None:
    wanted = sys.argv[1:] or list(ALL)
    unknown = [name for name in wanted if name not in ALL]
    if unknown:
        raise SystemExit(f"no benchmark {unknown[0]!r}; there are: {', '.join(ALL)}")
    load, _, _ = os.getloadavg()
    print(f"{os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}, load {load:.1f}")
    if not print_table(results(wanted)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
