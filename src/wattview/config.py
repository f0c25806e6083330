"""Every setting, path and port: typed, checked, and from one place.

``load()`` lays defaults < TOML file < environment < ``--set KEY=VALUE`` over each other and converts the result once
into a frozen ``Config``. A wrong key or value raises ``ConfigError``, whose text is one line that names it.
Nothing here reads or writes anything but the configuration file.
"""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

Port = Annotated[int, Meta(ge=0, le=65535)]
NonNegative = Annotated[float, Meta(ge=0)]
Seconds = float


class ConfigError(ValueError):
    """A setting that is wrong. The text is one line: the key, what is wrong, and what was expected."""


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the configuration file."""


class Paths(Section, frozen=True, kw_only=True):
    """Where the machine is looked at, and where WattView keeps its own files. "" stands for the default."""

    procfs: str = "/proc"
    sysfs: str = "/sys"
    rootfs: str = "/"
    state: str = ""
    results: str = ""


class Daemon(Section, frozen=True, kw_only=True):
    """Where the daemon listens. ``control_listen`` is ``host:port``; it then needs ``token_file``."""

    listen: str = "127.0.0.1"
    control_socket: str = ""
    control_listen: str = ""
    token_file: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    also_scrape: str = ""

    @property
    def others(self) -> list[tuple[str, int]]:
        """``also_scrape`` as (job, port). Raises ValueError."""
        found = []
        for text in self.also_scrape.split(","):
            if text.strip():
                job, _, port = text.strip().rpartition(":")
                if not job or not port.isascii() or not port.isdecimal() or not 0 < int(port) <= 65535:
                    raise ValueError(f"expected JOB:PORT,…, for example node-exporter:9101, got {text.strip()!r}")
                found.append((job, int(port)))
        return found


class Endpoint(Section, frozen=True, kw_only=True):
    """One exporter: its port (0 picks a free one) and whether it is served at all."""

    port: Port
    enabled: bool = True


def _endpoint(port: int) -> Any:
    return field(default=Endpoint(port=port))


class Endpoints(Section, frozen=True, kw_only=True):
    rapl: Endpoint = _endpoint(9500)
    docker: Endpoint = _endpoint(9501)
    node: Endpoint = _endpoint(9100)
    containers: Endpoint = _endpoint(8080)
    nginx_rtmp: Endpoint = _endpoint(9728)
    results: Endpoint = _endpoint(9502)
    qoe: Endpoint = _endpoint(9503)
    cost: Endpoint = _endpoint(9504)
    gpu: Endpoint = _endpoint(9400)
    health: Endpoint = _endpoint(9600)


class Power(Section, frozen=True, kw_only=True):
    """Where watts come from. ``sources`` is ``auto`` or one of the sources by name.

    The two ``estimate_`` settings are watts for each logical CPU, idle and fully used, for machines that measure
    nothing; where they are not set, a published figure for the processor's family is taken. Power of the host above
    ``budget_watts`` is an alert (0: no budget).
    """

    sources: Literal["auto", "rapl", "hwmon", "battery", "estimated"] = "auto"
    sample_hz: Annotated[float, Meta(gt=0, le=100)] = 10.0
    estimate_idle_watts_per_cpu: NonNegative | None = None
    estimate_max_watts_per_cpu: NonNegative | None = None
    budget_watts: NonNegative = 0.0


NODE_COLLECTORS = frozenset((
    "arp", "bcache", "bcachefs", "bonding", "btrfs", "buddyinfo", "cgroups", "conntrack", "cpu", "cpufreq",
    "diskstats", "dmi", "edac", "entropy", "fibrechannel", "filefd", "filesystem", "hwmon", "infiniband", "interrupts",
    "ipvs", "kernel_hung", "ksmd", "loadavg", "mdadm", "meminfo", "meminfo_numa", "netclass", "netdev", "netstat",
    "nfs", "nfsd", "nvme", "os", "powersupplyclass", "pressure", "processes", "qdisc", "rapl", "schedstat", "selinux",
    "slabinfo", "sockstat", "softirqs", "softnet", "stat", "sysctl", "tapestats", "textfile", "thermal_zone", "time",
    "timex", "udp_queues", "uname", "vmstat", "watchdog", "xfs", "zfs", "zoneinfo",
))  # fmt: skip
"""Every collector that ``node.enable`` and ``node.disable`` may name."""


class Node(Section, frozen=True, kw_only=True):
    """node_exporter's collectors. ``enable`` and ``disable`` are names, as a list or separated by commas;
    ``sysctl`` and ``sysctl_info`` are kernel settings (``net.ipv4.tcp_rmem:min,default,max``), as a list or separated
    by spaces.

    ``…_include`` and ``…_exclude`` are regular expressions that match anywhere in a name; with an ``include`` its
    ``exclude`` is not used. The defaults are node_exporter's.
    """

    enable: tuple[str, ...] | str = ()
    disable: tuple[str, ...] | str = ()
    udev_data: str = "/run/udev/data"
    textfile_directory: str = ""
    arp_device_include: str = ""
    arp_device_exclude: str = ""
    cpu_info: bool = False
    disk_device_include: str = ""
    disk_device_exclude: str = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$"
    hwmon_chip_include: str = ""
    hwmon_chip_exclude: str = ""
    hwmon_sensor_include: str = ""
    hwmon_sensor_exclude: str = ""
    interrupts_include: str = ""
    interrupts_exclude: str = ""
    fs_type_include: str = ""
    fs_type_exclude: str = (
        "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|"
        "overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$"
    )
    mount_point_include: str = ""
    mount_point_exclude: str = (
        "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)"
    )
    net_device_include: str = ""
    net_device_exclude: str = ""
    netclass_device_exclude: str = ""
    netstat_fields_include: str = (
        "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|"
        "TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|"
        "Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|"
        "Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$"
    )
    power_supply_exclude: str = ""
    qdisc_device_include: str = ""
    qdisc_device_exclude: str = ""
    slab_include: str = ""
    slab_exclude: str = ""
    sysctl: tuple[str, ...] | str = ()
    sysctl_info: tuple[str, ...] | str = ()
    tape_device_exclude: str = ""
    vmstat_fields_include: str = "^(oom_kill|pgpg|pswp|pg.*fault).*"

    @property
    def enabled(self) -> frozenset[str]:
        return _names(self.enable)

    @property
    def disabled(self) -> frozenset[str]:
        return _names(self.disable)

    @property
    def sysctls(self) -> tuple[str, ...]:
        return _words(self.sysctl)

    @property
    def sysctls_info(self) -> tuple[str, ...]:
        return _words(self.sysctl_info)


def _names(value: tuple[str, ...] | str) -> frozenset[str]:
    parts = value.split(",") if isinstance(value, str) else value
    return frozenset(part.strip() for part in parts if part.strip())


def _words(value: tuple[str, ...] | str) -> tuple[str, ...]:
    return tuple(value.split()) if isinstance(value, str) else value


class Docker(Section, frozen=True, kw_only=True):
    """The container engine. Its containers are known for ``ended_seconds`` after their end, to be seen by scrapers
    that come less often than they end."""

    host: str = "unix:///var/run/docker.sock"
    ended_seconds: Annotated[float, Meta(ge=10, le=3600)] = 60.0


class Streams(Section, frozen=True, kw_only=True):
    """The RTMP server. ``managed``: ``auto`` starts a private nginx-rtmp when nothing answers at ``nginx_rtmp_url``.

    ``nginx_rtmp_url`` is the statistics page of nginx-rtmp, or the address of MediaMTX's or SRS's HTTP API.
    ``server`` says which it is; ``auto`` finds out, and on this machine tries the APIs' usual ports too.
    """

    nginx_rtmp_url: str = "http://127.0.0.1:8088/stat"
    rtmp_url: str = "rtmp://127.0.0.1:1935/live"
    server: Literal["auto", "nginx-rtmp", "mediamtx", "srs"] = "auto"
    managed: Literal["auto", "always", "never"] = "never"
    nginx: str = "nginx"


class History(Section, frozen=True, kw_only=True):
    """Where past values are kept: an embedded SQLite file, or a Prometheus or VictoriaMetrics that scrapes us."""

    backend: Literal["sqlite", "prometheus"] = "sqlite"
    prometheus_url: str = ""
    interval: str = "5s"
    retention: str = "7d"

    @property
    def interval_seconds(self) -> Seconds:
        return seconds(self.interval)

    @property
    def retention_seconds(self) -> Seconds:
        return seconds(self.retention)


class Scenarios(Section, frozen=True, kw_only=True):
    """How scenarios are run. ``quality_ffmpeg`` is the FFmpeg that computes VMAF; "" finds one that can.

    ``quality_seconds`` bounds the part of the measured window that is compared frame by frame. ``vmaf_model`` is the
    viewer: ``hd`` before a 1080p screen, ``phone``, ``4k``, or ``neg``, which gives no points for sharpening.
    ``xpsnr`` asks for XPSNR beside VMAF, PSNR and SSIM. ``exported_runs`` is how many of the newest runs the results,
    QoE and cost exporters show with the label ``run``.
    """

    ffmpeg: str = "ffmpeg"
    media_dir: str = ""
    suite_dir: str = ""
    quality_ffmpeg: str = ""
    quality_seconds: Annotated[float, Meta(gt=0)] = 20.0
    vmaf_model: Literal["hd", "phone", "4k", "neg"] = "hd"
    xpsnr: bool = False
    exported_runs: Annotated[int, Meta(ge=0, le=20)] = 1


ClockTime = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Tariff(Section, frozen=True, kw_only=True):
    """One row of a time-of-use tariff: a price of energy from ``start`` to ``end`` o'clock on these days.

    A row whose end is not after its start runs past midnight, and belongs to the day on which it began.
    """

    energy_per_kwh: NonNegative
    start: ClockTime = "00:00"
    end: ClockTime = "24:00"
    days: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Cost(Section, frozen=True, kw_only=True):
    """Prices, and the carbon of the grid and of the machine.

    ``tariff`` rows go before ``energy_per_kwh``, the first that applies counting; their hours are those of
    ``timezone`` (``Europe/Berlin``; "" is this machine's). ``egress_per_gb`` is for each 1e9 bytes that reach viewers.
    ``embodied_kg`` is what making the machine emitted (kg CO2e), spread over ``lifetime_years``.
    ``budget_per_hour`` is what this host may cost, energy and computing together; an alert compares (0: no budget).
    """

    energy_per_kwh: NonNegative = 0.12
    cpu_per_hour: NonNegative = 0.50
    gpu_per_hour: NonNegative = 0.0
    currency: Annotated[str, Meta(min_length=1, max_length=16)] = "USD"
    pue: Annotated[float, Meta(ge=1.0)] = 1.0
    budget_per_hour: NonNegative = 0.0
    carbon_g_per_kwh: NonNegative = 0.0
    egress_per_gb: NonNegative = 0.0
    embodied_kg: NonNegative = 0.0
    lifetime_years: Annotated[float, Meta(gt=0)] = 4.0
    timezone: str = ""
    tariff: tuple[Tariff, ...] = ()


class Tui(Section, frozen=True, kw_only=True):
    """The dashboard. ``theme`` "" suits the terminal; ``keys`` maps names of bindings to keys (``quit = "ctrl+d"``).

    ``glyphs``: ``ascii`` draws without Unicode, for terminals and fonts that have none.
    """

    theme: str = ""
    keys: dict[str, str] = {}
    glyphs: Literal["auto", "unicode", "ascii"] = "auto"


class Config(Section, frozen=True, kw_only=True):
    """All settings. Paths that were left empty are filled in: every path here can be used as it is."""

    paths: Paths = field(default_factory=Paths)
    daemon: Daemon = field(default_factory=Daemon)
    endpoints: Endpoints = field(default_factory=Endpoints)
    power: Power = field(default_factory=Power)
    node: Node = field(default_factory=Node)
    docker: Docker = field(default_factory=Docker)
    streams: Streams = field(default_factory=Streams)
    history: History = field(default_factory=History)
    scenarios: Scenarios = field(default_factory=Scenarios)
    cost: Cost = field(default_factory=Cost)
    tui: Tui = field(default_factory=Tui)


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
"""Environment names of the ten programs that WattView stands in for, and the settings they mean."""

SET_VARIABLE = "WATTVIEW_SET"
"""Any settings, as ``--set`` takes them, in a shell's words: in a container every command has them."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)?")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(text: str) -> Seconds:
    """``"5s"``, ``"1h30m"``, ``"7d"`` in seconds. Raises ValueError for anything else."""
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part.group(0) for part in parts) != text:
        raise ValueError(f"expected a duration such as 5s, 90m or 7d, got {text!r}")
    return sum(float(part.group(1)) * _UNIT_SECONDS[part.group(2) or ""] for part in parts)


