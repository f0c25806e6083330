"""The scheduler: each CPU's time running tasks, and the tasks' time waiting for it."""

from __future__ import annotations

from wattview.exposition import Family, families_of, labels, rows
from wattview.probes.lines import understood
from wattview.probes.node.collector import of_file

_TABLE = rows("""
0 node_schedstat_running_seconds_total Number of seconds CPU spent running a process.
1 node_schedstat_waiting_seconds_total Number of seconds spent by processing waiting for this CPU.
2 node_schedstat_timeslices_total Number of timeslices executed by CPU.
""")


@of_file("schedstat", size=16384)
def collector(data: bytes) -> list[Family]:
    """``node_schedstat_*{cpu}``; no data without CONFIG_SCHEDSTATS."""
    cpus = [
        (labels(cpu=cpu), (ran / 1e9, waited / 1e9, count)) for cpu, (ran, waited, count) in schedstat(data).items()
    ]
    return families_of(_TABLE, cpus, lambda figures, column: figures[int(column)])


def schedstat(data: bytes) -> dict[str, tuple[int, int, int]]:
    """Nanoseconds run, nanoseconds waited and time slices by CPU (Documentation/scheduler/sched-stats.rst)."""

    def cpu(line: str) -> tuple[str, tuple[int, int, int]] | None:
        if not line.startswith("cpu"):
            return None
        name, *fields = line.split()
        return name.removeprefix("cpu"), (int(fields[6]), int(fields[7]), int(fields[8]))

    return dict(understood(data.decode("ascii", "replace").splitlines(), cpu, "schedstat"))
