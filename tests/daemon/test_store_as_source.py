"""A store as history is a source like any other: what is wrong with it is known, said once, and stops nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ConfigFactory, free_port
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.prometheus import prometheus, serve_metrics
from tests.support.wire import Script, Wire, endlessly, head, slowly
from wattview.daemon import doctor
from wattview.daemon.history.backend import open_history
from wattview.daemon.results import Results
from wattview.daemon.sampler import Sampler
from wattview.model import StoreReading
from wattview.probes import SourceBroken, SourceRefused
from wattview.probes.store import StoreProbe

pytestmark = pytest.mark.parallel

STORE = "history.backend=prometheus"


def refusing(_: str) -> Iterator[bytes]:
    yield head("Content-Length: 0", status="401 Unauthorized")


def another_program(_: str) -> Iterator[bytes]:
    yield head("Content-Length: 20") + b"<html>Welcome</html>"


def endless(_: str) -> Iterator[bytes]:
    yield head("Content-Type: application/json") + b'{"status":"success","data":{"result":['
    yield from endlessly(b'{"metric":{"a":"b"},"value":[1,"1"]},' * 10_000)


def hundred_megabytes(_: str) -> Iterator[bytes]:
    yield head(f"Content-Length: {100 * 2**20}", "Content-Encoding: identity")
    yield from [b'{"a":"' + b"x" * 2**20] * 100


def trickling(_: str) -> Iterator[bytes]:
    yield from slowly(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10_000, 0.1)


def empty(_: str) -> Iterator[bytes]:
    body = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
    yield head(f"Content-Length: {len(body)}") + body


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        (refusing, SourceRefused, "answered 401"),
        (another_program, SourceBroken, "is this a Prometheus|Welcome"),
        (endless, SourceBroken, "more than 16 MiB"),
        (hundred_megabytes, SourceBroken, "more than 16 MiB"),
    ],
)
def test_what_is_wrong_with_a_store_is_its_state(
    make_config: ConfigFactory, script: Script, error: type[Exception], said: str
) -> None:
    with Wire(script) as wire, pytest.raises(error, match=said):
        StoreProbe(make_config(STORE, f"history.prometheus_url={wire.url}")).read()


def test_a_server_that_is_not_there_is_broken_and_its_setting_is_named(make_config: ConfigFactory) -> None:
    with pytest.raises(SourceBroken, match="cannot be reached") as told:
        StoreProbe(make_config(STORE, f"history.prometheus_url=http://127.0.0.1:{free_port()}")).read()
    assert told.value.fix == "check history.prometheus_url"


def test_a_store_without_our_data_is_reported_as_such(make_config: ConfigFactory) -> None:
    with Wire(empty) as wire:
        reading = StoreProbe(make_config(STORE, f"history.prometheus_url={wire.url}")).read()
    assert reading.daemons == 0
    assert reading.faults[0].reason == "it has no sample of any WattView"


async def test_a_real_prometheus_that_scrapes_a_daemon_knows_it(tmp_path: Path, make_config: ConfigFactory) -> None:
    async with (
        serve_metrics(lambda: 'wattview_build_info{version="1"} 1\n') as target,
        prometheus(tmp_path, [target], prefix="/metrics/store") as url,
    ):
        probe = StoreProbe(make_config(STORE, f"history.prometheus_url={url}"))
        async with asyncio.timeout(30):
            while (reading := await asyncio.to_thread(probe.read)).daemons == 0:  # noqa: ASYNC110 - nothing to await
                await asyncio.sleep(0.2)
    assert reading == StoreReading(time=reading.time, monotonic=reading.monotonic, url=url, daemons=1)


def test_without_a_configured_store_the_source_does_not_exist(make_config: ConfigFactory) -> None:
    sampler = Sampler(make_config())
    assert "history" not in sampler.sources
    sampler.close()


async def test_the_doctor_has_one_row_for_it(make_config: ConfigFactory) -> None:
    config = make_config(STORE, f"history.prometheus_url=http://me:hunter2@127.0.0.1:{free_port()}/")
    sampler = Sampler(config)
    history = open_history(config)
    try:
        found = await doctor.examine(config, sampler, history=history)
    finally:
        sampler.close()
        await history.close()
    [row] = [one for one in found if one.source == "history"]
    assert (row.state, row.fix) == ("broken", "check history.prometheus_url")
    assert "cannot be reached" in row.detail
    assert "hunter2" not in str(found)


async def test_the_figures_of_results_say_why_they_are_missing(make_config: ConfigFactory) -> None:
    config = make_config(STORE, f"history.prometheus_url=http://127.0.0.1:{free_port()}/")
    put_results(Path(config.paths.results))
    history = open_history(config)
    result = await Results(config, history).latest()
    await history.close()
    assert result is not None
    scenario = result.scenarios[0]
    assert scenario.energy_joules is None
    for figure in ("energy_joules", "cost_total"):
        assert "cannot be reached" in scenario.reasons[figure], figure


def successes(daemon: DaemonProcess, exporter: str) -> dict[str, float]:
    families = {family.name: family for family in text_string_to_metric_families(daemon.metrics(exporter))}
    return {sample.labels["probe"]: sample.value for sample in families["wattview_probe_success"].samples}


def eventually(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_missing_store_is_logged_once_and_reported_wherever_it_matters(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with running_daemon(tmp_path, STORE, f"history.prometheus_url={url}") as daemon:
        eventually(lambda: successes(daemon, "rapl-exporter").get("history") == 0)
        for exporter in ("results-exporter", "qoe-exporter", "cost-exporter"):
            assert successes(daemon, exporter)["history"] == 0
        for _ in range(3):
            [row] = [one for one in daemon.api.get("/api/v1/doctor").json() if one["source"] == "history"]
            assert row["state"] == "broken"
        assert daemon.log.count("source history: broken:") == 1
        assert f"{url} cannot be reached" in daemon.log


@pytest.mark.slow
async def test_a_stopped_store_is_reported_wherever_its_figures_are_missing(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "daemon").mkdir()
    with contextlib.ExitStack() as stack:
        async with prometheus(tmp_path, [f"127.0.0.1:{port}"]) as url:
            sets = (STORE, f"history.prometheus_url={url}", f"endpoints.rapl.port={port}")
            daemon = stack.enter_context(running_daemon(tmp_path / "daemon", *sets))
            put_results(daemon.state / "results")
            eventually(lambda: successes(daemon, "cost-exporter")["history"] == 1)
            eventually(lambda: daemon.exporters()["cost-exporter"].healthy, seconds=40)
        eventually(lambda: "cannot be reached" in said_of_cost(daemon), seconds=40)
        eventually(lambda: not daemon.exporters()["cost-exporter"].healthy, seconds=40)
        shows_it_everywhere(daemon, url)


def shows_it_everywhere(daemon: DaemonProcess, url: str) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "wattview", "check", "--json", *daemon.arguments], capture_output=True, check=False
    )
    rows = {row["exporter"]: row["state"] for row in json.loads(checked.stdout)}
    page = httpx.get(f"{daemon.exporters()['cost-exporter'].url}/health", trust_env=False).json()
    findings = {row["source"]: row for row in daemon.api.get("/api/v1/doctor").json()}
    assert (rows["cost-exporter"], rows["results-exporter"], checked.returncode) == ("unhealthy", "unhealthy", 1)
    assert rows["qoe-exporter"] == "no source"  # its figures are in the file
    assert page["status"] == "unhealthy"
    assert f"{url} cannot be reached" in next(one["reason"] for one in page["probes"] if one["probe"] == "history")
    assert (findings["history"]["state"], findings["exporters"]["state"]) == ("broken", "broken")
    assert successes(daemon, "cost-exporter")["history"] == 0
    assert 'wattview_exporter_state{exporter="cost-exporter",state="unhealthy"} 1' in daemon.metrics(
        "exporter-health-checker"
    )
    assert f"source history: broken: {url} cannot be reached" in daemon.log


def said_of_cost(daemon: DaemonProcess) -> str:
    return daemon.exporters()["cost-exporter"].reason


@pytest.mark.slow
@pytest.mark.parametrize("script", [endless, hundred_megabytes, trickling])
def test_a_daemon_starts_and_keeps_running_whatever_the_store_answers(tmp_path: Path, script: Script) -> None:
    with Wire(script) as wire:
        began = time.monotonic()
        with running_daemon(tmp_path, STORE, f"history.prometheus_url={wire.url}") as daemon:
            assert time.monotonic() - began < 15
            put_results(daemon.state / "results")
            slowest = 0.0
            for _ in range(5):
                for exporter in ("rapl-exporter", "cost-exporter"):
                    asked = time.monotonic()
                    daemon.metrics(exporter)
                    slowest = max(slowest, time.monotonic() - asked)
            for call in ("snapshot?time=1", "history?series=up&start=0&end=100000&step=1000"):
                assert daemon.api.get(f"/api/v1/{call}").status_code == 503
            assert slowest < 12  # five seconds is what a scrape waits for a history, beside the daemon's own checks
            assert resident_mib(daemon) < 250
        assert "Traceback" not in daemon.log


def put_results(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    window = {"name": "one", "start_time": time.time() - 60, "end_time": time.time() - 30}
    text = json.dumps({"test_date": "2026-01-01", "scenarios": [window] * 3})
    (directory / "test_results_20260101_000000.json").write_text(text)


def resident_mib(daemon: DaemonProcess) -> float:
    pages = Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096 / 2**20
