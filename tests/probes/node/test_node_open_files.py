"""Files under /sys stay open, and what they say still belongs to the device that has the name now."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.open_files import open_files
from wattview.probes.node.collector import Directories, Directory

# In a network namespace of its own, with its own view of /sys: interfaces that go, come again and change places.
INTERFACES = """
import json, subprocess
from wattview import config
from wattview.probes.node.netclass import Netclass

def ip(text):
    subprocess.run(["ip", *text.split()], check=True)

def mtus():
    families = {family.name: family for family in collector.collect()}
    return {text[9:-2]: value for text, value in families["node_network_mtu_bytes"].samples if text != '{device="lo"}'}

subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
collector = Netclass(config.load(environ={"HOME": "/nonexistent"}))
ip("link add one mtu 1111 type veth peer name two mtu 2222")
seen = [mtus(), mtus()]
ip("link del one")
seen.append(mtus())
ip("link add one mtu 3333 type veth peer name two mtu 4444")
seen.append(mtus())
for old, new in (("one", "other"), ("two", "one"), ("other", "two")):
    ip(f"link set {old} name {new}")
seen.append(mtus())
ip("link set one mtu 1234")
seen.append(mtus())
print(json.dumps(seen))
"""


def test_removed_returned_and_renamed_interfaces_are_distinguished() -> None:
    command = ["unshare", "--net", "--mount", sys.executable, "-c", INTERFACES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"needs root, util-linux and iproute2:\n{done.stderr}"
    assert json.loads(done.stdout) == [
        {"one": 1111, "two": 2222},
        {"one": 1111, "two": 2222},
        {},
        {"one": 3333, "two": 4444},
        {"one": 4444, "two": 3333},
        {"one": 1234, "two": 3333},
    ]


@pytest.fixture
def device(tmp_path: Path) -> Path:
    (tmp_path / "chip").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "chip" / name).write_text("1\n")
    return tmp_path / "chip"


def open_paths(under: Path) -> set[str]:
    return {path.name for path in map(Path, open_files()) if path.is_relative_to(under)}


def test_a_file_stays_open_and_is_read_again(device: Path) -> None:
    directory = Directory(str(device))
    assert directory.number("a") == 1
    assert open_paths(device) == {"chip", "a"}
    (device / "a").write_text("2\n")
    assert directory.number("a") == 2


def test_no_more_files_stay_open_than_all_directories_may_hold(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Directory, "max_files", Directory.open_files + 2)
    first, second = Directory(str(device)), Directory(str(device))
    for _ in range(2):
        assert [first.number("a"), second.number("b"), second.number("c")] == [1, 1, 1]
    assert open_paths(device) == {"chip", "a", "b"}
    first.close()
    assert second.number("c") == 1
    assert open_paths(device) == {"chip", "b", "c"}


def test_closing_releases_every_file(device: Path) -> None:
    before = Directory.open_files
    directory = Directory(str(device))
    directory.number("a")
    directory.number("b")
    del directory
    assert open_paths(device) == set()
    assert Directory.open_files == before


def test_a_recreated_directory_is_read_instead_of_its_predecessor(device: Path) -> None:
    directories = Directories(str(device.parent))
    assert directories.found()["chip"].number("a") == 1
    device.rename(device.parent.parent / f"{device.parent.name}-gone")
    assert directories.found() == {}
    device.mkdir()
    (device / "a").write_text("7\n")
    assert directories.found()["chip"].number("a") == 7


def test_two_directories_that_change_names_are_not_confused(tmp_path: Path) -> None:
    for name, value in (("eth0", "10"), ("eth1", "11")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mtu").write_text(value)
    directories = Directories(str(tmp_path))
    assert {name: directory.number("mtu") for name, directory in directories.found().items()} == {
        "eth0": 10,
        "eth1": 11,
    }
    for old, new in (("eth0", "x"), ("eth1", "eth0"), ("x", "eth1")):
        (tmp_path / old).rename(tmp_path / new)
    assert {name: directory.number("mtu") for name, directory in directories.found().items()} == {
        "eth0": 11,
        "eth1": 10,
    }


def test_a_missing_file_is_none_and_a_missing_directory_too(device: Path) -> None:
    assert Directory(str(device)).number("nothing") is None
    assert Directory(str(device / "nothing")).text("a") is None
    assert Directory(str(device / "nothing")).names() == []


@pytest.mark.parametrize(("text", "number"), [("0x1f\n", 31), ("-1\n", -1), ("-0x10", -16), ("up\n", None), ("", None)])
def test_numbers_are_read_as_the_kernel_writes_them(device: Path, text: str, number: int | None) -> None:
    (device / "a").write_text(text)
    assert Directory(str(device)).number("a") == number
