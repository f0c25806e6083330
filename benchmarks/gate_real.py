"""Whether the gate finds two percent more energy in real encodes, and passes a second measurement of the same.

    python -m benchmarks.gate_real [--repeat 12] [--streams] [--bound NAME=BOUND] [--folder DIR]

FFmpeg encodes a film by x264, and against it the same with four B-frames, which costs about two percent more CPU time
(by the instructions that Valgrind counts), or with nothing else. ``wattview measure --against`` measures the two in
turn, ``wattview gate`` judges with a bound of one percent; where it is undecided it is measured again with the repeats
that it asks for, up to ``MOST_REPEATS``. The machine's power is simulated: 20 W, and 15 W for each CPU that the kernel
counts as busy. ``--streams`` does the same with live streams by ``wattview gate --run``, whose power is that of the
whole machine.

Other work on the machine makes the gate ask for more repeats, and then it stays undecided: that is no wrong verdict. A
machine whose CPUs other work fills takes no more energy for a command: ``--bound cpu_seconds_per_execution=+1%`` works
there too. Five minutes on a quiet machine.
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

MOST_REPEATS = 60
VERDICTS = {0: "within", 1: "exceeded", 3: "undecided"}
BOUND, BOUND_OF_STREAMS = "joules_per_execution=+1%", "power=+0.5%"
PICTURE = "mandelbrot=size=640x360:rate=30,noise=alls=8:allf=t"
PLANTED = ("-bf", "4")
SUITE = """
baseline = 10
[[scenarios]]
name = "live"
streams = 2
source = "mandelbrot"
resolution = "640x360"
bitrate = "1M"
duration = 10
warmup = 3
cooldown = 1
quality = false
push = false
encoder_args = "{arguments}"
"""


class Judged:
    """Measures and judges with what a user types."""

    def __init__(self, daemon: DaemonProcess, folder: Path, bound: str) -> None:
        self._folder = folder
        self._bound = bound
        self._settings = ["--set", f"daemon.control_socket={daemon.socket}", "--set", f"paths.state={daemon.state}"]

    def wattview(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "wattview", command, *self._settings, *arguments],
            cwd=self._folder, capture_output=True, text=True, env={**os.environ, "HOME": str(self._folder)},
        )  # fmt: skip

    def verdict(self, planted: tuple[str, ...], repeat: int, streams: bool) -> tuple[int, dict[str, Any]]:
        """The gate's exit status and report, after a second measurement if it asks for one."""
        judge = self._streams if streams else self._commands
        status, report = judge(planted, repeat)
        needed = report["repeats_needed"]
        if status == 3 and needed is not None and needed > repeat:
            status, report = judge(planted, min(needed, MOST_REPEATS))
        return status, report

    def _commands(self, planted: tuple[str, ...], repeat: int) -> tuple[int, dict[str, Any]]:
        encode = ["ffmpeg", "-v", "error", "-y", "-i", "film.mkv", "-an", "-c:v", "libx264", "-preset", "veryfast",
                  "-threads", "1"]  # fmt: skip
        other = shlex.join([*encode, *planted, "-f", "null", "-"])
        done = self.wattview("measure", "--repeat", str(repeat), "--warmup", "1", "--baseline", "15", "--json",
                             "run.json", "--name", "old", "--name", "new", "--against", other, "--", *encode, "-f",
                             "null", "-")  # fmt: skip
        assert done.returncode == 0, done.stderr
        return self._gate("run.json:old", "run.json:new", "--max", self._bound)

    def _streams(self, planted: tuple[str, ...], repeat: int) -> tuple[int, dict[str, Any]]:
        for name, arguments in (("old", ()), ("new", planted)):
            (self._folder / f"{name}.toml").write_text(SUITE.format(arguments=" ".join(arguments)))
        return self._gate("old.toml", "--run", "new.toml", "--repeat", str(repeat), "--max", self._bound)

    def _gate(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        done = self.wattview("gate", *arguments, "--json")
        assert done.returncode in VERDICTS, done.stderr
        return done.returncode, json.loads(done.stdout)


def measure(
    repeat: int = 12, streams: bool = False, bound: str | None = None, folder: Path | None = None
) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as temporary:
        place = (folder or Path(temporary)).resolve()
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", PICTURE, "-t", "12", "-c:v", "libx264", "-crf", "12",
             "-preset", "ultrafast", str(place / "film.mkv")], check=True,
        )  # fmt: skip
        with (
            simulated_rapl(place / "sys") as sysfs,
            running_daemon(place, f"paths.sysfs={sysfs}", "history.interval=1s") as daemon,
        ):
            judged = Judged(daemon, place, bound or (BOUND_OF_STREAMS if streams else BOUND))
            for subject, planted, wanted in (("two percent more", PLANTED, 1), ("the same again", (), 0)):
                status, report = judged.verdict(planted, repeat, streams)
                wrong = status not in (wanted, 3)
                yield Row(subject=f"gate, {subject}: wrong verdicts", ours=int(wrong), below=1)
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
    arguments.add_argument("--repeat", type=int, default=12)
    arguments.add_argument("--streams", action="store_true", help="live streams, by gate --run, instead of commands")
    arguments.add_argument("--bound", help=f"the gate's --max, by default {BOUND}".replace("%", "%%"))
    arguments.add_argument("--folder", type=Path, help="an empty folder to keep everything in")
    options = arguments.parse_args()
    print_table(measure(options.repeat, options.streams, options.bound, options.folder))


if __name__ == "__main__":
    main()
