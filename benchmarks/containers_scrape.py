"""What the containers endpoints cost: CPU time of a reading and of each page, beside ``docker stats --no-stream``.

Starts a Docker engine of its own with sleeping containers on a bridge network (root; docker.io, busybox-static).

    python benchmarks/containers_scrape.py [--containers 1 20 100 300]

The aim is under 0.3 ms of CPU a container for a reading and a page together, and a cost that grows linearly. CPU time
of the engine is dockerd's and containerd's for one ``docker stats``; a reading asks them nothing.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.docker_engine import Engine, engine
from wattview import config
from wattview.exposition import render
from wattview.probes.containers import ContainersProbe
from wattview.probes.containers_metrics import cadvisor_families, docker_families
from wattview.probes.engine_processes import EngineProcesses

AIM_MS = 0.3
REPEATS = 15


def cpu_ms(call: Callable[[], object]) -> float:
    """The median CPU time of one call in this thread, milliseconds."""
    spent = []
    for _ in range(REPEATS):
        began = time.thread_time()
        call()
        spent.append((time.thread_time() - began) * 1000)
    return sorted(spent)[REPEATS // 2]


def docker_stats(own: Engine) -> tuple[float, float, float]:
    """``docker stats --no-stream`` once: (seconds, CPU ms of the command, CPU ms of the engine)."""
    docker = shutil.which("docker")
    if docker is None:
        raise SystemExit("docker is not installed; run: sudo apt-get install docker.io")
    processes = EngineProcesses("/proc")

    def engine_seconds() -> float:
        use = processes.read(time.monotonic(), own.pid)
        return use.cpu_seconds if use is not None else 0.0

    before, engine_before, began = resource.getrusage(resource.RUSAGE_CHILDREN), engine_seconds(), time.monotonic()
    subprocess.run([docker, "--host", own.host, "stats", "--no-stream"], check=True, stdout=subprocess.DEVNULL)
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    command = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    spent = engine_seconds() - engine_before
    processes.close()
    return took, command * 1000, spent * 1000


def measure(own: Engine, probe: ContainersProbe, count: int) -> None:
    reading = probe.read()
    while len(reading.containers) < count:
        time.sleep(0.05)
        reading = probe.read()
    read = cpu_ms(probe.read)
    docker_page = cpu_ms(lambda: render(docker_families(reading)))
    cadvisor_page = cpu_ms(lambda: render(cadvisor_families(reading)))
    each = (read + cadvisor_page) / count
    seconds, command, engine_cpu = docker_stats(own)
    verdict = "ok" if each < AIM_MS else f"over the aim by {each - AIM_MS:.2f} ms"
    print(
        f"{count:>10} {read:>9.2f} {docker_page:>9.2f} {cadvisor_page:>9.2f} {each:>12.3f}  {verdict:<6}"
        f" {seconds:>10.2f} {command:>10.0f} {engine_cpu:>10.0f}",
        flush=True,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--containers", type=int, nargs="+", default=[1, 20, 100, 300])
    counts = sorted(arguments.parse_args().containers)
    print(f"{'':>10} {'WattView: CPU ms':^42}          {'docker stats --no-stream':^32}")
    print(
        f"{'containers':>10} {'reading':>9} {':9501':>9} {':8080':>9} {'a container':>12}  {'':<6}"
        f" {'seconds':>10} {'CPU ms':>10} {'engine ms':>10}"
    )
    with engine() as own:
        own.client.create_network("bench", driver="bridge")
        probe = ContainersProbe(config.load(sets=[f"docker.host={own.host}"], environ={}))
        started = 0
        for count in counts:
            for number in range(started, count):
                own.run(f"sleeper-{number}", "sleep", "100000", network="bench")
            started = count
            measure(own, probe, count)
        probe.close()


if __name__ == "__main__":
    main()
