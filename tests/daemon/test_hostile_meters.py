"""A daemon whose meters at the wall answer the worst, all at once: each is a fault, and nobody waits for them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemon import running_daemon
from tests.support.hostile_text import obeyed
from tests.support.wire import Script, Wire, endlessly, head, slowly

WORST = 1_000_000
NAMES = rb'"Id":"\u001b]0;x\u0007\u202e=cmd|calc","PowerControl":[{"PowerConsumedWatts":5}]'


def body(content: bytes) -> Script:
    def script(_: str) -> Iterator[bytes]:
        yield head("Connection: close", f"Content-Length: {len(content)}") + content

    return script


def endless(_: str) -> Iterator[bytes]:
    yield head("Connection: close")
    yield from endlessly(b'{"meters": [' * 5000)


def trickling(_: str) -> Iterator[bytes]:
    yield head("Content-Length: 1000")
    yield from slowly(b"{" * 1000)


def several_chassis(request: str) -> Iterator[bytes]:
    """A BMC that calls its chassis names that a terminal obeys."""
    members = b",".join(b'{"@odata.id":"/redfish/v1/Chassis/%d"}' % number for number in range(20))
    listed = b'{"Members":[%b],"Power":{"@odata.id":"/redfish/v1/Power"},%b}' % (members, NAMES)
    yield from body(listed)(request)


SCRIPTS: dict[str, Script] = {
    "endless": endless,
    "trickling": trickling,
    "deep": body(b'{"StatusSNS":' * (WORST // 13)),
    "lists": body(b"[" * WORST),
    "many": body(b'{"meters":[' + b"{}," * (WORST // 3) + b"{}]}"),
    "digits": body(b'{"meters":[{"power":' + b"9" * WORST + b',"total":1}]}'),
    "nan": body(b'{"meters":[{"power":NaN,"total":1e999}],"StatusSNS":{"ENERGY":{"Power":1e308,"Total":-1e308}}}'),
    "warning": body(
        rb'{"WARNING":"\u001b[31m\u202e\u009bx","gen":2,"switch:0":{"apower":1e300,"aenergy":{"total":-1}}}'
    ),
    "names": several_chassis,
    "store": body(
        b'{"status":"success","data":{"result":[' + b'{"metric":{"a":"\xe2\x80\xae"},"value":[1,"1e308"]},' * 19_000
    ),
}
KINDS = {"shelly": "", "tasmota": "", "redfish": "", "promql": 'query = "x"'}


@pytest.mark.slow
def test_hostile_meters_are_faults_and_affect_no_other_meter(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        wires = {name: stack.enter_context(Wire(script)) for name, script in SCRIPTS.items()}
        config = tmp_path / "wattview.toml"
        config.write_text(
            "".join(
                f'[[power.meters]]\nkind = "{kind}"\nname = "{kind} {name}"\n'
                f'url = "{wire.url}"\ninterval = "1s"\n{more}\n'
                for kind, more in KINDS.items()
                for name, wire in wires.items()
            )
        )
        words = ("daemon", "--config", str(config))
        daemon = stack.enter_context(running_daemon(tmp_path, "docker.host=unix:///nonexistent", command=words))

        def seconds(ask: Callable[[], object]) -> float:
            began = time.monotonic()
            ask()
            return time.monotonic() - began

        end, slowest, wall = time.monotonic() + 40, 0.0, ""
        while wall != "broken":  # all of them, that is
            assert time.monotonic() < end, daemon.log
            wall = next(one.state for one in daemon.snapshot().probes if one.probe == "wall")
            slowest = max(slowest, seconds(daemon.snapshot), seconds(lambda: daemon.metrics("rapl-exporter")))
        said = subprocess.run(
            [sys.executable, "-m", "wattview", "doctor", *daemon.arguments], capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        resident = int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1]) * 4096 / 2**20
    assert slowest < 6
    assert resident < 250
    for kind in KINDS:
        for name in SCRIPTS:
            assert f"{kind} {name}" in said.stdout.replace("\n", " ")
    assert not obeyed(said.stdout + said.stderr)
    assert "Traceback" not in daemon.log + said.stderr
