"""The probe: what it asks, what it makes of failures, rates, and several workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import free_port
from tests.support.answers import Answer, Answers
from tests.support.stat_pages import client, page, stream
from wattview.probes import SourceAbsent, SourceBroken, SourceError, SourceRefused
from wattview.probes.streams import http as rtmp_http
from wattview.probes.streams.nginx_rtmp import NginxRtmpProbe


@dataclass
class Clock:
    now: float = 1000.0

    def time(self) -> float:
        return 1.7e9 + self.now

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("wattview.probes.streams.nginx_rtmp.time", clock)
    return clock


def answering(answer: Answer) -> Iterator[tuple[Answers, NginxRtmpProbe]]:
    with Answers(lambda _: answer) as server:
        probe = NginxRtmpProbe(f"{server.url}/stat")
        yield server, probe
        probe.close()


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (Answer(status=403), SourceRefused, "403"),
        (Answer(status=401), SourceRefused, "401"),
        (Answer(b"nope", status=404), SourceBroken, "404"),
        (Answer(b"oops", status=500), SourceBroken, "500"),
        (Answer(status=301, headers=(("Location", "http://elsewhere/stat?key=secret"),)), SourceBroken, "redirect"),
        (Answer(b"<html><body>Welcome</body></html>"), SourceBroken, "HTML"),
        (Answer(page(stream()), cut_after=400), SourceBroken, "stat"),
        (Answer(page(stream())[:400]), SourceBroken, "cut off"),
        (Answer(b"x" * (rtmp_http.MAX_BYTES + 1)), SourceBroken, "more than 8 MiB"),
    ],
)
def test_each_wrong_answer_is_named(answer: Answer, error: type[SourceError], said: str) -> None:
    for _, probe in answering(answer):
        with pytest.raises(error, match=said) as caught:
            probe.read()
        assert "secret" not in caught.value.reason


def test_a_missing_server_is_absent_with_its_fix() -> None:
    probe = NginxRtmpProbe(f"http://127.0.0.1:{free_port()}/stat")
    with pytest.raises(SourceAbsent) as caught:
        probe.read()
    assert "wattview up" in caught.value.fix
    assert "streams.nginx_rtmp_url" in caught.value.fix
    with pytest.raises(SourceAbsent):
        NginxRtmpProbe("").read()


def test_a_password_in_the_url_is_used_and_never_shown() -> None:
    for server, probe in answering(Answer(status=403)):
        probe = NginxRtmpProbe(server.url.replace("http://", "http://me:hunter2@") + "/stat")
        with pytest.raises(SourceRefused) as caught:
            probe.read()
        assert "hunter2" not in caught.value.reason
        probe.close()


def test_bandwidth_follows_the_byte_counters_within_a_second(clock: Clock) -> None:
    pages = [
        page(stream(bytes_in=1_000_000, bw_in=0, milliseconds=2000), bytes_in=1_100_000, bw_in=0, uptime=5),
        page(stream(bytes_in=1_200_000, bw_in=0, milliseconds=4000), bytes_in=1_340_000, bw_in=0, uptime=7),
    ]
    with Answers(lambda _: Answer(pages.pop(0))) as server:
        probe = NginxRtmpProbe(f"{server.url}/stat")
        first = probe.read()
        assert first.streams[0].bandwidth_in_bytes is None
        clock.now += 2.0
        second = probe.read()
        assert second.streams[0].bandwidth_in_bytes == pytest.approx(100_000)
        assert second.server.bandwidth_in_bytes == pytest.approx(120_000)
        probe.close()


def test_a_restarted_stream_has_no_rate_from_the_previous_one(clock: Clock) -> None:
    pages = [
        page(stream(bytes_in=1000, bw_in=0, milliseconds=90_000)),
        page(stream(bytes_in=900_000, bw_in=0, milliseconds=1000), uptime=102),
    ]
    with Answers(lambda _: Answer(pages.pop(0))) as server:
        probe = NginxRtmpProbe(f"{server.url}/stat")
        probe.read()
        clock.now += 2.0
        assert probe.read().streams[0].bandwidth_in_bytes is None
        probe.close()


def test_totals_of_a_restarted_server_do_not_make_a_rate(clock: Clock) -> None:
    pages = [
        page(bytes_in=5_000_000, pid=1, uptime=5000),
        page(bytes_in=9_000_000, pid=1, uptime=2, bw_in=0),
    ]
    with Answers(lambda _: Answer(pages.pop(0))) as server:
        probe = NginxRtmpProbe(f"{server.url}/stat")
        probe.read()
        clock.now += 10.0
        reading = probe.read()
        assert reading.server.bandwidth_in_bytes is None
        assert reading.faults == ()
        probe.close()


def workers_of(pages: dict[int, bytes]) -> Answers:
    """Two workers that answer in turn."""
    turns = [0]

    def respond(_: str) -> Answer:
        turns[0] += 1
        return Answer(list(pages.values())[turns[0] % len(pages)])

    return Answers(respond)


def test_answers_of_single_workers_are_added_up(clock: Clock) -> None:
    pages = {
        11: page(stream("one", bytes_in=100), pid=11, bytes_in=1000),
        12: page(stream("two", bytes_in=10), pid=12, bytes_in=200),
    }
    with workers_of(pages) as server:
        probe = NginxRtmpProbe(f"{server.url}/stat")
        probe.read()
        for _ in range(3):
            reading = probe.read()
            assert reading.server.bytes_in_total == 1200
            assert {s.name for s in reading.streams} == {"one", "two"}
            assert reading.server.connections == 2
            assert reading.server.pid is None
            assert reading.faults[0].part == "nginx workers"
            assert "worker_processes 1" in reading.faults[0].fix
            assert {c.id for s in reading.streams for c in s.clients} == {"11-1", "12-1"}
        probe.close()


def test_copies_between_workers_count_once(clock: Clock) -> None:
    origin = client(publishing=True) + client(number=3, address="unix:/tmp/nginx-rtmp.1", flash="ngx-local-relay")
    copy = client(publishing=True, address="unix:", flash="APSH 0,11", page="nginx-auto-push") + client(number=2)
    pages = {
        11: page(stream("talk", clients=origin, bytes_in=800, bytes_out=800, bw_out=800_000), pid=11, bytes_in=900),
        12: page(stream("talk", clients=copy, bytes_in=800, bytes_out=800, bw_out=800_000), pid=12, bytes_in=900),
    }
    with workers_of(pages) as server:
        probe = NginxRtmpProbe(f"{server.url}/stat")
        probe.read()
        reading = probe.read()
        (talk,) = reading.streams
        assert (talk.publishers, talk.players) == (1, 1)
        assert (talk.bytes_in_total, talk.bytes_out_total) == (800, 800)
        assert talk.bandwidth_in_bytes == pytest.approx(100_000)
        assert talk.bandwidth_out_bytes == pytest.approx(100_000)
        assert reading.server.connections == 2
        assert reading.server.bandwidth_in_bytes == pytest.approx(100_000)
        assert reading.server.bytes_in_total is None
        probe.close()


def test_the_worker_of_before_a_restart_is_forgotten(clock: Clock) -> None:
    pages = [page(stream("old"), pid=11, uptime=100), page(stream("new"), pid=12, uptime=1)]
    with Answers(lambda _: Answer(pages.pop(0))) as server:
        probe = NginxRtmpProbe(f"{server.url}/stat")
        probe.read()
        clock.now += 5.0
        reading = probe.read()
        assert [s.name for s in reading.streams] == ["new"]
        assert reading.faults == ()
        probe.close()


def test_a_worker_that_stays_silent_is_forgotten(clock: Clock) -> None:
    pages = [page(stream("one"), pid=11, uptime=100), page(stream("two"), pid=12, uptime=100)]
    with Answers(lambda _: Answer(pages[-1])) as server:
        probe = NginxRtmpProbe(f"{server.url}/stat")
        pages.reverse()
        probe.read()
        pages.reverse()
        assert len(probe.read().streams) == 2
        clock.now += 40.0
        pages[-1] = page(stream("two"), pid=12, uptime=140)
        reading = probe.read()
        assert [s.name for s in reading.streams] == ["two"]
        assert reading.faults == ()
        probe.close()
