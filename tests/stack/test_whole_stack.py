"""The whole stack on a real Docker engine: built, brought up by Compose, measured in, alerted from, taken down.

Every image that is ours is built from its own Dockerfile; public images, for which a registry would have to be asked,
are stood in for by Debian's packages of the same programs. Grafana is in none: its files have tests of their own. The
machine's RAPL is simulated, with counters that only root may read, as the kernel's are.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.conftest import free_port
from tests.support.docker_engine import engine
from tests.support.stack import COMPOSE, REPOSITORY, Docker, Store, eventually, running
from tests.support.streams import Publisher
from wattview.fleet import fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PORTS = ("RAPL_EXPORTER_PORT", "DOCKER_STATS_PORT", "RESULTS_EXPORTER_PORT", "QOE_EXPORTER_PORT", "COST_EXPORTER_PORT",
         "GPU_EXPORTER_PORT", "NODE_EXPORTER_PORT", "CADVISOR_PORT", "NGINX_RTMP_EXPORTER_PORT", "HEALTH_CHECK_PORT",
         "NGINX_STAT_PORT", "RTMP_PORT", "STORE_PORT", "VMALERT_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT")  # fmt: skip
SERVICES = ("wattview", "nginx-rtmp", "victoriametrics", "vmalert", "alertmanager")
DAC_READ_SEARCH = 1 << 2

# The simulated sysfs links to the machine's own below /sys; the container's own has only the container's cgroups.
OVERRIDE = """
version: "3.9"
services:
  wattview:
    volumes: ["/sys/fs/cgroup:/sys/fs/cgroup:ro"]
