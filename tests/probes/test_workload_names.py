"""Names from the CRI's messages and from the kubelet's pod list, whatever these send."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ConfigFactory
from tests.support.containerd import labels, message
from tests.support.docker_api import FakeDockerApi
from tests.support.grpc_server import Answer, GrpcServer, Pieces, framed, silence
from tests.support.workload_tree import until
from wattview.fetch import Access
from wattview.probes import SourceAbsent, SourceBroken, SourceError
from wattview.probes.containers.engines import cri_containers
from wattview.probes.containers.engines.cri_containers import CriContainers
from wattview.probes.workloads.naming import Named, cri, docker_api
from wattview.probes.workloads.naming.cri import CriNames, fields
from wattview.probes.workloads.naming.docker_api import DockerNames
from wattview.probes.workloads.naming.kubelet import KubeletNames


@given(st.lists(st.tuples(st.integers(1, 1000), st.one_of(st.integers(0, 2**63), st.binary(max_size=300)))))
def test_every_field_of_a_message_round_trips(parts: list[tuple[int, int | str | bytes]]) -> None:
    assert [(one.number, one.value) for one in fields(message(*parts))] == parts


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError, IndexError):
        assert all(one.number >= 0 for one in fields(data))


def test_fields_that_a_newer_runtime_adds_are_passed_over() -> None:
    pod = {"pod.name": "web-0", "pod.namespace": "live", "pod.uid": "u"}
    kubernetes = {f"io.kubernetes.{key}": value for key, value in pod.items()}
    fixed64, fixed32 = bytes([0x99, 0x06]) + bytes(8), bytes([15 << 3 | 5]) + bytes(4)
    container = message(
        (1, "c1"), (2, "s1"), (3, message((1, "nginx"), (2, 4))), (4, message((1, "sha256:ab"), (18, "nginx:1"))),
        (6, 1), *labels(8, kubernetes), (77, "what comes next year"),
    ) + fixed64 + fixed32  # fmt: skip
    (found,) = CriNames("crio", "")._containers(message((1, container)))
    assert found == Named(
        id="c1", name="nginx", engine="crio", image="nginx:1", namespace="live", pod="web-0", container="nginx",
        pod_uid="u", attempt=4, labels=kubernetes,
    )  # fmt: skip


PODS = {
    "kind": "PodList",
    "items": [
        {
            "metadata": {"name": "encoder-7d9", "namespace": "live", "uid": "u1", "labels": {"app": "encoder"}},
            "spec": {"nodeName": "n1"},
            "status": {
                "phase": "Running",
                "containerStatuses": [
                    {"name": "ffmpeg", "image": "ffmpeg:7", "containerID": "containerd://c1", "restartCount": 0},
                    {"name": "starting", "image": "x", "state": {"waiting": {}}},
                ],
                "initContainerStatuses": [{"name": "fetch", "image": "curl:8", "containerID": "cri-o://c2"}],
            },
        },
        {"metadata": {"name": "pending", "namespace": "live", "uid": "u2"}},
    ],
}


def test_the_kubelets_pods_name_their_containers(tmp_path: Path) -> None:
    with contextlib.closing(FakeDockerApi(tmp_path / "kubelet")) as kubelet:
        kubelet.raw["/pods"] = json.dumps(PODS).encode()
        names = KubeletNames(kubelet.host, Access())
        found = [(one.id, one.name, one.engine, one.namespace, one.pod, one.container) for one in names.ask()]
        assert found == [
            ("", "encoder-7d9", "", "live", "encoder-7d9", ""),
            ("c1", "ffmpeg", "containerd", "live", "encoder-7d9", "ffmpeg"),
            ("c2", "fetch", "crio", "live", "encoder-7d9", "fetch"),
            ("", "pending", "", "live", "pending", ""),
        ]
        kubelet.raw["/pods"] = b"Unauthorized"
        with pytest.raises(SourceBroken, match="not a list of pods"):
            names.ask()


def test_a_socket_without_grpc_is_broken_and_a_missing_one_absent(tmp_path: Path) -> None:
    with contextlib.closing(FakeDockerApi(tmp_path / "docker")), pytest.raises(SourceBroken, match="docker"):
        CriNames("containerd", str(tmp_path / "docker")).ask()
    with pytest.raises(SourceAbsent):
        CriNames("containerd", str(tmp_path / "none")).ask()


def trickle(name: str) -> Iterator[bytes]:
    while True:
        yield b"\0"
        time.sleep(0.05)


def endless(name: str) -> Iterator[bytes]:
    yield b"\0\xff\xff\xff\xff"
    for _ in range(5000):
        yield bytes(65536)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (silence, "has not answered within"),
        (trickle, "has not answered within"),
        (endless, "more than 16 MiB"),
        (lambda name: [framed(b"\x08\x01" * 500_000)], "more than 5,000 fields"),
        (lambda name: [framed(b"\x0a\x00" * 500_000)], "more than 5,000 fields"),
        (lambda name: [framed((b"\x0a\xc8\x01" + b"\x08\x01" * 100) * (5_000 * (name == "ListContainers")))], ""),
        (lambda name: [framed(b"\x0a" + b"\xff" * 9 + b"\x01")], "not a CRI list"),
        (lambda name: [b"\xff" * 1_000_000], "not a CRI list"),
        (lambda name: [], "not a CRI list"),
    ],
    ids=("silent", "trickling", "endless", "numbers", "empty", "many", "length", "noise", "nothing"),
)
def test_a_hostile_runtime_soon_becomes_a_fault_and_keeps_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, said: str
) -> None:
    monkeypatch.setattr(cri, "SECONDS", 0.5 if answer in (silence, trickle) else 20.0)
    names = CriNames("containerd", str(tmp_path / "cri"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with GrpcServer(tmp_path / "cri", answer):
        began = time.process_time()
        if said:
            with pytest.raises(SourceError, match=said):
                names.ask()
        else:
            assert len(names.ask()) == 5_000
        assert time.process_time() - began < 15.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 250_000, "kB"


def test_a_runtimes_refusal_text_is_truncated(tmp_path: Path) -> None:
    headers = {"grpc-status": "13", "grpc-message": "no " * 10_000}
    with GrpcServer(tmp_path / "cri", lambda name: [], headers), pytest.raises(SourceBroken) as failure:
        CriNames("containerd", str(tmp_path / "cri")).ask()
    assert len(str(failure.value)) < 1000


def test_one_malformed_container_only_loses_itself(tmp_path: Path, make_config: ConfigFactory) -> None:
    oddities = (b"[" * 500_000, b'{"pid": "x"}', b"[1]", b'{"pid": 1e999}', b"null", b"\xff", b'{"image": "\\ud800"}')
    ids = ["good", *(f"odd-{number}" for number in range(len(oddities))), "x" * 300]
    listed = message(*[(1, message((1, id), (3, message((1, "web"))), (6, 1))) for id in ids])

    def answer(name: str) -> Pieces:
        if name == "ListPodSandbox":
            return [framed(b"")]
        if name == "ListContainers":
            return [framed(listed)]
        info = b'{"pid": 4242, "config": []}' if not asked else oddities[(len(asked) - 1) % len(oddities)]
        asked.append(name)
        return [framed(message((2, message((1, "info"), (2, info)))))]

    asked: list[str] = []
    with GrpcServer(tmp_path / "cri", answer):
        config = make_config(f"workloads.engines=crio={tmp_path / 'cri'}")
        found = CriContainers(config, lambda: None)
        found.start()
        found.wait(20.0)
        found.close()
    assert [(one.id, one.pid) for one in found.containers.values()] == [("good", 4242)]


def test_running_crio_containers_are_queried_once(
    tmp_path: Path, make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lists what has ended too, and says ``{}`` of a sandbox without a process (``drop_infra_ctr``, its default)."""
    monkeypatch.setattr(cri_containers, "LIST_SECONDS", 0.01)
    pod = message((1, "encoder"), (2, "u"), (3, "live"))
    sandboxes = [(1, message((1, "s1"), (2, pod))), (1, message((1, "s0"), (2, pod), (3, 1)))]
    containers = [(1, message((1, f"c{state}"), (3, message((1, "ffmpeg"))), (6, state))) for state in (0, 1, 2)]
    answers = {
        "ListPodSandbox": message(*sandboxes),
        "ListContainers": message(*containers),
        "PodSandboxStatus": message((1, message((1, "s1"))), (2, message((1, "info"), (2, "{}")))),
        "ContainerStatus": message((1, message((1, "c1"))), (2, message((1, "info"), (2, '{"pid": 4242}')))),
    }
    asked: list[str] = []

    def answer(name: str) -> Pieces:
        asked.append(name)
        return [framed(answers[name])]

    with GrpcServer(tmp_path / "cri", answer):
        found = CriContainers(make_config(f"workloads.engines=crio={tmp_path / 'cri'}"), lambda: None)
        found.start()
        until(lambda: asked.count("ListContainers") > 3, True, 20.0)
        found.close()
    assert [(one.id, one.pid) for one in found.containers.values()] == [("c1", 4242)]
    assert (asked.count("ContainerStatus"), asked.count("PodSandboxStatus")) == (1, 1)


