"""Which process pushes which stream, on trees of /proc as machines with several network namespaces have them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.nobody import as_nobody, directory_for_all
from tests.support.socket_tree import SocketTree
from wattview.daemon.attribution.publishers import host_processes
from wattview.daemon.attribution.publishers.host_processes import HostProcess, HostProcesses
from wattview.daemon.attribution.publishers.matching import (
    MOST_CONNECTIONS,
    Match,
    Matching,
    PushedStream,
    ServerSight,
)
from wattview.daemon.attribution.publishers.push_targets import PushTarget, push_targets
from wattview.probes.tcp_sockets import SocketAddress, endpoint_of, plain_address, tcp_table

NGINX, PORT = 50, 1935
HERE = ("127.0.0.1", PORT)
PUSH = "ffmpeg -re -i film.mp4 -f flv rtmp://127.0.0.1/live/"


@pytest.fixture
def tree(tmp_path: Path) -> SocketTree:
    """A machine with nginx in its own namespace."""
    found = SocketTree(tmp_path / "proc")
    found.process(1, "systemd")
    found.process(NGINX, "nginx -g daemon off;")
    found.listen(NGINX, PORT)
    return found


def look(
    tree: SocketTree,
    *streams: PushedStream,
    bytes_by_port: dict[int, int] | None = None,
    server: int | None = NGINX,
    known: dict[tuple[str, str], Match] | None = None,
) -> dict[str, Match]:
    processes = HostProcesses(tree.write())
    namespace = processes.by_pid[server].namespace if server is not None else None
    sight = ServerSight(namespace, frozenset({server} - {None}), frozenset({PORT}))  # type: ignore[arg-type]
    carried = {SocketAddress("127.0.0.1", port): count for port, count in (bytes_by_port or {}).items()}
    found = Matching(processes, sight, carried, known or {}).match(streams)
    return {name: match for (_, name), match in found.items()}


def stream(name: str, address: str = "127.0.0.1", **more: object) -> PushedStream:
    return PushedStream("live", name, address, **more)  # type: ignore[arg-type]


def method_and_pid(match: Match) -> tuple[str, int | None]:
    return match.method, match.pid


def test_a_reported_port_identifies_the_publishers_process(tree: SocketTree) -> None:
    for pid, port in ((60, 40001), (61, 40002)):
        tree.process(pid, "obs")
        tree.connect(pid, ("127.0.0.1", port), NGINX, HERE)
    found = look(tree, stream("a", "127.0.0.1:40002"), stream("b", "[::ffff:127.0.0.1]:40001"))
    assert {name: method_and_pid(match) for name, match in found.items()} == {"a": ("socket", 61), "b": ("socket", 60)}


def test_without_a_port_the_only_connection_from_that_address_is_the_publishers(tree: SocketTree) -> None:
    tree.process(60, "obs")
    tree.connect(60, ("127.0.0.1", 40001), NGINX, HERE)
    assert method_and_pid(look(tree, stream("a"))["a"]) == ("socket", 60)


def test_several_connections_are_told_apart_by_command_lines_then_by_elimination(tree: SocketTree) -> None:
    """Two FFmpegs, an OBS that says nothing, and two players, all of this machine."""
    programs = {60: PUSH + "b?key=secret", 61: "obs", 62: PUSH + "a", 63: "ffplay rtmp://127.0.0.1/live/a",
                64: "ffmpeg -i rtmp://127.0.0.1/live/a -f null -"}  # fmt: skip
    for pid, command in programs.items():
        tree.process(pid, command)
        tree.connect(pid, ("127.0.0.1", 40000 + pid), NGINX, HERE)
    found = look(tree, stream("a"), stream("b"), stream("c"))
    assert {name: method_and_pid(match) for name, match in found.items()} == {
        "a": ("socket", 62), "b": ("socket", 60), "c": ("socket", 61),
    }  # fmt: skip


def test_one_process_that_pushes_several_streams_has_them_all(tree: SocketTree) -> None:
    tree.process(60, f"{PUSH}high -f flv rtmp://127.0.0.1/live/low")
    tree.process(61, "gst-launch-1.0 videotestsrc ! x264enc ! flvmux ! rtmpsink location=rtmp://127.0.0.1/live/other")
    for pid, port in ((60, 40001), (60, 40002), (61, 40003)):
        tree.connect(pid, ("127.0.0.1", port), NGINX, HERE)
    found = look(tree, stream("high"), stream("low"), stream("other"))
    assert [found[name].pid for name in ("high", "low", "other")] == [60, 60, 61]


def test_silent_publishers_are_told_apart_by_their_traffic(tree: SocketTree) -> None:
    for pid in (60, 61, 62):
        tree.process(pid, "studio")
        tree.connect(pid, ("127.0.0.1", 40000 + pid), NGINX, HERE)
    streams = [stream("a", bytes_in=2_000_000), stream("b", bytes_in=9_000_000)]
    carried = {40060: 9_040_000, 40061: 3_500, 40062: 2_010_000}
    found = look(tree, *streams, bytes_by_port=carried)
    assert (method_and_pid(found["a"]), method_and_pid(found["b"])) == (("traffic", 62), ("traffic", 60))


def test_streams_of_equal_traffic_are_not_guessed(tree: SocketTree) -> None:
    for pid in (60, 61):
        tree.process(pid, "studio")
        tree.connect(pid, ("127.0.0.1", 40000 + pid), NGINX, HERE)
    streams = [stream("a", bytes_in=2_000_000), stream("b", bytes_in=2_050_000)]
    found = look(tree, *streams, bytes_by_port={40060: 2_010_000, 40061: 2_060_000})
    assert found["a"].method == found["b"].method == "none"
    assert "2 connections come from 127.0.0.1" in found["a"].reason


def test_a_match_by_connection_holds_while_it_is_open(tree: SocketTree) -> None:
    for pid in (60, 61):
        tree.process(pid, "studio")
        tree.connect(pid, ("127.0.0.1", 40000 + pid), NGINX, HERE)
    known = {("live", "a"): Match("traffic", 61, endpoint=SocketAddress("127.0.0.1", 40061))}
    found = look(tree, stream("a"), stream("b"), known=known)
    assert (method_and_pid(found["a"]), method_and_pid(found["b"])) == (("traffic", 61), ("socket", 60))


def test_two_encoders_in_one_network_namespace_are_told_apart(tree: SocketTree) -> None:
    """A pod, or a Compose service on another's network: one address for both."""
    pod = tree.namespace("pod", "172.18.0.5")
    for pid, name, port in ((60, "a", 40001), (61, "b", 40002)):
        tree.process(pid, f"ffmpeg -i x -f flv rtmp://172.18.0.1/live/{name}", namespace=pod)
        tree.socket(pid, ("172.18.0.5", port), ("172.18.0.1", PORT))
        tree.socket(NGINX, ("172.18.0.1", PORT), ("172.18.0.5", port))
    found = look(tree, stream("a", "172.18.0.5"), stream("b", "172.18.0.5"))
    assert (method_and_pid(found["a"]), method_and_pid(found["b"])) == (("socket", 60), ("socket", 61))


