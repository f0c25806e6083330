"""The pictures of docs/, from a real run: a daemon, its own nginx-rtmp, streams that FFmpeg pushes, containers, runs.

    python -m scripts.pictures [NAME …] [--directory docs/images] [--size 120x34]

Needs what the tests need (`scripts/packages.sh test`), root for a Docker engine of its own, and some five minutes.
Nothing is drawn by hand or made up: power is whatever this machine has, an estimate where it has no counter. Everything
runs under `scripts/alone.sh`: what else runs on the machine of whoever takes the pictures is not for everybody. Its
load is still in the machine's figures: take them on an idle one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from scripts.screenshot import take
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.docker_engine import Engine, engine
from tests.support.streams import Publisher
from wattview.model import Run

TO_THE_FIRST = ["wait:18000", "home"]
"""Once the dashboards themselves, which start all at once, take less than what they show."""

DURING: dict[str, list[str]] = {
    "overview": ["1", *TO_THE_FIRST], "power": ["2"], "workloads": ["3", *TO_THE_FIRST], "streams": ["4"],
    "scenarios": ["6"],
}  # fmt: skip
"""Screens while the second run goes on, by the keys that lead there."""

AFTER: dict[str, list[str]] = {"results": ["7"], "log": ["9"]}

NETWORK = "pictures"
LOADS = {"packager": 20, "thumbnails": 8, "api": 3, "metrics": 1, "standby": 0}
"""Containers, and percent of a core that each is busy for."""

STREAMS = {"studio": 1200, "stage": 800, "lobby": 400}
"""Streams, and kbit/s."""


def scenario(name: str, resolution: str, bitrate: str, **fields: Any) -> dict[str, Any]:
    times = {"duration": 20, "warmup": 3, "cooldown": 1}
    return {"name": name, "resolution": resolution, "bitrate": bitrate, "preset": "ultrafast", **times, **fields}


FIRST = [scenario("360p 800k", "640x360", "800k"), scenario("480p 1200k", "854x480", "1200k")]
SECOND = [*FIRST, scenario("2x 360p 800k", "640x360", "800k", streams=2, viewers=1, duration=60)]


@contextlib.contextmanager
def busy_containers(own: Engine) -> Iterator[None]:
    """Real containers that are busy for a part of each second."""
    own.client.create_network(NETWORK, driver="bridge")
    for name, percent in LOADS.items():
        own.run(name, "sh", "-c", "while :; do :; done" if percent else "sleep 100000", network=NETWORK,
                cpu_quota=max(1000, percent * 1000), cpu_period=100_000, mem_limit="64m")  # fmt: skip
    yield


@contextlib.contextmanager
def published(daemon: DaemonProcess) -> Iterator[None]:
    base = daemon.snapshot().rtmp_url
    with contextlib.ExitStack() as stack:
        for name, kilobits in STREAMS.items():
            stack.enter_context(Publisher(f"{base}/{name}", kilobits=kilobits))
        yield


def start(daemon: DaemonProcess, scenarios: list[dict[str, Any]]) -> Run:
    answer = daemon.api.post("/api/v1/runs", json={"scenarios": scenarios, "baseline": 10})
    answer.raise_for_status()
    return msgspec.json.decode(answer.content, type=Run)


def look(daemon: DaemonProcess, run: Run) -> Run:
    return msgspec.json.decode(daemon.api.get(f"/api/v1/runs/{run.id}").content, type=Run)


def wait_for_window(daemon: DaemonProcess, run: Run, index: int) -> None:
    while (now := look(daemon, run)).state == "running" and now.progress is not None:
        if now.progress.scenario_index >= index and now.progress.phase == "measuring":
            return
        time.sleep(0.2)
    raise SystemExit(f"the run was over too soon: {now.error or now.state}")


def wait_for_end(daemon: DaemonProcess, run: Run) -> None:
    while (now := look(daemon, run)).state == "running":
        time.sleep(0.5)
    if now.state != "done":
        raise SystemExit(f"the run was not done: {now.error or now.state}")


async def take_all(url: str, wanted: dict[str, list[str]], directory: Path, size: tuple[int, int]) -> None:
    """All at once: each is a dashboard of its own that watches for a while."""

    async def one(name: str, keys: list[str]) -> None:
        picture = await take(url, keys, size, 12.0)
        await asyncio.to_thread((directory / f"{name}.svg").write_text, picture)

    await asyncio.gather(*(one(name, keys) for name, keys in wanted.items()))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", help=f"some of: {', '.join([*DURING, *AFTER])}")
    arguments.add_argument("--directory", type=Path, default=Path("docs/images"))
    arguments.add_argument("--size", default="120x34")
    options = arguments.parse_args()
    if "WATTVIEW_ALONE" not in os.environ:
        alone = str(Path(__file__).with_name("alone.sh"))
        os.execv(alone, [alone, sys.executable, "-m", "scripts.pictures", *sys.argv[1:]])  # noqa: S606
    columns, lines = map(int, options.size.split("x"))
    options.directory.mkdir(parents=True, exist_ok=True)
    names = options.names or [*DURING, *AFTER]

    def draw(daemon: DaemonProcess, screens: dict[str, list[str]]) -> None:
        wanted = {name: keys for name, keys in screens.items() if name in names}
        asyncio.run(take_all(f"unix://{daemon.socket}", wanted, options.directory, (columns, lines)))

    with tempfile.TemporaryDirectory() as directory, engine() as own, busy_containers(own):
        sets = (f"docker.host={own.host}", "streams.managed=auto", "history.interval=1s", "cost.carbon_g_per_kwh=300")
        with running_daemon(Path(directory), *sets) as daemon, published(daemon):
            wait_for_end(daemon, start(daemon, FIRST))
            run = start(daemon, SECOND)
            wait_for_window(daemon, run, 3)
            draw(daemon, DURING)
            wait_for_end(daemon, run)
            draw(daemon, AFTER)


if __name__ == "__main__":
    main()
