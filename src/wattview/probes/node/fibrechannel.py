"""Fibre Channel host adapters, from /sys/class/fc_host."""

from __future__ import annotations

from wattview.exposition import Family, families_of, gauge, labels, rows
from wattview.probes.node.collector import Directories, Directory, of_sysfs

_UNIMPLEMENTED = (1 << 64) - 1

# File in the adapter's statistics directory, name, help.
_TABLE = rows("""
dumped_frames node_fibrechannel_dumped_frames_total  Number of dumped frames
error_frames node_fibrechannel_error_frames_total  Number of errors in frames
invalid_crc_count node_fibrechannel_invalid_crc_total  Invalid Cyclic Redundancy Check count
rx_frames node_fibrechannel_rx_frames_total  Number of frames received
rx_words node_fibrechannel_rx_words_total  Number of words received by host port
tx_frames node_fibrechannel_tx_frames_total  Number of frames transmitted by host port
tx_words node_fibrechannel_tx_words_total  Number of words transmitted by host port
seconds_since_last_reset node_fibrechannel_seconds_since_last_reset_total  Number of seconds since last host port reset
invalid_tx_word_count node_fibrechannel_invalid_tx_words_total  Number of invalid words transmitted by host port
link_failure_count node_fibrechannel_link_failure_total  Number of times the host port link has failed
loss_of_sync_count node_fibrechannel_loss_of_sync_total
    Number of failures on either bit or transmission word boundaries
loss_of_signal_count node_fibrechannel_loss_of_signal_total  Number of times signal has been lost
nos_count node_fibrechannel_nos_total  Number Not_Operational Primitive Sequence received by host port
fcp_packet_aborts node_fibrechannel_fcp_packet_aborts_total  Number of aborted packets
""")
_INFO = (
    "speed", "port_state", "port_type", "port_id", "port_name", "fabric_name", "symbolic_name", "supported_classes",
    "supported_speeds", "dev_loss_tmo",
)  # fmt: skip
_WITHOUT_0X = frozenset(("port_id", "port_name", "fabric_name"))


@of_sysfs(Directories, "class/fc_host")
def collector(directories: Directories) -> list[Family]:
    """``node_fibrechannel_*{fc_host}``. Counters are hexadecimal; an unsupported one reads as all ones."""
    info = gauge("node_fibrechannel_info", "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.")
    hosts = directories.found()
    for host, directory in hosts.items():
        values = {name: (directory.text(name) or "").strip() for name in _INFO}
        for name in _WITHOUT_0X:
            values[name] = values[name].removeprefix("0x")
        info.add(1, labels(fc_host=host, **values))
    counted = [(labels(fc_host=host), directory) for host, directory in hosts.items()]
    return [info, *families_of(_TABLE, counted, _count)]


def _count(host: Directory, file: str) -> int | None:
    value = host.number(f"statistics/{file}")
    return None if value == _UNIMPLEMENTED else value