def test_equal_loopback_ports_of_two_namespaces_are_two_sockets(tree: SocketTree) -> None:
    pod = tree.namespace("pod", "172.18.0.5")
    tree.process(60, "studio")
    tree.connect(60, ("127.0.0.1", 40001), NGINX, HERE)
    tree.process(70, "studio", namespace=pod)
    tree.socket(70, ("127.0.0.1", 40001), ("127.0.0.1", PORT))
    assert method_and_pid(look(tree, stream("a", "127.0.0.1:40001"))["a"]) == ("socket", 60)


def test_behind_dockers_proxy_the_publisher_is_the_proxys_client(tree: SocketTree) -> None:
    """The server's container has port 1935 published as 21935; FFmpeg pushes there from the host."""
    box = tree.namespace("box", "172.17.0.2")
    tree.process(70, "nginx", namespace=box)
    tree.process(80, "docker-proxy -proto tcp -host-port 21935 -container-ip 172.17.0.2 -container-port 1935")
    tree.listen(80, 21935)
    for pid, name, port in ((60, "a", 40001), (61, "b", 40002)):
        tree.process(pid, f"ffmpeg -i x -f flv rtmp://127.0.0.1:21935/live/{name}")
        tree.connect(pid, ("127.0.0.1", port), 80, ("127.0.0.1", 21935))
        tree.connect(80, ("172.17.0.1", port + 10), 70, ("172.17.0.2", PORT))
    found = look(tree, stream("a", "172.17.0.1"), stream("b", "172.17.0.1"), server=70)
    assert (method_and_pid(found["a"]), method_and_pid(found["b"])) == (("socket", 60), ("socket", 61))


