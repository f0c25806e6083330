"""The real node_exporter (Debian's), started on a free loopback port and stopped by its own handle."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType, TracebackType
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import free_port
from wattview.config import Node

Series = tuple[str, frozenset[tuple[str, str]]]
"""A sample's name and its labels, those with an empty value apart: to Prometheus they are not there."""


class Exposition:
    """The text of a scrape, parsed by Prometheus' own client: values by series, types and help by name."""

    def __init__(self, text: str) -> None:
        self.values: dict[Series, float] = {}
        self.types: dict[str, str] = {}
        self.help: dict[str, str] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = frozenset((name, value) for name, value in sample.labels.items() if value)
                self.values[sample.name, labels] = sample.value
                self.types[sample.name] = family.type
                self.help[sample.name] = family.documentation

    @property
    def names(self) -> set[str]:
        return set(self.types)

    def labels_of(self, name: str) -> list[dict[str, str]]:
        """The labels of each series of a name."""
        return [dict(labels) for known, labels in self.values if known == name]

    def value(self, name: str, /, **labels: str) -> float:
        return self.values[name, frozenset(labels.items())]

    def collectors(self) -> dict[str, float]:
        """``node_scrape_collector_success`` by collector."""
        return {
            labels["collector"]: self.value("node_scrape_collector_success", **labels)
            for labels in self.labels_of("node_scrape_collector_success")
        }


class RealNodeExporter:
    """``with RealNodeExporter() as real: real.scrape()``, with upstream's default filters, which Debian changes."""

    def __init__(
        self,
        collectors: Iterable[str] = (),
        arguments: Iterable[str] = (),
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        program = shutil.which("prometheus-node-exporter")
        assert program, "the real node_exporter is missing; run: sudo apt-get install prometheus-node-exporter"
        self.port = free_port()
        defaults = Node()
        self.command = [
            program,
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.disable-exporter-metrics",
            "--collector.netdev.device-exclude=^$",
            f"--collector.filesystem.mount-points-exclude={defaults.mount_point_exclude}",
            f"--collector.filesystem.fs-types-exclude={defaults.fs_type_exclude}",
            f"--collector.diskstats.device-exclude={defaults.disk_device_exclude}",
            f"--collector.netstat.fields={defaults.netstat_fields_include}",
            *(() if "systemd" in collectors else ("--no-collector.systemd",)),
            *(f"--collector.{name}" for name in collectors),
            *arguments,
        ]
        self.environ = {**os.environ, **environ}

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self.command, env=self.environ, stderr=subprocess.PIPE, text=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "Listening on" in line:
                break
        else:
            raise AssertionError(f"node_exporter did not start: {self.command}")
        deadline = time.monotonic() + 10
        while True:
            try:
                self._connection.connect()
                self.scrape()
                return self
            except OSError:
                if time.monotonic() > deadline:
                    raise

    def scrape(self) -> Exposition:
        """One scrape. The connection stays open between scrapes, so that it is not itself what changes."""
        self._connection.request("GET", "/metrics")
        return Exposition(self._connection.getresponse().read().decode())

    def cpu_seconds(self) -> float:
        """User and system time that it has used since it began."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = re.sub(r"^.*\) ", "", file.read()).split()
        return (int(fields[11]) + int(fields[12])) / 100

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self.process.terminate()
        self.process.wait(timeout=10)
        assert self.process.stderr is not None
        self.process.stderr.close()
