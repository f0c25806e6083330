"""Writes docs/configuration.md from the settings' own types: ``python scripts/configuration_reference.py``.

Keys, types, defaults, bounds and the paragraph of each table come from ``wattview.config``; the sentence of each key
stands here, because a type has none. A key without a sentence, and a sentence without a key, is an error.
``--check`` writes nothing and says by its exit status whether the page is what it would write.
"""

from __future__ import annotations

import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Meta

from wattview import config
from wattview.config import Config, Section

LONG = 50
"""A default longer than this stands below its table."""

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"

MEANINGS = {
    "paths.procfs": "where `/proc` of the measured machine is mounted",
    "paths.sysfs": "where its `/sys` is mounted",
    "paths.rootfs": "where its root file system is mounted (sizes of file systems, `os-release`)",
    "paths.state": 'history, runs, learnt idle power, the managed media server; `""` is '
    "`$XDG_STATE_HOME/wattview`, else `~/.local/state/wattview`",
    "paths.results": 'the directory of results files; `""` is `results` in `paths.state`',
    "daemon.listen": "the address on which all exporters listen",
    "daemon.control_socket": 'the Unix socket of the control API; `""` is `wattview.sock` in `$XDG_RUNTIME_DIR`, else '
    "in `paths.state`",
    "daemon.control_listen": '`host:port` of the control API over TCP; `""` is none',
    "daemon.token_file": "a file, mode 0600, with the token for calls over TCP (at least 16 characters)",
    "daemon.web_config_file": "TLS and passwords for exporters and control port, in the format of "
    "exporter-toolkit's `--web.config.file` ([Security](security.md#tls-and-passwords))",
    "daemon.max_requests": "concurrent scrapes over all exporters; more are queued",
    "daemon.log_level": "how much the daemon writes to standard error",
    "daemon.also_scrape": "exporters of this machine that are not WattView's: `node-exporter:9101,cadvisor:8081` lets "
    "`/discovery` list them with WattView's, with the same label `host`",
    "power.sources": "which power source is used",
    "power.sample_hz": "power samples a second; a source that is updated less often is read less often",
    "power.estimate_idle_watts_per_cpu": "estimated power of one idle logical CPU, W",
    "power.estimate_max_watts_per_cpu": "estimated power of one fully used logical CPU, W; not less than the idle one",
    "power.account": "how power is divided unless a client asks otherwise: `marginal` (above idle power) or "
    "`attributional` (idle power divided too)",
    "power.idle_watts": "idle power of the host, if known; 0: it is learnt while the machine is at rest",
    "power.budget_watts": "the machine's power, GPUs included, above which an alert is raised",
    "power.meters": "wall meters ([Meters](meters.md)), as a list of tables `[[power.meters]]`",
    "power.meters[].kind": "which kind of meter it is; required",
    "power.meters[].name": 'what it is called; `""` is its kind',
    "power.meters[].url": "where it answers: `http://host`, `https://host` or `snmp://host`",
    "power.meters[].outlets": "its switches, phases, outlets or chassis that feed this machine; empty: all",
    "power.meters[].query": "the PromQL expression of its power, W",
    "power.meters[].energy_query": "the PromQL expression of its energy counter, J",
    "power.meters[].token_file": "a file with `user:password`, a token, or SNMP's community",
    "power.meters[].token_env": "the environment variable that holds the same",
    "power.meters[].ca_file": "the certificate (PEM) of its CA, or its own if self-signed",
    "power.meters[].check_hostname": "whether its certificate must be for the name in `url`",
    "power.meters[].interval": 'how often it is read, as a duration; `""` is the default of its kind',
    "power.meters[].accuracy_percent": "its specified accuracy; not set: the usual one of its kind",
    "power.meters[].machines": "how many machines are behind it",
    "power.meters[].share": "this machine's share of its power, if several are behind it",
    "power.meters[].supply": "it measures only one of this machine's power supplies",
    "node.enable": "collectors to switch on in addition to the default ones",
    "node.disable": "collectors to switch off",
    "node.udev_data": "udev's database (labels of disks)",
    "node.textfile_directory": "a directory whose `*.prom` files are served too",
    "node.bcache_priority_stats": "serve `node_bcache_priority_stats_*`, for which the kernel sorts all buckets",
    "node.cpu_info": "serve `node_cpu_info`",
    "node.cpu_flags_include": "CPU flags to serve as `node_cpu_flag_info`; sets `cpu_info`",
    "node.cpu_bugs_include": "CPU bugs to serve as `node_cpu_bug_info`; sets `cpu_info`",
    "node.perf_cpus": 'the CPUs whose counters the `perf` collector serves, as `0-3,8`; `""` is all',
    "node.pcidevice_names": "label PCI devices with their names from the pci.ids file",
    "node.pcidevice_ids_file": 'that file; `""` is the distribution\'s',
    "node.netclass_ignore_invalid_speed": "leave out the speed that some drivers give as -1",
    "node.stat_softirq": "serve `node_softirqs_total`",
    "node.dbus_address": "D-Bus's system bus, for the `systemd` and `logind` collectors",
    "node.systemd_task_metrics": "serve tasks of each service",
    "node.systemd_restarts_metrics": "serve the number of restarts of each service",
    "node.systemd_start_time_metrics": "serve the start time of each unit",
    "node.sysctl": "kernel settings to serve as numbers",
    "node.sysctl_info": "kernel settings to serve as text",
    "docker.host": "the address of the Docker engine's API",
    "docker.store_container_labels": "make containers' labels labels of cAdvisor's metrics (100 of them at most)",
    "docker.whitelisted_container_labels": "labels to keep when `store_container_labels` is false; comma-separated",
    "docker.ended_seconds": "how long an ended container is still served, in seconds; at least the scrape interval",
    "workloads.enabled": "whether workloads are measured",
    "workloads.engines": "sources of containers' names: `auto`, or engines and sockets, comma-separated",
    "workloads.ended_seconds": "how long an ended workload is still served, in seconds; at least the scrape interval",
    "workloads.kubelet_url": "the kubelet's address, to read the node's pods from; `https://127.0.0.1:10250`",
    "workloads.kubelet_token_file": "a file with a bearer token for it; in a pod the service account's is used",
    "streams.nginx_rtmp_url": "the statistics page or the HTTP API of the RTMP server",
    "streams.rtmp_url": "where scenarios push their streams: `rtmp://host:port/application`",
    "streams.token_file": "a file with a bearer token or `user:password` for that page or API",
    "streams.server": "which RTMP server it is: `auto`, `nginx-rtmp`, `mediamtx` or `srs`",
    "streams.managed": "whether the daemon starts the managed media server; `wattview up` and `wattview run` set `auto`",
    "streams.nginx": "the nginx program of the managed media server",
    "http.ca_file": "certificates (PEM) to trust in addition to the system's and those of `SSL_CERT_FILE`",
    "history.backend": "where past values are read from; `sqlite` is also where they are written",
    "history.prometheus_url": "the server's address; needed with the `prometheus` backend",
    "history.prometheus_token_file": "a file with a bearer token or `user:password` for that server",
    "history.interval": "seconds between two points of the embedded history, as a duration",
    "history.retention": "how long the embedded history keeps them, as a duration",
    "scenarios.ffmpeg": "the FFmpeg that encodes",
    "scenarios.suite_dir": 'suite files that the dashboard lists with the presets; `""` is `suites` in `paths.state`',
    "scenarios.media_dir": 'where scenarios\' source files are; `""` is `media` in `paths.state`',
    "scenarios.quality_ffmpeg": "the FFmpeg that computes the scores",
    "scenarios.quality_seconds": "how much of each measured window is compared at most, in seconds",
    "scenarios.vmaf_model": "the VMAF model: `hd`, `phone`, `4k`, `neg`, `newest`, or a version as `vmaf_v0.6.1neg`",
    "scenarios.cambi": "whether to compute CAMBI; the comparing FFmpeg needs libvmaf 2.2 or newer",
    "scenarios.targets": "addresses to push to, by name, with their secrets: `srt://`, `rtsp://` or `rtmp://`",
    "scenarios.xpsnr": "whether to compute XPSNR; the comparing FFmpeg must be 7.1 or newer",
    "scenarios.exported_runs": "how many of the newest runs ports 9502 to 9504 show with the label `run`; 0: none",
    "cost.energy_per_kwh": "price of a kilowatt-hour",
    "cost.cpu_per_hour": "price of one busy CPU for an hour",
    "cost.gpu_per_hour": "price of one busy GPU for an hour",
    "cost.currency": "the currency's name, only for display",
    "cost.pue": "power usage effectiveness: energy of the site divided by that of its machines",
    "cost.budget_per_hour": "the most that this host may cost an hour",
    "cost.carbon_g_per_kwh": "the grid's carbon intensity, grams CO2e per kWh; 0: unknown, and so is carbon",
    "cost.egress_per_gb": "price of 10^9 bytes to viewers",
    "cost.embodied_kg": "kg of CO2 equivalent of making the machine",
    "cost.lifetime_years": "the years over which the embodied carbon is spread",
    "cost.timezone": "the time zone of the tariff",
    "cost.tariff": "time-of-use prices, as a list of tables `[[cost.tariff]]`",
    "cost.tariff[].energy_per_kwh": "the price in these hours; required",
    "cost.tariff[].start": "from, `HH:MM`",
    "cost.tariff[].end": "to, `HH:MM`; `24:00` is midnight",
    "cost.tariff[].days": "the days of the week",
    "cost.grid": "carbon intensity and prices of the real grid ([Grid](grid.md)), as a list of tables `[[cost.grid]]`",
    "cost.grid[].kind": "which source; required",
    "cost.grid[].zone": "which part of the grid, as the source names it",
    "cost.grid[].file": "the CSV file",
    "cost.grid[].url": 'its address; `""` is the default of its kind',
    "cost.grid[].token_file": "a file with the source's key",
    "cost.grid[].token_env": "the environment variable that holds the same",
    "cost.grid[].ca_file": "certificates (PEM) to trust for it",
    "cost.grid[].factor": "prices are multiplied by it: taxes, exchange rate",
    "cost.grid[].per_kwh": "added to each price: network charges",
    "tui.theme": "the dashboard's colours; key `t` switches themes",
    "tui.keys": "your own key bindings",
    "tui.glyphs": "how graphs are drawn",
}

