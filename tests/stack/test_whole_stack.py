"""The whole stack on a real Docker engine, as a person starts it: `make stack`; measured in, alerted from, taken down.

Every image that is ours is built from its own Dockerfile; public images, for which a registry would have to be asked,
are stood in for by Debian's packages of the same programs. Grafana and cAdvisor are in none: a page stands in their
place, and Grafana's files have tests of their own. The machine's RAPL is simulated, with counters that only root may
read, as the kernel's are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.conftest import free_port
from tests.support.stack import BASE_IMAGE, COMPOSE_PROGRAMS, REPOSITORY, Docker, Store, eventually, running
from tests.support.store import fleet
from tests.support.streams import Publisher

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PORTS = ("RAPL_EXPORTER_PORT", "DOCKER_STATS_PORT", "RESULTS_EXPORTER_PORT", "QOE_EXPORTER_PORT", "COST_EXPORTER_PORT",
         "GPU_EXPORTER_PORT", "NODE_EXPORTER_PORT", "CADVISOR_PORT", "NGINX_RTMP_EXPORTER_PORT", "HEALTH_CHECK_PORT",
         "NGINX_STAT_PORT", "RTMP_PORT", "STORE_PORT", "VMALERT_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT")  # fmt: skip
PARTS = {"wattview", "nginx-rtmp", "alertmanager", "grafana"}
DAC_READ_SEARCH = 1 << 2

# The simulated sysfs links to the machine's own below /sys; the container's own has only the container's cgroups. What
# stands in for cAdvisor needs no privileges, and a machine of tests may have none to give.
OVERRIDE = """
version: "3.9"
services:
  wattview:
    volumes: ["/sys/fs/cgroup:/sys/fs/cgroup:ro"]
  cadvisor:
    privileged: false
"""


class Stack(NamedTuple):
    docker: Docker
    checkout: Path
    settings: dict[str, str]
    store: Store
    said: str
    """What `make stack` printed."""

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.settings[port]}"

    def state(self, container: str, template: str) -> str:
        return self.docker.run("docker", "inspect", "--format", template, container).strip()

    def parts(self) -> set[str]:
        return set(self.docker.run("docker", "ps", "--all", "--format", "{{.Names}}").split())

    def choose(self, **settings: str) -> None:
        """As a person writes them in .env."""
        self.settings.update(settings)
        text = "".join(f"{name}={value}\n" for name, value in self.settings.items())
        (self.checkout / "compose/.env").write_text(text)


def root_mount() -> str:
    """How / may be mounted into a container here: a private mount cannot be a slave."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    root = next(line for line in lines if line.split()[4] == "/")
    return "ro,rslave" if "shared:" in root or "master:" in root else "ro"


def copy_of_the_repository(directory: Path) -> Path:
    """Its files as they are now: a person's own compose/.env is not touched."""
    made = directory / "checkout"
    leave = shutil.ignore_patterns(".git", ".venv", ".env", "__pycache__", ".*_cache", "tests", "shared")
    shutil.copytree(REPOSITORY, made, ignore=leave)
    return made


