"""Whether ``wattview capacity`` finds the true number of streams, on one CPU of this machine.

    python -m benchmarks.capacity_real [--cpu 0] [--seconds 10]

The daemon and its encoders may use that CPU alone. The truth is found by hand: so many FFmpegs are started at once on
the same CPU, without WattView, and timed; one more until they are late, twice. About five minutes; other work on that
CPU changes the truth while it is sought.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Result, Row, print_table
from tests.support.daemon import running_daemon
from tests.support.powercap import simulated_rapl

RESOLUTION, FPS, BITRATE, PRESET = "640x360", 30, "1M", "veryfast"
MOST_DELAY_SECONDS = 1.0


def found_by_wattview(folder: Path, seconds: float) -> int:
    with simulated_rapl(folder / "sys") as sysfs, running_daemon(folder, f"paths.sysfs={sysfs}") as daemon:
        done = subprocess.run(
            [sys.executable, "-m", "wattview", "capacity", "--resolution", RESOLUTION, "--fps", str(FPS), "--bitrate",
             BITRATE, "--preset", PRESET, "--no-push", "--duration", str(seconds), "--warmup", "3", "--baseline", "0",
             "--json", "--set", f"daemon.control_socket={daemon.socket}", "--set", f"paths.state={daemon.state}"],
            capture_output=True, text=True, env={**os.environ, "HOME": str(folder)},
        )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return int(json.loads(done.stdout)["streams"])


def in_time(streams: int, seconds: float) -> bool:
    """Whether so many FFmpegs that read in real time have encoded ``seconds`` of video with less than a second's
    delay."""
    encode = [
        "ffmpeg", "-v", "error", "-nostdin", "-re", "-f", "lavfi", "-i", f"testsrc2=size={RESOLUTION}:rate={FPS}",
        "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-map", "0:v", "-map", "1:a",
        "-t", str(seconds), "-c:v", "libx264", "-preset", PRESET, "-b:v", BITRATE, "-maxrate", BITRATE,
        "-bufsize", "2M", "-g", str(2 * FPS), "-c:a", "aac", "-f", "null", "-",
    ]  # fmt: skip
    began = time.monotonic()
    for one in [subprocess.Popen(encode) for _ in range(streams)]:
        assert one.wait() == 0
    return time.monotonic() - began < seconds + MOST_DELAY_SECONDS


def found_by_hand(begin: int, seconds: float) -> int:
    """The largest number of streams in time, sought around ``begin``. A number that fails once is tried again."""
    streams = max(begin, 1)
    while not (in_time(streams, seconds) or in_time(streams, seconds)):
        streams -= 1
        if streams == 0:
            return 0
    while in_time(streams + 1, seconds) or in_time(streams + 1, seconds):
        streams += 1
    return streams


def measure(cpu: int = 0, seconds: float = 10.0) -> Iterator[Result]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = found_by_wattview(Path(folder), seconds)
        truth = found_by_hand(found, seconds)
    finally:
        os.sched_setaffinity(0, allowed)
    yield Row(subject="capacity of one CPU: streams away from the truth", ours=abs(found - truth), below=2)
    yield f"wattview capacity: {found} streams of {RESOLUTION} {PRESET}; by hand: {truth}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cpu", type=int, default=0)
    arguments.add_argument("--seconds", type=float, default=10.0, help="of each step")
    options = arguments.parse_args()
    print_table(measure(options.cpu, options.seconds))


if __name__ == "__main__":
    main()
