"""Two machines that are one: a media server and its daemon with a network and processes of their own, and encoders and
their daemon outside, where the other cannot look."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.daemon import running_daemon
from tests.support.nginx import MODULE
from wattview.client import Address, Client
from wattview.model import Stream
from wattview.tui.fleet.remote_encoders import RemoteEncoders

OUR_ADDRESS, SERVER_ADDRESS = (f"10.213.{os.getpid() % 250}.{host}" for host in (1, 2))

NGINX = """
load_module {module};
daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log; user root;
events {{}}
rtmp {{ server {{ listen 1935; application live {{ live on; }} }} }}
http {{ access_log off; server {{ listen 127.0.0.1:8088; location /stat {{ rtmp_stat all; }} }} }}
"""
ENDPOINTS = ("rapl", "docker", "node", "containers", "nginx_rtmp", "results", "qoe", "cost", "gpu", "health")


class Machines(NamedTuple):
    server: str
    """The control socket of the daemon beside the media server."""

    encoders: str


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture
def machines() -> Iterator[Machines]:
    namespace = f"wv{os.getpid()}"
    link, inner = f"{namespace}a", f"{namespace}b"
    with tempfile.TemporaryDirectory(prefix="wv") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        _ip("netns", "add", namespace)
        stack.callback(_ip, "netns", "del", namespace)
        _ip("link", "add", link, "type", "veth", "peer", "name", inner, "netns", namespace)
        _ip("addr", "add", f"{OUR_ADDRESS}/30", "dev", link)
        _ip("link", "set", link, "up")
        for words in (f"addr add {SERVER_ADDRESS}/30 dev {inner}", f"link set {inner} up", "link set lo up"):
            _ip("netns", "exec", namespace, "ip", *words.split())
        (directory / "nginx.conf").write_text(NGINX.format(module=MODULE, directory=directory))
        sets = [
            f"paths.state={directory}/server", f"daemon.control_socket={directory}/server.sock",
            "streams.nginx_rtmp_url=http://127.0.0.1:8088/stat", "streams.rtmp_url=rtmp://127.0.0.1:1935/live",
            "docker.host=unix:///nowhere", "workloads.engines=", *(f"endpoints.{one}.port=0" for one in ENDPOINTS),
        ]  # fmt: skip
        daemon = " ".join([sys.executable, "-m", "wattview", "daemon", *(f"--set {one}" for one in sets)])
        inside = subprocess.Popen(
            ["ip", "netns", "exec", namespace, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c",
             f"nginx -c {directory}/nginx.conf & exec {daemon}"],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(inside.wait, 20)
        stack.callback(inside.kill)  # the first process of its namespace ends with it, and so all others there
        outside = stack.enter_context(running_daemon(directory, "docker.host=unix:///nowhere", "workloads.engines="))
        for stream, preset in (("cam1", "ultrafast"), ("cam2", "medium")):
            encoder = subprocess.Popen(
                ["ffmpeg", "-loglevel", "quiet", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-c:v",
                 "libx264", "-preset", preset, "-f", "flv", f"rtmp://{SERVER_ADDRESS}/live/{stream}"]
            )  # fmt: skip
            stack.callback(encoder.wait)
            stack.callback(encoder.terminate)
        yield Machines(f"unix://{directory}/server.sock", f"unix://{outside.socket}")


@pytest.mark.slow
async def test_a_remote_encoder_is_found_on_its_machine_with_its_power(machines: Machines) -> None:
    remote = RemoteEncoders([("studio", Address(machines.encoders))])
    deadline = time.monotonic() + 60
    found: dict[str, Stream] = {}
    async with Client(machines.server) as client:
        while not (len(found) == 2 and all(one.power_watts for one in found.values())):
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.5)
            with contextlib.suppress(Exception):
                snapshot = await client.snapshot()
                alone = {one.name: one for one in snapshot.streams if one.encoder is not None}
                assert all(one.encoder and one.encoder.match == "remote" for one in alone.values())
                if alone and remote.due(snapshot):
                    await remote.ask(snapshot, "")
                found = {one.name: one for one in remote.completed(snapshot).streams}
    await remote.close()
    for name, one in found.items():
        assert alone[name].power_watts is None, "its daemon alone does not know"
        assert one.encoder is not None
        assert (one.encoder.program, one.encoder.host) == ("ffmpeg", "studio")
        assert _command(one.encoder.pid).endswith(f"/live/{name}"), "each has its own"
        assert one.power_watts == pytest.approx((one.server_watts or 0) + (one.encoder.watts or 0))


def _command(pid: int | None) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0")
