"""The parts of the stack as programs on loopback, with the stack's own configuration: store, rules and Alertmanager.

Where the files in compose/ say a path or an address of the containers, the test's own stand in; nothing else changes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.conftest import free_port
from wattview.daemon.children import child_command

REPOSITORY = Path(__file__).parents[2]
COMPOSE = REPOSITORY / "compose"
PACKAGES = {
    "victoria-metrics": "victoria-metrics",
    "vmalert": "victoria-metrics",
    "vmagent": "victoria-metrics",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "promtool": "prometheus",
    "make": "make",
    "docker-compose": "docker-compose",
    "systemd-analyze": "systemd",
    "ip": "iproute2",
    "debootstrap": "debootstrap",
}

COMPOSE_PROGRAMS = {"1.29": "/usr/bin/docker-compose", "v2": str(Path(sys.executable).parent / "docker-compose")}
"""Debian's Compose, and today's, of v2's line (its releases went from 2.40 to 5.0): a package of the tests' own."""

T = TypeVar("T")


def program(name: str) -> str:
    """The path of a real part, or a failure that says what to install."""
    found = shutil.which(name)
    assert found is not None, f"{name} is not installed: apt-get install {PACKAGES.get(name, name)}"
    return found


def eventually(look: Callable[[], T], what: str, seconds: float = 30.0, every: float = 0.1) -> T:
    """The first result of ``look()`` that is true: for what another program does, and tells nobody."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if result := look():
                return result
            last: object = result
        except (httpx.HTTPError, LookupError) as error:
            last = error
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}; last: {last!r}"
        time.sleep(every)


@contextlib.contextmanager
def running(directory: Path, *command: str, ready: str = "", env: dict[str, str] | None = None) -> Iterator[int]:
    """A program for as long as the block lasts; ``ready`` is a URL that answers 200 when it is up. Gives its pid."""
    log = directory / f"{Path(command[0]).name}-{os.urandom(3).hex()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            child_command([program(command[0]), *command[1:]]), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            cwd=directory, env={**os.environ, **(env or {})}, start_new_session=True,
        )  # fmt: skip

    def up() -> bool:
        assert process.poll() is None, f"{command[0]} ended with {process.returncode}:\n{log.read_text()[-3000:]}"
        return httpx.get(ready, trust_env=False, timeout=5).status_code == 200

    try:
        if ready:
            eventually(up, f"{command[0]} at {ready}:\n{log.read_text()[-2000:]}")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Store:
    """A Prometheus-compatible store by its URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query now."""
        return self._ask("api/v1/query", {"query": expression, "nocache": "1"})

    def range(self, expression: str, start: float, end: float, step: float = 1.0) -> list[dict[str, Any]]:
        span = {"start": str(start), "end": str(end), "step": str(step)}
        return self._ask("api/v1/query_range", {"query": expression, "nocache": "1", **span})

    def value(self, expression: str) -> float:
        """The one value of a query. Raises LookupError where there is none, or more than one."""
        found = self.query(expression)
        if len(found) != 1:
            raise LookupError(f"{expression}: {found}")
        return float(found[0]["value"][1])

    def _ask(self, path: str, form: dict[str, str]) -> list[dict[str, Any]]:
        answer = self._http.post(path, data=form)
        assert answer.status_code == 200, f"{form}: {answer.text}"
        return list(answer.json()["data"]["result"])


@contextlib.contextmanager
def victoria_metrics(
    directory: Path, discovery_port: int, targets: str = "[]", interval: str = "1s", listen: str = "127.0.0.1"
) -> Iterator[Store]:
    """VictoriaMetrics with the stack's scrape configuration, and further ``targets`` (YAML, as in a target file)."""
    (directory / "targets.yml").write_text(targets)
    config = directory / "scrape.yml"
    text = (COMPOSE / "prometheus/scrape.yml").read_text()
    text += f"\n  - job_name: further\n    file_sd_configs: [{{files: [{directory / 'targets.yml'}]}}]\n"
    config.write_text(text.replace("scrape_interval: 5s", f"scrape_interval: {interval}").replace(
        "scrape_timeout: 4s", "scrape_timeout: 1s" if interval == "1s" else "scrape_timeout: 4s"))  # fmt: skip
    url = f"http://{listen}:{(port := free_port())}"
    command = [
        "victoria-metrics", f"-promscrape.config={config}", f"-storageDataPath={directory / 'store'}",
        f"-httpListenAddr={listen}:{port}", "-promscrape.httpSDCheckInterval=1s", "-search.latencyOffset=1s",
        "-memory.allowedBytes=256MB", "-loggerLevel=ERROR",
    ]  # fmt: skip
    env = {"DISCOVERY_PORT": str(discovery_port)}
    with running(directory, *command, ready=f"{url}/health", env=env):
        yield Store(url)


