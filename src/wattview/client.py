"""A client of the control API, for the dashboard and the command line.

``Client`` speaks HTTP and JSON to a daemon over its Unix socket (``unix:///path``) or TCP (``http://host:port`` with a
token). It returns the structs of ``model`` and raises one of three errors whose text is fit for users.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple, Self, TypeVar

import httpx
import msgspec

from wattview.decoding import UNREADABLE, Explained, why_unreadable
from wattview.fetch import NO_TLS, Fetched, FetchError, bounded_body, shown, trusted
from wattview.foreign_text import wire_json
from wattview.kept_connections import KeptConnections
from wattview.line_stream import lines
from wattview.model import (
    Advice,
    CommandReport,
    CurveComparison,
    EncoderOffer,
    Event,
    ExporterHealth,
    Finding,
    Gpu,
    HistorySeries,
    Measurements,
    PowerAccount,
    PowerPrediction,
    Question,
    RecordingRequest,
    Run,
    RunComparison,
    RunPlan,
    RunRequest,
    RunResult,
    ScenarioPreset,
    SideBySide,
    Snapshot,
    StreamEncoder,
    WorkloadProcesses,
)
from wattview.model.power.calibration import CalibrationOffer, WallCalibration, WallSamples
from wattview.model.snapshot import Trend, TrendKind, TrendQuantity

T = TypeVar("T")

MAX_BYTES = 64 * 1024 * 1024
"""Maximum size of an answer."""

LONGEST_SECONDS = 60.0
"""Maximum wait for a byte; every call also has its own deadline."""

QUIET_SECONDS = 15.0
"""How long a stream of snapshots may be silent; longer for a longer interval."""

_KEPT_LOCALLY, _KEPT_ELSEWHERE = 0, 1
"""A kept connection keeps the context of the task that opened it, and so a closed screen. A new local one is free; to
another machine it costs a handshake."""


class ClientError(Explained):
    """A call failed in the daemon or on the way to it. ``str()`` is for users."""


class DaemonUnreachable(ClientError):
    """No daemon answers there."""


class CallRefused(ClientError):
    """The daemon refused. ``status`` is HTTP's; ``field`` is the invalid field, if there is one (422)."""

    def __init__(self, message: str, status: int, field: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.field = field


class Problem(msgspec.Struct, frozen=True):
    """The body of every error answer."""

    error: str
    field: str = ""


class Address(NamedTuple):
    """Address of a daemon, the token for one behind ``http://``, and a CA to trust for ``https://``."""

    url: str
    token: str = ""
    ca_file: str = ""


class Client:
    """One daemon. Use as an async context manager, or ``await close()``."""

    def __init__(self, url: str, token: str = "", timeout_seconds: float = 5.0, ca_file: str = "") -> None:
        """``ca_file`` is trusted in addition to the system's certificates. Raises ClientError for an invalid
        address."""
        self.url, self._seconds = url, timeout_seconds
        self.account: PowerAccount | None = None  # how snapshots divide power; None: as the daemon's settings say
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
        base = url
        try:
            if url.startswith("unix://"):
                base = "http://wattview"
                # A Unix socket has no certificate: loading the system's would cost some 30 ms at each start.
                transport = KeptConnections(NO_TLS, url.removeprefix("unix://"), _KEPT_LOCALLY)
            else:
                verify = trusted(ca_file) if url.startswith("https://") else NO_TLS
                transport = KeptConnections(verify, kept=_KEPT_ELSEWHERE)
            self._http = httpx.AsyncClient(
                transport=transport, base_url=base, headers=headers, timeout=LONGEST_SECONDS, trust_env=False
            )
        except (httpx.InvalidURL, ValueError):
            raise ClientError(f"{shown(url)}: not an address; give unix:///path or http://host:port") from None
        except FetchError as error:
            raise ClientError(str(error)) from None

    async def snapshot(self, time: float | None = None) -> Snapshot:
        """The current state, or that of a past moment (Unix seconds); CallRefused (404) if the history does not include
        it."""
        query = {"account": self.account or ""} if time is None else {"time": repr(time)}
        return await self._get("/api/v1/snapshot", Snapshot, query, seconds=15.0)

    async def gpus(self) -> list[Gpu]:
        """The GPUs and their processes. Raises CallRefused (503) if there may be some that cannot be read."""
        return await self._get("/api/v1/gpus", list[Gpu])

    async def live(self, interval: float = 1.0) -> AsyncIterator[Snapshot]:
        """Snapshots as they are made, by another account as soon as that is set. Ends with DaemonUnreachable when the
        connection is lost, or silent for too long."""
        account: PowerAccount | str | None = ""
        while account != self.account:
            account = self.account
            async with contextlib.aclosing(self._live(interval)) as snapshots:
                async for snapshot in snapshots:
                    yield snapshot
                    if account != self.account:
                        break
        raise DaemonUnreachable(f"the daemon at {self.url} has closed the connection")

    async def _live(self, interval: float) -> AsyncGenerator[Snapshot, None]:
        decoder = msgspec.json.Decoder(Snapshot)
        quiet = max(QUIET_SECONDS, 5 * interval)
        async with self._told():
            query = {"interval": str(interval), "account": self.account or ""}
            async with asyncio.timeout(quiet):
                request = self._http.build_request("GET", "/api/v1/live", params=query)
                answer = await self._http.send(request, stream=True)
            try:
                if answer.status_code != 200:
                    async with asyncio.timeout(quiet):
                        raise _refusal(await self._whole(answer))
                async for line in lines(answer, quiet):
                    if line.startswith(b"data: "):
                        yield decoder.decode(line[6:])
            finally:
                await answer.aclose()

    async def history(self, series: str, start: float, end: float, step: float = 0.0) -> list[HistorySeries]:
        """Past values of every series that matches ``metric{label="value"}``; ``step`` 0 returns the stored samples."""
        query = {"series": series, "start": repr(start), "end": repr(end), "step": repr(step)}
        return await self._get("/api/v1/history", list[HistorySeries], query)

    async def trends(
        self, kind: TrendKind, quantity: TrendQuantity, start: float, end: float, *name: str, step: float = 0.0
    ) -> list[Trend]:
        """That quantity over time, for every subject of that kind, or for the one called ``name``."""
        query: dict[str, str | list[str]] = {
            "kind": kind, "quantity": quantity, "start": repr(start), "end": repr(end), "step": repr(step),
            "name": list(name),
        }  # fmt: skip
        return await self._get("/api/v1/trends", list[Trend], query)

    async def processes(self, workload_id: str) -> WorkloadProcesses:
        """The processes of a workload now; CallRefused (404) if it is no longer running."""
        query = {"id": workload_id, "account": self.account or ""}
        return await self._get("/api/v1/workloads/processes", WorkloadProcesses, query, seconds=15.0)

    async def remote_encoder(self, app: str, stream: str, address: str, port: int, account: str) -> StreamEncoder:
        """The encoder on this machine that pushes a stream to another one's server; CallRefused (404) if unknown."""
        query = {"app": app, "stream": stream, "address": address, "port": str(port), "account": account}
        return await self._get("/api/v1/streams/encoder", StreamEncoder, query)

    async def presets(self) -> list[ScenarioPreset]:
        return await self._get("/api/v1/scenarios", list[ScenarioPreset])

    async def encoders(self) -> list[EncoderOffer]:
        return await self._get("/api/v1/encoders", list[EncoderOffer], seconds=LONGEST_SECONDS)

    async def plan(self, request: RunRequest) -> RunPlan:
        """What ``start_run`` would do; raises CallRefused like it."""
        return await self._call("POST", "/api/v1/plan", RunPlan, content=wire_json(request))

    async def start_run(self, request: RunRequest) -> Run:
        return await self._call("POST", "/api/v1/runs", Run, content=wire_json(request))

    async def runs(self) -> list[Run]:
        return await self._get("/api/v1/runs", list[Run])

    async def run(self, run_id: str) -> Run:
        return await self._get(f"/api/v1/runs/{run_id}", Run)

    async def stop_run(self, run_id: str) -> Run:
        return await self._call("DELETE", f"/api/v1/runs/{run_id}", Run)

    async def open_window(self, run_id: str) -> Run:
        """Opens the window of the run's command, or says of an open one that its command still runs."""
        return await self._call("POST", f"/api/v1/runs/{run_id}/window", Run)

    async def close_window(self, run_id: str) -> Run:
        return await self._call("DELETE", f"/api/v1/runs/{run_id}/window", Run, seconds=30.0)

    async def record_past(self, request: RecordingRequest) -> Run:
        """Makes a window of the past a result."""
        return await self._call("POST", "/api/v1/recordings", Run, content=wire_json(request), seconds=60.0)

    async def report_command(self, run_id: str, report: CommandReport) -> Run:
        """What the command of the window that was closed took and gave."""
        return await self._call("POST", f"/api/v1/runs/{run_id}/command", Run, content=wire_json(report))

    async def results(self, limit: int = 50) -> list[RunResult]:
        """The newest results files, newest first, analysed."""
        return await self._get("/api/v1/results", list[RunResult], {"limit": str(limit)}, seconds=60.0)

    async def result_ids(self) -> list[str]:
        """The ids of all results files, newest first."""
        return await self._get("/api/v1/result-ids", list[str])

    async def result(self, result_id: str) -> RunResult:
        return await self._get(f"/api/v1/results/{result_id}", RunResult, seconds=60.0)

    async def report(self, result_id: str) -> str:
        """One run as a self-contained HTML page."""
        answer = await self._answer("GET", f"/api/v1/results/{result_id}/report", seconds=60.0)
        return answer.body.decode()

    async def compare(self, first: str, second: str, together: int = 1) -> RunComparison:
        """Two runs by their ids, the second less the first; one of ``together`` comparisons that are read at the same
        time."""
        asked = {"a": first, "b": second, "together": str(together)}
        return await self._get("/api/v1/compare", RunComparison, asked, seconds=60.0)

    async def measurements(self, runs: Sequence[str] = ()) -> Measurements:
        """Every setting of these runs, or of all, with the intervals of its repeats."""
        return await self._get("/api/v1/measurements", Measurements, {"runs": ",".join(runs)}, seconds=60.0)

    async def side_by_side(self, columns: Sequence[tuple[str, Sequence[int]]]) -> SideBySide:
        """Columns side by side, each a run's id and the indices of one setting's scenarios there."""
        query = {"of": [f"{run_id}:{','.join(map(str, numbers))}" for run_id, numbers in columns]}
        return await self._get("/api/v1/side-by-side", SideBySide, query, seconds=60.0)

    async def export(self, kind: str, runs: Sequence[str] = ()) -> bytes:
        """These runs, or all, as a file: ``json``, ``csv`` or ``html``."""
        query = {"format": kind, "runs": ",".join(runs)}
        return (await self._answer("GET", "/api/v1/export", params=query, seconds=60.0)).body

    async def advice(
        self, *, vmaf: float | None = None, qoe: float | None = None, streams: int | None = None,
        most: float | None = None, objective: str = "energy", machine: str = "", runs: Sequence[str] = (),
    ) -> Advice:  # fmt: skip
        """The cheapest measured setting that meets the target, from these runs or from all.

        ``objective`` is ``energy``, ``power``, ``cost`` or ``carbon``; ``most`` bounds it. ``machine`` is a part of a
        machine's name; by default the newest run's machine counts.
        """
        asked = {"vmaf": vmaf, "qoe": qoe, "streams": streams, "most": most}
        query = {name: repr(value) for name, value in asked.items() if value is not None}
        query |= {"objective": objective, "machine": machine, "runs": ",".join(runs)}
        return await self._get("/api/v1/advice", Advice, query, seconds=60.0)

    async def curves(
        self, *, first: str = "", second: str = "", quality: str = "vmaf", machine: str = "", runs: Sequence[str] = ()
    ) -> CurveComparison:
        """RD curves, and how much more the second needs at equal quality than the first.

        ``first`` and ``second`` are words of their labels; ``quality`` is ``vmaf``, ``psnr`` or ``ssim``.
        """
        query = {"first": first, "second": second, "quality": quality, "machine": machine, "runs": ",".join(runs)}
        return await self._get("/api/v1/curves", CurveComparison, query, seconds=60.0)

    async def predict(self, question: Question, runs: Sequence[str] = ()) -> PowerPrediction:
        """The power of a setting between measured ones.

        Raises CallRefused (422) outside of the measured range, unless the question asks to extrapolate.
        """
        query = {
            "streams": str(question.streams), "resolution": ",".join(question.resolutions), "fps": repr(question.fps),
            "bitrate": ",".join(question.bitrates), "source": question.source, "encoder": question.encoder,
            "preset": question.preset, "extrapolate": str(question.extrapolate).lower(), "machine": question.machine,
            "runs": ",".join(runs),
        }  # fmt: skip
        content = {"si": question.spatial, "ti": question.temporal}
        query |= {name: repr(value) for name, value in content.items() if value is not None}
        return await self._get("/api/v1/prediction", PowerPrediction, query, seconds=60.0)

    async def wall_samples(self, after: float, meter: str = "") -> WallSamples:
        """What was seen of the machine and of its meter since that moment (Unix seconds); "" is the wall."""
        return await self._get("/api/v1/wall/samples", WallSamples, {"after": repr(after), "meter": meter})

    async def calibration(self) -> WallCalibration:
        return await self._get("/api/v1/calibration", WallCalibration)

    async def offer_calibration(self, offer: CalibrationOffer) -> WallCalibration:
        """Raises CallRefused (409) if it is of another model of machine."""
        return await self._call("POST", "/api/v1/calibration", WallCalibration, content=wire_json(offer))

    async def forget_calibration(self) -> WallCalibration:
        return await self._call("DELETE", "/api/v1/calibration", WallCalibration)

    async def exporters(self) -> list[ExporterHealth]:
        return await self._get("/api/v1/exporters", list[ExporterHealth], seconds=60.0)

    async def events(self, after: int = 0) -> list[Event]:
        """The daemon's event log, oldest first: the events with a larger id than ``after``."""
        return await self._get("/api/v1/events", list[Event], {"after": str(after)})

    async def doctor(self) -> list[Finding]:
        return await self._get("/api/v1/doctor", list[Finding], seconds=60.0)

    async def different_settings(self, settings: Mapping[str, Any]) -> list[str]:
        """The dotted keys of settings that have another value in the daemon."""
        return await self._call("POST", "/api/v1/settings/differences", list[str], content=wire_json(settings))

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _get(
        self, path: str, kind: type[T], query: Mapping[str, str | list[str]] | None = None, **options: Any
    ) -> T:
        return await self._call("GET", path, kind, params=query, **options)

    async def _call(self, method: str, path: str, kind: type[T], **arguments: Any) -> T:
        answer = await self._answer(method, path, **arguments)
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except UNREADABLE as error:
            raise self._another_version(error) from error

    async def _answer(self, method: str, path: str, seconds: float | None = None, **arguments: Any) -> Fetched:
        async with (
            self._told(),
            asyncio.timeout(seconds or self._seconds),
            self._http.stream(method, path, **arguments) as response,
        ):
            answer = await self._whole(response)
        if answer.status >= 400:
            raise _refusal(answer)
        return answer

    async def _whole(self, response: httpx.Response) -> Fetched:
        body = await bounded_body(response, f"the daemon at {self.url}", MAX_BYTES)
        return Fetched(self.url, response.status_code, response.reason_phrase, body)

    @contextlib.asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Converts errors on the way to the daemon, and in its answers, to ClientError."""
        try:
            yield
        except (TimeoutError, httpx.TimeoutException):
            raise DaemonUnreachable(f"the daemon at {self.url} does not answer in time") from None
        except httpx.HTTPError as error:
            fix = (
                "start one with: wattview up" if self.url.startswith("unix://") else "is its daemon.control_listen set?"
            )
            raise DaemonUnreachable(f"no daemon answers at {self.url} ({error}); {fix}") from error
        except FetchError as error:
            raise ClientError(str(error)) from None
        except UNREADABLE as error:
            raise self._another_version(error) from error

    def _another_version(self, error: Exception) -> ClientError:
        return ClientError(f"the daemon at {self.url} speaks another version: {why_unreadable(error)}")


def _refusal(answer: Fetched) -> CallRefused:
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
    except UNREADABLE:
        problem = Problem(f"the daemon answered {answer.status} {answer.phrase}")
    return CallRefused(problem.error, answer.status, problem.field)
