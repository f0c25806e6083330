"""One host, one power: what the daemon's own snapshot says, and what the stack's rules and the fleet make of its
exporters in a real VictoriaMetrics, are the same figures. Its RAPL is simulated, its GPUs are a script of NVML.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from tests.conftest import ConfigFactory, free_port
from tests.support.fake_nvml import NOT_SUPPORTED, UNINITIALIZED, FakeGpu, FakeNvml
from tests.support.powercap import simulated_rapl
from tests.support.stack import Store, alerting, victoria_metrics
from tests.support.store import fleet
from wattview.client import Client
from wattview.config import EndpointsSettings
from wattview.daemon.events import kept_events
from wattview.daemon.http.addresses import Addresses
from wattview.daemon.service import Daemon
from wattview.fleet import HostRow, of_snapshot

RAPL_WATTS = 110.0
"""A package of 100 W, and a tenth of that in its DRAM."""

PRICES = (
    "cost.currency=EUR", "cost.energy_per_kwh=0.30", "cost.pue=1.5", "cost.carbon_g_per_kwh=400", "cost.cpu_per_hour=0",
    "cost.gpu_per_hour=2",
)  # fmt: skip


class Host(NamedTuple):
    """A daemon that is scraped: its API, and the store."""

    client: Client
    store: Store

    async def until(self, true: Callable[[HostRow], bool], what: str) -> HostRow:
        """The host's row in the store once something is true of it."""
        deadline = asyncio.get_running_loop().time() + 30
        while True:
            rows = await fleet(self.store.url)
            if rows and true(rows[0]):
                return rows[0]
            assert asyncio.get_running_loop().time() < deadline, f"{what}; last: {rows}"
            await asyncio.sleep(0.2)

    async def agrees(self, watts: float | None) -> HostRow:
        """The host's row by its own word, which the store's and the rules' figures are the same as."""
        await self.until(
            lambda row: row.exporters == 10 and row.power_watts == (watts and pytest.approx(watts, rel=0.03)),
            f"{watts} W in the store",
        )
        # A snapshot shows a broken source by its last reading for ten seconds; an exporter shows no old figure at all.
        own = of_snapshot(await self.client.snapshot(), "?")
        while (own.power_watts is None) != (watts is None):
            await asyncio.sleep(0.5)
            own = of_snapshot(await self.client.snapshot(), "?")
        row = await self.until(lambda row: row.exporters_healthy == own.exporters_healthy, "the same health")
        for field in ("host", "power_source", "currency", "exporters", "exporters_healthy"):
            if watts is not None or not field.startswith(("power", "currency")):
                assert getattr(row, field) == getattr(own, field), field
        for field, rule in RULES.items():
            mine, theirs = getattr(own, field), getattr(row, field)
            assert (theirs is None) == (mine is None), field
            recorded = await self.rule(rule, mine is not None)
            if mine is not None:
                assert theirs == pytest.approx(mine, rel=0.05), field
                assert recorded == pytest.approx(mine, rel=0.05), rule
        return own

    async def rule(self, name: str, there: bool) -> float | None:
        """What the recording rule gives; waits until it gives anything, or nothing any more."""
        deadline = asyncio.get_running_loop().time() + 30
        while True:
            found = await asyncio.to_thread(self.store.query, name)
            if bool(found) == there:
                return float(found[0]["value"][1]) if found else None
            assert asyncio.get_running_loop().time() < deadline, (name, found)
            await asyncio.sleep(0.2)


RULES = {
    "power_watts": "host:power_watts",
    "energy_cost_per_hour": "host:energy_cost_per_hour",
    "cost_per_hour": "host:cost_per_hour",
    "carbon_grams_per_hour": "host:carbon_grams_per_hour",
}


@contextlib.asynccontextmanager
async def scraped(directory: Path, make_config: ConfigFactory) -> AsyncIterator[Host]:
    """The daemon in this process, and beside it VictoriaMetrics and vmalert with the stack's scraping and rules."""
    discovery = free_port()
    with contextlib.ExitStack() as stack:
        sysfs = stack.enter_context(simulated_rapl(directory / "sys", curve="constant:100"))
        store = stack.enter_context(victoria_metrics(directory, discovery))
        stack.enter_context(alerting(directory, store))
        config = make_config(
            f"endpoints.health.port={discovery}", f"paths.sysfs={sysfs}", f"docker.host=unix://{directory}/none.sock",
            "streams.nginx_rtmp_url=http://127.0.0.1:9/stat", *PRICES,
        )  # fmt: skip
        ports = {name: getattr(config.endpoints, name).port for name in EndpointsSettings.__struct_fields__}
        addresses = await Addresses.of(config, ports, None)
        daemon = Daemon(config, stack.enter_context(kept_events()), addresses)
        await daemon.start()
        try:
            async with Client(f"unix://{config.daemon.control_socket}") as client:
                yield Host(client, store)
        finally:
            await daemon.stop(for_good=True)
            await addresses.close()


def gpu(uuid: str, watts: float, percent: int) -> FakeGpu:
    use = SimpleNamespace(gpu=percent, memory=0)
    return FakeGpu(uuid, nvmlDeviceGetPowerUsage=watts * 1000, nvmlDeviceGetUtilizationRates=use)


@pytest.mark.slow
async def test_the_snapshot_the_fleet_and_the_rules_agree_on_a_machine_with_gpus(
    tmp_path: Path, make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = gpu("GPU-0", 68.5, 50), gpu("GPU-1", 31.5, 25)
    nvml = FakeNvml(first, second)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    async with scraped(tmp_path, make_config) as host:
        own = await host.agrees(RAPL_WATTS + 100.0)
        assert (own.power_source, own.power_error_watts) == ("rapl+nvml", None)
        assert own.energy_cost_per_hour == pytest.approx(0.21 * 0.30 * 1.5, rel=0.05)
        assert own.carbon_grams_per_hour == pytest.approx(0.21 * 400 * 1.5, rel=0.05)
        assert own.cost_per_hour == pytest.approx(0.21 * 0.30 * 1.5 + 0.75 * 2, rel=0.05)

        second.answers["nvmlDeviceGetPowerUsage"] = NOT_SUPPORTED
        silent = await host.agrees(None)
        assert silent.power_reason == "GPU 1 does not report its power"

        second.answers["nvmlDeviceGetPowerUsage"] = 61_500
        await host.agrees(RAPL_WATTS + 130.0)

        for one in (first, second):
            one.answers["nvmlDeviceGetPowerUsage"] = UNINITIALIZED
        nvml.init = int(UNINITIALIZED)
        gone = await host.agrees(None)
        assert gone.power_reason == "its GPUs cannot be read at the moment"


@pytest.mark.slow
async def test_snapshot_fleet_and_rules_agree_without_gpus_and_on_the_error(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    async with scraped(tmp_path, make_config) as host:
        own = await host.agrees(RAPL_WATTS)
        assert own.power_source == "rapl"
        assert own.cost_per_hour == pytest.approx(0.11 * 0.30 * 1.5, rel=0.05)
        row = (await fleet(host.store.url))[0]
        for error in (own.power_error_watts, row.power_error_watts):
            assert error is not None
            assert error >= 0.001 * RAPL_WATTS * 0.9, "no counter is known better than to a millisecond"
