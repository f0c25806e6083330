"""The sampler's promises: readings are shared, a source that hangs or fails harms no other, states have reasons."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

from tests.conftest import ConfigFactory
from wattview.daemon.sampler import Sampler, Source
from wattview.model import Fault, Reading
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused
from wattview.probes.registry import ProbeEntry


class ScriptedProbe:
    """A probe whose answers a test decides; it counts its reads and notices two at once."""

    def __init__(self) -> None:
        self.reads = 0
        self.error: Exception | None = None
        self.faults: tuple[Fault, ...] = ()
        self.gate = threading.Event()
        self.gate.set()
        self.overlapped = False
        self.closed = False
        self._inside = False

    def read(self) -> Reading:
        self.overlapped |= self._inside
        self._inside = True
        try:
            self.reads += 1
            assert self.gate.wait(10)
            if self.error is not None:
                raise self.error
            return Reading(time=time.time(), monotonic=time.monotonic(), faults=self.faults)
        finally:
            self._inside = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def probe() -> ScriptedProbe:
    return ScriptedProbe()


@pytest.fixture
def source(probe: ScriptedProbe, make_config: ConfigFactory) -> Source:
    return Source(ProbeEntry("demo", lambda config: probe, ()), make_config())


async def test_askers_at_the_same_moment_share_one_reading(source: Source, probe: ScriptedProbe) -> None:
    readings = await asyncio.gather(*(source.read() for _ in range(50)))
    assert probe.reads == 1
    assert len({id(reading) for reading in readings}) == 1


async def test_a_reading_that_is_too_old_for_the_asker_is_taken_anew(source: Source, probe: ScriptedProbe) -> None:
    first = await source.read()
    assert await source.read(max_age=60) is first
    assert await source.read(max_age=0) is not first
    assert probe.reads == 2
    assert not probe.overlapped


async def test_a_source_that_hangs_costs_its_askers_their_patience_and_then_recovers(
    source: Source, probe: ScriptedProbe
) -> None:
    probe.gate.clear()
    with pytest.raises(SourceBroken, match="has not answered for"):
        await source.read(patience=0.05)
    with pytest.raises(SourceBroken):
        await source.read(patience=0.05)
    assert probe.reads == 1, "a second asker must not start a second reading of a source that hangs"
    assert source.status.state == "broken"
    probe.gate.set()
    assert (await source.read()).monotonic > 0
    assert source.status.state == "ok"


async def test_an_asker_that_gives_up_does_not_take_the_reading_from_others(
    source: Source, probe: ScriptedProbe
) -> None:
    probe.gate.clear()
    patient = asyncio.create_task(source.read(patience=10))
    hasty = asyncio.create_task(source.read(patience=10))
    await asyncio.sleep(0)
    hasty.cancel()
    probe.gate.set()
    assert (await patient).monotonic > 0


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (SourceAbsent("no such card"), "absent"),
        (SourceRefused("energy_uj is readable by root only", "sudo setcap …"), "refused"),
        (SourceBroken("it answers rubbish"), "broken"),
        (ZeroDivisionError("division by zero"), "broken"),
    ],
)
async def test_a_failure_is_a_state_with_a_reason(
    source: Source, probe: ScriptedProbe, error: Exception, state: str
) -> None:
    probe.error = error
    with pytest.raises(Exception, match=str(error)):
        await source.read()
    assert source.status.state == state
    assert str(error) in source.status.reason
    assert source.status.fix == getattr(error, "fix", "")


async def test_a_failed_source_is_left_alone_for_a_while_but_the_doctor_asks_at_once(
    source: Source, probe: ScriptedProbe
) -> None:
    probe.error = SourceAbsent("no such card")
    for _ in range(5):
        with pytest.raises(SourceAbsent):
            await source.read()
    assert probe.reads == 1
    probe.error = None
    assert await source.read(max_age=0)
    assert source.status.state == "ok"


async def test_a_state_is_logged_once_and_again_when_it_ends(
    source: Source, probe: ScriptedProbe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wattview.events")
    probe.error = SourceRefused("it is locked", "unlock it")
    for _ in range(3):
        with pytest.raises(SourceRefused):
            await source.read(max_age=0)
    probe.error = None
    await source.read(max_age=0)
    assert [record.getMessage() for record in caplog.records] == [
        "source demo: refused: it is locked; unlock it",
        "source demo: works again",
    ]


async def test_a_missing_part_degrades_the_source_and_says_which(source: Source, probe: ScriptedProbe) -> None:
    probe.faults = (Fault("intel-rapl:0:2", "permission denied", "chmod …"), Fault("b", "gone"))
    await source.read()
    assert source.status.state == "degraded"
    assert source.status.reason == "intel-rapl:0:2: permission denied (and 1 more)"
    assert source.status.fix == "chmod …"


async def test_one_source_that_hangs_does_not_delay_another(make_config: ConfigFactory) -> None:
    stuck, well = ScriptedProbe(), ScriptedProbe()
    stuck.gate.clear()
    entries = [ProbeEntry("stuck", lambda config: stuck, ()), ProbeEntry("well", lambda config: well, ())]
    sampler = Sampler(make_config(), entries)
    try:
        waiting = asyncio.create_task(sampler.read_or_none("stuck", patience=5))
        await asyncio.sleep(0)
        assert await sampler.read_or_none("well", patience=5) is not None
        assert not waiting.done()
        stuck.gate.set()
        assert await waiting is not None
    finally:
        stuck.gate.set()
        sampler.close()
    assert stuck.closed
    assert well.closed
