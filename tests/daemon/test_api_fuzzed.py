"""The control API under calls that nobody would make: every one is answered, and none with the daemon's own fault."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.api_fuzz import BODIES, NUMBERS, TEXTS, fuzz, with_results
from tests.support.daemon import DaemonProcess, running_daemon

pytestmark = pytest.mark.parallel


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    directory = tmp_path_factory.mktemp("fuzz")
    with_results(directory)
    with running_daemon(
        directory, "history.interval=500ms", f"docker.host=unix://{directory}/no-docker.sock"
    ) as running:
        yield running


@pytest.mark.parametrize("path", ["/api/v1/snapshot?time=", "/api/v1/history?series=x&end=9e9&start=",
                                  "/api/v1/history?series=x&start=0&end=", "/api/v1/events?after=",
                                  "/api/v1/results?limit=", "/api/v1/live?interval=",
                                  "/api/v1/prediction?streams="])  # fmt: skip
def test_an_invalid_or_meaningless_number_is_refused_by_name(daemon: DaemonProcess, path: str) -> None:
    name = path[:-1].rpartition("&")[2].rpartition("?")[2]
    for text in ("1e309", "inf", "-inf", "nan", "-4e18", "9" * 400, "noon", "0x10"):
        answer = daemon.api.get(path + text)
        assert answer.status_code == 422, text
        assert answer.json()["field"] == name


@pytest.mark.parametrize("text", ["1e308", "4e18", "253402300800"])
def test_a_time_that_no_calendar_has_is_refused(daemon: DaemonProcess, text: str) -> None:
    answer = daemon.api.get("/api/v1/snapshot", params={"time": text})
    assert (answer.status_code, answer.json()["field"]) == (422, "time")


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/plan"])
def test_a_body_that_is_not_a_request_is_refused(daemon: DaemonProcess, path: str, body: bytes) -> None:
    answer = daemon.api.post(path, content=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]


@pytest.mark.parametrize("key", ["collect[]", "exclude[]", "nonsense"])
def test_a_scrape_with_malformed_headers_is_answered(daemon: DaemonProcess, key: str) -> None:
    url = daemon.exporters()["node-exporter"].url
    with httpx.Client(trust_env=False) as client:
        for text in NUMBERS + TEXTS:
            assert client.get(f"{url}/metrics", params={key: text}).status_code in (200, 400), text


async def test_random_calls_find_no_fault(daemon: DaemonProcess) -> None:
    found = await fuzz(daemon.socket, seed=20, count=1_000)
    assert found.faults == []
    assert "Traceback" not in daemon.log


@pytest.mark.slow
async def test_fifty_thousand_random_calls_find_no_fault(daemon: DaemonProcess) -> None:
    found = await fuzz(daemon.socket, seed=11, count=50_000)
    assert found.faults == []
    assert {200, 400, 404, 405, 422} <= set(found.statuses)
    assert "Traceback" not in daemon.log
    assert daemon.snapshot().run is None