TABLES: dict[str, type[Section]] = {
    "power.meters": config.MeterSettings,
    "cost.tariff": config.Tariff,
    "cost.grid": config.GridSettings,
}
"""Settings that are lists of tables, and what one of them is."""

HEAD = """# Configuration

<!-- Made by scripts/configuration_reference.py from src/wattview/config/. Change those, not this page. -->

Every setting has a default; a fresh machine needs no configuration. Sources of settings, the later overriding the
earlier:

1. the settings file, TOML: `--config FILE`, or the environment variable `WATTVIEW_CONFIG`;
2. the [environment variables](#environment) below;
3. `--set KEY=VALUE`, repeatable, on any subcommand.

```sh
wattview daemon --config /etc/wattview.toml --set power.sample_hz=5 --set cost.currency=EUR
```

An unknown key, a value of the wrong type or a value out of bounds gives one line that names the key, where it was set
and what was expected, and exit status 2. A running daemon reads its settings again on SIGHUP: invalid settings are
logged and rejected, and an active scenario run finishes first.

A duration is one or more numbers with units: `5s`, `90m`, `1h30m`, `7d` (`ms`, `s`, `m`, `h`, `d`, `w`; without a unit,
seconds).
Lists on the command line: `node.enable` and `node.disable` take names separated by commas, `node.sysctl` and
`node.sysctl_info` separated by spaces.

## Example

```toml
[daemon]
listen = "0.0.0.0"

[endpoints.node]
enabled = false              # node_exporter runs here already

[power]
sample_hz = 5

[cost]
energy_per_kwh = 0.31
currency = "EUR"
pue = 1.3
carbon_g_per_kwh = 350
timezone = "Europe/Berlin"

[[cost.tariff]]              # cheaper at night
start = "22:00"
end = "06:00"
energy_per_kwh = 0.22
```
"""

