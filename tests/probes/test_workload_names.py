"""Names from the CRI's messages and from the kubelet's pod list, whatever these send."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.containerd import labels, message
from tests.support.docker_api import FakeDockerApi
from wattview.fetch import Access
from wattview.probes import SourceAbsent, SourceBroken
from wattview.probes.workloads.naming import Named
from wattview.probes.workloads.naming.cri import CriNames, fields
from wattview.probes.workloads.naming.kubelet import KubeletNames


@given(st.lists(st.tuples(st.integers(1, 1000), st.one_of(st.integers(0, 2**63), st.binary(max_size=300)))))
def test_every_field_of_a_message_is_taken_out_as_it_was_put_in(parts: list[tuple[int, int | str | bytes]]) -> None:
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
        *labels(8, kubernetes), (77, "what comes next year"),
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


def test_a_socket_that_speaks_no_grpc_is_broken_and_one_that_is_not_there_absent(tmp_path: Path) -> None:
    with contextlib.closing(FakeDockerApi(tmp_path / "docker")), pytest.raises(SourceBroken, match="docker"):
        CriNames("containerd", str(tmp_path / "docker")).ask()
    with pytest.raises(SourceAbsent):
        CriNames("containerd", str(tmp_path / "none")).ask()