def test_behind_nat_the_publisher_is_the_socket_with_the_same_port(tree: SocketTree) -> None:
    """A container's connection leaves its bridge with the host's address, and its own port."""
    box = tree.namespace("box", "172.17.0.2")
    tree.process(60, "studio", namespace=box)
    tree.socket(60, ("172.17.0.2", 40001), ("192.0.2.10", PORT))
    tree.socket(NGINX, ("192.0.2.10", PORT), ("192.0.2.10", 40001))
    assert method_and_pid(look(tree, stream("a", "192.0.2.10"))["a"]) == ("socket", 60)


def test_in_a_rootless_network_the_outer_process_names_the_stream(tree: SocketTree) -> None:
    inner = tree.namespace("inner", "10.0.2.100")
    tree.process(80, "slirp4netns --configure tap0")
    tree.connect(80, ("127.0.0.1", 40001), NGINX, HERE)
    tree.process(60, "ffmpeg -i x -f flv rtmp://10.0.2.2/live/a", namespace=inner)
    tree.socket(60, ("10.0.2.100", 50001), ("10.0.2.2", PORT))
    assert method_and_pid(look(tree, stream("a"))["a"]) == ("socket", 60)


def test_an_unknown_publisher_behind_a_proxy_is_not_the_proxy(tree: SocketTree) -> None:
    tree.process(80, "slirp4netns --configure tap0")
    tree.connect(80, ("127.0.0.1", 40001), NGINX, HERE)
    match = look(tree, stream("a"))["a"]
    assert (match.method, match.pid) == ("none", None)
    assert "slirp4netns" in match.reason


def test_a_publisher_on_another_machine_is_reported_as_remote(tree: SocketTree) -> None:
    """Also where a program of this machine pushes a stream of the same name to yet another server."""
    tree.process(60, "ffmpeg -i rtmp://127.0.0.1/live/a -c copy -f flv rtmp://203.0.113.5/live/a")
    tree.socket(60, ("192.0.2.10", 40001), ("203.0.113.5", PORT))
    tree.socket(NGINX, ("192.0.2.10", PORT), ("192.0.2.7", 51000))
    found = look(tree, stream("a", "192.0.2.7"), stream("b", "192.0.2.7:51000"), stream("c", "[2001:db8::7]:51000"))
    assert [(match.method, match.host) for match in found.values()] == [
        ("remote", "192.0.2.7"), ("remote", "192.0.2.7"), ("remote", "2001:db8::7"),
    ]  # fmt: skip


def test_relays_and_pulls_belong_to_the_server(tree: SocketTree) -> None:
    """nginx pushes a copy to itself; it pulls another stream from elsewhere."""
    tree.connect(NGINX, ("127.0.0.1", 40001), NGINX, HERE)
    found = look(tree, stream("copy"), stream("pulled", "rtmp://203.0.113.5/live/x", fetched=True))
    assert (found["copy"].method, found["pulled"].method) == ("server", "server")


def test_a_server_on_another_machine_knows_this_ones_publishers_by_their_connections(tree: SocketTree) -> None:
    tree.process(60, "studio")
    tree.socket(60, ("192.0.2.10", 40001), ("203.0.113.5", PORT))
    found = look(tree, stream("a", "192.0.2.10"), stream("b", "198.51.100.3"), server=None)
    assert (method_and_pid(found["a"]), found["b"].method) == (("socket", 60), "remote")


def test_loopback_at_a_server_on_another_machine_is_that_machines(tree: SocketTree) -> None:
    """Whatever pushes a stream of that name to a server of this machine."""
    tree.process(60, PUSH + "a")
    tree.connect(60, ("127.0.0.1", 40001), NGINX, HERE)
    processes = HostProcesses(tree.write())
    sight = ServerSight(None, frozenset(), frozenset({PORT}), elsewhere="media.example.org")
    match = Matching(processes, sight, {}, {}).match([stream("a")])["live", "a"]
    assert (match.method, match.host) == ("remote", "media.example.org")


