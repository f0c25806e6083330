"""A scripted daemon for the dashboard: the control API over a real socket, with snapshots that a test writes.

It is a Starlette application under uvicorn in a thread of its own, on a Unix socket, so that the dashboard's own
client, HTTP and JSON are in the test. Times are fixed: two runs of a test draw the same picture.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.support.sweep import RESULTS_ANSWERS
from wattview.analysis.machine_power import machine_power
from wattview.analysis.snapshot_diff import Watch
from wattview.analysis.windows.energy import NoData
from wattview.daemon.history.trends import trends
from wattview.daemon.lab.scenario_check import plan_of
from wattview.model import (
    Container,
    EncoderOffer,
    EncoderStatus,
    Engine,
    Event,
    EventLevel,
    ExporterHealth,
    Finding,
    Gpu,
    GpuProcess,
    HistorySeries,
    HostReading,
    Nic,
    PowerReading,
    PowerUse,
    ProbeStatus,
    RtmpServer,
    Run,
    RunPlan,
    RunProgress,
    RunRequest,
    RunResult,
    Scenario,
    ScenarioPreset,
    ScenarioRecord,
    ScenarioResult,
    Snapshot,
    Stream,
    StreamClient,
    StreamEncoder,
    WorkloadProcesses,
    Zone,
)
from wattview.model.run_request import WrongField

NOW = 1_750_000_000.0
"""2025-06-15 15:06:40 UTC."""

EXPORTERS = {
    "rapl-exporter": 9500,
    "docker-stats-exporter": 9501,
    "node-exporter": 9100,
    "cadvisor": 8080,
    "nginx-rtmp-exporter": 9728,
    "results-exporter": 9502,
    "qoe-exporter": 9503,
    "cost-exporter": 9504,
    "dcgm-exporter": 9400,
    "exporter-health-checker": 9600,
}


def container(index: int, **changes: Any) -> Container:
    names = ("nginx-rtmp", "transcoder-a", "transcoder-b", "grafana", "victoria-metrics", "alertmanager")
    name = names[index] if index < len(names) else f"worker-{index:03}"
    one = Container(
        id=f"{index:064x}",
        name=name,
        image=f"example/{name}:1",
        cgroup=f"/docker/{index:064x}",
        started=NOW - 3600 * (index + 1),
        cpu_percent=83.4 / (index + 1),
        memory_working_set_bytes=(200 - 20 * min(index, 9)) * 1024 * 1024,
        memory_percent=3.1 / (index + 1),
        restarts=0,
        pids=12 + index,
        health="healthy" if index % 2 else None,
        network=(
            Nic(
                device="eth0",
                receive_bytes_total=10,
                transmit_bytes_total=10,
                receive_bytes_per_second=310_000.0 / (index + 1),
                transmit_bytes_per_second=620_000.0 / (index + 1),
            ),
        ),
    )
    return msgspec.structs.replace(one, **changes)


def stream(index: int, **changes: Any) -> Stream:
    one = Stream(
        app="live",
        name=f"stream{index}",
        active=True,
        uptime_seconds=754.0 + 60 * index,
        bytes_in_total=240_000_000,
        bandwidth_in_bytes=315_000.0 - 1000 * index,
        bandwidth_out_bytes=630_000.0,
        publishers=1,
        players=2 + index,
        video_codec="H264",
        video_profile="High",
        width=1280,
        height=720,
        fps=30.0,
        audio_codec="AAC",
        dropped_frames=0,
        clients=(
            StreamClient(id="1", address="127.0.0.1", publishing=True, connected_seconds=754.0),
            StreamClient(id="2", address="192.0.2.7", publishing=False, connected_seconds=120.0, dropped=3),
        ),
    )
    return msgspec.structs.replace(one, **changes)


def snapshot(at: float = 0.0, *, containers: int = 4, streams: int = 2, **changes: Any) -> Snapshot:
    """The picture ``at`` seconds after NOW: a machine with RAPL, some containers and streams, no GPU."""
    watts = 42.0 + 8.0 * math.sin(at / 20.0)
    whole = Snapshot(
        time=NOW + at,
        version="0.1.0",
        host=HostReading(
            time=NOW + at,
            monotonic=at,
            hostname="studio-1",
            cpus=8,
            cpu_busy_seconds_total=1000.0 + at,
            cpu_percent=37.5 + 5 * math.sin(at / 15),
            memory_total_bytes=16 * 1024**3,
            memory_available_bytes=10 * 1024**3,
            swap_total_bytes=0,
            swap_free_bytes=0,
            load1=2.41,
            load5=1.98,
            load15=1.2,
            core_percents=tuple(20.0 + 10 * ((index * 5) % 8) for index in range(8)),
            boot_time=NOW - 273_000,
            nics=(
                Nic(
                    device="eth0",
                    receive_bytes_total=1,
                    transmit_bytes_total=1,
                    receive_bytes_per_second=652_000.0,
                    transmit_bytes_per_second=1_310_000.0,
                ),
            ),
        ),
        power=PowerReading(
            time=NOW + at,
            monotonic=at,
            source="rapl",
            host_joules_total=1e6,
            host_watts=watts,
            host_peak_watts=watts + 6.2,
            host_error_watts=0.05,
            zones=(
                Zone(
                    path="intel-rapl:0",
                    package="package-0",
                    zone="package-0",
                    joules_total=9e5,
                    watts=watts - 4.1,
                    counted=True,
                ),
                Zone(
                    path="intel-rapl:0:0",
                    package="package-0",
                    zone="core",
                    joules_total=6e5,
                    watts=watts - 14,
                    counted=False,
                ),
                Zone(
                    path="intel-rapl:0:1", package="package-0", zone="dram", joules_total=1e5, watts=4.1, counted=True
                ),
            ),
        ),
        containers=tuple(container(index) for index in range(containers)),
        engine=Engine(
            version="24.0.5",
            cgroup_version=2,
            cpu_seconds_total=12.0,
            cpu_percent=1.2,
            memory_bytes=90 << 20,
            memory_percent=0.5,
        ),
        streams=tuple(stream(index) for index in range(streams)),
        rtmp_server=RtmpServer(
            name="nginx-rtmp 1.1.4",
            pid=77,
            uptime_seconds=9000.0,
            connections=6,
            accepted_total=40,
            bytes_in_total=1,
            bytes_out_total=1,
            bandwidth_in_bytes=6e5,
            bandwidth_out_bytes=1.2e6,
        ),
        gpus=(),
        exporters=tuple(exporter(name) for name in EXPORTERS),
        run=None,
        probes=(
            ProbeStatus(probe="power", state="ok"),
            ProbeStatus(probe="host", state="ok"),
            ProbeStatus(probe="containers", state="ok"),
            ProbeStatus(probe="streams", state="ok"),
            ProbeStatus(probe="gpu", state="absent", reason="no NVIDIA driver is loaded (libnvidia-ml.so.1 not found)"),
        ),
        cost_per_hour=0.7551,
        energy_cost_per_hour=0.0051,
        compute_cost_per_hour=0.75,
        carbon_grams_per_hour=17.1,
        currency="USD",
        rtmp_url="rtmp://127.0.0.1:1935/live",
    )
    changed = msgspec.structs.replace(whole, **changes)
    return changed if "machine_power" in changes else with_machine_power(changed)


def with_machine_power(whole: Snapshot) -> Snapshot:
    """The snapshot with the sum that follows from its power and its GPUs."""
    return msgspec.structs.replace(whole, machine_power=machine_power(whole.power, whole.gpus))


def power_use(at: float, **changes: Any) -> PowerUse:
    """Who used the power of ``snapshot(at)``: the parts sum to the whole."""
    watts = 42.0 + 8.0 * math.sin(at / 20.0)
    active = watts - 22.0
    one = PowerUse(
        time=NOW + at, seconds=1.0, watts=watts, idle_watts=22.0, idle_method="baseline", idle_error_watts=0.6,
        containers_watts=0.5 * active, encoders_watts=0.3 * active, unattributed_watts=0.2 * active,
        encoders={"quick-1": 0.3 * active},
    )  # fmt: skip
    return msgspec.structs.replace(one, **changes)


def gpu(index: int = 0, **changes: Any) -> Gpu:
    one = Gpu(
        index=index, uuid=f"GPU-{index}", name="NVIDIA L4", pci_bus_id="0000:01:00.0", driver_version="550.1",
        power_watts=61.25, power_limit_watts=72.0, utilization_percent=43.0, encoder_percent=12.0, decoder_percent=4.0,
        memory_used_bytes=2 << 30, temperature_celsius=54.0, sm_clock_hertz=1.7e9, energy_joules_total=7.2e6,
        encoder_sessions=2, encoder_frames_per_second=60.0, encoder_latency_seconds=0.004,
        processes=(GpuProcess(pid=811, name="ffmpeg", cgroup="/docker/ab", memory_bytes=300 << 20, sm_percent=21.0,
                              encoder_percent=12.0),),
    )  # fmt: skip
    return msgspec.structs.replace(one, **changes)


def exporter(name: str, **changes: Any) -> ExporterHealth:
    absent = name == "dcgm-exporter"
    one = ExporterHealth(
        exporter=name,
        url=f"http://127.0.0.1:{EXPORTERS[name]}/metrics",
        reachable=True,
        healthy=not absent,
        has_data=not absent,
        metric_count=2 if absent else 24,
        sample_count=2 if absent else 180,
        scrape_seconds=0.0123,
        checked=NOW,
        reason="it answers, with no sample about a GPU" if absent else "",
    )
    return msgspec.structs.replace(one, **changes)


def run(phase: str = "measuring", **changes: Any) -> Run:
    one = Run(
        id="20250615_150600",
        state="running",
        started=NOW - 40,
        scenarios=[Scenario(name="baseline", type="baseline", duration=30), Scenario(name="quick", duration=60)],
        progress=RunProgress(
            phase=phase,
            scenario="quick",
            scenario_index=1,
            scenario_count=2,
            fraction=0.62,
            elapsed_seconds=62.0,
            remaining_seconds=38.0,
        ),  # type: ignore[arg-type]
        encoders=[
            EncoderStatus(
                stream="quick-1",
                frames=1100,
                fps=30.1,
                speed=1.0,
                dropped_frames=0,
                duplicated_frames=0,
                bitrate_bps=2_512_000.0,
            )
        ],
        finished=[ScenarioRecord(name="baseline", type="baseline", start_time=NOW - 70, end_time=NOW - 40)],
    )
    return msgspec.structs.replace(one, **changes)


IDLE = Scenario(name="baseline", type="baseline", duration=15.0, warmup=2.0, cooldown=0.0)

PRESETS = [
    ScenarioPreset(
        id="1x720p", title="1 stream 720p 2.5 Mbit/s", scenarios=[IDLE, Scenario(name="1x 720p 2.5M")], seconds=87.0
    ),
    ScenarioPreset(
        id="4x720p", title="4 streams 720p 2.5 Mbit/s", scenarios=[Scenario(name="4x 720p 2.5M", streams=4)]
    ),
    ScenarioPreset(
        id="ladder",
        title="Ladder: 360p, 720p, 1080p",
        scenarios=[
            IDLE,
            Scenario(name="360p 800k", resolution="640x360", bitrate="800k"),
            Scenario(name="720p 2500k"),
            Scenario(name="1080p 5M", resolution="1920x1080", bitrate="5M"),
        ],
    ),
]
"""One preset with an idle window of its own, as the daemon's are; one without; one of several scenarios."""


