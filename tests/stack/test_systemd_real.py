"""The service under a real systemd, from installation to removal, by the very commands of docs/systemd.md.

systemd is the first process of a container: it starts the unit, waits for it, watches it, confines it and ends it. The
machine's RAPL is simulated, with counters that only root may read, as the kernel's are.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import BASE_IMAGE, REPOSITORY, Docker, eventually, running
from wattview.config import EndpointsSettings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAME = "machine"
PAGE = (REPOSITORY / "docs/systemd.md").read_text()
STATE = Path("/var/lib/wattview")
CLI = "sudo -u wattview /opt/wattview/bin/wattview"
HERE = "--set daemon.control_socket=/run/wattview/wattview.sock"

IMAGE = f"""
FROM {BASE_IMAGE}
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    systemd systemd-sysv dbus sudo python3-venv ffmpeg nginx-light libnginx-mod-rtmp
RUN systemctl disable nginx && groupadd docker && printf '[global]\\ncert = /etc/ssl/local-ca.crt\\n' >/etc/pip.conf \
    && printf '#!/bin/sh\\n[ ! -e /sys/fs/cgroup/cgroup.controllers ] || mount -o remount,rw /sys/fs/cgroup\\n\
exec /lib/systemd/systemd\\n' >/init && chmod +x /init
CMD ["/init"]
STOPSIGNAL SIGRTMIN+3
"""
"""Packages as the page installs them (and no other, so that its own apt-get finds nothing more to do)."""


def commands(heading: str, number: int = 0) -> str:
    """A block of shell commands of the page, for the checkout in this container."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    block = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[number]
    return f"set -e\ncd /checkout\n{block.replace('/path/to/wattview', '/checkout')}"


class Machine:
    def __init__(self, docker: Docker) -> None:
        self._docker = docker

    def run(self, script: str) -> str:
        return self._docker.run("docker", "exec", NAME, "bash", "-c", script, seconds=300)

    def shows(self, prop: str) -> str:
        return self.run(f"systemctl show --value --property {prop} wattview").strip()

    def write_settings(self, text: str) -> None:
        """The installed file, with exporters on free ports: the container shares this machine's network."""
        ports = "".join(
            f"[endpoints.{name}]\nport = 0\n" for name in EndpointsSettings.__struct_fields__ if name != "health"
        )
        self.run(f"cat >/etc/wattview/wattview.toml <<'END'\n{text}\n{ports}END")

    def metrics(self, exporter: str) -> str:
        found = json.loads(self.run(f"{CLI} check --json --config /etc/wattview/wattview.toml {HERE} || true"))
        url = next(one["url"] for one in found if one["exporter"] == exporter)
        return self.run(f"/opt/wattview/bin/python -c 'import httpx; print(httpx.get(\"{url}/metrics\").text)'")


