"""A scripted Prometheus: its query API over a real socket, with answers that a test writes.

It answers the queries of ``wattview.fleet`` by their names, with a value a host; whatever else is asked it knows
nothing of. ``refuse`` makes every answer that status; ``hang`` makes every call wait for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.support.dashboard import NOW
from wattview.fleet import QUERIES, FleetStore, HostRow


class ScriptedStore:
    """``hosts[name][query] = value`` or ``(value, labels)``, by the names of ``QUERIES``; ``past[host]`` its power;
    ``series[metric] = [(labels, value), ...]`` for questions about one host."""

    def __init__(self) -> None:
        self.url = ""
        self.hosts: dict[str, dict[str, Any]] = {}
        self.past: dict[str, list[tuple[float, float]]] = {}
        self.series: dict[str, list[tuple[dict[str, str], float]]] = {}
        self.refuse = 0
        self.hang = False
        self.asked: list[dict[str, str]] = []
        self.authorization = ""

    async def _answer(self, request: Request) -> JSONResponse:
        form = dict(parse_qsl((await request.body()).decode()))
        self.asked.append(form)
        self.authorization = request.headers.get("authorization", "")
        if self.hang:
            await asyncio.Event().wait()
        if self.refuse:
            return JSONResponse({"status": "error", "error": "no room"}, self.refuse)
        if request.url.path.endswith("query_range"):
            asked = [host for host in self.past if "host=" not in form["query"] or host in form["query"]]
            points = {host: [[moment, str(value)] for moment, value in self.past[host]] for host in asked}
            return _json([{"metric": {"host": host}, "values": values} for host, values in points.items()])
        name = next((name for name, query in QUERIES.items() if query == form["query"]), None)
        if name is None:
            metric = form["query"].partition("(wattview_")[2].partition("{")[0].partition(" ")[0]
            metric = f"wattview_{metric}" if metric else form["query"].rpartition("(")[2].partition("{")[0]
            return _json([_sample(labels, value) for labels, value in self.series.get(metric, [])])
        found = []
        for host, answers in self.hosts.items():
            if name in answers:
                given = answers[name]
                value, labels = given if isinstance(given, tuple) else (given, {})
                found.append(_sample({"host": host, **labels}, value))
        return _json(found)


def _sample(labels: dict[str, str], value: float) -> dict[str, Any]:
    return {"metric": labels, "value": [NOW, str(value)]}


def _json(result: list[Any]) -> JSONResponse:
    return JSONResponse({"status": "success", "data": {"resultType": "vector", "result": result}})


@contextlib.asynccontextmanager
async def scripted_store(port: int = 0, store: ScriptedStore | None = None) -> AsyncIterator[ScriptedStore]:
    """A store on a free loopback port, or on ``port`` with what ``store`` knew: as one that comes back."""
    store = store or ScriptedStore()
    app = Starlette(routes=[Route("/api/v1/{what}", store._answer, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="off", ws="none"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), "the scripted store did not start"
        await asyncio.sleep(0.005)
    store.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield store
    finally:
        server.force_exit = server.should_exit = True
        await task


async def fleet(url: str) -> list[HostRow]:
    """Every host with a sample within the last hour, by name. Raises FleetError."""
    store = FleetStore(url)
    try:
        return await store.hosts()
    finally:
        await store.close()