def result(run_id: str = "20250615_140000", *, watts: float = 40.0) -> RunResult:
    def one(name: str, mean: float, **changes: Any) -> ScenarioResult:
        base = ScenarioResult(
            record=ScenarioRecord(
                name=name,
                bitrate="2500k",
                resolution="1280x720",
                fps=30,
                duration=60.0,
                start_time=NOW - 4000,
                end_time=NOW - 3940,
                vmaf_score=85.67,
                psnr_score=36.2,
                ssim_score=0.9712,
                type="streams",
                streams=1,
                realtime=True,
                status="done",
            ),
            duration_seconds=60.0,
            window_seconds=60.0,
            energy_joules=mean * 60,
            power_mean_watts=mean,
            power_max_watts=mean + 9.3,
            power_source="rapl",
            cpu_seconds=55.0,
            cpu_mean_percent=11.5,
            baseline="baseline",
            baseline_diff_power_watts=mean - 30.0,
            qoe_score=4.31,
            cost_energy=0.00008,
            cost_compute=0.0076,
            cost_total=0.00768,
            carbon_grams=0.3,
            currency="USD",
        )
        return msgspec.structs.replace(base, **changes)

    idle = ScenarioRecord(name="baseline", type="baseline", duration=30.0, start_time=NOW - 4040, end_time=NOW - 4010)
    return RunResult(
        id=run_id,
        path=f"/results/test_results_{run_id}.json",
        test_date="2025-06-15T14:00:00",
        status="done",
        history="sqlite",
        scenarios=[
            one(
                "baseline",
                30.0,
                record=idle,
                duration_seconds=30.0,
                window_seconds=30.0,
                energy_joules=900.0,
                baseline=None,
                baseline_diff_power_watts=None,
                qoe_score=None,
                reasons={"qoe_score": "a baseline has no picture", "vmaf_score": "a baseline has no picture"},
            ),
            one("1 stream 720p 2500k", watts),
            one(
                "4 streams 720p 2500k",
                watts * 1.6,
                record=ScenarioRecord(
                    name="4 streams 720p 2500k",
                    bitrate="2500k",
                    resolution="1280x720",
                    fps=30,
                    duration=60.0,
                    start_time=NOW - 3900,
                    end_time=NOW - 3840,
                    type="streams",
                    streams=4,
                    realtime=False,
                    status="done",
                ),
                qoe_score=None,
                power_source="estimated",
                reasons={"vmaf_score": "no FFmpeg with libvmaf was found", "qoe_score": "no VMAF score"},
            ),
        ],
    )


