"""``wattview calibrate`` from end to end: a daemon, real encoders, a simulated RAPL that follows them, and a plug whose
answers follow a wall that is not quite a straight line of it."""

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
from typing import ClassVar

import msgspec
import pytest
from msgspec.structs import replace

from tests.support import meter_answers as real
from tests.support.daemon import DaemonProcess, alive, descendants, running_daemon, wait_gone
from tests.support.meter_server import Asked, MeterServer, Told
from tests.support.powercap import PowercapTree, link_real_sysfs, machine, simulated_rapl
from tests.support.wall import METERS, calibrated
from wattview.model.power.calibration import (
    CalibrationOffer,
    MachineModel,
    SeenRange,
    WallCalibration,
    WallSamples,
)


class LoadedMachine:
    """A machine whose power follows the encoders that a command has started, whoever else works on this one: its RAPL
    counters in ``sysfs``, and its wall, which is not quite a straight line of them."""

    IDLE_WATTS = 25.0
    FULL_WATTS: ClassVar = {"veryfast": 13.0, "medium": 15.0, "slower": 17.0}
    PACED_WATTS = 4.0

    def __init__(self, sysfs: Path) -> None:
        self.command: int | None = None
        self.more_watts = 0.0
        self.seconds: list[tuple[float, float]] = []
        """When each second ended, and its wall's mean."""
        self.wall_joules = self._joules = 0.0
        link_real_sysfs(sysfs)
        self._tree = PowercapTree(sysfs, machine(self))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def joules(self, seconds: float) -> float:
        return self._joules

    @property
    def host_watts(self) -> float:
        found = [] if self.command is None else [_command_line(pid) for pid in descendants(self.command)]
        encoders = [line for line in found if "-threads 1" in line and "setpriv" not in line]
        paced = [line for line in encoders if " -re " in line]
        full = [self.FULL_WATTS[line.partition("-preset ")[2].split()[0]] for line in encoders if line not in paced]
        return self.IDLE_WATTS + self.more_watts + sum(full) + self.PACED_WATTS * len(paced)

    @property
    def wall_watts(self) -> float:
        return self.seconds[-1][1] if self.seconds else self.wall(self.IDLE_WATTS)

    @staticmethod
    def wall(host_watts: float) -> float:
        return 14.0 + 1.08 * host_watts + 0.0009 * host_watts**2

    def mean(self, start: float, end: float) -> float:
        inside = [watts for at, watts in self.seconds if start < at <= end]
        return sum(inside) / len(inside)

    def _follow(self) -> None:
        at, second, before = time.time(), time.time(), self.wall_joules
        while not self._ended.wait(0.05):
            watts, now = self.host_watts, time.time()
            self._joules += watts * (now - at)
            self.wall_joules += self.wall(watts) * (now - at)
            self._tree.write(0.0)
            at = now
            if now - second >= 1.0:
                self.seconds.append((now, (self.wall_joules - before) / (now - second)))
                second, before = now, self.wall_joules

    def __enter__(self) -> LoadedMachine:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._tree.close()


Metered = tuple[DaemonProcess, LoadedMachine, MeterServer]


@contextmanager
def metered_daemon(directory: Path) -> Iterator[Metered]:
    with LoadedMachine(directory / "sys") as loaded:

        def respond(asked: Asked) -> Told:
            if asked.path == "/shelly":
                return Told(real.SHELLY_PLUG_S)
            return Told(real.shelly_gen1_status(round(loaded.wall_watts, 2), round(loaded.wall_joules / 60)))

        with MeterServer(respond) as server:
            config = directory / "wattview.toml"
            meter = f'kind = "shelly"\nname = "plug"\nurl = "{server.url}"\ninterval = "1s"'
            config.write_text(f"[[power.meters]]\n{meter}\n")
            words = ("daemon", "--config", str(config))
            with running_daemon(directory, f"paths.sysfs={directory / 'sys'}", command=words) as daemon:
                yield daemon, loaded, server


def command(daemon: DaemonProcess, *words: str) -> list[str]:
    return [sys.executable, "-m", "wattview", "calibrate", *words, *daemon.arguments]


