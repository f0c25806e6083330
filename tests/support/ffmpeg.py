"""Real FFmpegs, a real RTMP server and real processes for the tests of scenarios."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import free_port
from tests.support.daemon import alive, descendants
from wattview.daemon.lab.encoding.capabilities import Capabilities

NGINX_RTMP = """
{module}
daemon off; master_process off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 256; }}
rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; record off; {rules} }} }} }}
"""
CAPABILITIES = Capabilities()
"""What the FFmpegs of this machine can do is tried once, and their scores are checked once, for all tests together."""

RTMP_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")


def need(program: str, package: str) -> str:
    """The path of a program that the tests cannot do without."""
    path = shutil.which(program)
    assert path is not None, f"{program} is needed by the tests; run: sudo apt-get install {package}"
    return path


def vmaf_ffmpeg() -> str:
    """An FFmpeg that has libvmaf: the static one of imageio-ffmpeg."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def run(*command: str, cwd: Path | None = None, timeout: float = 60) -> str:
    """Runs a command to its end and returns its standard output; what it complains of is the test's failure."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def make_clip(
    path: Path, *, size: str = "320x180", fps: int = 25, seconds: float = 1.0, audio_seconds: float = 0
) -> Path:
    """A small video file, nearly lossless."""
    sound = (
        ["-f", "lavfi", "-i", f"sine=frequency=300:duration={audio_seconds}", "-c:a", "aac"] if audio_seconds else []
    )
    picture = f"testsrc2=size={size}:rate={fps}:duration={seconds}"
    run(need("ffmpeg", "ffmpeg"), "-v", "error", "-y", "-f", "lavfi", "-i", picture, *sound,
        "-c:v", "libx264", "-preset", "ultrafast", "-qp", "1", "-pix_fmt", "yuv420p", str(path))  # fmt: skip
    return path


def ffmpegs_of(pid: int) -> set[int]:
    """The pids of all FFmpegs that descend from a process now, those included that are just being started."""
    return {
        child for child in descendants(pid) if alive(child) and _name(child).startswith(("ffmpeg", "setpriv", "nice"))
    }


def own_ffmpegs() -> set[int]:
    return ffmpegs_of(os.getpid())


async def until(condition: object, what: str, seconds: float = 20.0) -> None:
    """Waits until a callable is true. For what happens in another process and has no event to await."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.02)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""


class RtmpServer:
    """nginx with its RTMP module on a free port. ``url`` ends in the application; ``freeze`` stops it from reading."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.url = f"rtmp://127.0.0.1:{port}/live"

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


@contextmanager
def rtmp_server(directory: Path, rules: str = "") -> Iterator[RtmpServer]:
    """A real RTMP server for as long as the block lasts. ``rules`` are further directives of its application."""
    nginx = need("nginx", "nginx-light libnginx-mod-rtmp")
    assert RTMP_MODULE.exists(), "nginx's RTMP module is needed; run: sudo apt-get install libnginx-mod-rtmp"
    port = free_port()
    configuration = directory / "nginx.conf"
    configuration.write_text(
        NGINX_RTMP.format(module=f"load_module {RTMP_MODULE};", directory=directory, port=port, rules=rules), "utf-8"
    )
    process = subprocess.Popen(
        [nginx, "-p", str(directory), "-c", str(configuration)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    server = RtmpServer(process, port)
    try:
        _wait_listening(process, port)
        yield server
    finally:
        server.end()


def _wait_listening(process: subprocess.Popen[bytes], port: int) -> None:
    import socket

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert process.poll() is None, f"nginx ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("nginx did not listen within 10 s")
