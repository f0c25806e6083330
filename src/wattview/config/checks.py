"""Checks that types cannot express: settings that contradict each other, and malformed texts."""

from __future__ import annotations

import re

from wattview.config.meters import meter_problem
from wattview.config.node import NODE_COLLECTORS, Node
from wattview.config.prices import grid_problem
from wattview.config.section import ConfigError, seconds
from wattview.config.tables import POWER_CHOICES, Config, Endpoint, EndpointsSettings

PUSHED = ("srt://", "rtsp://", "rtsps://", "rtmp://", "rtmps://")
"""What the lab can push to."""


def checked(config: Config) -> Config:
    """The same settings. Raises ConfigError if one is wrong."""
    for key, text in (("interval", config.history.interval), ("retention", config.history.retention)):
        try:
            if seconds(text) <= 0:
                raise ValueError("expected more than 0 seconds")
        except ValueError as error:
            raise ConfigError(f"history.{key}: {error}") from None
    if config.cost.timezone:
        import zoneinfo

        try:
            zoneinfo.ZoneInfo(config.cost.timezone)
        except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
            raise ConfigError(
                f"cost.timezone: expected a name such as Europe/Berlin, got {config.cost.timezone!r}"
            ) from None
    if config.streams.managed == "always" and config.streams.server not in ("auto", "nginx-rtmp"):
        raise ConfigError(
            f"streams.managed: always starts an nginx-rtmp, and streams.server says {config.streams.server}; set "
            "streams.managed=auto or never"
        )
    if config.history.backend == "prometheus" and not config.history.prometheus_url:
        raise ConfigError("history.prometheus_url: needed with history.backend = prometheus")
    for key, url, schemes in (
        ("history.prometheus_url", config.history.prometheus_url, ("http://", "https://")),
        ("streams.nginx_rtmp_url", config.streams.nginx_rtmp_url, ("http://", "https://")),
        ("streams.rtmp_url", config.streams.rtmp_url, ("rtmp://", "rtmps://")),
        ("workloads.kubelet_url", config.workloads.kubelet_url, ("http://", "https://")),
        ("docker.host", config.docker.host, ("unix://", "tcp://", "http://", "https://", "ssh://")),
    ):
        if url and not url.startswith(schemes):
            raise ConfigError(f"{key}: expected a URL that begins with {' or '.join(schemes)}, got {_shown(url)!r}")
    for name, url in config.scenarios.targets.items():
        if not url.startswith(PUSHED):
            raise ConfigError(f"scenarios.targets.{name}: expected an address that begins with {', '.join(PUSHED)}")
    if config.daemon.control_listen:
        try:
            _ = config.daemon.control_address
        except ValueError as error:
            raise ConfigError(f"daemon.control_listen: {error}") from None
    if config.daemon.control_listen and not config.daemon.token_file:
        raise ConfigError(
            "daemon.token_file: needed with daemon.control_listen (every call over TCP carries the token)"
        )
    try:
        _ = config.daemon.others
    except ValueError as error:
        raise ConfigError(f"daemon.also_scrape: {error}") from None
    if config.power.sources not in POWER_CHOICES:
        raise ConfigError(f"power.sources: expected one of {', '.join(POWER_CHOICES)}, got {config.power.sources!r}")
    if problem := meter_problem(config.power.meters) or grid_problem(config.cost.grid):
        raise ConfigError(problem)
    idle, full = config.power.estimate_idle_watts_per_cpu, config.power.estimate_max_watts_per_cpu
    if idle is not None and full is not None and full < idle:
        raise ConfigError("power.estimate_max_watts_per_cpu: must not be less than power.estimate_idle_watts_per_cpu")
    for key, names in (("enable", config.node.enabled), ("disable", config.node.disabled)):
        if unknown := sorted(names - NODE_COLLECTORS):
            raise ConfigError(f"node.{key}: no collector is named {unknown[0]!r}")
    for name in Node.__struct_fields__:
        if name.endswith(("_include", "_exclude")):
            try:
                re.compile(getattr(config.node, name))
            except re.error as error:
                raise ConfigError(f"node.{name}: not a regular expression: {error}") from None
    ports: dict[int, str] = {}
    for name in EndpointsSettings.__struct_fields__:
        endpoint: Endpoint = getattr(config.endpoints, name)
        if endpoint.enabled and endpoint.port:
            if endpoint.port in ports:
                raise ConfigError(
                    f"endpoints.{name}.port: {endpoint.port} is also the port of endpoints.{ports[endpoint.port]}"
                )
            ports[endpoint.port] = name
    return config


def _shown(url: str) -> str:
    """A URL without its possible user and password, however malformed."""
    return url.rpartition("@")[2]