def load(file: Path | None = None, sets: Iterable[str] = (), environ: Mapping[str, str] | None = None) -> Config:
    """The settings in force. ``sets`` are ``KEY=VALUE`` texts. Raises ConfigError with one line."""
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
        raise ConfigError(_explain(str(error), tree, origin)) from None
    return _check(_fill_paths(config, environ))


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
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None


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
    """Each exporter has a port of its own: one that was given only ``enabled`` keeps it."""
    given = tree.get("endpoints")
    if isinstance(given, dict):
        defaults = Endpoints()
        for name in Endpoints.__struct_fields__:
            if isinstance(given.get(name), dict):
                given[name].setdefault("port", getattr(defaults, name).port)


_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*)`")
_WHERE = re.compile(r" - at `\$\.?(?P<path>.*)`$")


def _explain(message: str, tree: Mapping[str, Any], origin: Mapping[str, str]) -> str:
    where = _WHERE.search(message)
    key = where["path"] if where else ""
    text = _WHERE.sub("", message)
    if unknown := _UNKNOWN.match(text):
        key = f"{key}.{unknown['field']}" if key else unknown["field"]
        near = _nearest(key)
        text = "no such setting" + (f"; did you mean {near}?" if near else "")
    else:
        value: Any = tree
        for part in _parts(key):
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                value = None
        text = re.sub(r", got .*$", "", text.replace("`", ""))
        if text.startswith("Invalid enum value"):
            text = f"expected one of {', '.join(_choices(key))}"
        text = f"{text[0].lower()}{text[1:]}, got {value!r}"
    source = origin.get(key)
    return f"{key}: {text}" + (f" ({source})" if source else "")