CHECKS = """## Checks beyond types

- `history.interval` and `history.retention` are durations above 0; `history.prometheus_url` is given with
  `history.backend = "prometheus"`.
- URLs begin with `http://` or `https://` (`history.prometheus_url`, `streams.nginx_rtmp_url`), `rtmp://` or `rtmps://`
  (`streams.rtmp_url`), `unix://`, `tcp://`, `http://`, `https://` or `ssh://` (`docker.host`).
- `daemon.control_listen` is `host:port`, and `daemon.token_file` is given with it.
- `daemon.web_config_file`, and the certificates that it names, can be read and used.
- No two enabled endpoints have the same port, other than 0.
- `node.enable` and `node.disable` name collectors that exist; every `…_include` and `…_exclude` is a regular
  expression that compiles.
- `cost.timezone` is a name of the time zone database.
"""


def page() -> str:
    """The whole page."""
    meanings = dict(MEANINGS)
    parts = [HEAD]
    for name, kind in typing.get_type_hints(Config).items():
        parts.append(_table(name, kind, meanings))
    if meanings:
        raise SystemExit(f"sentences of settings that do not exist: {', '.join(sorted(meanings))}")
    parts.append(_environment())
    parts.append(CHECKS)
    return "\n".join(parts)


def _table(name: str, kind: type[Section], meanings: dict[str, str]) -> str:
    lines = [f"## [{name}]", ""]
    if kind.__doc__:
        lines += [_prose(kind.__doc__), ""]
    if kind is config.EndpointsSettings:
        return "\n".join([*lines, _endpoints()])
    lines += ["| key | type | default | what it is |", "|---|---|---|---|"]
    long: list[tuple[str, str]] = []
    for row in _rows(name, kind, meanings):
        key, type_text, default, meaning = row
        if len(default) > LONG:
            long.append((key, default))
            default = "see below"
        lines.append(f"| `{key}` | {type_text} | {default} | {meaning} |")
    for key, rows in TABLES.items():
        if key.startswith(f"{name}."):
            lines += ["", _prose(rows.__doc__ or "")]
    if kind is config.Node:
        names = ", ".join(f"`{one}`" for one in sorted(config.NODE_COLLECTORS))
        lines += ["", f"The collectors: {names}."]
    for key, default in long:
        lines += ["", f"The default of `{key}`:", "", "```", default.strip("`"), "```"]
    return "\n".join([*lines, ""])


