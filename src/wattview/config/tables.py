"""The tables of the configuration file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from wattview.config.meters import MeterSettings
from wattview.config.node import Node
from wattview.config.prices import Cost
from wattview.config.section import NonNegative, Port, Seconds, Section, seconds
from wattview.model.power import PowerAccount
from wattview.model.power_sources import HOST_SOURCES
from wattview.model.scenarios import VMAF_MODEL


class Paths(Section, frozen=True, kw_only=True):
    """Where the machine's filesystems are mounted, and where WattView keeps its own files. "" selects the default."""

    procfs: str = "/proc"
    sysfs: str = "/sys"
    rootfs: str = "/"
    state: str = ""
    results: str = ""


class DaemonSettings(Section, frozen=True, kw_only=True):
    """Where the daemon listens. ``control_listen`` is ``host:port`` and requires ``token_file``.

    ``web_config_file`` is exporter-toolkit's: TLS and passwords for everything that is served over TCP.
    ``max_requests`` limits concurrent scrapes over all exporters; more are queued.
    """

    listen: str = "127.0.0.1"
    control_socket: str = ""
    control_listen: str = ""
    token_file: str = ""
    web_config_file: str = ""
    max_requests: Annotated[int, Meta(ge=1)] = 40
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    also_scrape: str = ""

    @property
    def control_address(self) -> tuple[str, int]:
        """``control_listen`` as (host, port). Raises ValueError."""
        host, colon, port = self.control_listen.rpartition(":")
        if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"expected HOST:PORT, such as 127.0.0.1:9700 or [::1]:9700, got {self.control_listen!r}")
        return host.strip("[]") or "127.0.0.1", int(port)

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
    """One exporter: its port (0 picks a free one) and whether it is served."""

    port: Port
    enabled: bool = True


def _endpoint(port: int) -> Any:
    return field(default=Endpoint(port=port))


class EndpointsSettings(Section, frozen=True, kw_only=True):
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


POWER_CHOICES = ["auto", *(entry.name for entry in HOST_SOURCES)]


class Power(Section, frozen=True, kw_only=True):
    """Power sources. ``sources`` is ``auto`` or the name of one source.

    The two ``estimate_`` settings are watts per logical CPU, idle and fully used, for machines without a meter; by
    default a published figure for the processor's family is used. Power of the machine above ``budget_watts`` raises an
    alert (0: no budget). ``idle_watts`` is the host's idle power, for a host that is never idle (0: learn it).
    ``account`` is how power is divided unless a client asks for the other: ``marginal`` divides what is above idle
    power, ``attributional`` divides idle power too. ``meters`` are wall meters.
    """

    sources: Annotated[str, Meta(examples=POWER_CHOICES)] = "auto"
    sample_hz: Annotated[float, Meta(gt=0, le=100)] = 10.0
    estimate_idle_watts_per_cpu: NonNegative | None = None
    estimate_max_watts_per_cpu: NonNegative | None = None
    idle_watts: NonNegative = 0.0
    budget_watts: NonNegative = 0.0
    account: PowerAccount = "marginal"
    meters: tuple[MeterSettings, ...] = ()


class Docker(Section, frozen=True, kw_only=True):
    """The main container engine; ``workloads.engines`` lists the others. Containers are served for ``ended_seconds``
    after their end, so that scrapers see those that ended between two scrapes. With ``store_container_labels``,
    container labels become labels of cAdvisor's metrics; without it, only those in ``whitelisted_container_labels``
    (comma-separated) do."""

    host: str = "unix:///var/run/docker.sock"
    ended_seconds: Annotated[float, Meta(ge=10, le=3600)] = 60.0
    store_container_labels: bool = True
    whitelisted_container_labels: str = ""


class Workloads(Section, frozen=True, kw_only=True):
    """Everything that runs on the machine, divided by control groups. ``engines`` are the sources of containers and
    their names: ``auto`` is every engine whose socket is found, else a comma-separated list of engines (``docker``,
    ``podman``, ``containerd``, ``crio``) or of sockets (``podman=/run/user/1000/podman/podman.sock``); "" uses none.
    ``kubelet_url`` is where the kubelet lists the node's pods (``https://127.0.0.1:10250``), "" for none."""

    enabled: bool = True
    engines: str = "auto"
    ended_seconds: Annotated[float, Meta(ge=10, le=3600)] = 60.0
    kubelet_url: str = ""
    kubelet_token_file: str = ""


