"""Messages of the kernel's routing socket: whole, cut short, and from the kernel itself."""

from __future__ import annotations

import collections
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ConfigFactory
from wattview.probes.node import arp, netlink

ROOT = 0xFFFFFFFF


def attribute(code: int, value: bytes) -> bytes:
    whole = (len(value) + 4).to_bytes(2, sys.byteorder) + code.to_bytes(2, sys.byteorder) + value
    return whole + bytes(-len(whole) % 4)


def number(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, sys.byteorder)


def message(parent: int, *attributes: bytes) -> bytes:
    """struct tcmsg (linux/rtnetlink.h) of device 7, and its attributes."""
    return bytes(4) + number(7) + number(0x80010000) + number(parent) + number(2) + b"".join(attributes)


QUEUE = b"".join(map(number, (5, 640, 3, 2, 9)))  # qlen, backlog, drops, requeues, overlimits
BASIC = number(123456789012, 8) + number(4242) + bytes(4)
OLD = number(77, 8) + b"".join(map(number, (6, 5, 4, 0, 0, 3, 2))) + bytes(4)
NAMES = {7: "eth7"}


def test_statistics_are_read_out_of_the_nested_attributes() -> None:
    nested = attribute(7, attribute(1, BASIC) + attribute(3, QUEUE))
    assert netlink.qdisc(message(ROOT, attribute(1, b"fq_codel\0"), nested), NAMES) == netlink.Qdisc(
        "eth7", "fq_codel", ROOT, 123456789012, 4242, 3, 2, 9, 5, 640
    )


def test_nested_statistics_take_precedence_over_old_ones() -> None:
    old = netlink.qdisc(message(ROOT, attribute(1, b"pfifo\0"), attribute(3, OLD)), NAMES)
    assert (old.bytes, old.packets, old.drops, old.overlimits, old.queue_length, old.backlog) == (77, 6, 5, 4, 3, 2)
    both = message(ROOT, attribute(3, OLD), attribute(7, attribute(1, BASIC) + attribute(3, QUEUE)))
    assert netlink.qdisc(both, NAMES).bytes == 123456789012


@given(st.integers(0, 200))
def test_a_truncated_message_is_a_ValueError_or_a_part_of_it(length: int) -> None:
    whole = message(ROOT, attribute(1, b"fq_codel\0"), attribute(7, attribute(1, BASIC) + attribute(3, QUEUE)))
    try:
        found = netlink.qdisc(whole[:length], collections.defaultdict(str, NAMES))
    except ValueError as error:
        assert "netlink" in str(error)
    else:
        assert found.parent == ROOT


# A network of its own: two ends of a cable, neighbours of several kinds, and a queue that lets one packet through,
# keeps two, and drops the rest.
NETWORK = """
import json, os, socket, subprocess
from wattview import config
from wattview.probes.node import arp, qdisc

def run(text):
    subprocess.run(text.split(), check=True)

def values(collector):
    families = collector.collect()
    return {family.name + text: value for family in families for text, value in family.samples}

run("mount -t proc proc /proc")
if os.path.exists("/proc/sys/net/ipv6"):
    for name in ("all", "default"):
        with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w") as file:
            file.write("1")
run("ip link add here type veth peer name there")
run("ip link set here up")
run("ip link set there up")
run("ip address add 192.0.2.1/24 dev here")
run("ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 nud permanent dev here")
run("ip neigh replace 192.0.2.3 lladdr 02:00:00:00:00:03 nud permanent dev here")
run("ip neigh replace 192.0.2.4 lladdr 02:00:00:00:00:04 nud stale dev here")
run("ip neigh replace 192.0.2.5 lladdr 02:00:00:00:00:05 nud noarp dev here")
run("tc qdisc add dev here root handle 1: tbf rate 8bit burst 1540b limit 2100b")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    for _ in range(10):
        udp.sendto(b"x" * 958, ("192.0.2.2", 9))
settings = config.load(environ={"HOME": "/nonexistent"})
told = subprocess.run(["tc", "-s", "-j", "qdisc", "show", "dev", "here"], capture_output=True, check=True).stdout
with open("/proc/net/arp") as table:
    print(json.dumps([values(arp.Arp(settings)), values(qdisc.Qdiscs(settings)), table.read(), told.decode()]))
"""