@contextlib.contextmanager
def saying(where: Path, pieces: Iterable[bytes]) -> Iterator[None]:
    """An engine that answers its one client with these pieces."""

    def serve() -> None:
        client, _ = listening.accept()
        with client, contextlib.suppress(OSError):
            client.recv(1000)
            for piece in pieces:
                client.sendall(piece)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(where))
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def dripping() -> Iterator[bytes]:
    while True:
        time.sleep(0.05)
        yield b" "


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        (dripping(), "did not answer completely within 0.5 s"),
        ((b"x" * 10_000 for _ in range(1000)), "answered more than"),
        ([b"HTTP/1.0 500 Internal Server Error\r\n\r\n[]"], "answered 500 Internal Server Error"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[{"], "not a list of containers"),
        ([b"SSH-2.0-OpenSSH\r\n"], "answered no HTTP"),
        ([], "answered no HTTP"),
    ],
    ids=["dripping", "endless", "failing", "cut", "another", "silent"],
)
def test_an_engine_with_a_useless_list_soon_becomes_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: Iterable[bytes], reason: str
) -> None:
    monkeypatch.setattr(docker_api, "SECONDS", 0.5)
    monkeypatch.setattr(docker_api, "MAX_BYTES", 100_000)
    with saying(tmp_path / "sock", pieces), pytest.raises(SourceBroken, match=reason):
        DockerNames("docker", str(tmp_path / "sock")).ask()
