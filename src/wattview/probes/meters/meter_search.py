"""Searches a part of the network for meters, on request: Shelly, Tasmota and Redfish, by their answers.

It sends only plain requests for public pages of these devices, to a few hosts at a time, without passwords, and only on
request. SNMP agents do not answer without a community, so they are not searched.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from wattview.fetch import FetchError, bounded_body

SECONDS = 2.0
AT_ONCE = 32
MOST_HOSTS = 1024
MAX_BYTES = 256 * 1024
OK, UNAUTHORIZED = 200, 401


class FoundMeter(Struct, frozen=True):
    """One meter: ``kind`` and ``url`` for ``[[power.meters]]``, and its own description."""

    kind: str
    url: str
    words: str


def hosts_of(text: str) -> tuple[list[str], int]:
    """``192.0.2.0/28`` or ``192.0.2.7``, optionally with ``:PORT``, as (hosts, port; 0 is the default). Raises
    ValueError, also for more than ``MOST_HOSTS``."""
    network_text, colon, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "")
    if colon and not (port.isascii() and port.isdecimal() and 0 < int(port) <= 65535):
        raise ValueError(f"expected ADDRESS/PREFIX:PORT, got {text!r}")
    try:
        network = ipaddress.ip_network(network_text, strict=False)
    except ValueError:
        raise ValueError(f"expected a network such as 192.0.2.0/28, got {text!r}") from None
    if network.num_addresses > MOST_HOSTS:
        raise ValueError(f"{text} has {network.num_addresses:,} addresses; look in at most {MOST_HOSTS:,} at a time")
    hosts = [str(host) for host in network.hosts()] or [str(network.network_address)]
    return [f"[{host}]" if ":" in host else host for host in hosts], int(port or 0)


async def find_meters(text: str, looked: Callable[[], None] = lambda: None) -> AsyncIterator[FoundMeter]:
    """The meters of that network, in order of answers; ``looked`` is called after each host. Raises ValueError."""
    hosts, port = hosts_of(text)
    turns = asyncio.Semaphore(AT_ONCE)
    # Nothing here is secret, and a BMC's certificate is usually self-signed.
    async with httpx.AsyncClient(verify=False, trust_env=False, timeout=SECONDS) as client:  # noqa: S501

        async def look(host: str) -> FoundMeter | None:
            async with turns:
                try:
                    return await _meter_at(client, host, port)
                finally:
                    looked()

        for answer in asyncio.as_completed([look(host) for host in hosts]):
            found = await answer
            if found is not None:
                yield found


async def _meter_at(client: httpx.AsyncClient, host: str, port: int) -> FoundMeter | None:
    place = f"{host}:{port}" if port else host
    ways: tuple[tuple[str, Callable[[httpx.AsyncClient, str], Awaitable[FoundMeter | None]]], ...] = (
        (f"http://{place}", _shelly), (f"http://{place}", _tasmota), (f"https://{place}", _redfish),
        (f"http://{place}", _redfish),
    )  # fmt: skip
    for url, way in ways:
        with contextlib.suppress(httpx.HTTPError, FetchError, TimeoutError):
            async with asyncio.timeout(SECONDS):
                if (found := await way(client, url)) is not None:
                    return found
    return None


async def _shelly(client: httpx.AsyncClient, url: str) -> FoundMeter | None:
    said = await _json(client, f"{url}/shelly")
    if not isinstance(said.get("mac"), str) or not {"type", "gen"} & said.keys():
        return None
    password = ", with a password" if said.get("auth") or said.get("auth_en") else ""
    model = said.get("model") or said.get("type")
    return FoundMeter("shelly", url, f"a Shelly {model}{password}")


async def _tasmota(client: httpx.AsyncClient, url: str) -> FoundMeter | None:
    said = await _json(client, f"{url}/cm?cmnd=Status%208")
    if "WARNING" in said:
        return FoundMeter("tasmota", url, "Tasmota, with a password")
    sensors = said.get("StatusSNS")
    if not isinstance(sensors, dict):
        return None
    return FoundMeter("tasmota", url, "Tasmota" if "ENERGY" in sensors else "Tasmota, without a power meter")


async def _redfish(client: httpx.AsyncClient, url: str) -> FoundMeter | None:
    said = await _json(client, f"{url}/redfish/v1/")
    if "RedfishVersion" not in said:
        return None
    product = said.get("Product") or said.get("Vendor") or ""
    return FoundMeter("redfish", url, f"a Redfish service {product}".strip())


async def _json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """A page's JSON object; empty if it is anything else."""
    async with client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
        if response.status_code not in (OK, UNAUTHORIZED):
            return {}
        body = await bounded_body(response, url, MAX_BYTES)
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = msgspec.json.decode(body)
        return said if isinstance(said, dict) else {}
    return {}
