"""The NFS client, by mount: bytes, events, calls and their transports (/proc/self/mountstats).

The columns are those of the kernel's nfs_show_stats (fs/nfs/super.c) and rpc_clnt_show_stats (net/sunrpc/stats.c).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, field

from wattview.exposition import Family, gauge, labels, named
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import odd, understood
from wattview.probes.node.collector import of_files
from wattview.probes.node.mountstats_columns import BYTES, EVENTS, OPERATIONS, TRANSPORT

# Index of each TRANSPORT column after the protocol's name (net/sunrpc/xprtsock.c, xprtrdma/transport.c).
_PLACES: dict[str, dict[str, int]] = {
    "udp": {
        "bind_total": 1, "sends_total": 2, "receives_total": 3, "bad_transaction_ids_total": 4,
        "backlog_queue_total": 6, "maximum_rpc_slots": 7, "sending_queue_total": 8, "pending_queue_total": 9,
    },
    "tcp": {
        "bind_total": 1, "connect_total": 2, "idle_time_seconds": 4, "sends_total": 5, "receives_total": 6,
        "bad_transaction_ids_total": 7, "backlog_queue_total": 9, "maximum_rpc_slots": 10,
        "sending_queue_total": 11, "pending_queue_total": 12,
    },
    "rdma": {
        "bind_total": 1, "connect_total": 2, "idle_time_seconds": 4, "sends_total": 5, "receives_total": 6,
        "bad_transaction_ids_total": 7, "backlog_queue_total": 9,
    },
}  # fmt: skip


# The kernel may print a negative time as an unsigned 64-bit number: it is invalid.
_NEGATIVE = 1 << 63


class NfsMount(Struct):
    """One NFS mount, as far as its lines could be parsed."""

    export: str
    mount_point: str
    address: str = ""
    age: int | None = None
    bytes: Sequence[int] = ()
    events: Sequence[int] = ()
    transports: list[tuple[str, list[int]]] = field(default_factory=list)
    operations: dict[str, list[int]] = field(default_factory=dict)


@of_files("self/mountstats", "self/mountinfo", size=65536)
def collector(stats: KernelFile, mountinfo: KernelFile) -> list[Family]:
    """``node_mountstats_nfs_*{export,protocol,mountaddr}``. An export that is mounted twice counts once: the kernel
    keeps one set of counters for both."""
    mounts = nfs_mounts(stats.read())
    if mounts:
        addresses = server_addresses(mountinfo.read())
        for mount in mounts:
            known = addresses.get(mount.mount_point)
            mount.address = known.pop(0) if known else ""
    return mount_families(mounts)


def mount_families(mounts: Iterable[NfsMount]) -> list[Family]:
    """``node_mountstats_nfs_*`` of these mounts."""
    info = _family("mountpoint_info", "Info metric for an NFS mountpoint.")
    age = _family("age_seconds_total", "The age of the NFS mount in seconds.")
    tables = [
        [_family(name, help_text) for name, help_text in table] for table in (BYTES, EVENTS, TRANSPORT, OPERATIONS)
    ]
    of_bytes, of_events, of_transport, of_operations = tables
    told: set[tuple[str, str, str]] = set()
    for mount in mounts:
        for protocol in dict.fromkeys(protocol for protocol, _ in mount.transports):
            text = {"export": mount.export, "protocol": protocol, "mountaddr": mount.address}
            info.add(1, labels(**text, mountpoint=mount.mount_point))
            if (mount.export, protocol, mount.address) in told:
                continue
            told.add((mount.export, protocol, mount.address))
            age.add(mount.age, labels(**text))
            _columns(of_bytes, mount.bytes, labels(**text))
            _columns(of_events, mount.events, labels(**text))
            for number, (kind, counts) in enumerate(mount.transports):
                for family, (name, _) in zip(of_transport, TRANSPORT, strict=True):
                    place = _PLACES.get(kind, {}).get(name.removeprefix("transport_"), len(counts))
                    family.add(counts[place] if place < len(counts) else None, labels(**text, transport=str(number)))
            for operation, counts in mount.operations.items():
                for family, (name, _), count in zip(of_operations, OPERATIONS, counts, strict=False):
                    if count < _NEGATIVE:
                        # Times are milliseconds.
                        shown = count / 1000 if "_seconds_" in name else count
                        family.add(shown, labels(**text, operation=operation))
    return [info, age, *(family for table in tables for family in table if family.name)]


def nfs_mounts(data: bytes) -> list[NfsMount]:
    """The NFS mounts of a mountstats file. A line that cannot be parsed is skipped."""
    found: list[NfsMount] = []
    for heading, lines in _by_device(data.decode("utf-8", "replace")):
        words = heading.split()
        # device EXPORT mounted on PLACE with fstype nfs4 statvers=1.1
        if len(words) > 8 and words[7] in ("nfs", "nfs4"):
            mount = NfsMount(words[1], words[4])
            found.append(mount)
            for line in lines:
                try:
                    _read(mount, line.split())
                except (ValueError, IndexError):
                    odd("self/mountstats", line)
    return found


def _read(mount: NfsMount, words: list[str]) -> None:
    match words:
        case ["age:", seconds, *_]:
            mount.age = int(seconds)
        case ["bytes:", *counts]:
            mount.bytes = [int(count) for count in counts]
        case ["events:", *counts]:
            mount.events = [int(count) for count in counts]
        case ["xprt:", protocol, *counts]:
            mount.transports.append((protocol, [int(count) for count in counts]))
        case [operation, *counts] if len(counts) >= 8 and operation.isupper() and operation.endswith(":"):
            mount.operations[operation.removesuffix(":")] = [int(count) for count in counts]


def server_addresses(data: bytes) -> dict[str, list[str]]:
    """The server's address of each NFS mount of a mountinfo file, by mount point, in order (proc_pid_mountinfo(5))."""

    def nfs_mount(line: str) -> tuple[str, str] | None:
        place, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        if kind not in ("nfs", "nfs4"):
            return None
        address = dict(option.partition("=")[::2] for option in options.split(",")).get("addr", "")
        return place.split()[4], address

    found: dict[str, list[str]] = {}
    for place, address in understood(data.decode("utf-8", "replace").splitlines(), nfs_mount, "self/mountinfo"):
        found.setdefault(place, []).append(address)
    return found


def _by_device(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each line that starts a device, with the lines below it."""
    heading: str | None = None
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("device "):
            if heading is not None:
                yield heading, lines
            heading, lines = line, []
        else:
            lines.append(line)
    if heading is not None:
        yield heading, lines


def _columns(families: Sequence[Family], counts: Sequence[int], text: str) -> None:
    """A column without a name is not exported by node_exporter."""
    for family, count in zip(families, counts, strict=False):
        if family.name:
            family.add(count, text)


def _family(name: str, help_text: str) -> Family:
    return named(f"node_mountstats_nfs_{name}", help_text) if name != "-" else gauge("", "")