@pytest.fixture(scope="module")
def stack(bookworm: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("whole")
    sysfs = directory / "sys"
    checkout = copy_of_the_repository(directory)
    docker = bookworm
    # Compose finds these in the engine's cache. It would build them itself, but an engine without a packet filter
    # has a network for builds only where it is told to take the host's.
    docker.build("wattview", checkout / "compose/Dockerfile", checkout)
    docker.build("wattview-nginx-rtmp", checkout / "compose/nginx-rtmp/Dockerfile", checkout)
    override = directory / "override.yml"
    override.write_text(OVERRIDE)
    settings = {name: str(free_port()) for name in PORTS} | docker.build_standins()
    settings |= {
        "COMPOSE_PROJECT_NAME": "wattview",
        "COMPOSE_PROFILES": "cpu,victoriametrics",
        "COMPOSE_FILE": f"docker-compose.yml:{override}",
        "GRAFANA_ADMIN_PASSWORD": "not-used",
        "DOCKER_SOCKET": docker.environ["DOCKER_HOST"].removeprefix("unix://"),
        "HOST_SYS": str(sysfs),
        "ROOTFS_MOUNT": root_mount(),
        "CURRENCY": "EUR",
    }
    simulator = (sys.executable, "-m", "tests.support.powercap", str(sysfs), "--watts-from-cpu")
    with running(directory, *simulator, env={"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])}):
        counters = eventually(lambda: list(sysfs.glob("devices/virtual/powercap/**/energy_uj")), "simulated RAPL")
        for counter in counters:
            counter.chmod(0o400)
        open_the_way_to(directory)
        made = Stack(docker, checkout, {}, Store(f"http://127.0.0.1:{settings['STORE_PORT']}"), "")
        made.choose(**settings)
        try:
            yield made._replace(said=make_stack(made, "up"))
        finally:
            for name in made.parts():
                log = subprocess.run(["docker", "logs", "--tail", "30", name], env=docker.environ, check=False,
                                     capture_output=True, text=True)  # fmt: skip
                print(f"--- {name}\n{log.stdout}{log.stderr}")
            make_stack(made, "down --volumes")
            assert made.parts() == set()
            assert not docker.run(
                "docker", "volume", "ls", "--quiet", "--filter", "label=com.docker.compose.project=wattview"
            )


def make_stack(stack: Stack, arguments: str, compose: str = "1.29") -> str:
    stack.docker.environ["PATH"] = f"{Path(COMPOSE_PROGRAMS[compose]).parent}:{os.environ['PATH']}"
    return stack.docker.run("make", "--directory", str(stack.checkout), "stack", f"ARGS={arguments}")


def open_the_way_to(directory: Path) -> None:
    """pytest's directories are closed to others; the daemon's user has to come through, as it may on a real /sys."""
    for step in (directory, *directory.parents):
        if step.owner() == directory.owner() and step != Path("/") and not step.stat().st_mode & 0o005:
            step.chmod(step.stat().st_mode | 0o055)


def test_make_stack_returns_when_every_service_is_healthy(stack: Stack) -> None:
    assert "everything is healthy after" in stack.said
    assert stack.parts() == PARTS | {"victoriametrics", "vmalert"}
    for name in stack.parts():
        assert stack.state(name, "{{.State.Health.Status}} {{.RestartCount}}") == "healthy 0", name
    for port in ("GRAFANA_PORT", "STORE_PORT", "ALERTMANAGER_PORT"):
        assert stack.url(port) in stack.said


def test_the_images_are_small(stack: Stack) -> None:
    def megabytes(image: str) -> float:
        return int(stack.docker.run("docker", "image", "inspect", "--format", "{{.Size}}", image)) / 1e6

    base = megabytes(BASE_IMAGE)
    assert megabytes("wattview") - base < 280, "170 of them are FFmpeg"
    assert megabytes("wattview-nginx-rtmp") - base < 40


def test_a_taken_port_is_named_before_anything_is_started(stack: Stack) -> None:
    """To a second stack, the first is another program."""
    before = stack.parts()
    with pytest.raises(AssertionError) as caught:
        stack.docker.run("env", "COMPOSE_PROJECT_NAME=second", "bash", str(stack.checkout / "scripts/stack.sh"))
    for name in PORTS:
        assert f"port {stack.settings[name]} ({name}) is taken" in str(caught.value)
    assert "nothing was started" in str(caught.value)
    assert stack.parts() == before


def test_commands_in_the_container_have_the_daemon_s_settings(stack: Stack) -> None:
    found = json.loads(stack.docker.run("docker", "exec", "wattview", "wattview", "check", "--json"))
    wanted = {stack.url(port) for port in PORTS if port.endswith(("EXPORTER_PORT", "STATS_PORT", "CADVISOR_PORT"))}
    assert {one["url"] for one in found} == {*wanted, stack.url("HEALTH_CHECK_PORT")}
    assert all(one["healthy"] for one in found)


def test_another_programs_answer_on_our_port_is_not_mistaken_for_the_daemons(stack: Stack) -> None:
    elsewhere = {"HEALTH_CHECK_PORT": stack.settings["NGINX_STAT_PORT"]}
    assert httpx.get(f"{stack.url('NGINX_STAT_PORT')}/health", trust_env=False).status_code == 200
    with pytest.raises(AssertionError, match="no answer from this container's daemon"):
        stack.docker.run("docker", "exec", *(f"--env={k}={v}" for k, v in elsewhere.items()), "wattview", "healthy")
    stack.docker.run("docker", "exec", "wattview", "healthy")


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
    # Others' come and go; a container has no card, and its loopback is no proof.
    assert {path.name for path in Path("/sys/class/net").iterdir() if (path / "device").exists()} | {"lo"} <= devices


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


def test_the_prometheus_and_upstream_profiles_take_the_place_of_what_ran(stack: Stack) -> None:
    """With the real node_exporter in place of ours, scraped under the same host; and by the other Compose."""
    file = stack.checkout / "compose/prometheus/prometheus.yml"
    stack.choose(
        COMPOSE_PROFILES="cpu,prometheus,upstream", ALSO_SCRAPE="node-exporter:9101,cadvisor:8081",
        NODE_EXPORTER_ENABLED="false", CADVISOR_ENABLED="false",
    )  # fmt: skip
    with pytest.raises(AssertionError, match=r"HEALTH_CHECK_PORT is moved, so write 127.0.0.1:\d+ in"):
        make_stack(stack, "up", compose="v2")
    moved = file.read_text().replace(":9600", f":{stack.settings['HEALTH_CHECK_PORT']}")
    file.write_text(moved.replace(":9093", f":{stack.settings['ALERTMANAGER_PORT']}"))
    assert "everything is healthy after" in make_stack(stack, "up", compose="v2")
    assert stack.parts() == PARTS | {"prometheus", "node-exporter", "cadvisor"}
    eventually(lambda: stack.store.value("count(up == 1)") == 10, "ten targets are up", 60)
    [real] = stack.store.query("node_exporter_build_info")
    assert (real["metric"]["host"], real["metric"]["job"]) == (os.uname().nodename, "node-exporter")
    assert real["metric"]["instance"].endswith(":9101")
    assert eventually(lambda: stack.store.value("host:power_watts"), "the rules", 30) > 0
