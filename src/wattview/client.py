"""The control API from the outside: what the dashboard and the command line use.

``Client`` speaks HTTP and JSON to a daemon over its Unix socket (``unix:///path``) or TCP (``http://host:port`` with a
token). It returns the structs of ``model`` and raises one of three errors whose text can be shown as it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import httpx
import msgspec

from wattview import fetch
from wattview.model import (
    Advice,
    CurveComparison,
    Event,
    ExporterHealth,
    Finding,
    HistorySeries,
    Measurements,
    PowerPrediction,
    Run,
    RunComparison,
    RunPlan,
    RunRequest,
    RunResult,
    ScenarioPreset,
    SideBySide,
    Snapshot,
)
from wattview.model.trends import Trend, TrendKind, TrendQuantity

T = TypeVar("T")


class ClientError(Exception):
    """Something that the daemon, or the way to it, could not do. ``str()`` is for people."""


class DaemonUnreachable(ClientError):
    """No daemon answers there."""


class CallRefused(ClientError):
    """The daemon said no. ``status`` is HTTP's; ``field`` is the field that is wrong, where one is (422)."""

    def __init__(self, message: str, status: int, field: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.field = field


class Problem(msgspec.Struct, frozen=True):
    """The body of every answer that is an error."""

    error: str
    field: str = ""


class Address(NamedTuple):
    """Where a daemon is, and the token that a daemon behind ``http://`` wants."""

    url: str
    token: str = ""


class Client:
    """One daemon. Use as an async context manager, or ``await close()``."""

    def __init__(self, url: str, token: str = "", timeout_seconds: float = 5.0) -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if url.startswith("unix://"):
            # A socket has no certificate: the system's would be loaded for nothing, some 30 ms at each start.
            transport = httpx.AsyncHTTPTransport(uds=url.removeprefix("unix://"), verify=False)
            self._http = httpx.AsyncClient(
                transport=transport, base_url="http://wattview", timeout=timeout_seconds, trust_env=False
            )
        else:
            verify = fetch.trusted() if url.startswith("https://") else False
            self._http = httpx.AsyncClient(
                base_url=url, headers=headers, timeout=timeout_seconds, trust_env=False, verify=verify
            )

    async def snapshot(self, time: float | None = None) -> Snapshot:
        """Everything now, or at a past moment (Unix seconds); CallRefused (404) where the history does not reach it."""
        query = {} if time is None else {"time": repr(time)}
        return await self._get("/api/v1/snapshot", Snapshot, query, timeout=15.0)

    async def live(self, interval: float = 1.0) -> AsyncIterator[Snapshot]:
        """Snapshots as they are made. Ends with DaemonUnreachable when the connection is lost."""
        decoder = msgspec.json.Decoder(Snapshot)
        timeout = httpx.Timeout(5.0, read=max(15.0, 5 * interval))
        try:
            async with self._http.stream(
                "GET", "/api/v1/live", params={"interval": str(interval)}, timeout=timeout
            ) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    raise _refusal(answer)
                async for line in _lines(answer):
                    if line.startswith(b"data: "):
                        yield decoder.decode(line[6:])
        except httpx.HTTPError as error:
            raise DaemonUnreachable(self._unreachable(error)) from error
        raise DaemonUnreachable(f"the daemon at {self.url} has closed the connection")

    async def history(self, series: str, start: float, end: float, step: float = 0.0) -> list[HistorySeries]:
        """Past values of every series that matches ``metric{label="value"}``; ``step`` 0 gives what is stored."""
        query = {"series": series, "start": repr(start), "end": repr(end), "step": repr(step)}
        return await self._get("/api/v1/history", list[HistorySeries], query)

    async def trends(
        self, kind: TrendKind, quantity: TrendQuantity, start: float, end: float, *name: str, step: float = 0.0
    ) -> list[Trend]:
        """How that quantity ran for every subject of that kind, or for the one called ``name``."""
        query: dict[str, str | list[str]] = {
            "kind": kind, "quantity": quantity, "start": repr(start), "end": repr(end), "step": repr(step),
            "name": list(name),
        }  # fmt: skip
        return await self._get("/api/v1/trends", list[Trend], query)

    async def presets(self) -> list[ScenarioPreset]:
        return await self._get("/api/v1/scenarios", list[ScenarioPreset])

    async def plan(self, request: RunRequest) -> RunPlan:
        """What ``start_run`` would do; raises CallRefused as that does."""
        return await self._call("POST", "/api/v1/plan", RunPlan, content=msgspec.json.encode(request))

    async def start_run(self, request: RunRequest) -> Run:
        return await self._call("POST", "/api/v1/runs", Run, content=msgspec.json.encode(request))

    async def runs(self) -> list[Run]:
        return await self._get("/api/v1/runs", list[Run])

    async def run(self, run_id: str) -> Run:
        return await self._get(f"/api/v1/runs/{run_id}", Run)

    async def stop_run(self, run_id: str) -> Run:
        return await self._call("DELETE", f"/api/v1/runs/{run_id}", Run)

    async def results(self, limit: int = 50) -> list[RunResult]:
        """The newest results files, newest first, analysed."""
        return await self._get("/api/v1/results", list[RunResult], {"limit": str(limit)}, timeout=60.0)

    async def result(self, result_id: str) -> RunResult:
        return await self._get(f"/api/v1/results/{result_id}", RunResult, timeout=60.0)

    async def report(self, result_id: str) -> str:
        """One run as a page of HTML that needs no other file."""
        answer = await self._answer("GET", f"/api/v1/results/{result_id}/report", timeout=60.0)
        return answer.text

    async def compare(self, first: str, second: str, together: int = 1) -> RunComparison:
        """Two runs by their ids, the second less the first; one of so many comparisons that are read ``together``."""
        asked = {"a": first, "b": second, "together": str(together)}
        return await self._get("/api/v1/compare", RunComparison, asked, timeout=60.0)

    async def measurements(self, runs: Sequence[str] = ()) -> Measurements:
        """Every setting of the runs named, or of all, with the intervals of its repeats."""
        return await self._get("/api/v1/measurements", Measurements, {"runs": ",".join(runs)}, timeout=60.0)

    async def side_by_side(self, columns: Sequence[tuple[str, Sequence[int]]]) -> SideBySide:
        """Columns beside each other, each a run's id and the numbers of a scenario's repeats there."""
        query = {"of": [f"{run_id}:{','.join(map(str, numbers))}" for run_id, numbers in columns]}
        return await self._get("/api/v1/side-by-side", SideBySide, query, timeout=60.0)

    async def export(self, kind: str, runs: Sequence[str] = ()) -> bytes:
        """The runs named, or all, as a file: ``json``, ``csv`` or ``html``."""
        query = {"format": kind, "runs": ",".join(runs)}
        return (await self._answer("GET", "/api/v1/export", params=query, timeout=60.0)).content

    async def advice(
        self,
        *,
        vmaf: float | None = None,
        qoe: float | None = None,
        streams: int | None = None,
        most: float | None = None,
        objective: str = "energy",
        machine: str = "",
        runs: Sequence[str] = (),
    ) -> Advice:
        """The cheapest measured setting that reaches what is asked for, from the runs named or from all.

        ``objective`` is ``energy``, ``power``, ``cost`` or ``carbon``; ``most`` bounds it. ``machine`` is a part of the
        name of the machine to ask about; without it, that of the newest run.
        """
        asked = {"vmaf": vmaf, "qoe": qoe, "streams": streams, "most": most}
        query = {name: repr(value) for name, value in asked.items() if value is not None}
        query |= {"objective": objective, "machine": machine, "runs": ",".join(runs)}
        return await self._get("/api/v1/advice", Advice, query, timeout=60.0)

    async def curves(
        self, *, first: str = "", second: str = "", quality: str = "vmaf", machine: str = "", runs: Sequence[str] = ()
    ) -> CurveComparison:
        """Settings over their bitrates, and how much more the second needs for the same quality than the first.

        ``first`` and ``second`` are words of their labels; ``quality`` is ``vmaf``, ``psnr`` or ``ssim``.
        """
        query = {"first": first, "second": second, "quality": quality, "machine": machine, "runs": ",".join(runs)}
        return await self._get("/api/v1/curves", CurveComparison, query, timeout=60.0)

    async def predict(
        self,
        streams: int,
        resolutions: Sequence[str] = ("1280x720",),
        fps: float = 30.0,
        *,
        encoder: str = "",
        preset: str = "",
        extrapolate: bool = False,
        machine: str = "",
        runs: Sequence[str] = (),
    ) -> PowerPrediction:
        """The power of a setting between those that were measured. Several resolutions are a ladder.

        Raises CallRefused (422) for what lies outside of them, unless ``extrapolate`` is true.
        """
        query = {
            "streams": str(streams), "resolution": ",".join(resolutions), "fps": repr(fps), "encoder": encoder,
            "preset": preset, "extrapolate": str(extrapolate).lower(), "machine": machine, "runs": ",".join(runs),
        }  # fmt: skip
        return await self._get("/api/v1/prediction", PowerPrediction, query, timeout=60.0)

    async def exporters(self) -> list[ExporterHealth]:
        return await self._get("/api/v1/exporters", list[ExporterHealth], timeout=60.0)

    async def events(self, after: int = 0) -> list[Event]:
        """The daemon's event log, oldest first: the events with a larger id than ``after``."""
        return await self._get("/api/v1/events", list[Event], {"after": str(after)})

    async def doctor(self) -> list[Finding]:
        return await self._get("/api/v1/doctor", list[Finding], timeout=60.0)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _get(
        self, path: str, kind: type[T], query: Mapping[str, str | list[str]] | None = None, **options: Any
    ) -> T:
        return await self._call("GET", path, kind, params=query, **options)

    async def _call(self, method: str, path: str, kind: type[T], **arguments: Any) -> T:
        answer = await self._answer(method, path, **arguments)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.DecodeError as error:
            raise ClientError(f"the daemon at {self.url} speaks another version: {error}") from error

    async def _answer(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise DaemonUnreachable(self._unreachable(error)) from error
        if answer.status_code >= 400:
            raise _refusal(answer)
        return answer

    def _unreachable(self, error: httpx.HTTPError) -> str:
        if isinstance(error, httpx.TimeoutException):
            return f"the daemon at {self.url} does not answer in time"
        way_out = (
            "start one with: wattview up" if self.url.startswith("unix://") else "is its daemon.control_listen set?"
        )
        return f"no daemon answers at {self.url} ({error}); {way_out}"


async def _lines(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The lines of a stream, as they come. httpx makes text of them, which JSON need not be: it costs as much as
    reading a snapshot."""
    rest = b""
    async for piece in answer.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line


def _refusal(answer: httpx.Response) -> CallRefused:
    try:
        problem = msgspec.json.decode(answer.content, type=Problem)
    except msgspec.DecodeError:
        problem = Problem(f"the daemon answered {answer.status_code} {answer.reason_phrase}")
    return CallRefused(problem.error, answer.status_code, problem.field)