def until_metered(daemon: DaemonProcess, loaded: LoadedMachine) -> None:
    """Until the meter's figures have changed a few times, so that its refresh interval is known."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        loaded.more_watts = 3.0 - loaded.more_watts
        power = daemon.snapshot().wall
        if power is not None and power.watts is not None and power.meters[0].refresh_seconds is not None:
            loaded.more_watts = 0.0
            return
        time.sleep(1.0)
    raise AssertionError(f"no meter is known: {daemon.snapshot().wall}")


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metered]:
    """A daemon that knows its meter; nothing is calibrated yet."""
    with metered_daemon(tmp_path_factory.mktemp("metered")) as made:
        until_metered(made[0], made[1])
        yield made


@pytest.mark.slow
def test_an_interrupt_leaves_nothing_running_and_nothing_changed(metered: Metered) -> None:
    daemon, _, _ = metered
    words = command(daemon, "--steps", "8", "--step-seconds", "10", "--force")
    # As in a terminal: what a shell starts in the background ignores interrupts, and its children do.
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=_hears_interrupts)
    deadline, encoders = time.monotonic() + 90, set[int]()
    while not encoders and time.monotonic() < deadline:
        time.sleep(0.2)
        encoders = {pid for pid in descendants(process.pid) if alive(pid) and "-threads 1" in _command_line(pid)}
    assert encoders
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 1
    assert wait_gone(encoders, 20.0) == set()
    assert daemon.api.get("/api/v1/calibration").status_code == 404
    plan = subprocess.run(command(daemon, "--dry-run"), capture_output=True, text=True, check=True, timeout=60)
    assert re.search(r"14 +.* 30s\n\n\d+m\d+s in all, with libx264", plan.stdout), plan.stdout


def _hears_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_wall_is_known_without_the_meter_after_calibrate(metered: Metered, tmp_path: Path) -> None:
    daemon, loaded, server = metered
    words = ("--steps", "8", "--step-seconds", "10", "--force", "--json")
    with subprocess.Popen(
        command(daemon, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        loaded.command = process.pid
        said, told = process.communicate(timeout=200)
    assert process.returncode == 0, told
    calibration = json.loads(said)
    assert calibration["power_source"] == "rapl"
    assert calibration["error_percent"] < 3.0
    assert len([line for line in told.splitlines() if line.startswith("step ")]) == 8

    loaded.command = None
    server.silent.set()
    deadline = time.monotonic() + 60
    while 'wattview_wall_power_watts{source="calibrated"}' not in (text := daemon.metrics("rapl-exporter")):
        assert time.monotonic() < deadline, text
        time.sleep(0.5)
    assert 'wattview_wall_power_watts{source="meter"}' not in text
    for more_watts in (0.0, 12.0):
        loaded.more_watts = more_watts
        time.sleep(2.0)
        daemon.metrics("rapl-exporter")  # what is told next is the mean since now
        time.sleep(3.0)
        text = daemon.metrics("rapl-exporter")
        watts, error = (_value(text, f"wattview_wall_power_{name}watts", "calibrated") for name in ("", "error_"))
        truth = loaded.mean(time.time() - 3.0, time.time())
        assert watts == pytest.approx(truth, rel=0.03)
        assert 0 < error < 0.1 * truth
    loaded.more_watts = 500.0
    time.sleep(4.0)
    wall = daemon.snapshot().wall
    assert wall is not None
    assert wall.error_watts is None
    assert re.match("outside the calibrated range: measured power [45]", wall.reason)

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
        [doctor] = [one for one in daemon.api.get("/api/v1/doctor").json() if one["source"] == "calibration"]
    assert doctor["state"] == "works"
    assert "with the meter simulated, mean error 0." in doctor["detail"]
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
    assert now.power.idle_watts == pytest.approx(40.0)
    assert 39 <= now.power.host_watts <= 105, "between idle and all CPUs busy, to some ticks of the kernel"
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
    assert "no wall meter is configured: add one to [[power.meters]]" in done.stderr


def _value(text: str, name: str, source: str) -> float:
    found = re.search(rf'^{name}{{source="{source}"}} (\S+)$', text, re.MULTILINE)
    assert found is not None, [line for line in text.splitlines() if "wall" in line]
    return float(found[1])


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace").replace("\0", " ")
    except OSError:
        return ""
