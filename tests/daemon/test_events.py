"""The daemon's event log: what is in it, what it keeps, and what a real daemon tells over its API."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from tests.support.daemon import DaemonProcess, running_daemon
from wattview.daemon.events import MAX_TEXT, EventLog, kept_events, tell
from wattview.model import Event


@pytest.fixture
def events() -> Iterator[EventLog]:
    with kept_events() as kept:
        yield kept


def lines(events: EventLog, after: int = 0) -> list[tuple[str, str, str]]:
    return [(event.level, event.about, event.text) for event in events.after(after)]


def test_what_the_daemon_logs_is_an_event_about_the_part_that_logs_it(events: EventLog) -> None:
    logging.getLogger("wattview.media_server").warning("port %d is taken", 1935)
    logging.getLogger("wattview.daemon").info("ready")
    logging.getLogger("wattview.daemon").debug("nobody needs to know")
    logging.getLogger("httpx").warning("another program's business")
    assert lines(events) == [("warning", "media server", "port 1935 is taken"), ("info", "daemon", "ready")]


def test_an_event_names_its_subject_and_is_logged_too(events: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wattview.events")
    tell("error", "source power", "broken: it answers %s nonsense", alert=True)
    (event,) = events.after()
    assert (event.level, event.about, event.text, event.alert) == (
        "error", "source power", "broken: it answers %s nonsense", True,
    )  # fmt: skip
    assert abs(event.time - time.time()) < 5
    assert caplog.messages == ["source power: broken: it answers %s nonsense"]


def test_only_what_is_newer_is_given_and_the_oldest_go_first() -> None:
    events = EventLog(size=3)
    for number in range(5):
        events.handle(logging.makeLogRecord({"name": "wattview", "levelno": 20, "msg": str(number)}))
    kept = events.after()
    assert [event.text for event in kept] == ["2", "3", "4"]
    assert [event.text for event in events.after(kept[1].id)] == ["4"]
    assert events.after(events.last_id) == []


def test_the_events_of_the_next_daemon_are_newer_than_those_of_the_last(events: EventLog) -> None:
    tell("info", "power", "first")
    time.sleep(0.01)  # no daemon starts within a hundredth of a second of another's end
    with kept_events() as later:
        tell("info", "power", "second")
    assert later.after(events.after()[0].id)[-1].text == "second"


def test_concurrent_writers_lose_nothing_while_read(events: EventLog) -> None:
    threads = [threading.Thread(target=lambda: [tell("info", "power", "x") for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        events.after()
    assert len({event.id for event in events.after()}) == 800


def test_no_text_is_unbounded(events: EventLog) -> None:
    tell("info", "power", "x" * 10_000)
    assert len(events.after()[0].text) == MAX_TEXT


# a real daemon

PASSWORD = "s3cret-of-the-statistics"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    directory = tmp_path_factory.mktemp("events")
    file = directory / "wattview.toml"
    file.write_text("")
    with running_daemon(
        directory, f"docker.host=unix://{directory}/no-docker.sock", "history.interval=500ms",
        "power.sources=estimated", "power.budget_watts=0.001", f"streams.nginx_rtmp_url=http://admin:{PASSWORD}@127.0.0.1:9/stat",
        "daemon.log_level=error", command=("daemon", "--config", str(file)),
    ) as running:  # fmt: skip
        yield running


def told(daemon: DaemonProcess, after: int = 0) -> list[Event]:
    answer = daemon.api.get("/api/v1/events", params={"after": str(after)})
    return msgspec.json.decode(answer.content, type=list[Event])


def wait_for(daemon: DaemonProcess, about: str, text: str, after: int = 0) -> Event:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):  # a daemon that starts anew has no socket for a moment
            for event in told(daemon, after):
                if event.about.startswith(about) and text in event.text:
                    return event
        time.sleep(0.05)
    raise AssertionError(f"no event about {about!r} with {text!r}: {told(daemon, after)}")


def test_events_before_the_first_client_are_in_the_log(daemon: DaemonProcess) -> None:
    assert wait_for(daemon, "source containers", "absent").level == "info"
    assert wait_for(daemon, "daemon", "ready").level == "info"


def test_power_over_budget_alerts_without_any_client(daemon: DaemonProcess) -> None:
    event = wait_for(daemon, "power", "over the budget of 0.001 W")
    assert (event.level, event.alert) == ("warning", True)


def test_the_snapshot_says_how_far_the_log_goes(daemon: DaemonProcess) -> None:
    newest = daemon.snapshot().last_event
    assert newest >= told(daemon)[-1].id - 1
    assert told(daemon, after=newest + 1_000_000) == []


def test_an_exporter_that_fails_is_an_event(daemon: DaemonProcess) -> None:
    ill = [one for one in daemon.exporters().values() if not one.healthy]
    told_of = {event.about for event in told(daemon) if "not healthy" in event.text}
    assert told_of == {f"exporter {one.exporter}" for one in ill}


def test_a_run_is_reported_from_its_start_to_its_end(daemon: DaemonProcess) -> None:
    body = {"scenarios": [{"name": "calm", "type": "baseline", "duration": 1, "warmup": 0, "cooldown": 0}]}
    run = daemon.api.post("/api/v1/runs", json=body).json()["id"]
    wait_for(daemon, f"run {run}", "done")
    assert [event.text for event in told(daemon) if event.about == f"run {run}"] == [
        "started, 1 scenarios: calm", "scenario 1 of 1: calm", "done",
    ]  # fmt: skip


def test_reloaded_settings_are_reported_and_the_log_continues(daemon: DaemonProcess) -> None:
    before = told(daemon)
    (daemon.directory / "wattview.toml").write_text("[cost]\ncurrency = 'EUR'\n")
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(daemon, "daemon", "restarting with the new settings", after=before[-1].id)
    wait_for(daemon, "daemon", "ready", after=before[-1].id)
    assert told(daemon)[: len(before)] == before


def test_the_log_holds_no_secret_and_its_level_does_not_affect_events(daemon: DaemonProcess) -> None:
    wait_for(daemon, "source streams", "absent")
    assert PASSWORD not in repr(told(daemon))
    assert "INFO" not in daemon.log


def test_an_invalid_id_is_refused(daemon: DaemonProcess) -> None:
    answer = daemon.api.get("/api/v1/events", params={"after": "yesterday"})
    assert answer.status_code == 422
    assert answer.json()["field"] == "after"
