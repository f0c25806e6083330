"""A real containerd of the tests' own with its CRI, and pods in it, made over its socket as the kubelet makes them.

Its image is Debian's static busybox, imported as a file: no registry is asked. Needs root, containerd and runc.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from wattview.daemon.children import child_command
from wattview.probes.workloads.naming.cri import fields

IMAGE = "docker.io/library/wattview-test:1"
_START_SECONDS = 30.0
_NODE = 2
"""NamespaceMode: the host's network needs no CNI."""

CONFIG = """
version = 2
root = "{directory}/root"
state = "{directory}/state"
[grpc]
  address = "{directory}/containerd.sock"
[ttrpc]
  address = "{directory}/ttrpc.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
"""


def message(*parts: tuple[int, int | str | bytes]) -> bytes:
    """A protocol buffer of these fields."""
    data = b""
    for number, value in parts:
        if isinstance(value, int):
            data += _varint(number << 3) + _varint(value)
        else:
            encoded = value.encode() if isinstance(value, str) else value
            data += _varint(number << 3 | 2) + _varint(len(encoded)) + encoded
    return data


def _varint(value: int) -> bytes:
    data = b""
    while value > 0x7F:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


def labels(number: int, values: dict[str, str]) -> list[tuple[int, bytes]]:
    """A map field."""
    return [(number, message((1, key), (2, value))) for key, value in values.items()]


class Containerd:
    """One containerd. ``socket`` is where its CRI listens."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = str(directory / "containerd.sock")
        self._process: subprocess.Popen[bytes] | None = None
        self._pods: list[str] = []

    def start(self) -> None:
        for program, package in (("containerd", "containerd"), ("runc", "runc"), ("busybox", "busybox-static")):
            if shutil.which(program) is None:
                pytest.fail(f"{program} is not installed; run: sudo apt-get install {package}")
        config, log = self.directory / "config.toml", self.directory / "log"
        config.write_text(CONFIG.format(directory=self.directory, image=IMAGE))
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                child_command(["containerd", "--config", str(config)]), stdout=output, stderr=output
            )
        self._ctr("version", wait=True)
        archive = self.directory / "image.tar"
        archive.write_bytes(image_archive())
        self._ctr("images", "import", "--snapshotter", "native", str(archive))

    def pod(self, namespace: str, name: str, uid: str, **containers: list[str]) -> dict[str, str]:
        """A running pod with its containers; their ids by name, the sandbox's under ""."""
        kubernetes = {"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": namespace,
                      "io.kubernetes.pod.uid": uid}  # fmt: skip
        host_network = message((1, message((1, _NODE), (2, 0))))
        linux = message((1, f"/kubepods/pod{uid}"), (2, host_network))
        config = message(
            (1, message((1, name), (2, uid), (3, namespace))), (3, f"{self.directory}/logs"), *labels(6, kubernetes),
            (8, linux),
        )  # fmt: skip
        sandbox = self._id("RunPodSandbox", message((1, config)))
        self._pods.append(sandbox)
        found = {"": sandbox}
        for container, command in containers.items():
            about = message(
                (1, message((1, container))), (2, message((1, IMAGE))), *((3, word) for word in command),
                *labels(9, {**kubernetes, "io.kubernetes.container.name": container}), (11, f"{container}.log"),
            )  # fmt: skip
            id = self._id("CreateContainer", message((1, sandbox), (2, about), (3, config)))
            self.call("StartContainer", message((1, id)))
            found[container] = id
        return found

    def call(self, method: str, request: bytes) -> bytes:
        """One call of the CRI: the message that answers it."""
        url = f"http://localhost/runtime.v1.RuntimeService/{method}"
        transport = httpx.HTTPTransport(uds=self.socket, http1=False, http2=True)
        body = b"\0" + len(request).to_bytes(4, "big") + request
        headers = {"content-type": "application/grpc", "te": "trailers"}
        with httpx.Client(transport=transport, timeout=60) as client:
            answer = client.post(url, content=body, headers=headers)
        assert answer.headers.get("grpc-status", "0") == "0", f"{method}: {answer.headers.get('grpc-message')}"
        return answer.content[5:]

    def remove(self, container_id: str) -> None:
        self.call("StopContainer", message((1, container_id)))
        self.call("RemoveContainer", message((1, container_id)))

    def stop(self) -> None:
        for pod in self._pods:
            with contextlib.suppress(AssertionError, httpx.HTTPError):
                self.call("StopPodSandbox", message((1, pod)))
                self.call("RemovePodSandbox", message((1, pod)))
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGKILL)

    def _id(self, method: str, request: bytes) -> str:
        (found,) = [one.value for one in fields(self.call(method, request)) if one.number == 1]
        assert isinstance(found, bytes)
        return found.decode()

    def _ctr(self, *arguments: str, wait: bool = False) -> None:
        deadline = time.monotonic() + _START_SECONDS
        command = ["ctr", "--address", self.socket, "--namespace", "k8s.io", *arguments]
        while (done := subprocess.run(command, capture_output=True, text=True, check=False)).returncode:
            log = (self.directory / "log").read_text()[-2000:]
            assert wait, f"{arguments}: {done.stderr}"
            assert time.monotonic() < deadline, f"containerd did not start: {done.stderr}\n{log}"
            time.sleep(0.1)


def image_archive() -> bytes:
    """An image as ``docker save`` writes one: busybox, and as its program a sleep."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        busybox = shutil.which("busybox")
        assert busybox is not None
        tar.add(os.path.realpath(busybox), "bin/busybox")
        for applet in ("sh", "sleep"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    diff = "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sleep", "100000"]},
         "rootfs": {"type": "layers", "diff_ids": [diff]}}
    ).encode()  # fmt: skip
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]).encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in (("config.json", config), ("layer.tar", layer.getvalue()), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


@contextlib.contextmanager
def containerd(directory: Path) -> Iterator[Containerd]:
    one = Containerd(directory)
    try:
        one.start()
        yield one
    finally:
        one.stop()