ENCODERS = [
    EncoderOffer(name="libx264", codec="h264"),
    EncoderOffer(name="libx265", codec="hevc"),
    EncoderOffer(name="h264_nvenc", codec="h264", hardware=True, reason="Cannot load libcuda.so.1"),
]
FINDINGS = [
    Finding(
        source="RAPL",
        state="not permitted",
        detail="energy_uj is readable by root only",
        fix="sudo setcap cap_dac_read_search+ep /usr/bin/python3",
    ),
    Finding(source="Docker", state="works", detail="Docker 24.0.5, cgroup v2"),
    Finding(source="NVIDIA GPU", state="absent", detail="no NVIDIA driver is loaded"),
    Finding(source="FFmpeg", state="works", detail="5.1.6, with libx264"),
]


class ScriptedDaemon:
    """The control API at ``url``. Tests set what it says, and wait for what it was asked.

    ``say(snapshot)`` sends one to all who follow, and tells as events what has changed since the last one, as a daemon
    does; ``tell`` tells another event. ``refuse_runs`` answers POSTs with that error. ``hang`` makes every
    call but ``live`` wait for ever. ``stop`` and ``start`` lose the daemon and bring it back.
    """

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.url = f"unix://{socket}"
        self.now = snapshot()
        self.results = [result()]
        self.presets = PRESETS
        self.offers = ENCODERS
        self.findings = FINDINGS
        self.encoders: dict[tuple[str, str, str], StreamEncoder] = {}
        self.processes: dict[str, WorkloadProcesses] = {}
        self.series: list[HistorySeries] = []
        self.posted: list[RunRequest] = []
        self.stopped: list[str] = []
        self.closed_windows: list[str] = []
        self.asked: list[str] = []
        self.refuse_runs: tuple[int, dict[str, str]] | None = None
        self.hang = False
        self.ended: Run | None = None
        self.past_runs: list[Run] = []
        self.past: Callable[[float], Snapshot | None] | None = None
        self.events: list[Event] = []
        self._followers: list[asyncio.Queue[bytes]] = []
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # what tests do

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        config = uvicorn.Config(
            self._app(),
            uds=str(self.socket),
            log_level="critical",
            lifespan="off",
            timeout_graceful_shutdown=1,
            ws="none",
        )
        server = self._server = uvicorn.Server(config)
        started = threading.Event()

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            task = asyncio.ensure_future(server.serve())
            while not server.started and not task.done():  # noqa: ASYNC110  uvicorn has no event for it
                await asyncio.sleep(0.005)
            started.set()
            await task

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        self._thread.start()
        assert started.wait(10), "the scripted daemon did not start"

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.force_exit = True
        self._server.should_exit = True
        self._in_loop(lambda: [queue.put_nowait(b"") for queue in self._followers])
        self._thread.join(10)
        assert not self._thread.is_alive(), "the scripted daemon did not stop"
        self._server = self._thread = self._loop = None

    def tell(self, level: EventLevel, about: str, text: str, *, at: float = 0.0, alert: bool = False) -> None:
        event = Event(id=len(self.events) + 1, time=NOW + at, level=level, about=about, text=text, alert=alert)
        self.events.append(event)
        if isinstance(self.now, Snapshot):
            self.now = msgspec.structs.replace(self.now, last_event=event.id)

    def say(self, picture: Snapshot) -> None:
        watch = Watch()
        watch.look(self.now)
        for level, about, text, alert in watch.look(picture):
            self.tell(level, about, text, at=picture.time - NOW, alert=alert)
        picture = self.now = msgspec.structs.replace(picture, last_event=len(self.events))
        line = b"data: " + msgspec.json.encode(picture) + b"\n\n"
        self._in_loop(lambda: [queue.put_nowait(line) for queue in self._followers])

    def _in_loop(self, function: Callable[[], Any]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function)

    # what it answers

    def _app(self) -> Starlette:
        def get(path: str, answer: Callable[[Request], Any]) -> Route:
            async def endpoint(request: Request) -> Response:
                self.asked.append(f"GET {request.url.path}")
                if self.hang:
                    await asyncio.Event().wait()
                try:
                    return _json(answer(request))
                except (StopIteration, KeyError):
                    return _json({"error": "there is none of that name", "field": "id"}, 404)
                except NoData as lack:
                    return _json({"error": lack.reason, "field": "runs"}, 422)

            return Route(path, endpoint, methods=["GET"])

        return Starlette(
            routes=[
                Route("/api/v1/snapshot", self._snapshot),
                Route("/api/v1/live", self._live),
                get("/api/v1/history", self._history),
                Route("/api/v1/trends", self._trends),
                get("/api/v1/scenarios", lambda _: self.presets),
                get("/api/v1/encoders", lambda _: self.offers),
                Route("/api/v1/plan", self._plan, methods=["POST"]),
                Route("/api/v1/runs", self._runs, methods=["GET", "POST"]),
                Route("/api/v1/runs/{id}", self._run, methods=["GET", "DELETE"]),
                Route("/api/v1/runs/{id}/window", self._window, methods=["DELETE"]),
                get("/api/v1/results", lambda _: self.results),
                get("/api/v1/result-ids", lambda _: [one.id for one in self.results]),
                get("/api/v1/results/{id}", lambda r: next(x for x in self.results if x.id == r.path_params["id"])),
                get("/api/v1/events", self._events),
                get(
                    "/api/v1/streams/encoder",
                    lambda r: self.encoders[r.query_params["app"], r.query_params["stream"], r.query_params["address"]],
                ),
                get("/api/v1/workloads/processes", lambda r: self.processes[r.query_params["id"]]),
                *(get(path, partial(answer, self)) for path, answer in RESULTS_ANSWERS.items()),
                get("/api/v1/exporters", lambda _: self.now.exporters),
                get("/api/v1/doctor", lambda _: self.findings),
            ]
        )

    async def _snapshot(self, request: Request) -> Response:
        """Now, or what ``past`` says of a moment; 404 where it has no picture of that."""
        if "time" not in request.query_params:
            return _json(self.now)
        at = float(request.query_params["time"])
        self.asked.append(f"GET /api/v1/snapshot {at:.0f}")
        if self.hang:
            await asyncio.Event().wait()
        found = self.past(at) if self.past is not None else None
        if found is None:
            return _json({"error": "the history does not reach there", "field": "time"}, 404)
        return _json(found)

    async def _live(self, request: Request) -> Response:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        queue.put_nowait(b"data: " + msgspec.json.encode(self.now) + b"\n\n")

        async def lines() -> AsyncIterator[bytes]:
            self._followers.append(queue)
            try:
                while line := await self._next_line(queue):
                    yield line
            finally:
                self._followers.remove(queue)

        return StreamingResponse(lines(), media_type="text/event-stream")

    @staticmethod
    async def _next_line(queue: asyncio.Queue[bytes]) -> bytes:
        """An empty line while the test says nothing: a dashboard gives up a daemon that is silent, and a test on a busy
        machine may take longer than that."""
        try:
            return await asyncio.wait_for(queue.get(), 1.0)
        except TimeoutError:
            return b"\n"

    def _events(self, request: Request) -> list[Event]:
        return [event for event in self.events if event.id > int(request.query_params.get("after", "0"))]

    def _history(self, request: Request) -> list[HistorySeries]:
        start, end = float(request.query_params["start"]), float(request.query_params["end"])
        return _Series(self.series).between(request.query_params["series"], start, end)

    async def _trends(self, request: Request) -> Response:
        """As the daemon makes them of its history, which is ``series`` here."""
        query = request.query_params
        self.asked.append("GET /api/v1/trends")
        if self.hang:
            await asyncio.Event().wait()
        span = [float(query[name]) for name in ("start", "end", "step")]
        kept: Any = _Series(self.series)
        return _json(await trends(kept, query["kind"], query["quantity"], query.getlist("name"), *span))  # type: ignore[arg-type]

    async def _plan(self, request: Request) -> Response:
        """As the daemon would plan it, with an empty media directory."""
        wanted = msgspec.json.decode(await request.body(), type=RunRequest)
        try:
            planned = [one.scenario for one in plan_of(wanted, self.socket.parent)]
        except WrongField as error:
            return _json({"error": str(error), "field": error.field}, 422)
        seconds = sum(one.duration + one.cooldown + one.warmup for one in planned)
        return _json(RunPlan(scenarios=planned, seconds=seconds))

    async def _runs(self, request: Request) -> Response:
        if request.method == "GET":
            return _json([*([self.now.run] if self.now.run is not None else []), *self.past_runs])
        if self.hang:
            await asyncio.Event().wait()
        if self.refuse_runs is not None:
            status, body = self.refuse_runs
            return _json(body, status)
        wanted = msgspec.json.decode(await request.body(), type=RunRequest)
        self.posted.append(wanted)
        started = run("preparing", scenarios=wanted.scenarios, finished=[], encoders=[])
        self.say(msgspec.structs.replace(self.now, run=started))
        return _json(started, 201)

    async def _run(self, request: Request) -> Response:
        run_id = request.path_params["id"]
        here = self.now.run if self.now.run is not None and self.now.run.id == run_id else None
        if request.method == "DELETE" and here is not None:
            self.stopped.append(run_id)
            here = self.ended = msgspec.structs.replace(here, state="aborted", progress=None, ended=self.now.time)
            self.say(msgspec.structs.replace(self.now, run=None))
        found = here or (self.ended if self.ended is not None and self.ended.id == run_id else None)
        found = found or next((one for one in self.past_runs if one.id == run_id), None)
        return _json(found) if found is not None else _json({"error": f"no run {run_id!r}", "field": ""}, 404)

    async def _window(self, request: Request) -> Response:
        self.closed_windows.append(request.path_params["id"])
        assert self.now.run is not None
        here = self.now.run
        self.finish()
        return _json(here)

    def finish(self, **changes: Any) -> None:
        """The run that goes on ends, as a daemon ends one: it is gone from the snapshot."""
        assert self.now.run is not None
        self.ended = msgspec.structs.replace(self.now.run, **{"state": "done", "progress": None, **changes})
        self.say(msgspec.structs.replace(self.now, run=None))


