"""The unit, judged by systemd's own tools, and the settings file that comes with it, by the daemon's own reader."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.stack import REPOSITORY, program
from wattview.config import Config, flatten, load

PACKAGING = REPOSITORY / "packaging"
UNIT = (PACKAGING / "wattview.service").read_text()


def analyse(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([program("systemd-analyze"), *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there: systemd looks for it."""
    path = tmp_path / "wattview.service"
    path.write_text(UNIT.replace("/opt/wattview/bin/wattview", "/bin/true"))
    return path


def test_systemd_takes_the_unit(unit: Path) -> None:
    status, output = analyse("verify", "--man=no", str(unit))
    mine = [line for line in output.splitlines() if "wattview.service" in line]
    assert (status, mine) == (0, [])


def test_systemd_analyze_security_rates_the_daemon_well(unit: Path) -> None:
    status, output = analyse("security", "--offline=true", "--no-pager", str(unit))
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", output)
    assert score is not None, output
    assert float(score[1]) <= 2.5, f"{status}: {output}"


def test_every_device_that_a_source_opens_is_one_of_the_units() -> None:
    """By the driver's name in /proc/devices: ipmi_devintf's is ipmidev, that of a Raspberry Pi's firmware vcio."""
    allowed = re.findall(r"^DeviceAllow=char-(\S+) rw$", UNIT, re.MULTILINE)
    assert sorted(allowed) == ["drm", "ipmidev", "nvidia*", "vcio"]


def test_the_unit_tells_systemd_what_the_daemon_does() -> None:
    assert "Type=notify\n" in UNIT
    assert "WatchdogSec=" in UNIT
    assert "ExecReload=/bin/sh -c 'kill -HUP $MAINPID'\n" in UNIT
    rights = set(re.findall(r"^(?:AmbientCapabilities|CapabilityBoundingSet)=(.*)$", UNIT, re.MULTILINE))
    assert rights == {"CAP_DAC_READ_SEARCH"}


def test_state_and_socket_are_in_the_directories_that_systemd_makes() -> None:
    environ = dict(pair.split("=", 1) for pair in re.findall(r"^Environment=(.*)$", UNIT, re.MULTILINE)[0].split())
    assert load(environ=environ).paths.state == "/var/lib/wattview"
    # The runtime directory is systemd's to make: here it stands for any that exists.
    assert environ["XDG_RUNTIME_DIR"] == "/run/wattview"
    assert "StateDirectory=wattview\n" in UNIT
    assert "RuntimeDirectory=wattview\n" in UNIT


def test_the_settings_file_changes_nothing_and_shows_the_defaults(tmp_path: Path) -> None:
    example = PACKAGING / "wattview.toml"
    environ = {"HOME": str(tmp_path)}
    assert load(example, environ=environ) == load(environ=environ)
    shown = tmp_path / "shown.toml"
    shown.write_text(re.sub(r"^#(\[|\w+ = )", r"\1", example.read_text(), flags=re.MULTILINE))
    told, defaults = flatten(load(shown, environ=environ)), flatten(load(environ=environ))
    assert {key: value for key, value in told.items() if value != defaults[key]} == {"endpoints.node.enabled": False}
    assert len(re.findall(r"^\w+ = ", shown.read_text(), re.MULTILINE)) > 20
    assert isinstance(load(shown, environ=environ), Config)
