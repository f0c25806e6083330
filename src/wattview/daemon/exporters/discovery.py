"""Prometheus HTTP service discovery of this daemon's exporters, at ``/discovery`` on port 9600.

The format is a JSON list of target groups (https://prometheus.io/docs/prometheus/latest/http_sd/), which vmagent and
VictoriaMetrics read as well. A scrape configuration then needs one address per host: the daemon supplies its exporters,
their ports and the host's name, and also other exporters there (``daemon.also_scrape``).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class TargetGroup(Struct, frozen=True):
    """Addresses to scrape, and the labels of all samples from there."""

    targets: list[str]
    labels: dict[str, str]


def target_groups(
    exporters: Iterable[tuple[str, int]], address: str, hostname: str | None, *, encrypted: bool = False
) -> list[TargetGroup]:
    """One group per exporter, given as (name, port), at the ``address`` under which the client reached us.

    ``job`` is the exporter's name, ``host`` the machine's. ``instance`` uses the machine's name instead of the address,
    which is 127.0.0.1 on every host that is scraped from inside. ``__scheme__`` says whether TLS is used.
    """
    scheme = {"__scheme__": "https"} if encrypted else {}
    host = hostname or address
    bracketed = f"[{address}]" if ":" in address else address
    return [
        TargetGroup([f"{bracketed}:{port}"], {"job": name, "host": host, "instance": f"{host}:{port}"} | scheme)
        for name, port in exporters
    ]