class _Series:
    """A history of these series; a step is left to what is there."""

    def __init__(self, series: Sequence[HistorySeries]) -> None:
        self._series = series

    def between(self, wanted: str, start: float, end: float) -> list[HistorySeries]:
        return [
            HistorySeries(one.name, [point for point in one.points if start <= point[0] <= end])
            for one in self._series
            if one.name == wanted or one.name.startswith(wanted.rstrip("}") + ("" if "{" in wanted else "{"))
        ]

    async def samples(self, wanted: str, start: float, end: float) -> list[HistorySeries]:
        return self.between(wanted, start, end)

    async def thinned(
        self, wanted: str, start: float, end: float, step: float, own_times: bool = False
    ) -> list[HistorySeries]:
        return self.between(wanted, start, end)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


@contextlib.contextmanager
def scripted(socket: Path) -> Iterator[ScriptedDaemon]:
    daemon = ScriptedDaemon(socket)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


LOOK_SECONDS = 0.01


async def until(pilot: Any, true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Lets the app run until something is true of it. On a busy machine the time is as much longer as the app takes to
    come to rest between two looks."""
    for _ in range(round(seconds / LOOK_SECONDS)):
        if true():
            break
        await pilot.pause(LOOK_SECONDS)
    else:
        raise AssertionError("it never came true")
    await pilot.pause()


def screen_text(app: Any) -> str:
    """What is on the screen, as text."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


@contextlib.asynccontextmanager
async def opened(daemon: ScriptedDaemon, size: tuple[int, int] = (120, 40), **options: Any) -> AsyncIterator[Any]:
    """The dashboard on that daemon with its first picture on the screen; gives the pilot, whose ``app`` it is."""
    from wattview.config import Tui
    from wattview.tui.app import Dashboard

    app = Dashboard(daemon.url, settings=Tui(**options))
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.latest is not None and app.link.state == "live")
        yield pilot
