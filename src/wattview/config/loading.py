"""Merges defaults < TOML file < environment < ``--set KEY=VALUE`` and converts the result into a ``Config``.

The only I/O here is reading the configuration file.
"""

from __future__ import annotations

import os
import shlex
import stat
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from wattview.config.checks import checked
from wattview.config.section import ConfigError
from wattview.config.tables import Config, EndpointsSettings
from wattview.decoding import Mistake, did_you_mean, mistake, steps, value_at, why_unreadable

ENVIRONMENT: Mapping[str, str] = {
    "RESULTS_DIR": "paths.results",
    "PROMETHEUS_URL": "history.prometheus_url",
    "ENERGY_COST_PER_KWH": "cost.energy_per_kwh",
    "CPU_COST_PER_HOUR": "cost.cpu_per_hour",
    "CURRENCY": "cost.currency",
    "NGINX_RTMP_URL": "streams.nginx_rtmp_url",
    "DOCKER_HOST": "docker.host",
    "RAPL_EXPORTER_PORT": "endpoints.rapl.port",
    "DOCKER_STATS_PORT": "endpoints.docker.port",
    "RESULTS_EXPORTER_PORT": "endpoints.results.port",
    "QOE_EXPORTER_PORT": "endpoints.qoe.port",
    "COST_EXPORTER_PORT": "endpoints.cost.port",
    "HEALTH_CHECK_PORT": "endpoints.health.port",
}
"""Environment variables of the ten programs that WattView replaces, and the settings they correspond to."""

SET_VARIABLE = "WATTVIEW_SET"
"""Any settings in the form of ``--set``, separated as in a shell: in a container they apply to every command."""


def load(file: Path | None = None, sets: Iterable[str] = (), environ: Mapping[str, str] | None = None) -> Config:
    """The effective settings. ``sets`` are ``KEY=VALUE`` texts. Raises ConfigError with one line."""
    environ = os.environ if environ is None else environ
    tree: dict[str, Any] = {}
    origin: dict[str, str] = {}
    if file is not None:
        tree = _read_toml(file)
        _note_origin(tree, f"in {file}", origin)
    for name, key in ENVIRONMENT.items():
        value = environ.get(name)
        if value:
            _put(tree, key, value)
            origin[key] = f"from the environment variable {name}"
            if name == "PROMETHEUS_URL":
                _put(tree, "history.backend", "prometheus")
    for text in _shell_words(environ.get(SET_VARIABLE, "")):
        _set(tree, origin, text, f"the environment variable {SET_VARIABLE}")
    for text in sets:
        _set(tree, origin, text, "--set")
    _complete_endpoints(tree)
    try:
        config = msgspec.convert(tree, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(mistake(error), tree, origin)) from None
    return checked(_fill_paths(_pushed_where_asked(config, tree), environ))


def flatten(config: Config) -> dict[str, Any]:
    """Every setting as ``dotted.key: value``, for help pages and for the configuration reference."""

    def walk(prefix: str, value: Any) -> Iterable[tuple[str, Any]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            yield prefix, value

    return dict(walk("", msgspec.to_builtins(config)))


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(descriptor, True)
        with open(descriptor, "rb") as stream:
            content = stream.read()
            # A shell's <(…) is a pipe too. Waiting for a writer would block a daemon that reloads.
            if not content and stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                raise ConfigError(f"{file}: a pipe that nobody writes to")
        return tomllib.loads(content.decode())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file}: {why_unreadable(error)}") from None


def _note_origin(tree: Mapping[str, Any], text: str, origin: dict[str, str], prefix: str = "") -> None:
    for key, value in tree.items():
        origin[prefix + key] = text
        if isinstance(value, Mapping):
            _note_origin(value, text, origin, f"{prefix}{key}.")


def _shell_words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{SET_VARIABLE}: {error}: {text}") from None


def _set(tree: dict[str, Any], origin: dict[str, str], text: str, place: str) -> None:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"{place} {text}: expected KEY=VALUE, for example power.sample_hz=5")
    _put(tree, key, value.strip())
    origin[key] = f"from {place}"


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        inner = tree.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{key}: {parent} is not a table")
        tree = inner
    tree[last] = value


def _complete_endpoints(tree: Mapping[str, Any]) -> None:
    """Gives each exporter its own port if only ``enabled`` was set."""
    given = tree.get("endpoints")
    if isinstance(given, dict):
        defaults = EndpointsSettings()
        for name in EndpointsSettings.__struct_fields__:
            if isinstance(given.get(name), dict):
                given[name].setdefault("port", getattr(defaults, name).port)


def _explain(found: Mistake, tree: Mapping[str, Any], origin: Mapping[str, str]) -> str:
    key = found.path
    if found.unknown:
        text = "no such setting" + did_you_mean(key, flatten(Config()))
    else:
        text = found.type_words()
        if text.startswith("invalid enum value"):
            text = f"expected one of {', '.join(choices(key))}"
        text = f"{text}, got {value_at(tree, key)!r}"
    source = origin.get(key)
    return f"{key}: {text}" + (f" ({source})" if source else "")


def choices(key: str) -> list[str]:
    """The valid values of a setting with few choices; of any other, none. Raises KeyError for an unknown setting."""
    import typing

    kind: Any = Config
    for part in steps(key):
        kind = typing.get_args(kind)[0] if isinstance(part, int) else typing.get_type_hints(kind)[part]
    if kind is bool:
        return ["true", "false"]
    return [str(choice) for choice in typing.get_args(kind)] if typing.get_origin(kind) is typing.Literal else []


def _pushed_where_asked(config: Config, tree: Mapping[str, Any]) -> Config:
    """Streams go to a configured address or to our own server, never to one that happens to run at the usual
    address."""
    streams = config.streams
    given = tree.get("streams", {}).keys() & {"rtmp_url", "nginx_rtmp_url"}
    if given or streams.server not in ("auto", "nginx-rtmp"):
        return config
    changed = {"managed": "always"} if streams.managed == "auto" else {"rtmp_url": ""}
    if streams.managed == "always":
        return config
    return msgspec.structs.replace(config, streams=msgspec.structs.replace(streams, **changed))


def _fill_paths(config: Config, environ: Mapping[str, str]) -> Config:
    home = Path(environ.get("HOME") or "~").expanduser()
    state = Path(
        config.paths.state or Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "wattview"
    ).expanduser()
    results = Path(config.paths.results or state / "results").expanduser()
    media = Path(config.scenarios.media_dir or state / "media").expanduser()
    suites = Path(config.scenarios.suite_dir or state / "suites").expanduser()
    socket = config.daemon.control_socket
    if not socket:
        runtime = environ.get("XDG_RUNTIME_DIR", "")
        # runuser and su leave another user's there.
        ours = os.path.isdir(runtime) and os.access(runtime, os.W_OK | os.X_OK, effective_ids=True)
        socket = str(Path(runtime) / "wattview.sock" if ours else state / "wattview.sock")
    replace = msgspec.structs.replace
    return replace(
        config,
        paths=replace(config.paths, state=str(state), results=str(results)),
        daemon=replace(config.daemon, control_socket=str(Path(socket).expanduser())),
        scenarios=replace(config.scenarios, media_dir=str(media), suite_dir=str(suites)),
    )
