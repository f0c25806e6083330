"""What has happened between two snapshots."""

from __future__ import annotations

import msgspec
import pytest

from tests.support.dashboard import container, gpu, run, snapshot
from wattview.analysis.snapshot_diff import Watch
from wattview.model import EncoderStatus, Snapshot

Told = list[tuple[str, str, str, bool]]


def each(*pictures: Snapshot, budget: float = 0.0) -> list[Told]:
    """What is told at each of these, one after another."""
    watch = Watch(budget)
    return [[(one.level, one.about, one.text, one.alert) for one in watch.look(picture)] for picture in pictures]


def told(before: Snapshot, now: Snapshot, budget: float = 0.0) -> Told:
    return each(before, now, budget=budget)[1]


def test_nothing_happens_between_two_equal_pictures() -> None:
    assert told(snapshot(0.0), snapshot(1.0)) == []


def test_the_first_snapshot_reports_only_an_exceeded_budget() -> None:
    assert each(snapshot(0.0)) == [[]]
    assert each(snapshot(20.0), budget=45.0) == [[("warning", "power", "48.7 W is over the budget of 45 W", True)]]


def test_streams_that_come_and_go() -> None:
    one, two = snapshot(streams=1), snapshot(streams=2)
    assert told(one, two) == [("info", "stream live/stream1", "is live: H264 1280x720", False)]
    assert told(two, one) == [("info", "stream live/stream1", "has ended", False)]


def with_bytes(picture: Snapshot, count: int) -> Snapshot:
    streams = tuple(msgspec.structs.replace(one, bytes_in_total=count) for one in picture.streams)
    return msgspec.structs.replace(picture, streams=streams)


def test_an_ended_source_differs_from_a_failed_one() -> None:
    """A publisher that has fallen silent before its stream goes was cut off; one that sends to the end has ended it."""
    two, one = snapshot(streams=2), snapshot(streams=1)
    fed = [with_bytes(two, 1000 * number) for number in range(4)]
    assert each(*fed, with_bytes(one, 5000))[-1] == [("info", "stream live/stream1", "has ended", False)]
    silent = [with_bytes(two, 1000)] * 3
    lost = ("warning", "stream live/stream1", "was cut off: its publisher had stopped sending", True)
    assert each(*silent, with_bytes(one, 2000))[-1] == [lost]
    again = [*silent, with_bytes(two, 2000)]
    assert each(*again, with_bytes(one, 3000))[-1] == [("info", "stream live/stream1", "has ended", False)]


def test_the_streams_of_a_server_that_restarts_are_cut_off() -> None:
    before, after = snapshot(streams=1), snapshot(streams=0)
    server = before.rtmp_server
    assert server is not None
    after = msgspec.structs.replace(after, rtmp_server=msgspec.structs.replace(server, uptime_seconds=1.0, pid=None))
    before = msgspec.structs.replace(before, rtmp_server=msgspec.structs.replace(server, uptime_seconds=500.0))
    ((level, _, text, alert),) = told(before, after)
    assert (level, text, alert) == ("warning", "was cut off: the RTMP server has restarted", True)


def test_a_stream_that_a_full_list_leaves_out_has_not_ended() -> None:
    before, after = snapshot(streams=2), snapshot(streams=1)
    server = after.rtmp_server
    assert server is not None
    full = msgspec.structs.replace(after, rtmp_server=msgspec.structs.replace(server, unlisted_streams=5))
    assert told(before, full) == []


def test_an_unreachable_server_does_not_end_its_streams() -> None:
    assert told(snapshot(streams=2), snapshot(streams=0, rtmp_server=None)) == []


def test_an_unreachable_engine_does_not_end_its_containers() -> None:
    assert told(snapshot(containers=2), snapshot(containers=0, engine=None)) == []


def test_changes_during_an_outage_are_reported_afterwards() -> None:
    before, blind = snapshot(streams=2, containers=2), snapshot(streams=0, rtmp_server=None, containers=0, engine=None)
    after = snapshot(streams=1, containers=1)
    _, meanwhile, then = each(before, blind, after)
    assert meanwhile == []
    assert {one[1] for one in then} == {"stream live/stream1", "container transcoder-a"}
    assert each(before, blind, before)[2] == []