def _parts(key: str) -> list[str | int]:
    """``cost.tariff[0].start`` as the steps to it."""
    return [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", key)]


def _choices(key: str) -> list[str]:
    """The values that a setting of few words may have."""
    import typing

    kind: Any = Config
    for part in _parts(key):
        kind = typing.get_args(kind)[0] if isinstance(part, int) else typing.get_type_hints(kind)[part]
    return [str(choice) for choice in typing.get_args(kind)]


def _nearest(key: str) -> str | None:
    import difflib

    found = difflib.get_close_matches(key, list(flatten(Config())), n=1, cutoff=0.6)
    return found[0] if found else None


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
        socket = str(Path(runtime) / "wattview.sock" if os.path.isdir(runtime) else state / "wattview.sock")
    replace = msgspec.structs.replace
    return replace(
        config,
        paths=replace(config.paths, state=str(state), results=str(results)),
        daemon=replace(config.daemon, control_socket=str(Path(socket).expanduser())),
        scenarios=replace(config.scenarios, media_dir=str(media), suite_dir=str(suites)),
    )


def _check(config: Config) -> Config:
    """What types alone cannot say."""
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
        ("docker.host", config.docker.host, ("unix://", "tcp://", "http://", "https://", "ssh://")),
    ):
        if url and not url.startswith(schemes):
            raise ConfigError(f"{key}: expected a URL that begins with {' or '.join(schemes)}, got {url!r}")
    if config.daemon.control_listen and not config.daemon.token_file:
        raise ConfigError(
            "daemon.token_file: needed with daemon.control_listen (every call over TCP carries the token)"
        )
    try:
        _ = config.daemon.others
    except ValueError as error:
        raise ConfigError(f"daemon.also_scrape: {error}") from None
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
    for name in Endpoints.__struct_fields__:
        endpoint: Endpoint = getattr(config.endpoints, name)
        if endpoint.enabled and endpoint.port:
            if endpoint.port in ports:
                raise ConfigError(
                    f"endpoints.{name}.port: {endpoint.port} is also the port of endpoints.{ports[endpoint.port]}"
                )
            ports[endpoint.port] = name
    return config
