"""``wattview calibrate`` from end to end: a daemon with a simulated RAPL that follows this machine's CPU use, a plug
whose answers follow a wall that is not quite a straight line of it, and real encoders."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.support import meter_answers as real
from tests.support.daemon import DaemonProcess, alive, descendants, running_daemon, wait_gone
from tests.support.meter_server import Asked, MeterServer, Told
from tests.support.powercap import simulated_rapl
from tests.support.wall import METERS, calibrated
from wattview.model.power.calibration import (
    CalibrationOffer,
    MachineModel,
    SeenRange,
    WallCalibration,
    WallSamples,
)


class WallOfCounters:
    """The wall of a machine whose energy counters stand in ``sysfs``: the mean of each second that has ended."""

    def __init__(self, sysfs: Path) -> None:
        self._files = [sysfs / "class" / "powercap" / zone / "energy_uj" for zone in self._counted(sysfs)]
        self._ranges = [int((file.parent / "max_energy_range_uj").read_text()) for file in self._files]
        self.seconds: list[tuple[float, float]] = []
        self.joules = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    @staticmethod
    def _counted(sysfs: Path) -> list[str]:
        zones = sorted(path.name for path in (sysfs / "class" / "powercap").glob("intel-rapl:*"))
        names = {zone: (sysfs / "class" / "powercap" / zone / "name").read_text().strip() for zone in zones}
        return [zone for zone, name in names.items() if name.startswith(("package", "dram"))]

    @staticmethod
    def wall(host_watts: float) -> float:
        return 14.0 + 1.08 * host_watts + 0.0009 * host_watts**2

    def _follow(self) -> None:
        before, at = self._read(), time.time()
        while not self._ended.wait(1.0):
            now, read = self._read(), time.time()
            grown = [(b - a) % size for a, b, size in zip(before, now, self._ranges, strict=True)]
            self.seconds.append((read, self.wall(sum(grown) / 1e6 / (read - at))))
            self.joules += self.watts * (read - at)
            before, at = now, read

    def _read(self) -> list[int]:
        return [int(file.read_text()) for file in self._files]

    @property
    def watts(self) -> float:
        return self.seconds[-1][1] if self.seconds else 50.0

    def mean(self, start: float, end: float) -> float:
        inside = [watts for at, watts in self.seconds if start < at <= end]
        return sum(inside) / len(inside)

    def __enter__(self) -> WallOfCounters:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()


@contextmanager
def metered_daemon(directory: Path) -> Iterator[tuple[DaemonProcess, WallOfCounters, MeterServer]]:
    with simulated_rapl(directory / "sys", idle_watts=20.0, watts_per_cpu=30.0) as sysfs, WallOfCounters(sysfs) as wall:

        def respond(asked: Asked) -> Told:
            if asked.path == "/shelly":
                return Told(real.SHELLY_PLUG_S)
            return Told(real.shelly_gen1_status(round(wall.watts, 2), round(wall.joules / 60)))

        with MeterServer(respond) as server:
            config = directory / "wattview.toml"
            meter = f'kind = "shelly"\nname = "plug"\nurl = "{server.url}"\ninterval = "1s"'
            config.write_text(f"[[power.meters]]\n{meter}\n")
            with running_daemon(
                directory, f"paths.sysfs={sysfs}", command=("daemon", "--config", str(config))
            ) as daemon:
                yield daemon, wall, server


def command(daemon: DaemonProcess, *words: str) -> list[str]:
    return [sys.executable, "-m", "wattview", "calibrate", *words, *daemon.arguments]


def until_metered(daemon: DaemonProcess) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        power = daemon.snapshot().wall
        if power is not None and power.watts is not None and power.meters[0].refresh_seconds is not None:
            return
        time.sleep(0.5)
    raise AssertionError(f"no meter is known: {daemon.snapshot().wall}")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_wall_is_known_without_the_meter_after_calibrate(tmp_path: Path) -> None:
    with metered_daemon(tmp_path) as (daemon, wall, server):
        until_metered(daemon)
        words = ("--steps", "7", "--step-seconds", "12", "--force", "--json")
        done = subprocess.run(command(daemon, *words), capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["power_source"] == "rapl"
        assert found["error_percent"] < 3.0
        assert descendants(daemon.process.pid) == set()

        server.silent.set()
        deadline = time.monotonic() + 60
        while 'wattview_wall_power_watts{source="calibrated"}' not in (text := daemon.metrics("rapl-exporter")):
            assert time.monotonic() < deadline, text
            time.sleep(0.5)
        assert 'wattview_wall_power_watts{source="meter"}' not in text
        said, errors = [], []
        start = time.time()
        for _ in range(12):
            time.sleep(1.0)
            text = daemon.metrics("rapl-exporter")
            said += _values(text, "wattview_wall_power_watts")
            errors += _values(text, "wattview_wall_power_error_watts")
        truth = wall.mean(start - 1.0, time.time() - 0.5)
        assert len(said) == 12
        assert errors, "a machine that others use may be outside of the range now and then, not always"
        assert sum(said) / len(said) == pytest.approx(truth, rel=0.03)
        assert 0 < sum(errors) / len(errors) < 0.15 * truth

        shown = subprocess.run(command(daemon, "--show"), capture_output=True, text=True, check=True, timeout=30)
        assert "wall = " in shown.stdout
        file = tmp_path / "calibration.json"
        subprocess.run(command(daemon, "--export", str(file)), capture_output=True, check=True, timeout=30)
        subprocess.run(command(daemon, "--forget"), capture_output=True, check=True, timeout=30)
        imported = subprocess.run(command(daemon, "--import", str(file), "--json"), capture_output=True, check=True)
        assert json.loads(imported.stdout)["imported"] is True
        other = json.loads(file.read_text())
        other["machine"]["board"] = "another board"
        file.write_text(json.dumps(other))
        refused = subprocess.run(command(daemon, "--import", str(file)), capture_output=True, text=True, check=False)
        assert refused.returncode == 1
        assert "another model of machine (board: another board" in refused.stderr


@pytest.mark.slow
def test_an_interrupt_leaves_nothing_running_and_nothing_changed(tmp_path: Path) -> None:
    with metered_daemon(tmp_path) as (daemon, _, _):
        until_metered(daemon)
        words = command(daemon, "--steps", "7", "--step-seconds", "10", "--force")
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        deadline, encoders = time.monotonic() + 40, set[int]()
        while not encoders and time.monotonic() < deadline:
            time.sleep(0.2)
            encoders = {pid for pid in descendants(process.pid) if alive(pid) and "-threads 1" in _command_line(pid)}
        assert encoders
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 1
        assert wait_gone(encoders) == set()
        assert daemon.api.get("/api/v1/calibration").status_code == 404
        plan = subprocess.run(command(daemon, "--dry-run"), capture_output=True, text=True, check=True, timeout=60)
        assert re.search(r"14 +.* 30s\n\n\d+m\d+s in all, with libx264", plan.stdout), plan.stdout


def of_this_machine(calibration: WallCalibration, daemon: DaemonProcess) -> WallCalibration:
    here = msgspec.convert(daemon.api.get("/api/v1/wall/samples").json(), WallSamples).machine
    return replace(calibration, machine=here)


@pytest.mark.slow
def test_a_run_without_a_meter_has_its_energy_at_the_wall_and_is_billed_by_it(tmp_path: Path) -> None:
    _, calibration = calibrated(1, METERS[0])
    prices = ("cost.energy_per_kwh=0.3", "cost.carbon_g_per_kwh=400")
    with (
        simulated_rapl(tmp_path / "sys", idle_watts=30.0, watts_per_cpu=30.0) as sysfs,
        running_daemon(tmp_path, f"paths.sysfs={sysfs}", *prices) as daemon,
    ):
        offer = CalibrationOffer(calibration=of_this_machine(calibration, daemon))
        assert daemon.api.post("/api/v1/calibration", content=msgspec.json.encode(offer)).status_code == 200
        body = {"scenarios": [{"name": "idle", "type": "baseline", "duration": 6, "warmup": 3, "cooldown": 0}]}
        run = daemon.api.post("/api/v1/runs", json=body).json()
        deadline = time.monotonic() + 60
        while (run := daemon.api.get(f"/api/v1/runs/{run['id']}").json())["state"] == "running":
            assert time.monotonic() < deadline
            time.sleep(0.2)
        [found] = daemon.api.get(f"/api/v1/results/{run['results_id']}").json()["scenarios"]
    assert found["wall_source"] == "calibrated", found["reasons"]
    assert found["wall_energy_joules"] > found["energy_joules"]
    assert found["cost_energy"] == pytest.approx(found["wall_energy_joules"] / 3.6e6 * 0.3)
    assert found["carbon_grams"] == pytest.approx(found["wall_energy_joules"] / 3.6e6 * 400)


def test_on_a_virtual_machine_an_imported_calibration_takes_the_estimates_place(tmp_path: Path) -> None:
    coefficients = (40.0, 0.6)
    calibration = WallCalibration(
        time=1.0, meter="rack", machine=MachineModel(cpu="", cpus=2), power_source="", terms=("base", "seen"),
        coefficients=coefficients, covariance=((0.01, 0.0), (0.0, 0.0001)), residual_watts=0.5, quantile=2.0,
        error_watts=0.5, error_percent=1.0, spans={"cpu": SeenRange(0.0, 100.0), "gpu": SeenRange(0.0, 0.0)},
        steps=10, windows=40,
    )  # fmt: skip
    nothing = tmp_path / "sys"
    nothing.mkdir()
    sets = (f"paths.sysfs={nothing}", "cost.energy_per_kwh=1", "cost.cpu_per_hour=0")
    with running_daemon(tmp_path, *sets) as daemon:
        offered = replace(of_this_machine(calibration, daemon), power_source="")
        offer = CalibrationOffer(calibration=offered, imported=True)
        assert daemon.api.post("/api/v1/calibration", content=msgspec.json.encode(offer)).json()["imported"] is True
    with running_daemon(tmp_path, *sets) as daemon:
        deadline = time.monotonic() + 20
        while (now := daemon.snapshot()).wall is None or now.wall.watts is None or now.power is None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        while now.power is None or now.power.host_watts is None or now.energy_cost_per_hour is None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
            now = daemon.snapshot()
    assert now.power.source == "estimated"
    assert 39.9 <= now.power.host_watts <= 100.1
    assert now.wall is not None
    assert now.wall.source == "calibrated"
    assert now.wall.watts is not None
    assert 39.9 <= now.wall.watts <= 100.1
    assert now.wall.error_watts is not None
    assert now.wall.error_watts >= 0.05 * now.wall.watts
    assert now.energy_cost_per_hour == pytest.approx(now.wall.watts / 1000)


def test_without_a_meter_it_says_so(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        done = subprocess.run(command(daemon), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "no meter at the wall is set: name one in [[power.meters]]" in done.stderr


def _values(text: str, name: str) -> list[float]:
    return [float(value) for value in re.findall(rf'^{name}{{source="calibrated"}} (\S+)$', text, re.MULTILINE)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace").replace("\0", " ")
    except OSError:
        return ""
