"""Finding a container's cgroup in every layout, and parsing what stands in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import cgroup_tree as tree
from tests.support.cgroup_tree import ID, OTHER_ID
from wattview.probes import procfs
from wattview.probes.containers.cgroups import cgroup


def found_in(sysfs: Path) -> cgroup.Hierarchies:
    found = cgroup.hierarchies(str(sysfs))
    assert found is not None
    return found


def test_the_cgroup_version_follows_from_the_mounts(tmp_path: Path) -> None:
    assert cgroup.hierarchies(str(tmp_path / "nothing")) is None
    tree.v2_mount(tmp_path / "two")
    assert found_in(tmp_path / "two").version == 2
    tree.v1_mounts(tmp_path / "one")
    assert found_in(tmp_path / "one").version == 1
    hybrid = tree.v1_mounts(tmp_path / "hybrid", joined=False)
    tree.write(hybrid / "unified", {"cgroup.controllers": "", "cgroup.procs": ""})
    assert found_in(tmp_path / "hybrid").version == 1
    assert found_in(tmp_path / "hybrid").mounts[""].endswith("/unified")


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("path", [f"/docker/{ID}", f"/system.slice/docker-{ID}.scope", f"/my-parent/{ID}"])
def test_v1_is_found_under_both_drivers(tmp_path: Path, path: str, joined: bool) -> None:
    tree.v1_mounts(tmp_path, joined=joined)
    tree.v1_cgroup(tmp_path, path)
    named = cgroup.parse_pid_cgroup(
        f"9:pids:{path}\n5:memory:{path}\n4:cpu,cpuacct:{path}\n3:blkio:{path}\n1:name=systemd:{path}\n".encode()
    )
    place = cgroup.locate(found_in(tmp_path), ID, named)
    assert place is not None
    assert place.path == path
    assert set(place.directories) == {"cpuacct", "cpu", "memory", "blkio", "pids"}
    assert all(directory.endswith(path) for directory in place.directories.values())


@pytest.mark.parametrize(
    "path",
    [
        f"/docker/{ID}",
        f"/system.slice/docker-{ID}.scope",
        f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope",
        f"/docker/{OTHER_ID}/docker/{ID}",
    ],
)
def test_v2_is_found_under_both_drivers_rootless_and_nested(tmp_path: Path, path: str) -> None:
    tree.v2_mount(tmp_path)
    directory = tree.v2_cgroup(tmp_path, path)
    place = cgroup.locate(found_in(tmp_path), ID, {"": path})
    assert place == cgroup.Place(path, {"": str(directory)})


def test_a_container_whose_init_is_in_a_child_cgroup_is_measured_completely(tmp_path: Path) -> None:
    tree.v2_mount(tmp_path)
    directory = tree.v2_cgroup(tmp_path, f"/docker/{ID}")
    tree.v2_cgroup(tmp_path, f"/docker/{ID}/init.scope")
    place = cgroup.locate(found_in(tmp_path), ID, {"": f"/docker/{ID}/init.scope"})
    assert place == cgroup.Place(f"/docker/{ID}", {"": str(directory)}, ("init.scope",))


def test_an_outer_container_is_not_mistaken_for_the_inner(tmp_path: Path) -> None:
    tree.v2_mount(tmp_path)
    outer = tree.v2_cgroup(tmp_path, f"/docker/{OTHER_ID}")
    tree.v2_cgroup(tmp_path, f"/docker/{OTHER_ID}/docker/{ID}")
    place = cgroup.locate(found_in(tmp_path), OTHER_ID, {"": f"/docker/{OTHER_ID}/init"})
    assert place is not None
    assert place.directories[""] == str(outer)


def test_a_mount_that_shows_a_part_of_the_hierarchy_is_followed(tmp_path: Path) -> None:
    # As inside a container: the kernel names the whole path, the mount begins at /docker/<outer>.
    tree.v2_mount(tmp_path)
    inner = tree.v2_cgroup(tmp_path, f"/docker/{ID}")
    place = cgroup.locate(found_in(tmp_path), ID, {"": f"/docker/{OTHER_ID}/docker/{ID}"})
    assert place is not None
    assert place.directories[""] == str(inner)


@pytest.mark.parametrize("named", [{}, {"": f"/../../system.slice/docker-{ID}.scope"}, {"": f"/elsewhere/{ID}"}])
def test_a_container_not_found_by_pid_is_found_by_id(tmp_path: Path, named: dict[str, str]) -> None:
    tree.v2_mount(tmp_path)
    directory = tree.v2_cgroup(tmp_path, f"/system.slice/docker-{ID}.scope")
    place = cgroup.locate(found_in(tmp_path), ID, named)
    assert place is not None
    assert place.directories[""] == str(directory)


def test_v1_is_found_by_the_id_in_every_hierarchy(tmp_path: Path) -> None:
    tree.v1_mounts(tmp_path)
    tree.v1_cgroup(tmp_path, f"/docker/{ID}")
    place = cgroup.locate(found_in(tmp_path), ID, {})
    assert place is not None
    assert place.path == f"/docker/{ID}"
    assert set(place.directories) == {"cpuacct", "cpu", "memory", "blkio", "pids"}


def test_a_container_without_a_cgroup_of_its_own_is_not_charged_with_its_session(tmp_path: Path) -> None:
    tree.v2_mount(tmp_path)
    tree.v2_cgroup(tmp_path, "/user.slice/user-1000.slice/session-1.scope")
    named = {"": "/user.slice/user-1000.slice/session-1.scope"}
    assert cgroup.locate(found_in(tmp_path), ID, named) is None


def test_a_deleted_cgroup_keeps_its_name() -> None:
    assert cgroup.parse_pid_cgroup(b"0::/docker/x (deleted)\n") == {"": "/docker/x"}


def test_a_path_may_hold_colons() -> None:
    assert cgroup.parse_pid_cgroup(b"0::/a:b/c\n2:cpu,cpuacct:/d\n") == {"": "/a:b/c", "cpu": "/d", "cpuacct": "/d"}


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"max\n", None), (b"9223372036854771712\n", None), (b"-1\n", None), (b"67108864\n", 67108864), (b"0\n", 0)],
)
def test_no_limit_is_none(text: bytes, value: int | None) -> None:
    assert cgroup.limit(text) == value


def test_cpu_max_and_weight() -> None:
    assert cgroup.cpu_max(b"max 100000\n") == (None, 100000)
    assert cgroup.cpu_max(b"50000 100000\n") == (50000, 100000)


@pytest.mark.parametrize(("weight", "shares"), [(100, 1024), (0, None), (39, None), (1, None), (10000, None)])
def test_a_weight_converts_to_shares_only_by_one_rule(weight: int, shares: int | None) -> None:
    # runc made 39 of 1024 shares up to 1.3.1 and 100 since; 100 is the kernel's own default, and 0 is cpu.idle.
    assert cgroup.shares_of_weight(weight) == shares


def test_io_stat_survives_devices_without_a_newline() -> None:
    # Linux before 6.2 prints a device that has no statistics without ending its line.
    text = b"253:10 253:5 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n8:0 \n"
    assert cgroup.io_stat(text) == {
        (253, 5): {"rbytes": 10, "wbytes": 20, "rios": 1, "wios": 2, "dbytes": 0, "dios": 0}
    }


counts = st.integers(0, 2**63)
words = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=20)
devices = st.tuples(st.integers(0, 4095), st.integers(0, 2**20))


@given(st.dictionaries(words, counts))
def test_every_flat_file_is_read_back(values: dict[str, int]) -> None:
    text = "".join(f"{key} {value}\n" for key, value in values.items())
    assert {key.decode(): int(value) for key, value in cgroup.flat(text.encode()).items()} == values


@given(st.dictionaries(devices, st.dictionaries(st.sampled_from(["Read", "Write", "Total"]), counts, min_size=1)))
def test_every_blkio_file_is_read_back(values: dict[tuple[int, int], dict[str, int]]) -> None:
    lines = [f"{a}:{b} {name} {n}" for (a, b), row in values.items() for name, n in row.items()]
    assert cgroup.blkio("\n".join([*lines, "Total 12", ""]).encode()) == values


@given(st.dictionaries(devices, st.dictionaries(st.sampled_from(["rbytes", "wbytes", "rios"]), counts, min_size=1)))
def test_every_io_stat_file_is_read_back(values: dict[tuple[int, int], dict[str, int]]) -> None:
    lines = [f"{a}:{b} " + " ".join(f"{k}={n}" for k, n in row.items()) for (a, b), row in values.items()]
    assert cgroup.io_stat("\n".join([*lines, ""]).encode()) == values


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_every_pressure_file_is_read_back(some: int, full: int) -> None:
    text = f"some avg10=1.00 avg60=0.50 avg300=0.10 total={some}\nfull avg10=0 avg60=0 avg300=0 total={full}\n"
    assert procfs.pressure(text.encode()) == {"some": some / 1e6, "full": full / 1e6}


@given(st.binary(max_size=200))
def test_no_text_makes_a_parser_fail_otherwise_than_with_a_value_error(data: bytes) -> None:
    for parse in (
        cgroup.parse_pid_cgroup, cgroup.flat, cgroup.limit, cgroup.cpu_max, cgroup.blkio, cgroup.io_stat,
        lambda text: list(procfs.pressure(text)),
    ):  # fmt: skip
        try:
            parse(data)
        except ValueError:
            continue
