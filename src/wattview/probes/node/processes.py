"""Number of processes and threads by state. Reads one file per process at every scrape."""

from __future__ import annotations

import os
from collections import Counter

from wattview.config import Config
from wattview.exposition import Family, gauge, labels
from wattview.probes import procfs
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import integer


class Processes:
    """``node_processes_*``. A process that ends during the count is left out."""

    def __init__(self, config: Config) -> None:
        self._root = config.paths.procfs
        self._max_threads = KernelFile(f"{self._root}/sys/kernel/threads-max")
        self._max_pids = KernelFile(f"{self._root}/sys/kernel/pid_max")

    def collect(self) -> list[Family]:
        states: Counter[str] = Counter()
        thread_states: Counter[str] = Counter()
        threads = 0
        for pid in os.listdir(self._root):
            if not pid.isdigit():
                continue
            process = _stat(f"{self._root}/{pid}/stat")
            if process is None:
                continue
            states[process.state] += 1
            threads += process.threads
            if process.threads == 1:
                thread_states[process.state] += 1
            else:
                thread_states.update(self._threads(pid))
        state = gauge("node_processes_state", "Number of processes in each state.")
        thread_state = gauge("node_processes_threads_state", "Number of threads in each state.")
        for name, count in sorted(states.items()):
            state.add(count, labels(state=name))
        for name, count in sorted(thread_states.items()):
            thread_state.add(count, labels(thread_state=name))
        max_threads, max_pids = (
            integer(self._max_threads.read(), "threads-max"),
            integer(self._max_pids.read(), "pid_max"),
        )
        return [
            gauge("node_processes_threads", "Allocated threads in system", threads),
            gauge("node_processes_max_threads", "Limit of threads in the system", max_threads),
            gauge("node_processes_pids", "Number of PIDs", states.total()),
            gauge("node_processes_max_processes", "Number of max PIDs limit", max_pids),
            state,
            thread_state,
        ]

    def _threads(self, pid: str) -> list[str]:
        try:
            names = os.listdir(f"{self._root}/{pid}/task")
        except OSError:
            return []
        found = (_stat(f"{self._root}/{pid}/task/{name}/stat") for name in names)
        return [thread.state for thread in found if thread is not None]


def _stat(path: str) -> procfs.PidStat | None:
    try:
        with open(path, "rb", buffering=0) as file:
            return procfs.pid_stat(file.read(1024))
    except OSError:
        return None