"""


class Stack(NamedTuple):
    docker: Docker
    settings: dict[str, str]
    store: Store

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.settings[port]}"

    def state(self, container: str, template: str) -> str:
        return self.docker.run("docker", "inspect", "--format", template, container).strip()


def root_mount() -> str:
    """How / may be mounted into a container here: a private mount cannot be a slave."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    root = next(line for line in lines if line.split()[4] == "/")
    return "ro,rslave" if "shared:" in root or "master:" in root else "ro"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("whole")
    sysfs = directory / "sys"
    with engine() as docker_engine:
        docker = Docker(docker_engine.host, directory)
        docker.make_base_image()
        docker.build("wattview", COMPOSE / "Dockerfile", REPOSITORY)
        docker.build("wattview-nginx-rtmp", COMPOSE / "nginx-rtmp/Dockerfile", REPOSITORY)
        settings = {name: str(free_port()) for name in PORTS} | docker.build_standins()
        settings |= {
            "COMPOSE_PROFILES": "cpu,victoriametrics",
            "GRAFANA_ADMIN_PASSWORD": "not-used",
            "DOCKER_SOCKET": str(docker_engine.socket),
            "HOST_SYS": str(sysfs),
            "ROOTFS_MOUNT": root_mount(),
            "CURRENCY": "EUR",
        }
        env_file, override = directory / "env", directory / "override.yml"
        env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        override.write_text(OVERRIDE)
        compose = ("docker-compose", "--env-file", str(env_file), "-p", "wv", "-f", str(COMPOSE / "docker-compose.yml"),
                   "-f", str(override))  # fmt: skip
        simulator = (sys.executable, "-m", "tests.support.powercap", str(sysfs), "--watts-from-cpu")
        with running(directory, *simulator, env={"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])}):
            counters = eventually(lambda: list(sysfs.glob("devices/virtual/powercap/**/energy_uj")), "simulated RAPL")
            for counter in counters:
                counter.chmod(0o400)
            open_the_way_to(directory)
            docker.run(*compose, "up", "-d", *SERVICES)
            made = Stack(docker, settings, Store(f"http://127.0.0.1:{settings['STORE_PORT']}"))
            try:
                eventually(
                    lambda: all(made.state(name, "{{.State.Health.Status}}") == "healthy" for name in SERVICES),
                    "all services are healthy", 120, every=1,
                )  # fmt: skip
                yield made
            finally:
                for name in SERVICES:
                    log = subprocess.run(["docker", "logs", "--tail", "30", name], env=docker.environ, check=False,
                                         capture_output=True, text=True)  # fmt: skip
                    print(f"--- {name}\n{log.stdout}{log.stderr}")
                docker.run(*compose, "down", "--volumes")


def open_the_way_to(directory: Path) -> None:
    """pytest's directories are closed to others; the daemon's user has to come through, as it may on a real /sys."""
    for step in (directory, *directory.parents):
        if step.owner() == directory.owner() and step != Path("/") and not step.stat().st_mode & 0o005:
            step.chmod(step.stat().st_mode | 0o055)


def test_the_daemon_is_a_user_of_its_own_with_one_right_on_a_read_only_root(stack: Stack) -> None:
    pid = stack.state("wattview", "{{.State.Pid}}")
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert status["Uid"].split() == ["9500"] * 4
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {DAC_READ_SEARCH}
    assert status["NoNewPrivs"] == "1"
    assert stack.state("wattview", "{{.HostConfig.Privileged}} {{.HostConfig.ReadonlyRootfs}}") == "false true"
    with pytest.raises(AssertionError, match="Read-only file system"):
        stack.docker.run("docker", "exec", "wattview", "touch", "/usr/local/x")


def test_every_exporter_is_scraped_and_power_is_measured_not_estimated(stack: Stack) -> None:
    eventually(lambda: stack.store.value("count(up == 1)") == 10, "ten targets are up", 60)
    source = eventually(lambda: stack.store.query("wattview_host_power_watts"), "power", 30)[0]["metric"]
    assert source["source"] == "rapl"
    assert source["job"] == "rapl-exporter"
    assert source["host"] == os.uname().nodename, "the host's own name, and not the container's"


def test_containers_are_seen_by_name_and_the_host_s_network_is_the_host_s(stack: Stack) -> None:
    eventually(lambda: stack.store.query('container_cpu_usage_seconds_total{name="nginx-rtmp"}'), "containers", 60)
    devices = {one["metric"]["device"] for one in stack.store.query("node_network_receive_bytes_total")}
    assert devices == {path.name for path in Path("/sys/class/net").iterdir() if path.is_dir()} & devices
    assert "lo" in devices


def test_a_scenario_runs_inside_and_its_figures_are_in_the_store(stack: Stack) -> None:
    stack.docker.run(
        "docker", "exec", "wattview", "wattview", "run", "--name", "in the stack", "--streams", "1", "--duration", "15",
        "--warmup", "2", "--cooldown", "1", "--resolution", "320x180", "--bitrate", "300k", "--preset", "ultrafast",
        "--baseline", "10",
    )  # fmt: skip
    of_it = '{scenario="in the stack"}'
    joules = eventually(lambda: stack.store.value(f"scenario_energy_joules{of_it}"), "its energy", 60)
    seconds = stack.store.value(f"scenario_duration_seconds{of_it}")
    assert seconds == pytest.approx(15, abs=1)
    assert stack.store.value(f"scenario_power_mean_watts{of_it}") == pytest.approx(joules / seconds, rel=0.01)
    assert 60 < eventually(lambda: stack.store.value(f"quality_vmaf{of_it}"), "its quality", 30) <= 100
    cost = stack.store.value('cost_energy_load_aware{scenario="in the stack",currency="EUR"}')
    assert cost == pytest.approx(joules / 3.6e6 * 0.12, rel=0.01)


async def test_a_stream_that_vanishes_is_an_alert_and_hls_plays_before_that(stack: Stack) -> None:
    with Publisher(f"rtmp://127.0.0.1:{stack.settings['RTMP_PORT']}/live/news"):
        eventually(lambda: stack.store.query('nginx_rtmp_stream_active{stream="news"} == 1'), "the stream", 60)
        playlist = f"{stack.url('NGINX_STAT_PORT')}/hls/news.m3u8"
        eventually(lambda: httpx.get(playlist, trust_env=False).text.startswith("#EXTM3U"), "HLS", 30)
        row = (await fleet(stack.store.url))[0]
        assert row.streams == 1
        assert row.power_watts is not None
        assert (row.targets, row.targets_up) == (10, 10)

    def fired() -> list[dict[str, str]]:
        found = httpx.get(f"{stack.url('ALERTMANAGER_PORT')}/api/v2/alerts", trust_env=False).json()
        return [one["labels"] for one in found if one["labels"]["alertname"] == "StreamVanished"]

    labels = eventually(fired, "Alertmanager hears of it", 90)[0]
    assert (labels["app"], labels["stream"], labels["severity"]) == ("live", "news", "critical")


def test_a_restarted_daemon_keeps_its_results(stack: Stack) -> None:
    before = stack.docker.run("docker", "exec", "wattview", "wattview", "results", "list")
    stack.docker.run("docker", "restart", "wattview")
    eventually(lambda: stack.state("wattview", "{{.State.Health.Status}}") == "healthy", "healthy again", 60, every=0.5)
    assert stack.docker.run("docker", "exec", "wattview", "wattview", "results", "list") == before
    began = time.monotonic()
    stack.docker.run("docker", "stop", "wattview")
    assert time.monotonic() - began < 15, "it was asked, and did not have to be killed"
    assert stack.state("wattview", "{{.State.ExitCode}}") == "0"
