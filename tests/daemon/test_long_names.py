"""Names of containers and streams may have any length: a line of the metrics, of the log and of the doctor does not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.probes.test_rtmp_servers import SRS_STREAM, mediamtx, mediamtx_path, srs
from tests.support.answers import Answers
from tests.support.daemon import running_daemon
from tests.support.docker_api import FakeDockerApi
from tests.support.nginx import eventually
from wattview.daemon.exporters.check import content_of_text

LONG = 20_000
LETTERS = ("a", "漢", '"\\', "\0", "=")

pytestmark = [pytest.mark.slow, pytest.mark.parallel]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeDockerApi]:
    """Containers with names, images and a hundred long labels."""
    engine = FakeDockerApi(tmp_path / "docker.sock")
    processes = [subprocess.Popen(["sleep", "600"]) for _ in LETTERS]
    for number, (letter, process) in enumerate(zip(LETTERS, processes, strict=True)):
        text = letter * LONG
        labels = {f"{label}{letter * 300}": letter * 5000 for label in range(100)} | {text: text}
        engine.add(f"{number:064x}", text, process.pid, labels=labels, image=text, network_mode=text)
    yield engine
    engine.close()
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kind", ["mediamtx", "srs"])
def test_names_of_any_length_make_no_long_line_and_no_exporter_unhealthy(
    engine: FakeDockerApi, tmp_path: Path, kind: str
) -> None:
    names = [f"{letter * LONG}/{letter * LONG}" for letter in LETTERS]
    paths = [mediamtx_path(name, source={"type": name, "id": name}) for name in names]
    streams = [{**SRS_STREAM, "app": name, "name": name, "id": str(number)} for number, name in enumerate(names)]
    with (
        Answers(mediamtx(*paths) if kind == "mediamtx" else srs(*streams)) as server,
        running_daemon(
            tmp_path, f"docker.host={engine.host}", f"streams.nginx_rtmp_url={server.url}", f"streams.server={kind}"
        ) as daemon,
    ):
        eventually(lambda: len(daemon.snapshot().containers) == len(LETTERS) == len(daemon.snapshot().streams), 30)
        for exporter in ("docker-stats-exporter", "cadvisor", "nginx-rtmp-exporter"):
            text = daemon.metrics(exporter)
            assert content_of_text(text.encode()).has_data, exporter
        assert len(daemon.api.get("/api/v1/snapshot").content) < 20_000_000
        assert max(map(len, daemon.log.splitlines())) < 10_000
        assert max(map(len, daemon.api.get("/api/v1/doctor").text.split('"'))) < 10_000
