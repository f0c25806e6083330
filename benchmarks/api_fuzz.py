"""A million nonsensical calls of the control API of a real daemon: none may end in its own fault (5xx) or in silence.

    python -m benchmarks.api_fuzz [--calls 1000000] [--seed 1]

Prints how many were answered how, and the daemon's memory before and after; exit status 1 where a call found a fault,
which is printed so that it can be made again. The slow tests make a shorter run.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.processes import resident_megabytes
from tests.support.api_fuzz import fuzz, with_results
from tests.support.daemon import running_daemon


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--calls", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        with_results(Path(directory))
        with running_daemon(Path(directory), "history.interval=500ms") as daemon:
            before, began = resident_megabytes(daemon.process.pid), time.monotonic()
            found = asyncio.run(fuzz(daemon.socket, options.seed, options.calls))
            seconds, after = time.monotonic() - began, resident_megabytes(daemon.process.pid)
            log = daemon.log
    answered = ", ".join(f"{count} × {status}" for status, count in sorted(found.statuses.items()))
    print(f"{options.calls} calls in {seconds:.0f} s: {answered}; resident {before:.0f} → {after:.0f} MB")
    for status, asked in found.faults[:20]:
        print(status, asked)
    if found.faults or "Traceback" in log:
        raise SystemExit(f"{len(found.faults)} faults\n{log[-5000:]}")


if __name__ == "__main__":
    main()
