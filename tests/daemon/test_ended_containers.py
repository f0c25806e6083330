"""A container that ended between two scrapes is shown to each scraper once more, with its last counters."""

from __future__ import annotations

import http.client
import time
import tracemalloc
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.daemon import running_daemon
from tests.support.docker_engine import Engine, docker_engine
from wattview.daemon.exporters.ended_containers import EndedContainers
from wattview.model import Container, ContainersReading
from wattview.model import Engine as EngineUse

__all__ = ["docker_engine"]


def reading(*ended: tuple[str, float]) -> ContainersReading:
    engine = EngineUse(
        version="", cgroup_version=2, cpu_seconds_total=None, cpu_percent=None, memory_bytes=None, memory_percent=None
    )
    gone = tuple(Container(id=name, name=name, image="", cgroup=f"/{name}", ended=at) for name, at in ended)
    return ContainersReading(time=1000.0, monotonic=100.0, engine=engine, ended=gone)


def shown(words: EndedContainers, scraper: str, *ended: tuple[str, float]) -> list[str]:
    return [container.name for container in words.for_scraper(scraper, reading(*ended)).ended]


def test_each_scraper_is_shown_an_end_once() -> None:
    words = EndedContainers()
    assert shown(words, "prometheus-a", ("web", 990.0)) == ["web"]
    assert shown(words, "prometheus-a", ("web", 990.0)) == []
    assert shown(words, "prometheus-b", ("web", 990.0)) == ["web"], "the other of a pair"
    assert shown(words, "prometheus-a", ("web", 990.0), ("db", 995.0)) == ["db"]


def test_a_container_that_ended_twice_is_reported_twice() -> None:
    words = EndedContainers()
    assert shown(words, "prometheus", ("web", 990.0)) == ["web"]
    assert shown(words, "prometheus", ("web", 998.0)) == ["web"]


def test_nothing_is_remembered_of_ends_that_are_long_past() -> None:
    words = EndedContainers()
    shown(words, "prometheus", ("web", 990.0))
    shown(words, "prometheus")
    assert words._shown == {}


def test_a_client_that_changes_its_long_name_costs_little_memory() -> None:
    words = EndedContainers()
    tracemalloc.start()
    try:
        for number in range(1000):
            shown(words, f"{number:060000}", ("web", 990.0))
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


class Scraper:
    """One kept connection to an exporter."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)

    def cpu_seconds(self, name: str) -> list[float]:
        self._connection.request("GET", "/metrics")
        lines = self._connection.getresponse().read().decode().splitlines()
        mine = [line for line in lines if line.startswith("container_cpu_usage_seconds_total{") and name in line]
        return [float(line.rpartition(" ")[2]) for line in mine]

    def close(self) -> None:
        self._connection.close()


def test_a_real_container_that_ended_between_two_scrapes_is_scraped_once_by_each(
    docker_engine: Engine, tmp_path: Path
) -> None:
    with running_daemon(tmp_path, f"docker.host={docker_engine.host}") as daemon:
        url = daemon.exporters()["cadvisor"].url
        scrapers = [Scraper(url), Scraper(url)]
        made = docker_engine.run("last-words", "yes", log_config={"type": "none"})
        deadline = time.monotonic() + 20
        while scrapers[0].cpu_seconds("last-words") == []:
            assert time.monotonic() < deadline, "it was never seen"
            time.sleep(0.05)
        before = sum(scrapers[0].cpu_seconds("last-words"))
        docker_engine.client.kill(made)
        while docker_engine.client.containers(filters={"name": "last-words"}):
            time.sleep(0.05)
        time.sleep(0.5)  # the engine's own event may come behind its list
        for scraper in scrapers:
            assert sum(scraper.cpu_seconds("last-words")) > before
            assert scraper.cpu_seconds("last-words") == []
            scraper.close()
        docker_engine.remove(made)
