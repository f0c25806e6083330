"""Real encoders of different weight push to one real nginx, from wherever people run them: each has its own watts.

RAPL is a tree of files that follows this machine's real CPU use with known watts for each busy CPU: what a process
truly drew is its CPU seconds times these.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import DaemonProcess, knows_idle, running_daemon
from tests.support.docker_engine import Engine, docker_engine
from tests.support.nginx import Nginx, eventually
from tests.support.powercap import simulated_rapl
from wattview.model import Snapshot, Stream

__all__ = ["docker_engine"]

pytestmark = pytest.mark.slow

IDLE_WATTS = 20.0 * 1.15
WATTS_PER_CPU = 15.0 * 1.08
"""The simulator's package and, as parts of it, its DRAM."""

WINDOW_SECONDS = 15.0
HOST_PROGRAMS = ["/usr:/usr:ro", "/lib:/lib:ro", "/lib64:/lib64:ro", "/etc:/etc:ro"]
"""What a container needs of this machine to run its FFmpeg and its nginx."""

TICK = os.sysconf("SC_CLK_TCK")


def encoder(url: str, size: str) -> list[str]:
    return [
        "ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25",
        "-c:v", "libx264", "-preset", "veryfast", "-b:v", "500k", "-g", "50", "-f", "flv", url,
    ]  # fmt: skip


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def key(stream: Stream) -> str:
    return stream.name


def watched(daemon: DaemonProcess, names: set[str]) -> tuple[dict[str, float], dict[str, float], Snapshot]:
    """Joules of each stream's encoder by the daemon, CPU seconds of its process by the kernel, over some intervals."""
    first = eventually(lambda: _all_known(daemon, names), 60.0, 0.5)
    pids = {one.name: one.encoder.pid for one in first.streams if one.encoder is not None and one.encoder.pid}
    assert first.power_use is not None
    joules: defaultdict[str, float] = defaultdict(float)
    begun = ended = first.power_use.time
    cpu = {name: [(time.time(), cpu_seconds(pid))] for name, pid in pids.items()}
    latest = first
    while ended - begun < WINDOW_SECONDS:
        time.sleep(0.5)
        latest = daemon.snapshot()
        for name, pid in pids.items():
            cpu[name].append((time.time(), cpu_seconds(pid)))
        assert latest.power_use is not None
        if latest.power_use.time > ended:
            ended = latest.power_use.time
            for one in latest.streams:
                assert one.encoder is not None
                assert one.encoder.watts is not None, one
                joules[one.name] += one.encoder.watts * latest.power_use.seconds
            use = latest.power_use
            parts = (use.idle_watts, use.containers_watts, use.encoders_watts, use.unattributed_watts)
            assert sum(part or 0.0 for part in parts) == pytest.approx(use.watts, rel=1e-3)
            active = use.watts - (use.idle_watts or 0.0)
            assert sum(one.power_watts or 0.0 for one in latest.streams) <= active * (1 + 1e-9)
    return dict(joules), {name: _between(points, begun, ended) for name, points in cpu.items()}, latest


def _all_known(daemon: DaemonProcess, names: set[str]) -> Snapshot | None:
    snapshot = daemon.snapshot()
    known = {one.name for one in snapshot.streams if one.encoder is not None and one.encoder.watts is not None}
    return snapshot if known >= names and snapshot.power_use is not None else None


def _between(points: list[tuple[float, float]], begin: float, end: float) -> float:
    def at(moment: float) -> float:
        before = max((one for one in points if one[0] <= moment), default=points[0])
        after = min((one for one in points if one[0] >= moment), default=points[-1])
        if before[0] == after[0]:
            return before[1]
        return before[1] + (after[1] - before[1]) * (moment - before[0]) / (after[0] - before[0])

    return at(end) - at(begin)


@contextlib.contextmanager
def daemon_beside(tmp_path: Path, nginx: Nginx, docker: Engine) -> Iterator[DaemonProcess]:
    knows_idle(tmp_path / "state", IDLE_WATTS)
    with (
        simulated_rapl(tmp_path / "sys") as sysfs,
        running_daemon(
            tmp_path, f"paths.sysfs={sysfs}", f"docker.host={docker.host}", "history.interval=2s",
            f"streams.nginx_rtmp_url={nginx.stat_url}", f"streams.rtmp_url={nginx.rtmp_url}",
        ) as daemon,
    ):  # fmt: skip
        yield daemon