def test_the_kernels_own_tables_are_read_as_ip_and_tc_read_them() -> None:
    command = ["unshare", "--net", "--mount", "--pid", "--fork", sys.executable, "-c", NETWORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"needs root, util-linux and iproute2:\n{done.stderr}"
    neighbours, qdiscs, table, told = json.loads(done.stdout)
    assert neighbours['node_arp_entries{device="here"}'] == table.count(" here\n") == 3
    assert neighbours['node_arp_states{device="here",state="permanent"}'] == 2
    assert neighbours['node_arp_states{device="here",state="stale"}'] == 1
    (root,) = [one for one in json.loads(told) if one.get("root")]
    where = '{device="here",kind="tbf"}'
    assert (root["packets"], root["qlen"], root["drops"]) == (1, 2, 7)
    for name, field in (
        ("bytes_total", "bytes"), ("packets_total", "packets"), ("drops_total", "drops"),
        ("requeues_total", "requeues"), ("overlimits_total", "overlimits"), ("current_queue_length", "qlen"),
        ("backlog", "backlog"),
    ):  # fmt: skip
        assert qdiscs[f"node_qdisc_{name}{where}"] == root[field], name


def test_the_table_in_proc_does_where_another_machines_proc_is_read(tmp_path: Path, make_config: ConfigFactory) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/arp").write_text(
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "192.0.2.1        0x1         0x2         cc:aa:dd:ee:aa:bb     *        eth0\n"
        "192.0.2.2        0x1         0x2         bb:cc:dd:ee:ff:aa     *        eth0\n"
        "192.0.2.3        0x1         0x2         bb:cc:dd:ee:ff:aa     *        nope\n"
    )
    families = arp.Arp(make_config(f"paths.procfs={tmp_path}", "node.arp_device_exclude=^nope$")).collect()
    assert {family.name: family.samples for family in families} == {
        "node_arp_entries": [('{device="eth0"}', 2)],
        "node_arp_states": [],
    }


class Refusing:
    """A socket that the kernel refuses with an error message, as it does without the right or the protocol."""

    def __init__(self, *_: object) -> None: ...
    def __enter__(self) -> Refusing:
        return self

    def __exit__(self, *_: object) -> None: ...
    def settimeout(self, seconds: float) -> None: ...
    def send(self, data: bytes) -> None: ...

    def recv(self, size: int) -> bytes:
        header = number(36) + number(2, 2) + number(0, 2) + number(1) + number(0)
        return header + number(2**32 - 1) + bytes(16)


def test_a_netlink_refusal_is_a_kernel_error_and_arp_falls_back_to_proc(
    monkeypatch: pytest.MonkeyPatch, make_config: ConfigFactory
) -> None:
    monkeypatch.setattr(netlink.socket, "socket", Refusing)
    with pytest.raises(PermissionError):
        netlink.qdiscs()
    entries, states = arp.Arp(make_config()).collect()
    assert sum(value for _, value in entries.samples) == len(Path("/proc/net/arp").read_text().splitlines()) - 1
    assert states.samples == []


def route_message(length: int, kind: int, *attributes: bytes) -> bytes:
    """struct rtmsg (linux/rtnetlink.h) of a route that DHCP made, and its attributes."""
    return bytes((2, length, 0, 0, 254, 16, 0, kind)) + number(0) + b"".join(attributes)


def hop(weight: int, device: int, *attributes: bytes) -> bytes:
    whole = b"".join(attributes)
    return number(8 + len(whole), 2) + bytes((0, weight - 1)) + number(device) + whole


def test_a_route_over_two_paths_has_both_with_their_weights() -> None:
    hops = hop(1, 7, attribute(5, bytes((192, 0, 2, 1)))) + hop(20, 8, attribute(5, bytes((192, 0, 2, 9))))
    body = route_message(24, 1, attribute(1, bytes((198, 51, 100, 0))), attribute(6, number(100)), attribute(9, hops))
    assert netlink.route(body, {7: "eth7", 8: "eth8"}) == netlink.Route(
        "198.51.100.0/24", "", 100, 16, (netlink.Hop("eth7", "192.0.2.1", "1"), netlink.Hop("eth8", "192.0.2.9", "20"))
    )


def test_a_route_to_this_machine_itself_is_not_a_unicast_route() -> None:
    assert netlink.route(route_message(32, 2, attribute(1, bytes((127, 0, 0, 1)))), {}) is None
