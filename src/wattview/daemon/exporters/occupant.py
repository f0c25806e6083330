"""Which program answers on a port that is not, or may not be, one of our exporters.

A program gives its name in its metrics (``node_exporter_build_info``), in HTTP's ``Server``, or nowhere; the kernel
knows the process, and shows it to root and to the process' owner.
"""

from __future__ import annotations

import asyncio
import re

import httpx
import msgspec

from wattview.daemon.exporters.expected import SelfReport
from wattview.exposition import TEXT
from wattview.fetch import FetchError, bounded_body
from wattview.foreign_text import cut

SECONDS = 2.0
MAX_BYTES = 4 * 1024 * 1024

_BUILD_INFO = re.compile(rb"^([a-z][a-z0-9_]*?)_(?:build|version)_info[{ ]", re.MULTILINE)
LONGEST_PROGRAM = 60
_NAME = re.compile(rf"[\x20-\x7e]{{1,{LONGEST_PROGRAM}}}")


async def get(client: httpx.AsyncClient, url: str, seconds: float, max_bytes: int) -> tuple[httpx.Response, bytes]:
    """An answer and its body, limited in time and size. Raises TimeoutError, httpx.HTTPError and FetchError."""
    headers = {"Accept": TEXT, "Accept-Encoding": "identity"}
    async with asyncio.timeout(seconds), client.stream("GET", url, headers=headers) as answer:
        return answer, await bounded_body(answer, url, max_bytes)


async def self_report(client: httpx.AsyncClient, url: str, seconds: float) -> SelfReport | None:
    """The self-report of any WattView's exporter; None if no WattView answers."""
    try:
        answer, body = await get(client, f"{url}/health", seconds, MAX_BYTES)
        return msgspec.json.decode(body, type=SelfReport) if answer.status_code == 200 else None
    except (TimeoutError, httpx.HTTPError, FetchError, msgspec.DecodeError, RecursionError):
        return None


def described(answer: httpx.Response, body: bytes, report: SelfReport | None, name: str = "") -> str:
    """The program behind this answer to ``/metrics``, if it can be told. ``name`` is the expected exporter."""
    if report is not None:
        which = f"{report.exporter} of a WattView" if name not in ("", report.exporter) else "another WattView"
        return f"{which} (version {report.version}, process {report.pid})"
    names: list[str] = [cut(match.decode(), LONGEST_PROGRAM) for match in _BUILD_INFO.findall(body[:MAX_BYTES])]
    foreign = [name for name in names if name not in ("go", "wattview")]
    if foreign:
        return f"another program, {foreign[0]}"
    server = _NAME.match(answer.headers.get("server", ""))
    return f"another program, {server[0]}" if server else "another program, name unknown"


async def occupant(url: str) -> str:
    """The program that holds the port of this URL on this machine."""
    client = httpx.AsyncClient(verify=False, trust_env=False, timeout=SECONDS)  # noqa: S501 - it is only looked at
    async with client:
        try:
            answer, body = await get(client, f"{url}/metrics", SECONDS, MAX_BYTES)
            who = described(answer, body, await self_report(client, url, SECONDS))
        except (TimeoutError, httpx.HTTPError, FetchError):
            who = "another program, which does not speak HTTP"
    return await with_process(who, url)


async def with_process(who: str, url: str) -> str:
    """The same with the process that listens on this URL's port, if it has no name yet and the kernel shows it."""
    if "process" in who:
        return who
    process = await asyncio.to_thread(_listening_process, httpx.URL(url).port or 0)
    return f"{who} ({process})" if process else who


def _listening_process(port: int) -> str:
    """The process that listens on a TCP port, if the kernel shows it."""
    import psutil

    try:
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid is not None:
                return f"process {one.pid}, {psutil.Process(one.pid).name()}"
        return ""
    except (psutil.Error, OSError):
        return ""
