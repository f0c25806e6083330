"""A results file of 100,000 scenarios costs its reader some seconds, and nobody else anything."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.daemon import DaemonProcess, running_daemon

STAMP = "20250102_030405"
COUNT = 100_000


def scenario(number: int, **fields: object) -> dict[str, Any]:
    return {
        "name": f"scenario {number}", "bitrate": "2500k", "resolution": "1280x720", "fps": 30, "duration": 60,
        "start_time": 1.7e9 + 60 * number, "end_time": 1.7e9 + 60 * number + 60, "outputs": None, "vmaf_score": 95.5,
        "psnr_score": 40.0, "ssim_score": 0.99,
    } | fields  # fmt: skip


KINDS: dict[str, Callable[[int], dict[str, Any]]] = {
    "plain": scenario,
    "all baselines": lambda number: scenario(number, name="baseline"),
    "one name": lambda number: scenario(0),
    "nothing right": lambda number: {"name": 5, "fps": "x", "duration": [], "notes": {}, "outputs": "0x0"},
}


def resident_mebibytes(daemon: DaemonProcess) -> float:
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


class Watch(threading.Thread):
    """Asks an exporter again and again, and notes the longest it waited and the largest the daemon was."""

    def __init__(self, daemon: DaemonProcess) -> None:
        super().__init__()
        self._daemon = daemon
        self._url = f"{daemon.exporters()['rapl-exporter'].url}/health"
        self._done = threading.Event()
        self.longest = self.largest = 0.0

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self._done.is_set():
                began = time.monotonic()
                assert client.get(self._url).status_code == 200
                self.longest = max(self.longest, time.monotonic() - began)
                self.largest = max(self.largest, resident_mebibytes(self._daemon))
                time.sleep(0.02)

    def end(self) -> None:
        self._done.set()
        self.join()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_a_hundred_thousand_scenarios_blocks_no_other_request(tmp_path: Path, kind: str) -> None:
    with running_daemon(tmp_path) as daemon:
        daemon.metrics("results-exporter")
        before = resident_mebibytes(daemon)
        results = daemon.state / "results"
        results.mkdir(exist_ok=True)
        whole = {"scenarios": [KINDS[kind](number) for number in range(COUNT)]}
        (results / f"test_results_{STAMP}.json").write_text(json.dumps(whole))
        watch = Watch(daemon)
        watch.start()
        shown = daemon.metrics("results-exporter")
        answer = daemon.api.get(f"/api/v1/results/{STAMP}").json()
        daemon.api.get("/api/v1/results")
        time.sleep(2)
        watch.end()
        assert len(answer["scenarios"]) + answer["left_out"] == COUNT
        assert "only the first 2000 of the file's 100000 scenarios are shown" in answer["remarks"]
        assert f"wattview_results_scenarios {COUNT}" in shown
        assert shown.count("\nscenario_duration_seconds{") == (0 if kind == "nothing right" else 500)
        assert watch.longest < 2.0, "others waited"
        assert watch.largest - before < 200
        assert resident_mebibytes(daemon) - before < 80