class Streams(Section, frozen=True, kw_only=True):
    """The RTMP server. ``managed``: ``auto`` (which ``wattview up`` and ``run`` set) starts the managed media server,
    unless ``rtmp_url`` or ``nginx_rtmp_url`` is set and a server answers there. With ``never``, scenarios push only if
    one of the two is set: a server at the usual address is observed, but no test streams are sent to it.

    ``nginx_rtmp_url`` is the statistics page of nginx-rtmp, or the address of MediaMTX's or SRS's HTTP API. ``server``
    says which it is; ``auto`` detects it, and on this machine tries the APIs' usual ports too. ``token_file`` holds a
    bearer token or ``user:password`` for it.
    """

    nginx_rtmp_url: str = "http://127.0.0.1:8088/stat"
    rtmp_url: str = "rtmp://127.0.0.1:1935/live"
    token_file: str = ""
    server: str = "auto"
    managed: Literal["auto", "always", "never"] = "never"
    nginx: str = "nginx"


class HttpSettings(Section, frozen=True, kw_only=True):
    """Outgoing HTTP requests. ``ca_file``: certificates (PEM) to trust in addition to the system's."""

    ca_file: str = ""


class HistorySettings(Section, frozen=True, kw_only=True):
    """Where past values are kept: an embedded SQLite file, or a Prometheus or VictoriaMetrics that scrapes WattView.

    ``prometheus_token_file`` holds a bearer token or ``user:password`` for that server.
    """

    backend: Literal["sqlite", "prometheus"] = "sqlite"
    prometheus_url: str = ""
    prometheus_token_file: str = ""
    interval: str = "5s"
    retention: str = "7d"

    @property
    def interval_seconds(self) -> Seconds:
        return seconds(self.interval)

    @property
    def retention_seconds(self) -> Seconds:
        return seconds(self.retention)


class Scenarios(Section, frozen=True, kw_only=True):
    """Scenarios. ``quality_ffmpeg`` is the FFmpeg that computes VMAF; "" finds one that can.

    ``quality_seconds`` limits the part of the measured window that is compared frame by frame. ``vmaf_model`` is the
    viewing condition: ``hd`` for a 1080p screen, ``phone``, ``4k``, or ``neg``, which does not reward sharpening; or a
    model by its version's name (``vmaf_v0.6.1neg``); or ``newest``, the newest that the FFmpeg has for the picture's
    size and frame rate. ``xpsnr`` adds XPSNR to VMAF, PSNR and SSIM, ``cambi`` adds CAMBI, which measures banding.
    ``targets`` are addresses that streams can be pushed to, by name (``srt://``, ``rtsp://``, ``rtmp://``): scenarios
    use the names, so that secrets stay in the settings. ``{stream}`` in one stands for each stream's name.
    ``exported_runs`` is how many of the newest runs the results, QoE and cost exporters show with
    the label ``run``.
    """

    ffmpeg: str = "ffmpeg"
    media_dir: str = ""
    suite_dir: str = ""
    quality_ffmpeg: str = ""
    quality_seconds: Annotated[float, Meta(gt=0)] = 20.0
    vmaf_model: Annotated[str, Meta(pattern=VMAF_MODEL)] = "hd"
    xpsnr: bool = False
    cambi: bool = False
    targets: dict[str, str] = field(default_factory=dict)
    exported_runs: Annotated[int, Meta(ge=0, le=20)] = 1


class Tui(Section, frozen=True, kw_only=True):
    """The dashboard. ``theme`` "" follows the terminal; ``keys`` maps names of bindings to keys (``quit = "ctrl+d"``).

    ``glyphs``: ``ascii`` draws without Unicode, for terminals and fonts that lack it.
    """

    theme: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    glyphs: Literal["auto", "unicode", "ascii"] = "auto"


class Config(Section, frozen=True, kw_only=True):
    """All settings. Empty paths are resolved: every path here can be used directly."""

    paths: Paths = field(default_factory=Paths)
    daemon: DaemonSettings = field(default_factory=DaemonSettings)
    endpoints: EndpointsSettings = field(default_factory=EndpointsSettings)
    power: Power = field(default_factory=Power)
    node: Node = field(default_factory=Node)
    docker: Docker = field(default_factory=Docker)
    workloads: Workloads = field(default_factory=Workloads)
    streams: Streams = field(default_factory=Streams)
    http: HttpSettings = field(default_factory=HttpSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    scenarios: Scenarios = field(default_factory=Scenarios)
    cost: Cost = field(default_factory=Cost)
    tui: Tui = field(default_factory=Tui)
