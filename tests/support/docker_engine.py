"""A real Docker engine of the tests' own: its own socket, data, containerd namespace and address pool.

It is started and stopped by its own handle, all its containers and networks are removed first, and its one image is
made on the spot out of Debian's static busybox: no registry is asked. Needs root and the packages docker.io and
busybox-static; without them a test that wants it fails and says so.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from wattview.daemon.children import child_command

IMAGE = "wattview-test:latest"
_APPLETS = ("sh", "sleep", "dd", "cat", "true", "false", "nc", "yes", "sync", "rm", "test", "echo", "timeout", "wget")
_START_SECONDS = 60.0


class Engine:
    """One dockerd. ``host`` is its DOCKER_HOST, ``client`` an APIClient of it, ``directory`` where its files are."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "docker.sock"
        self.host = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None
        self._log = directory / "log"
        self._octet = random.randrange(100, 250)
        # Of its own: an engine that is told of none removes docker0, which may be another engine's.
        self._bridge = f"wv{os.urandom(4).hex()}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def client(self) -> Any:
        return self._client

    def start(self) -> None:
        """Starts dockerd and waits until it answers."""
        needed = (("dockerd", "docker.io"), ("containerd", "containerd"), ("runc", "runc"), ("ip", "iproute2"))
        for program, package in needed:
            if shutil.which(program) is None:
                pytest.fail(f"{program} is not installed; run: sudo apt-get install {package}")
        if os.geteuid() != 0:
            pytest.fail("starting a Docker engine needs root; run the tests with sudo")
        if not Path("/sys/class/net", self._bridge).exists():
            subprocess.run(["ip", "link", "add", self._bridge, "type", "bridge"], check=True)
        argv = [
            "dockerd", "--host", self.host, "--data-root", f"{self.directory}/data",
            "--exec-root", f"{self.directory}/exec", "--pidfile", f"{self.directory}/pid",
            "--containerd-namespace", f"wattview-{os.getpid()}-{id(self):x}",
            "--containerd-plugins-namespace", f"wattview-plugins-{os.getpid()}-{id(self):x}",
            "--bridge", self._bridge, "--iptables=false", "--ip6tables=false",
            "--default-address-pool", f"base=10.{self._octet}.0.0/16,size=20",
            "--live-restore", "--shutdown-timeout", "1",
        ]  # fmt: skip
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(child_command(argv), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._client = docker.APIClient(base_url=self.host, version="auto", timeout=30)
                return
            except docker.errors.DockerException:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"dockerd did not start:\n{self._log.read_text()[-3000:]}")
                time.sleep(0.05)

    def import_image(self) -> None:
        busybox = shutil.which("busybox")
        if busybox is None:
            pytest.fail("busybox is not installed; run: sudo apt-get install busybox-static")
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            tar.add(os.path.realpath(busybox), "bin/busybox")
            for applet in _APPLETS:
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        repository, _, tag = IMAGE.partition(":")
        self.client.import_image_from_data(data.getvalue(), repository=repository, tag=tag)

    def address(self, container_id: str, network: str) -> str:
        """Its IP address there. (The engine's own name server needs the packet filter, which is left alone here.)"""
        said = self.client.inspect_container(container_id)
        return str(said["NetworkSettings"]["Networks"][network]["IPAddress"])

    def run(self, name: str, *command: str, network: str = "none", **options: Any) -> str:
        """Creates and starts a container; its id. Options of ``create_host_config`` and ``create_container``."""
        own = {
            key: options.pop(key) for key in ("labels", "healthcheck", "networking_config", "ports") if key in options
        }
        settings = self.client.create_host_config(network_mode=network, **options)
        made = self.client.create_container(IMAGE, list(command), name=name, host_config=settings, **own)
        self.client.start(made["Id"])
        return str(made["Id"])

    def remove(self, container_id: str) -> None:
        with contextlib.suppress(docker.errors.NotFound):
            self.client.remove_container(container_id, force=True, v=True)

    def remove_all(self) -> None:
        for container in self.client.containers(all=True):
            self.remove(container["Id"])
        for network in self.client.networks():
            if network["Name"] not in ("bridge", "host", "none"):
                self.client.remove_network(network["Id"])

    def kill(self) -> None:
        """As a crash does: dockerd is gone at once, its containers live on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        # Its containerd dies with it. Where nobody reaps orphans, the next dockerd would take the dead one for alive.
        (self.directory / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(docker.errors.DockerException):
                self.remove_all()
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._clear()

    def _clear(self) -> None:
        """What an engine that could not end in order has left: processes that name our directory, and mounts in it."""
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if f"{self.directory}/exec/containerd".encode() in line.read_bytes():
                    shim = int(line.parent.name)
                    for child in (line.parent / f"task/{shim}/children").read_text().split():
                        os.kill(int(child), signal.SIGKILL)
                    os.kill(shim, signal.SIGKILL)
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in sorted((mount for mount in mounts if mount.startswith(f"{self.directory}/")), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)
        if Path("/sys/class/net", self._bridge).exists():
            subprocess.run(["ip", "link", "delete", self._bridge], check=True)


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """A running engine with its image, in a directory of its own with a short name (a socket's path may be short)."""
    directory = Path(tempfile.mkdtemp(prefix="wv-docker-"))
    found = Engine(directory)
    try:
        found.start()
        found.import_image()
        yield found
    finally:
        found.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    """One engine for all tests of a session; each test removes the containers that it made."""
    with engine() as found:
        yield found