@contextlib.contextmanager
def alerting(directory: Path, store: Store) -> Iterator[str]:
    """vmalert with the stack's rules and Alertmanager with the stack's configuration; gives Alertmanager's URL."""
    (directory / "alertmanager").mkdir()
    alertmanager = f"http://127.0.0.1:{(port := free_port())}"
    vmalert = f"127.0.0.1:{free_port()}"
    with running(
        directory, "prometheus-alertmanager", f"--config.file={COMPOSE / 'alertmanager/alertmanager.yml'}",
        f"--storage.path={directory / 'alertmanager'}", f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=", ready=f"{alertmanager}/-/ready",
    ), running(
        directory, "vmalert", f"-rule={COMPOSE}/prometheus/rules/*.yml", f"-datasource.url={store.url}",
        f"-remoteRead.url={store.url}", f"-remoteWrite.url={store.url}", f"-notifier.url={alertmanager}",
        "-evaluationInterval=1s", "-remoteWrite.flushInterval=1s", f"-httpListenAddr={vmalert}",
        "-loggerLevel=ERROR", ready=f"http://{vmalert}/health",
    ):  # fmt: skip
        yield alertmanager


BASE_IMAGE = "debian:bookworm-slim"

STANDINS = """
FROM {base}
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    busybox victoria-metrics prometheus prometheus-alertmanager prometheus-node-exporter
RUN ln -s busybox /bin/wget && ln -s /usr/bin/victoria-metrics /victoria-metrics-prod \
    && ln -s /usr/bin/vmalert /vmalert-prod && ln -s /usr/bin/prometheus-alertmanager /bin/alertmanager \
    && install --directory --owner nobody --group nogroup /prometheus /alertmanager \
    && mkdir -p /www/api && touch /www/api/health /www/metrics \
    && echo 'exec busybox httpd -f -h /www -p "$GF_SERVER_HTTP_ADDR:$GF_SERVER_HTTP_PORT"' >/bin/grafana \
    && echo 'exec busybox httpd -f -h /www -p 127.0.0.1:8081' >/bin/cadvisor \
    && sed -i '1i #!/bin/sh' /bin/grafana /bin/cadvisor \
    && chmod +x /bin/grafana /bin/cadvisor
"""
"""One image with Debian's packages of what the stack's public images hold, their programs under the names of those."""

STANDIN_OF = {
    "VICTORIAMETRICS_IMAGE": ("root", "/victoria-metrics-prod"),
    "VMALERT_IMAGE": ("root", "/vmalert-prod"),
    "ALERTMANAGER_IMAGE": ("nobody", "/bin/alertmanager"),
    "PROMETHEUS_IMAGE": ("nobody", "/usr/bin/prometheus"),
    "NODE_EXPORTER_IMAGE": ("nobody", "/usr/bin/prometheus-node-exporter"),
    "GRAFANA_IMAGE": ("nobody", "/bin/grafana"),
    "CADVISOR_IMAGE": ("nobody", "/bin/cadvisor"),
}
"""The settings that name public images, and the user and the program of each. Grafana and cAdvisor are no packages of
Debian's: a page that answers stands in their place, so that all parts are started in order, as they are configured."""


class Docker:
    """The docker and docker-compose programs, for one engine."""

    def __init__(self, host: str, directory: Path) -> None:
        self.environ = {"DOCKER_HOST": host, "HOME": str(directory), "PATH": os.environ["PATH"], "DOCKER_BUILDKIT": "0",
                        "COMPOSE_DOCKER_CLI_BUILD": "0"}  # fmt: skip
        self._directory = directory

    def run(self, *command: str, seconds: float = 600, stdin: Any = subprocess.DEVNULL) -> str:
        """Its output; what goes wrong is the test's failure."""
        done = subprocess.run(
            [program(command[0]), *command[1:]], env=self.environ, capture_output=True, text=True, timeout=seconds,
            check=False, stdin=stdin,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def make_base_image(self) -> None:
        """``debian:bookworm-slim`` out of Debian's packages, with this machine's certificate authorities in it.

        No image registry is asked. Behind a proxy that has an authority of its own, apt and pip work in a build all
        the same, because it is in there too.
        """
        root = self._directory / "base"
        subprocess.run(
            [program("debootstrap"), "--variant=minbase", "bookworm", str(root)], check=True, stdout=subprocess.DEVNULL
        )
        authorities = Path("/etc/ssl/certs/ca-certificates.crt")
        for place in ("etc/ssl/certs/ca-certificates.crt", "etc/ssl/local-ca.crt"):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(authorities, root / place)
        archive = self._directory / "base.tar"
        subprocess.run(["tar", "-C", str(root), "--exclude=./var/cache/apt", "--exclude=./var/lib/apt/lists/*",
                        "-cf", str(archive), "."], check=True)  # fmt: skip
        with archive.open("rb") as stream:
            changes = ["-c", "ENV PIP_CERT=/etc/ssl/local-ca.crt", "-c", 'CMD ["bash"]']
            self.run("docker", "import", *changes, "-", BASE_IMAGE, stdin=stream)
        archive.unlink()
        shutil.rmtree(root)

    def build(self, tag: str, dockerfile: Path, context: Path) -> None:
        self.run("docker", "build", "--network", "host", "--tag", tag, "--file", str(dockerfile), str(context))

    def build_standins(self) -> dict[str, str]:
        """The settings that put the stand-ins into the public images' places."""
        context = self._directory / "standins"
        context.mkdir()
        file = context / "Dockerfile"
        file.write_text(STANDINS.format(base=BASE_IMAGE))
        self.build("standins", file, context)
        for setting, (user, entry) in STANDIN_OF.items():
            file.write_text(f'FROM standins\nUSER {user}\nENTRYPOINT ["{entry}"]\n')
            self.build(f"standin-{setting.lower()}", file, context)
        return {setting: f"standin-{setting.lower()}" for setting in STANDIN_OF}