def test_a_shell_that_started_it_is_not_the_encoder(tree: SocketTree) -> None:
    """No connection is seen, as where the server's port is not known: what is left is the command line."""
    tree.process(60, f"sh -c {PUSH}a")
    tree.process(61, f"{PUSH}a", parent=60)
    tree.process(62, f"docker run encoder {PUSH}a")
    assert method_and_pid(look(tree, stream("a"))["a"]) == ("command line", 61)


def test_an_inherited_socket_belongs_to_the_parent(tree: SocketTree) -> None:
    tree.process(60, "studio")
    tree.process(61, "studio --helper", parent=60)
    tree.connect(61, ("127.0.0.1", 40001), NGINX, HERE)
    tree._files[60] = dict(tree._files[61])
    assert look(tree, stream("a"))["a"].pid == 60


def test_helpers_of_a_publisher_belong_to_its_family(tree: SocketTree) -> None:
    """``encoder | ffmpeg``, with a child of the encoder; a program that only steers FFmpeg is none of them."""
    tree.process(10, "manager")
    tree.process(60, "encoder", parent=10, group=60)
    tree.process(61, "worker", parent=60, group=60)
    tree.process(62, f"{PUSH}a", parent=10, group=60)
    tree.process(63, f"{PUSH}b", parent=10)
    tree.pipe(60, 62)
    tree.pipe(10, 63)
    processes = HostProcesses(tree.write())
    assert processes.family(62) == {60, 61, 62}
    assert processes.family(63) == {63}
    assert processes.family(60, others=[61]) == {60}