@pytest.fixture(scope="module")
def machine(bookworm: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    directory = tmp_path_factory.mktemp("systemd")
    (directory / "Dockerfile").write_text(IMAGE)
    (directory / "context").mkdir()
    bookworm.build("systemd", directory / "Dockerfile", directory / "context")
    sysfs = directory / "sys"
    simulator = (sys.executable, "-m", "tests.support.powercap", str(sysfs), "--watts-from-cpu")
    with running(directory, *simulator, env={"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])}):
        for counter in eventually(lambda: list(sysfs.glob("devices/virtual/powercap/**/energy_uj")), "simulated RAPL"):
            counter.chmod(0o400)
        own = ("--cgroupns", "private", "--env", "container=docker", "--security-opt", "seccomp=unconfined")
        rights = [f"--cap-add={right}" for right in ("SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH")]
        bookworm.run(
            "docker", "run", "--detach", "--name", NAME, "--network", "host", *own, *rights,
            "--security-opt", "apparmor=unconfined", "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp",
            "--volume", f"{REPOSITORY}:/repository:ro", "--volume", f"{sysfs}:/simulated/sys:ro", "systemd",
        )  # fmt: skip
        try:
            made = Machine(bookworm)
            eventually(lambda: made.run("systemctl is-system-running --wait || true").strip() == "running", "it is up")
            made.run("mkdir /checkout && cd /repository && cp -r pyproject.toml README.md src packaging /checkout")
            made.run(commands("Install").replace("sudo systemctl enable --now wattview", "true"))
            made.write_settings('[paths]\nsysfs = "/simulated/sys"')
            made.run("systemctl enable --now wattview")
            yield made
        finally:
            print(bookworm.run("docker", "exec", NAME, "journalctl", "--lines", "100"))
            bookworm.run("docker", "rm", "--force", NAME)


def test_start_returns_when_the_daemon_answers_and_measures(machine: Machine) -> None:
    machine.run("systemctl restart wattview")
    watts = 'wattview_host_power_watts{source="rapl"}'
    eventually(lambda: watts in machine.metrics("rapl-exporter"), "the power, which takes two readings")
    assert machine.shows("ActiveState") == "active"
    log = machine.run("journalctl --unit wattview --output cat")
    assert re.search(r"^INFO wattview\.daemon: ready", log, re.MULTILINE), "the journal has the time already"


def test_it_is_a_user_with_one_right_and_can_write_to_its_own_state_only(machine: Machine) -> None:
    pid = machine.shows("MainPID")
    status = dict(re.findall(r"^(\w+):\t(.*)$", machine.run(f"cat /proc/{pid}/status"), re.MULTILINE))
    assert len({*status["Uid"].split()}) == 1
    assert status["Uid"].split()[0] == machine.run("id -u wattview").strip()
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {1 << 2}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    inside = f"nsenter --target {pid} --mount touch"
    machine.run(f"{inside} {STATE}/x && rm {STATE}/x")
    for place in ("/usr", "/etc", "/var/lib", "/root", "/sys/fs/cgroup"):
        assert "Read-only" in machine.run(f"{inside} {place}/x 2>&1 || true"), place
    modes = machine.run(f"stat --format '%a %U' {STATE} /run/wattview /run/wattview/wattview.sock").splitlines()
    assert modes == ["700 wattview", "750 wattview", "600 wattview"]


def test_systemd_analyze_security_rates_the_unit_well(machine: Machine) -> None:
    score = re.search(r"Overall exposure level for \S+ ([\d.]+)", machine.run("systemd-analyze security wattview"))
    assert score is not None
    assert re.findall(r"([\d.]+) of 10\b", PAGE) == [score[1]]


def test_a_scenario_runs_with_the_command_of_the_page(machine: Machine) -> None:
    block = commands("Install", 1)
    line = next(line for line in block.splitlines() if "wattview run" in line)
    machine.run(f"{line} --name here --streams 1 --duration 4 --warmup 1 --cooldown 0 --baseline 3 --bitrate 300k "
                "--resolution 320x180 --preset ultrafast")  # fmt: skip
    assert 'scenario_energy_joules{scenario="here"}' in machine.metrics("results-exporter")


def test_reload_applies_valid_settings_and_reports_invalid_ones(machine: Machine) -> None:
    pid = machine.shows("MainPID")
    machine.write_settings('[paths]\nsysfs = "/simulated/sys"\n[cost]\npue = 0.1')
    machine.run("systemctl reload wattview")
    eventually(lambda: "cost.pue: expected float >= 1.0" in machine.run("systemctl status wattview"), "the reason")
    machine.write_settings('[paths]\nsysfs = "/simulated/sys"\n[cost]\ncurrency = "EUR"')
    machine.run("systemctl reload wattview")
    wanted = 'wattview_price_energy_per_kwh{currency="EUR"}'
    eventually(lambda: wanted in machine.metrics("rapl-exporter"), "the new settings", every=0.5)
    assert "Status:" not in machine.run("systemctl status wattview"), "nothing is wrong any more"
    assert machine.shows("MainPID") == pid


def test_a_hanging_or_dead_daemon_is_restarted(machine: Machine) -> None:
    machine.run("mkdir -p /run/systemd/system/wattview.service.d")
    machine.run("printf '[Service]\\nWatchdogSec=3s\\n' >/run/systemd/system/wattview.service.d/test.conf")
    machine.run("systemctl daemon-reload && systemctl restart wattview")
    for number, signal in enumerate(("STOP", "KILL"), 1):
        machine.run(f"kill -{signal} {machine.shows('MainPID')}")
        eventually(lambda n=number: machine.shows("NRestarts") == str(n), f"the restart after {signal}", every=0.5)
        eventually(lambda: machine.shows("ActiveState") == "active", "it is up again", every=0.2)


def test_it_stops_cleanly_and_an_upgrade_keeps_what_was_measured(machine: Machine) -> None:
    machine.run("systemctl stop wattview")
    assert (machine.shows("Result"), machine.shows("ExecMainStatus")) == ("success", "0")
    assert machine.run("ls -d /run/wattview 2>/dev/null || echo gone") == "gone\n"
    machine.run("systemctl start wattview")
    before = machine.run(f"{CLI} results list {HERE}")
    assert "here" in before
    machine.run(commands("Upgrade and removal"))
    assert machine.shows("ActiveState") == "active"
    assert machine.run(f"{CLI} results list {HERE}") == before


def test_after_removal_nothing_is_left(machine: Machine) -> None:
    machine.run(commands("Upgrade and removal", 1))
    left = machine.run(
        "find / -xdev -name '*wattview*' -not -path '/checkout/*' -not -path '/proc/*' 2>/dev/null || true"
    )
    assert left.split() == []
    assert machine.run("systemctl status wattview 2>&1; getent passwd wattview || echo no user").endswith("no user\n")