def _rows(name: str, kind: type[Section], meanings: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        key = f"{name}.{field.name}"
        meaning = meanings.pop(key, None)
        if meaning is None and re.fullmatch(r"node\..*_(include|exclude)", key):
            what, _, sense = field.name.rpartition("_")
            meaning = f"{what.replace('_', ' ')}: those to {'serve' if sense == 'include' else 'leave out'}"
        if meaning is None:
            raise SystemExit(f"{key}: say in MEANINGS what it is")
        hint = hints[field.name]
        yield key, _type(hint), _default(field), meaning
        if key in TABLES:
            yield from _rows(f"{key}[]", TABLES[key], meanings)


def _endpoints() -> str:
    lines = [
        "One table for each exporter, `[endpoints.NAME]`. `enabled = false` does not serve it; `port = 0` picks a free",
        "port, which `GET /api/v1/exporters` shows. See [exporters](exporters.md).",
        "",
        "| key | type | default | `enabled` |",
        "|---|---|---|---|",
    ]
    for field in msgspec.structs.fields(config.EndpointsSettings):
        default: config.Endpoint = getattr(config.EndpointsSettings(), field.name)
        enabled = str(default.enabled).lower()
        lines.append(f"| `endpoints.{field.name}.port` | {_type(config.Port)} | `{default.port}` | `{enabled}` |")
    return "\n".join([*lines, ""])


def _environment() -> str:
    lines = [
        "## Environment",
        "",
        "`WATTVIEW_SET` takes any settings, as `--set` does, separated by spaces (quotes as in a shell):",
        '`WATTVIEW_SET="cost.currency=EUR power.sample_hz=5"`. In a container they apply to every command.',
        "",
        "It overrides these variables of the programs that WattView replaces:",
        "",
        "| variable | sets |",
        "|---|---|",
    ]
    for variable, key in config.ENVIRONMENT.items():
        more = ', and `history.backend` to `"prometheus"`' if variable == "PROMETHEUS_URL" else ""
        lines.append(f"| `{variable}` | `{key}`{more} |")
    return "\n".join([*lines, ""])


def _type(hint: Any) -> str:
    """A type in the words of TOML, with its bounds."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint == config.ClockTime:
        return "`HH:MM`"
    if origin is typing.Annotated:
        choices = [choice for meta in hint.__metadata__ if isinstance(meta, Meta) for choice in meta.examples or ()]
        if choices:
            return _type(typing.Literal[*choices])
        bounds = [text for meta in hint.__metadata__ if isinstance(meta, Meta) for text in _bounds(meta)]
        return ", ".join([_type(arguments[0]), *bounds])
    if origin is typing.Literal:
        return " or ".join(f'`"{choice}"`' for choice in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(one) for one in arguments if one is not type(None))
    if origin is tuple:
        return "list of tables" if arguments[0] in TABLES.values() else f"list of {_plural(arguments[0])}"
    if origin is dict:
        return "table of strings"
    return {str: "string", int: "integer", float: "number", bool: "boolean"}[hint]


def _plural(hint: Any) -> str:
    return "strings" if hint is str else _type(hint)


def _bounds(meta: Meta) -> Iterator[str]:
    if meta.ge is not None and meta.le is not None:
        yield f"{meta.ge:g} to {meta.le:g}"
    else:
        for value, words in ((meta.ge, "at least"), (meta.gt, "above"), (meta.le, "at most")):
            if value is not None:
                yield f"{words} {value:g}"
    if meta.max_length is not None:
        yield f"{meta.min_length or 0} to {meta.max_length} characters"


def _default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default
    if value is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    if value is msgspec.NODEFAULT:
        return "none"
    if value is None:
        return "not set"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{one}"' for one in value) + "]`"
    if isinstance(value, dict):
        return "`{}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        text = f"`'{value}'`" if "\\" in value else f'`"{value}"`'
        return text if len(text) > LONG else text.replace("|", "\\|")
    return f"`{value:g}`"


def _prose(docstring: str) -> str:
    """A docstring as Markdown: its double backquotes single, its lines as they are."""
    lines = [line.strip() for line in docstring.strip().splitlines()]
    return "\n".join(lines).replace("``", "`")


def main() -> None:
    text = page()
    if sys.argv[1:] == ["--check"]:
        sys.exit(
            0
            if PAGE.exists() and PAGE.read_text() == text
            else f"{PAGE.name} is out of date; run: python {sys.argv[0]}"
        )
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