def test_a_restart_gives_one_warning_whether_or_not_the_gap_was_seen() -> None:
    def with_one(**changes_: object) -> Snapshot:
        return msgspec.structs.replace(snapshot(), containers=(container(0, **changes_),))

    gone = msgspec.structs.replace(snapshot(), containers=())
    warning = ("warning", "container nginx-rtmp", "has failed and was restarted (once)", True)
    assert told(with_one(restarts=0), with_one(restarts=1)) == [warning]
    assert each(with_one(restarts=0), gone, with_one(restarts=1))[2] == [warning]
    by_hand = each(with_one(restarts=1), gone, with_one(restarts=1))[2]
    assert [one[0] for one in by_hand] == ["info"]


def test_a_restarting_or_unhealthy_container_gives_an_alert() -> None:
    def with_one(**changes_: object) -> Snapshot:
        return msgspec.structs.replace(snapshot(), containers=(container(0, **changes_),))

    restarted = told(with_one(restarts=1), with_one(restarts=2))
    assert restarted == [("warning", "container nginx-rtmp", "has failed and was restarted (2 times)", True)]
    ill = told(with_one(health="healthy"), with_one(health="unhealthy"))
    assert ill == [("error", "container nginx-rtmp", "is unhealthy", True)]


def at_speed(speed: float, phase: str = "measuring") -> Snapshot:
    return snapshot(run=run(phase, encoders=[EncoderStatus(stream="quick-1", speed=speed)]))


def test_an_encoder_behind_real_time_gives_one_alert_until_it_recovers() -> None:
    alert = ("warning", "encoder quick-1", "is behind real time: 0.96x", True)
    again = ("info", "encoder quick-1", "is in real time again", False)
    assert each(at_speed(1.0), at_speed(0.96), at_speed(0.975), at_speed(0.96), at_speed(0.99)) == [
        [], [alert], [], [], [again],
    ]  # fmt: skip


def test_an_encoder_slow_before_the_window_is_reported_at_its_start() -> None:
    warm, measured = at_speed(0.8, "warmup"), at_speed(0.8)
    assert [one[2] for one in told(warm, measured)] == ["is behind real time: 0.80x"]


@pytest.mark.parametrize("budget", [0.0, 1000.0])
def test_no_budget_and_a_large_one_alert_nobody(budget: float) -> None:
    assert told(snapshot(0.0), snapshot(30.0), budget) == []


def test_power_over_budget_gives_one_alert_until_well_within_it() -> None:
    low, at_the_edge, high, higher = snapshot(0.0), snapshot(7.6), snapshot(20.0), snapshot(30.0)
    watts = [one.power.host_watts for one in (low, at_the_edge, high, higher) if one.power is not None]
    assert [round(one or 0, 1) for one in watts] == [42.0, 45.0, 48.7, 50.0]
    over = ("warning", "power", "48.7 W is over the budget of 45.2 W", True)
    within = ("info", "power", "42.0 W is within the budget of 45.2 W again", False)
    assert each(low, high, higher, at_the_edge, high, low, budget=45.2) == [[], [over], [], [], [], [within]]


def test_each_counted_gpu_error_is_reported_once() -> None:
    one = gpu()
    pictures = [snapshot(gpus=(msgspec.structs.replace(one, xids=xids),)) for xids in ({}, {79: 1}, {79: 1}, {79: 2})]
    error = ("error", one.called, "reports XID error 79", True)
    assert each(*pictures) == [[], [error], [], [error]]
    assert told(snapshot(), pictures[1]) == [], "what was counted before it was first seen is old"


def test_a_gpu_is_suspended_and_resumed_by_its_driver() -> None:
    awake, asleep = snapshot(gpus=(gpu(),)), snapshot(gpus=(gpu(asleep=True),))
    assert told(awake, asleep) == [("info", "GPU 0 NVIDIA L4", "is suspended", False)]
    assert told(asleep, awake) == [("info", "GPU 0 NVIDIA L4", "is awake", False)]
