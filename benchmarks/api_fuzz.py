"""A million nonsensical calls of the control API of a real daemon: none may end in its own fault (5xx) or in silence.

    python -m benchmarks.api_fuzz [--calls 1000000] [--seed 1]

Prints how many were answered how, and the daemon's memory before and after each tenth: what the first adds is what an
idle daemon has not yet imported. Exit status 1 where a call found a fault, which is printed so that it can be made
again. The slow tests make a shorter run.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.processes import resident_megabytes
from tests.support.api_fuzz import Asked, fuzz, with_results
from tests.support.daemon import running_daemon


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--calls", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        with_results(Path(directory))
        with running_daemon(Path(directory), "history.interval=500ms") as daemon:
            megabytes, began = [resident_megabytes(daemon.process.pid)], time.monotonic()
            statuses: Counter[int] = Counter()
            faults: list[tuple[int, Asked]] = []
            for tenth in range(10):
                found = asyncio.run(fuzz(daemon.socket, 10 * options.seed + tenth, options.calls // 10))
                statuses += found.statuses
                faults += found.faults
                megabytes.append(resident_megabytes(daemon.process.pid))
                print(f"{found.statuses.total()} calls: {megabytes[-1]:.1f} MB", file=sys.stderr, flush=True)
            seconds, log = time.monotonic() - began, daemon.log
    answered = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
    resident = " → ".join(f"{one:.0f}" for one in megabytes)
    print(f"{statuses.total()} calls in {seconds:.0f} s: {answered}; resident {resident} MB")
    for status, asked in faults[:20]:
        print(status, asked)
    if faults or "Traceback" in log:
        raise SystemExit(f"{len(faults)} faults\n{log[-5000:]}")


if __name__ == "__main__":
    main()
