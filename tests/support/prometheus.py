"""A real Prometheus and a real VictoriaMetrics on loopback, scraping what a test serves, and ended by handle."""

from __future__ import annotations

import asyncio
import shutil
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.conftest import free_port
from wattview.daemon.children import spawn, stop

PACKAGES = {"prometheus": "prometheus", "victoria-metrics": "victoria-metrics", "promtool": "prometheus"}


def program(name: str) -> str:
    """The path of a real part, or a failure that says what to install."""
    found = shutil.which(name)
    assert found is not None, f"{name} is not installed: apt-get install {PACKAGES[name]}"
    return found


@asynccontextmanager
async def serve_metrics(text: Callable[[], str]) -> AsyncIterator[str]:
    """A tiny exporter on a free loopback port; ``text()`` is asked at each scrape. Gives ``127.0.0.1:PORT``."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                body = text().encode()
                head = (
                    f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\n\r\n"
                )
                writer.write(head.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def scrape_config(directory: Path, targets: list[str], interval: str, more: str = "") -> Path:
    """A configuration that both servers take. ``more`` are further lines of the job, such as a password."""
    path = directory / "scrape.yml"
    path.write_text(
        f"global:\n  scrape_interval: {interval}\nscrape_configs:\n"
        f"- job_name: wattview\n  static_configs:\n  - targets: {targets!r}\n{more}"
    )
    return path


@asynccontextmanager
async def prometheus(
    directory: Path, targets: list[str], interval: str = "1s", prefix: str = "", more: str = ""
) -> AsyncIterator[str]:
    """A real Prometheus that scrapes ``targets``; gives its URL."""
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={scrape_config(directory, targets, interval, more)}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    if prefix:
        command.append(f"--web.route-prefix={prefix}")
    async with _running(command, f"http://127.0.0.1:{port}{prefix}", "/-/ready", directory) as url:
        yield url


@asynccontextmanager
async def backfilled_prometheus(directory: Path, lines: list[str], prefix: str = "") -> AsyncIterator[str]:
    """A real Prometheus whose past holds ``lines``: ``series value time``, in OpenMetrics, in order of time."""
    text = directory / "past.txt"
    text.write_text("\n".join([*sorted(lines, key=lambda line: line.rsplit(" ", 2)[0]), "# EOF\n"]))
    command = [
        program("promtool"),
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        str(text),
        str(directory / "prometheus"),
    ]
    filler = await spawn(command, stdout=DEVNULL, stderr=asyncio.subprocess.PIPE)
    _, said = await filler.communicate()
    assert filler.returncode == 0, said.decode()
    async with prometheus(directory, [], prefix=prefix) as url:
        yield url


@asynccontextmanager
async def victoria_metrics(
    directory: Path,
    targets: list[str],
    interval: str = "1s",
    user: str = "",
    password: str = "",
    tls: tuple[Path, Path] | None = None,
) -> AsyncIterator[str]:
    """A real VictoriaMetrics that scrapes ``targets``; gives its URL, without the user. ``tls``: certificate, key."""
    port = free_port()
    command = [
        program("victoria-metrics"),
        f"-promscrape.config={scrape_config(directory, targets, interval)}",
        f"-storageDataPath={directory / 'victoria'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-loggerLevel=ERROR",
        "-memory.allowedBytes=256MB",
    ]
    if user:
        command += [f"-httpAuth.username={user}", f"-httpAuth.password={password}"]
    if tls:
        command += ["-tls", f"-tlsCertFile={tls[0]}", f"-tlsKeyFile={tls[1]}"]
    async with _running(command, f"{'https' if tls else 'http'}://127.0.0.1:{port}", "/health", directory) as url:
        yield url


@asynccontextmanager
async def _running(command: list[str], url: str, ready: str, directory: Path) -> AsyncIterator[str]:
    log = (directory / f"{Path(command[0]).name}.log").open("wb")
    process = await spawn(command, stdout=DEVNULL, stderr=log, cwd=directory)
    try:
        await _until_ready(process, url + ready, Path(log.name))
        yield url
    finally:
        await stop(process)
        log.close()


async def _until_ready(process: Process, url: str, log: Path, patience_seconds: float = 30.0) -> None:
    deadline = time.monotonic() + patience_seconds
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        while True:
            assert process.returncode is None, f"it ended with {process.returncode}: {_said(log)}"
            try:
                if (await http.get(url)).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, f"{url} was not ready in {patience_seconds} s: {_said(log)}"
            await asyncio.sleep(0.05)


def _said(log: Path) -> str:
    return log.read_text(errors="replace")
