"""The processes of a cgroup without a cgroup of their own, on this kernel's own files."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from wattview.probes.workloads.loose import LooseProcesses


def own_cgroup() -> Path:
    """The directory of the cgroup that this test is in."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "cpuacct" in controllers.split(","):
            found = Path(f"/sys/fs/cgroup/{controllers}{path}")
            if (found / "cgroup.procs").exists():
                return found
    raise AssertionError("no cgroup of CPU time is mounted here")


def test_a_new_program_is_found_at_any_polling_interval(tmp_path: Path) -> None:
    """cgroup v1 repeats an old list to a reader that does not open the file anew."""
    loose = LooseProcesses("/proc", str(own_cgroup()))
    loose.read(time.time(), time.monotonic())
    program = tmp_path / "newcomer"
    shutil.copy("/bin/dash", program)
    with subprocess.Popen([program, "-c", "read line"], stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + 10.0
        while loose.pids().get(process.pid) != "newcomer":
            assert time.monotonic() < deadline
            loose.read(time.time(), time.monotonic())
            time.sleep(0.05)
        process.communicate()
    ended = [program.name for program in loose.read(time.time(), time.monotonic())]
    assert "newcomer" in ended
    loose.close()
