"""Telling Prometheus which exporters this daemon serves: its HTTP service discovery, at ``/discovery`` on port 9600.

The format is a JSON list of target groups (https://prometheus.io/docs/prometheus/latest/http_sd/), which vmagent and
VictoriaMetrics read as well. A scrape configuration names one address for each host; which exporters it has, on which
ports, and what the host is called is the daemon's to say; of other exporters there, too (``daemon.also_scrape``).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class TargetGroup(Struct, frozen=True):
    """Addresses to scrape, and the labels that every sample from there gets."""

    targets: list[str]
    labels: dict[str, str]


def target_groups(
    exporters: Iterable[tuple[str, int]], address: str, hostname: str | None, *, encrypted: bool = False
) -> list[TargetGroup]:
    """One group for each exporter, given as (name, port), at the ``address`` that the asker reached us under.

    ``job`` is the exporter's name, ``host`` the machine's, and ``instance`` is made of the machine's name instead of
    the address, which on every host that is scraped from inside is 127.0.0.1. ``__scheme__`` says where TLS is spoken.
    """
    scheme = {"__scheme__": "https"} if encrypted else {}
    host = hostname or address
    bracketed = f"[{address}]" if ":" in address else address
    return [
        TargetGroup([f"{bracketed}:{port}"], {"job": name, "host": host, "instance": f"{host}:{port}"} | scheme)
        for name, port in exporters
    ]
