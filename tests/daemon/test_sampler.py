"""The sampler's promises: readings are shared, a source that hangs or fails harms no other, states have reasons."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import traceback

import pytest

from tests.conftest import ConfigFactory
from wattview.daemon import sampler
from wattview.daemon.sampler import OneByOne, Sampler, Source
from wattview.model import Fault, Reading
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused
from wattview.probes.registry import ExporterView, ProbeEntry


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
    return Source(ProbeEntry("demo", lambda config: probe, ()), make_config(), OneByOne())


async def test_concurrent_callers_share_one_reading(source: Source, probe: ScriptedProbe) -> None:
    readings = await asyncio.gather(*(source.read() for _ in range(50)))
    assert probe.reads == 1
    assert len({id(reading) for reading in readings}) == 1


async def test_details_are_read_only_while_a_client_shows_them(
    make_config: ConfigFactory,
) -> None:
    told: list[bool] = []
    begun = threading.Event()

    class DetailedProbe(ScriptedProbe):
        def read(self, detailed: bool = True) -> Reading:
            told.append(detailed)
            begun.set()
            return super().read()

    probe = DetailedProbe()
    view = ExporterView("demo", lambda reading: [], detailed=True)
    source = Source(ProbeEntry("demo", lambda config: probe, (view,)), make_config(), OneByOne())
    await source.read()
    await source.read(max_age=60, detailed=True)
    await source.read(max_age=60, detailed=True)
    await source.read(max_age=0)
    assert told == [False, True, False], "a reading without details is not shared with who shows them"
    probe.gate.clear()
    begun.clear()
    source = Source(ProbeEntry("demo", lambda config: probe, (view,)), make_config(), OneByOne())
    first = asyncio.create_task(source.read())
    await asyncio.to_thread(begun.wait)
    second = asyncio.create_task(source.read(detailed=True))
    await asyncio.sleep(0)
    probe.gate.set()
    await asyncio.gather(first, second)
    assert told[3:] == [False, True], "nor is one that had begun before they asked"


async def test_a_repeated_failure_does_not_grow_its_traceback(source: Source, probe: ScriptedProbe) -> None:
    probe.error = SourceAbsent("nothing here")
    lengths = []
    for _ in range(20):
        with pytest.raises(SourceAbsent) as caught:
            await source.read()
        lengths.append(len(list(traceback.walk_tb(caught.value.__traceback__))))
    assert probe.reads == 1
    assert len(set(lengths[1:])) == 1


async def test_a_reading_too_old_for_the_caller_is_repeated(source: Source, probe: ScriptedProbe) -> None:
    first = await source.read()
    assert await source.read(max_age=60) is first
    assert await source.read(max_age=0) is not first
    assert probe.reads == 2
    assert not probe.overlapped


async def test_a_hanging_source_times_out_and_then_recovers(source: Source, probe: ScriptedProbe) -> None:
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


async def test_a_caller_that_gives_up_does_not_cancel_the_reading(source: Source, probe: ScriptedProbe) -> None:
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


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("outcome", [SourceBroken("the engine has not answered within 3 s"), None])
async def test_a_source_that_hangs_until_its_own_time_out_is_one_fault(
    source: Source, probe: ScriptedProbe, caplog: pytest.LogCaptureFixture, outcome: SourceBroken | None
) -> None:
    """Askers lose their patience before the source does; what it then says is what is told, and once."""
    caplog.set_level(logging.INFO, "wattview.events")
    await source.read()
    probe.error = outcome
    probe.faults = () if outcome else (Fault("engine", "it has not answered within 3 s"),)
    for _ in range(4):
        probe.gate.clear()
        for patience in (0.01, 0.02):
            with pytest.raises(SourceBroken, match=r"^demo has not answered for \d+\.\d s"):
                await source.read(max_age=0, patience=patience)
        probe.gate.set()
        with contextlib.suppress(SourceBroken):
            await source.read(max_age=0)
    assert source.status.reason.endswith("has not answered within 3 s")
    assert len(told(caplog)) == 2, told(caplog)
    probe.error, probe.faults = None, ()
    await source.read(max_age=0)
    assert told(caplog)[2:] == ["source demo: works again"]


async def test_a_hanging_source_is_reported_once_and_again_when_it_works(
    source: Source, probe: ScriptedProbe, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "wattview.events")
    monkeypatch.setattr(sampler, "PATIENCE_SECONDS", 0.02)
    await source.read()
    probe.gate.clear()
    for _ in range(4):
        with pytest.raises(SourceBroken, match="has not answered for"):
            await source.read(max_age=0, patience=0.03)
    assert source.status.state == "broken"
    probe.error = SourceBroken("it has not answered within 3 s")
    probe.gate.set()
    with pytest.raises(SourceBroken, match="within 3 s"):
        await source.read(max_age=0)
    assert source.status.reason == "it has not answered within 3 s"
    probe.error = None
    await source.read(max_age=0)
    assert [line.split(" 0.")[0] for line in told(caplog)] == [
        "source demo: works",
        "source demo: broken: demo has not answered for",
        "source demo: works again",
    ]


async def test_a_reason_whose_numbers_change_is_the_same_fault_and_another_part_is_another(
    source: Source, probe: ScriptedProbe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wattview.events")
    for column in range(3):
        probe.faults = (Fault("page", f"not well-formed: line 1, column {column}"),)
        await source.read(max_age=0)
    for part in ("GPU 0", "GPU 1"):
        probe.faults = (Fault(part, "is lost"),)
        await source.read(max_age=0)
    assert told(caplog) == [
        "source demo: degraded: page: not well-formed: line 1, column 0",
        "source demo: degraded: GPU 0: is lost",
        "source demo: degraded: GPU 1: is lost",
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
    both = Sampler(make_config(), entries)
    try:
        waiting = asyncio.create_task(both.read_or_none("stuck", patience=5))
        await asyncio.sleep(0)
        assert await both.read_or_none("well", patience=5) is not None
        assert not waiting.done()
        stuck.gate.set()
        assert await waiting is not None
    finally:
        stuck.gate.set()
        both.close()
    assert stuck.closed
    assert well.closed


async def test_sources_queried_at_once_are_read_one_by_one(
    make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler, "ORDER_SECONDS", 10.0)
    reading = threading.Lock()
    alone: list[bool] = []

    class LingeringProbe(ScriptedProbe):
        def read(self) -> Reading:
            alone.append(reading.acquire(blocking=False))
            time.sleep(0.01)
            reading.release()
            return super().read()

    entries = [ProbeEntry(name, lambda config: LingeringProbe(), ()) for name in "abc"]
    several = Sampler(make_config(), entries)
    try:
        assert None not in await asyncio.gather(*(several.read_or_none(name, patience=10) for name in "abc"))
    finally:
        several.close()
    assert alone == [True, True, True]


async def test_several_known_sources_are_answered_at_once_in_the_order_of_their_names(
    make_config: ConfigFactory,
) -> None:
    well, failing = ScriptedProbe(), ScriptedProbe()
    failing.error = SourceAbsent("no such device")
    entries = [ProbeEntry("failing", lambda config: failing, ()), ProbeEntry("well", lambda config: well, ())]
    both = Sampler(make_config(), entries)
    try:
        names = ("well", "failing", "unknown")
        reading, *others = await both.read_each(names, patience=10)
        assert (reading, others) == (both.sources["well"].latest, [None, None])
        passed: list[bool] = []
        asyncio.get_running_loop().call_soon(passed.append, True)
        assert await both.read_each(names, max_age=60) == [reading, None, None]
        assert not passed
        assert (well.reads, failing.reads) == (1, 1)
    finally:
        both.close()