@pytest.mark.parametrize("parent_of", [lambda pid: pid - 1, lambda pid: pid // 2, lambda pid: 2, lambda pid: pid ^ 1])
def test_the_descendants_of_ten_thousand_processes_are_found_quickly(parent_of: Callable[[int], int]) -> None:
    """A chain, a tree, a flat one, and pairs of which each is the other's parent, as pids that are used again show."""
    processes = HostProcesses("/nonexistent")
    for pid in range(2, 10_002):
        processes.by_pid[pid] = HostProcess(pid, parent_of(pid), 2, "worker", "", "net:[1]")
    began = time.process_time()
    assert processes.family(2) <= processes.by_pid.keys()
    assert len(list(processes.ancestors(10_001))) < 10_001
    assert time.process_time() - began < 2.0


def test_no_publisher_is_chosen_from_many_connections_of_one_address(tree: SocketTree) -> None:
    tree.process(60, "flood")
    for number in range(MOST_CONNECTIONS + 1):
        tree.connect(60, ("127.0.0.1", 20_000 + number), NGINX, HERE)
    tree.process(61, f"{PUSH}named")
    streams = [stream(name) for name in ("named", *(f"live-{number}" for number in range(200)))]
    found = look(tree, *streams)
    assert (found["named"].method, found["named"].pid) == ("command line", 61)
    assert found["live-1"].method == "none"
    assert "1,001 connections come from 127.0.0.1" in found["live-1"].reason


# what a daemon without the right to look at other users' processes can tell


def test_without_cap_sys_ptrace_command_lines_identify_publishers_or_give_a_reason() -> None:
    with directory_for_all() as directory:
        tree = SocketTree(directory)
        tree.process(NGINX, "nginx")
        tree.process(60, f"{PUSH}a")
        tree.process(61, "studio")
        for pid in (60, 61):
            tree.connect(pid, ("127.0.0.1", 40000 + pid), NGINX, HERE)
        root = tree.write(readable=False)
        with as_nobody():
            processes = HostProcesses(root)
            sight = ServerSight(processes.by_pid[NGINX].namespace, frozenset({NGINX}), frozenset({PORT}))
            found = Matching(processes, sight, {}, {}).match([stream("a"), stream("b")])
    assert method_and_pid(found["live", "a"]) == ("command line", 60)
    assert method_and_pid(found["live", "b"]) == ("none", None)
    assert "CAP_SYS_PTRACE" in found["live", "b"].reason


# command lines


@pytest.mark.parametrize(
    ("command", "targets"),
    [
        (["ffmpeg", "-i", "in.mp4", "-f", "flv", "rtmp://h/live/cam?key=1"], [("h", 1935, "live/cam")]),
        (["ffmpeg", "-i", "rtmp://h/live/in", "-c", "copy", "-f", "flv", "rtmps://h:8443/a/b"], [("h", 8443, "a/b")]),
        (["ffmpeg", "-f", "tee", "[f=flv]rtmp://h/live/x|[f=flv]rtmp://[2001:db8::1]:1936/live/x"],
         [("h", 1935, "live/x"), ("2001:db8::1", 1936, "live/x")]),
        (["gst-launch-1.0", "rtmpsrc", "location=rtmp://in/a/b", "!", "rtmp2sink", "location=rtmp://out/a/c live=1"],
         [("out", 1935, "a/c")]),
        (["gst-launch-1.0", "uridecodebin uri=rtsp://cam/1 ! x264enc ! rtspclientsink location=rtsp://h:8554/live/1"],
         [("h", 8554, "live/1")]),
        (["ffmpeg", "-f", "mpegts", "srt://h:8890?streamid=publish:live/cam:user:pass"], [("h", 8890, "live/cam")]),
        (["srt-live-transmit", "x", "srt://h:8890?streamid=#!::m=publish,r=live/cam"], [("h", 8890, "live/cam")]),
        (["sh", "-c", "exec ffmpeg -i rtmp://in/a/b -f flv 'rtmp://out/a/c'"], [("out", 1935, "a/c")]),
        (["ffmpeg", "-i", "x", "rtmp://h:99999/a/b"], []),
        (["bash"], []),
    ],
)  # fmt: skip
def test_the_targets_of_a_command_line(command: list[str], targets: list[tuple[str, int, str]]) -> None:
    assert list(push_targets(command)) == [PushTarget(*one) for one in targets]


@given(st.lists(st.text() | st.from_regex(r"(rtmp|srt|rtsp)://[^ ]*"), max_size=5))
def test_any_command_line_can_be_parsed(command: list[str]) -> None:
    assert all(one.host for one in push_targets(command))


def test_a_stream_is_known_by_its_name_escaped_or_as_nginx_writes_it() -> None:
    assert PushTarget("h", None, "live/caf%C3%A9").is_stream("live", "café")
    assert PushTarget("h", None, "live/café").is_stream("live", "caf  ")
    assert PushTarget("h", None, "talk").is_stream("", "talk")
    assert not PushTarget("h", None, "live/cam10").is_stream("live", "cam1")


# addresses


def test_addresses_as_servers_and_the_kernel_write_them() -> None:
    texts = ("192.0.2.1", "192.0.2.1:50", "::1", "[::1]:50", "::ffff:192.0.2.1", "fe80::1%eth0", "unix:", "rtmp://h/a")
    assert [endpoint_of(text) for text in texts] == [
        ("192.0.2.1", 0), ("192.0.2.1", 50), ("::1", 0), ("::1", 50), ("192.0.2.1", 0), ("fe80::1", 0), None, None,
    ]  # fmt: skip
    assert plain_address(b"\x7f\x00\x00\x01") == "127.0.0.1"
    v6 = (
        b"  sl  local_address\n"
        b"   0: 0000000000000000FFFF00000100007F:078F 0000000000000000FFFF00000200007F:C001 01 0:0 0:0 0 0 0 77 1\n"
        b"   1: B80D0120000000000000000001000000:078F B80D0120000000000000000002000000:C001 01 0:0 0:0 0 0 0 78 1\n"
    )
    assert [(one.here, one.there, one.inode) for one in tcp_table(v6)] == [
        (("127.0.0.1", 1935), ("127.0.0.2", 49153), 77), (("2001:db8::1", 1935), ("2001:db8::2", 49153), 78),
    ]  # fmt: skip


def test_of_a_command_line_of_megabytes_only_the_beginning_is_read(tree: SocketTree) -> None:
    tree.process(60, "ffmpeg " + "|".join(f"rtmp://h{at}/live/a" for at in range(200_000)))
    (found,) = [one for one in HostProcesses(tree.write()).by_pid.values() if one.pid == 60]
    assert 0 < len(found.targets) <= host_processes.MOST_TARGETS
