"""A real nginx with its RTMP module, on free loopback ports, in a directory of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from tests.conftest import free_port

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
T = TypeVar("T")


def eventually(look: Callable[[], T], timeout_seconds: float = 15.0, every_seconds: float = 0.05) -> T:
    """The first result of ``look()`` that is true. For what another process does, and tells nobody."""
    end = time.monotonic() + timeout_seconds
    while not (result := look()):
        assert time.monotonic() < end, f"still {result!r} after {timeout_seconds} s"
        time.sleep(every_seconds)
    return result


class Nginx:
    """``with Nginx(directory) as server:`` — listens when the block begins, is gone when it ends."""

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 1,
        rtmp_extra: str = "",
        stat_extra: str = "",
        listen: str = "127.0.0.1",
    ) -> None:
        assert shutil.which("nginx"), "these tests need nginx: apt-get install nginx-light libnginx-mod-rtmp"
        assert MODULE.exists(), f"these tests need {MODULE}: apt-get install libnginx-mod-rtmp"
        self.directory = directory
        self.rtmp_port, self.stat_port = free_port(), free_port()
        self.stat_url = f"http://127.0.0.1:{self.stat_port}/stat"
        self.rtmp_url = f"rtmp://127.0.0.1:{self.rtmp_port}/live"
        self._process: subprocess.Popen[bytes] | None = None
        user = "user root root;" if os.geteuid() == 0 else ""
        self._configuration = f"""
            load_module {MODULE};
            {user}
            daemon off; worker_processes {workers}; pid nginx.pid; error_log error.log warn;
            events {{ worker_connections 256; }}
            rtmp {{ access_log off; server {{ listen {listen}:{self.rtmp_port};
                application live {{ live on; {rtmp_extra} }} }} }}
            http {{ access_log off; client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp;
                uwsgi_temp_path temp; scgi_temp_path temp;
                server {{ listen {listen}:{self.stat_port};
                    location = /stat {{ rtmp_stat all; {stat_extra} }}
                    location = /page {{ default_type text/html; return 200 '<html><body>Welcome</body></html>'; }}
                    location = /away {{ return 302 /stat; }} }} }}
        """

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def write(self) -> None:
        """The directory with its configuration."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "nginx.conf").write_text(self._configuration)

    def start(self) -> None:
        self.write()
        command = ["nginx", "-p", f"{self.directory}/", "-c", "nginx.conf", "-e", "error.log"]
        self._process = subprocess.Popen(command, start_new_session=True)
        eventually(self._is_up)

    def stop(self) -> None:
        """Ends master and workers: they are the whole of the session that was started for them."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def kill(self) -> None:
        """As a crash: master and workers at once."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "error.log").read_text()
        try:
            return httpx.get(self.stat_url, timeout=1, trust_env=False).status_code in (200, 403)
        except httpx.HTTPError:
            return False