def test_each_stream_has_the_watts_of_its_own_encoder(tmp_path: Path, docker_engine: Engine) -> None:
    """A shell's, two that a shell pipes into each other, a container's on the host's network, and two containers with
    one network between them."""
    with Nginx(tmp_path / "nginx", listen="0.0.0.0") as nginx, contextlib.ExitStack() as stack:
        docker_engine.client.create_network("pod")
        here = f"rtmp://127.0.0.1:{nginx.rtmp_port}/live"
        gateway = docker_engine.client.inspect_network("pod")["IPAM"]["Config"][0]["Gateway"]
        bridge = f"rtmp://{gateway}:{nginx.rtmp_port}/live"
        shells = (
            " ".join(encoder(f"{here}/shell", "854x480")) + "; true",
            " ".join(encoder("-", "640x360")).replace("flv -", "mpegts -")
            + f" | ffmpeg -loglevel error -i - -c copy -f flv {here}/pipe",
        )
        for script in shells:
            shell = subprocess.Popen(["sh", "-c", script], start_new_session=True)
            stack.callback(shell.wait)
            stack.callback(os.killpg, shell.pid, 15)
        containers = [
            docker_engine.run("host", *encoder(f"{here}/host", "640x360"), network="host", binds=HOST_PROGRAMS),
            docker_engine.run("big", *encoder(f"{bridge}/big", "1280x720"), network="pod", binds=HOST_PROGRAMS),
        ]
        others = f"container:{containers[1]}"
        small = docker_engine.run("small", *encoder(f"{bridge}/small", "480x270"), network=others, binds=HOST_PROGRAMS)
        containers.append(small)
        for one in containers:
            stack.callback(docker_engine.remove, one)
        with daemon_beside(tmp_path, nginx, docker_engine) as daemon:
            joules, cpu, last = watched(daemon, {"shell", "pipe", "host", "big", "small"})
            text = daemon.metrics("rapl-exporter")

    for name in ("shell", "host", "big", "small"):
        assert joules[name] == pytest.approx(WATTS_PER_CPU * cpu[name], rel=0.05), (name, joules, cpu)
    assert joules["pipe"] > 3 * WATTS_PER_CPU * cpu["pipe"], "the one that encodes is not the one that pushes"
    found = {one.name: one.encoder for one in last.streams}
    assert {one.match for one in found.values() if one is not None} == {"socket"}
    assert {name: one.name for name, one in found.items() if one is not None and one.kind == "container"} == {
        "host": "host", "big": "big", "small": "small",
    }  # fmt: skip
    assert 'wattview_stream_encoder_info{app="live",stream="big",match="socket",program="ffmpeg"' in text


def test_behind_dockers_proxy_each_stream_has_its_own_encoder(tmp_path: Path, docker_engine: Engine) -> None:
    """nginx in a container, its ports published: to it all publishers have the address of the bridge."""
    nginx = Nginx(tmp_path / "nginx", listen="0.0.0.0")
    nginx.write()
    published = {1935: ("127.0.0.1", nginx.rtmp_port), 8080: ("127.0.0.1", nginx.stat_port)}
    docker_engine.client.create_network("media")
    run = docker_engine.run(
        "media", "nginx", "-p", f"{nginx.directory}/", "-c", "nginx.conf", network="media",
        binds=[*HOST_PROGRAMS, f"{tmp_path}:{tmp_path}"],
        port_bindings={nginx.rtmp_port: published[1935], nginx.stat_port: published[8080]},
        ports=[nginx.rtmp_port, nginx.stat_port],
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        stack.callback(docker_engine.remove, run)
        for name, size in (("a", "1280x720"), ("b", "640x360")):
            process = subprocess.Popen(encoder(f"{nginx.rtmp_url}/{name}", size))
            stack.callback(process.wait)
            stack.callback(process.terminate)
        with daemon_beside(tmp_path, nginx, docker_engine) as daemon:
            joules, cpu, last = watched(daemon, {"a", "b"})
    for name in ("a", "b"):
        assert joules[name] == pytest.approx(WATTS_PER_CPU * cpu[name], rel=0.05), (name, joules, cpu)
    assert all(one.server_watts for one in last.streams)
