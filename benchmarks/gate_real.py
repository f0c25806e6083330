"""Whether the gate finds two percent more energy in real encodes, and passes a second measurement of the same.

    python -m benchmarks.gate_real [--repeat 400] [--bound NAME=BOUND] [--folder DIR]

FFmpeg encodes a film by x264, and against it the same with more pictures, or the same again. The film is ten pictures
that are played again and again, each round a group of pictures of its own, so that every round is the same work: 98
rounds are 2.0 % more instructions than 96, as Valgrind counts them. ``wattview measure --against`` measures the two in
turn, and ``wattview gate`` judges with a bound of one percent. The machine's power is simulated: 20 W, and 15 W for
each CPU that the kernel counts as busy.

Each verdict is measured once, with a fixed number of repeats: to measure on until the gate decides would make its 95 %
untrue. On virtual CPUs, whose speed changes with what else their host does, the CPU time of the same half second of
work differed by 7 to 9 % (standard deviation) between neighbours, of three seconds by 3 to 4 %: the same for the time
that it takes. On a quiet machine with two of these, 400 pairs of about a second each found the two percent as +1.88 %
(+1.28 to +2.49), which is exceeded, and the same again as -0.04 % (-0.55 to +0.47), which is within. 200 pairs of half
the length were undecided. A machine of one's own needs far fewer (``--repeat``).

Other work on the machine makes the gate undecided: that is no wrong verdict. Half an hour on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.table import Result, Row, print_table
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.powercap import simulated_rapl

REPEATS = 400
BOUND = "joules_per_execution=+1%"
VERDICTS = {0: "within", 1: "exceeded", 3: "undecided"}

PICTURES, ROUNDS, MORE_ROUNDS = 10, 96, 98
FILM = ["-f", "lavfi", "-i", "mandelbrot=size=256x144:rate=30", "-frames:v", str(PICTURES), "-c:v", "libx264",
        "-crf", "12", "-preset", "ultrafast"]  # fmt: skip
PROGRESS_SECONDS = 30.0


def encode(rounds: int) -> list[str]:
    """The command that encodes so many rounds of the film."""
    return [
        "ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", "-1", "-i", "film.mkv",
        "-frames:v", str(rounds * PICTURES), "-c:v", "libx264", "-preset", "veryfast", "-threads", "1",
        "-g", str(PICTURES), "-sc_threshold", "0", "-f", "rawvideo", os.devnull,
    ]  # fmt: skip


class Judged:
    """Measures and judges with what a user types."""

    def __init__(self, daemon: DaemonProcess, folder: Path, bound: str) -> None:
        self._folder = folder
        self._bound = bound
        self._runs = daemon.state / "runs"
        self._settings = ["--set", f"daemon.control_socket={daemon.socket}", "--set", f"paths.state={daemon.state}"]

    def verdict(self, subject: str, candidate: list[str], repeat: int) -> tuple[int, dict[str, Any]]:
        """The gate's exit status and report."""
        measure = self._started(
            "measure", "--repeat", str(repeat), "--once", "--warmup", "1", "--baseline", "15", "--json", "run.json",
            "--name", "old", "--name", "new", "--against", shlex.join(candidate), "--", *encode(ROUNDS),
        )  # fmt: skip
        before = self._windows()
        while True:
            try:
                said, _ = measure.communicate(timeout=PROGRESS_SECONDS)
                break
            except subprocess.TimeoutExpired:
                print(f"{subject}: {self._windows() - before} of {2 * repeat + 1} windows", file=sys.stderr, flush=True)
        assert measure.returncode == 0, said
        gate = self._started("gate", "run.json:old", "run.json:new", "--max", self._bound, "--json")
        said, _ = gate.communicate()
        assert gate.returncode in VERDICTS, said
        return gate.returncode, json.loads(said)

    def _started(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "wattview", command, *self._settings, *arguments], cwd=self._folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "HOME": str(self._folder)},
        )  # fmt: skip

    def _windows(self) -> int:
        """How many windows were measured: the daemon writes a file for each, and is not asked."""
        return sum(1 for _ in self._runs.glob("*/*-window.json"))


def measure(repeat: int = REPEATS, bound: str = BOUND, folder: Path | None = None) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as temporary:
        place = (folder or Path(temporary)).resolve()
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *FILM, str(place / "film.mkv")], check=True)
        with (
            simulated_rapl(place / "sys") as sysfs,
            running_daemon(place, f"paths.sysfs={sysfs}", "history.interval=1s") as daemon,
        ):
            judged = Judged(daemon, place, bound)
            for subject, rounds, wanted in (("two percent more", MORE_ROUNDS, 1), ("the same again", ROUNDS, 0)):
                status, report = judged.verdict(subject, encode(rounds), repeat)
                yield Row(subject=f"gate, {subject}: wrong verdicts", ours=int(status not in (wanted, 3)), below=1)
                yield Row(subject=f"gate, {subject}: undecided", ours=int(status == 3), below=1)
                yield _said(subject, status, report)


def _said(subject: str, status: int, report: dict[str, Any]) -> str:
    [check] = report["checks"]
    count = (check["baseline"] or {}).get("count", 0)
    if check["low"] is None:
        return f"{subject}: {VERDICTS[status]}: {check['reason']}"
    difference, low, high = (100 * check[name] for name in ("difference", "low", "high"))
    return (
        f"{subject}: {VERDICTS[status]} with {count} repeats: {difference:+.2f} % ({low:+.2f} to {high:+.2f}), "
        f"bound {check['bound']['text']}; {check['reason'] or 'decided'}"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeat", type=int, default=REPEATS)
    arguments.add_argument(
        "--bound", default=BOUND, help="the gate's --max  [default: %(default)s]".replace("+1%", "+1%%")
    )
    arguments.add_argument("--folder", type=Path, help="an empty folder to keep everything in")
    options = arguments.parse_args()
    print_table(measure(options.repeat, options.bound, options.folder))


if __name__ == "__main__":
    main()
