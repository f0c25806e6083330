"""Packets that each CPU's network soft interrupt processed, dropped, or deferred."""

from __future__ import annotations

from wattview.exposition import Family, FamilyType, labels
from wattview.probes.lines import understood
from wattview.probes.node.collector import of_file

# Column of /proc/net/softnet_stat (net/core/net-procfs.c), name, type, help. Newer kernels have more columns.
_COLUMNS: tuple[tuple[int, str, FamilyType, str], ...] = (
    (0, "processed_total", "counter", "Number of processed packets"),
    (1, "dropped_total", "counter", "Number of dropped packets"),
    (2, "times_squeezed_total", "counter", "Number of times processing packets ran out of quota"),
    (8, "cpu_collision_total", "counter", "Number of collision occur while obtaining device lock while transmitting"),
    (9, "received_rps_total", "counter", "Number of times cpu woken up received_rps"),
    (10, "flow_limit_count_total", "counter", "Number of times flow limit has been reached"),
    (11, "backlog_len", "gauge", "Softnet backlog status"),
)
_CPU_COLUMN = 12


@of_file("net/softnet_stat")
def collector(data: bytes) -> list[Family]:
    """``node_softnet_*{cpu}``."""
    families = [Family(f"node_softnet_{name}", kind, help_text) for _, name, kind, help_text in _COLUMNS]
    for cpu, columns in softnet_stat(data):
        text = labels(cpu=str(cpu))
        for family, (column, *_) in zip(families, _COLUMNS, strict=True):
            family.add(columns[column] if column < len(columns) else 0, text)
    return families


def softnet_stat(data: bytes) -> list[tuple[int, list[int]]]:
    """(CPU, its columns) of each line. Before Linux 5.10 the CPU's number is the line's."""

    def cpu(line: bytes) -> list[int]:
        columns = [int(field, 16) for field in line.split()]
        if len(columns) < 9:
            raise ValueError("fewer than nine columns")
        return columns

    return [
        (columns[_CPU_COLUMN] if len(columns) > _CPU_COLUMN else number, columns[:_CPU_COLUMN])
        for number, columns in enumerate(understood(data.splitlines(), cpu, "net/softnet_stat"))
    ]
