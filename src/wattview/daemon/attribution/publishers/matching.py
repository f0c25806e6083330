"""Matches processes with the streams that they publish, by the server's data on publishers and the kernel's on sockets.

MediaMTX reports a publisher's address and port, which identify one socket and its process. nginx-rtmp and SRS report
the address only: the candidates are the server's connections from that address, and are narrowed down by their owners,
by the addresses in their command lines, and finally by the bytes that they carried. A port proxy (Docker's, rootless
networks') or address translation may be in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from wattview.daemon.attribution.publishers.host_processes import HostProcess, HostProcesses, HostSocket
from wattview.model import EncoderMatch
from wattview.probes.streams.probe import SERVERS
from wattview.probes.tcp_sockets import ESTABLISHED, LISTEN, SocketAddress, endpoint_of, is_loopback

StreamKey = tuple[str, str]

PROXIES = frozenset({
    "docker-proxy", "rootlessport", "rootlesskit", "slirp4netns", "pasta", "pasta.avx2", "passt", "gvproxy", "socat",
    "stunnel", "stunnel4", "haproxy", "envoy", "ssh", "sshd",
})  # fmt: skip
"""Programs that forward others' streams. A name in ``/proc/<pid>/stat`` has at most 15 characters."""

LAUNCHERS = frozenset({
    "docker", "podman", "nerdctl", "kubectl", "crictl", "runc", "crun", "conmon", "containerd-shim", "systemd-run",
    "sudo", "ssh", "sh", "bash", "dash", "zsh", "fish", "ash", "busybox", "tini", "docker-init", "dumb-init", "timeout",
    "watch", "tmux: server", "screen",
})  # fmt: skip
"""Programs whose command line may contain another one's, the encoder's."""

STREAM_SERVERS = frozenset(program for one in SERVERS for program in (one.programs or (one.name,)))

MOST_DIFFERENCE = 0.1
"""Maximum relative difference between the bytes of a connection and of its stream: headers, and two clocks."""

LEAST_BYTES = 100_000
"""Less traffic than this does not identify a connection."""

MOST_CONNECTIONS = 1000
"""Per address. With more, none of them is considered: every stream would be compared with all."""

NEEDS_PTRACE = (
    "whose socket it is may not be read: give the daemon CAP_SYS_PTRACE, or push with the address in the command line"
)


class PushedStream(Struct, frozen=True):
    """One live stream with a publisher. ``address`` is the publisher's in the server's notation; "" if not reported.
    ``fetched``: the server itself fetches it. ``bytes_in`` is since the stream started."""

    app: str
    name: str
    address: str
    fetched: bool = False
    bytes_in: int | None = None

    @property
    def key(self) -> StreamKey:
        return self.app, self.name


class ServerSight(Struct, frozen=True):
    """Location of the media server: its network namespace (None if unknown), its processes, and its listening ports.
    ``elsewhere`` is its host if that is another machine, to which loopback addresses then refer."""

    namespace: str | None
    pids: frozenset[int]
    ports: frozenset[int]
    elsewhere: str = ""


class Match(Struct, frozen=True):
    """The publisher of a stream. ``endpoint`` is the peer's address and port as seen by the server, if found."""

    method: EncoderMatch
    pid: int | None = None
    host: str = ""
    reason: str = ""
    endpoint: SocketAddress | None = None


class _Candidate(Struct, frozen=True):
    """A connection that may be the publisher's. ``process`` is None if its owner may not be read, or if a proxy
    (``through``) forwards it for an unknown process."""

    endpoint: SocketAddress
    process: HostProcess | None
    through: str = ""


class Matching:
    """One matching of all streams. ``bytes_by_endpoint`` is what the server has received, by peer; ``known`` are
    earlier matches that may still hold."""

    def __init__(
        self,
        processes: HostProcesses,
        server: ServerSight,
        bytes_by_endpoint: Mapping[SocketAddress, int],
        known: Mapping[StreamKey, Match],
    ) -> None:
        self._processes = processes
        self._server = server
        self._bytes = bytes_by_endpoint
        self._known = known
        self._here: dict[SocketAddress, list[HostSocket]] = {}
        self._by_port: dict[int, list[HostSocket]] = {}
        for one in processes.sockets():
            if one.entry.state == ESTABLISHED:
                self._here.setdefault(one.entry.here, []).append(one)
                self._by_port.setdefault(one.entry.here.port, []).append(one)
        self._addresses = {
            address for namespace in processes.namespaces() for address in processes.addresses(namespace)
        }
        self._peers = self._peers_by_address()
        self._pushing = [one for one in processes.by_pid.values() if one.targets]
        self._found: dict[StreamKey, Match] = {}
        self._owners: dict[HostSocket, HostProcess] = {}

    def match(self, streams: Iterable[PushedStream]) -> dict[StreamKey, Match]:
        """The match of each stream."""
        streams = list(streams)
        candidates = self._candidates([one for one in streams if endpoint_of(one.address) is not None])
        self._keep_known(streams, candidates)
        for one in streams:
            if one.fetched:
                self._found[one.key] = Match("server")
        for step in (self._by_elimination, self._by_command_line, self._by_traffic):
            while step(streams, candidates):
                # Each match leaves fewer candidates for the others.
                while self._by_elimination(streams, candidates):
                    pass
        for one in streams:
            if one.key not in self._found:
                self._found[one.key] = self._unmatched(one, candidates.get(one.key, []))
        return self._found

    def _candidates(self, streams: Sequence[PushedStream]) -> dict[StreamKey, list[_Candidate]]:
        """The possible connections of each stream."""
        ends = {one.key: self._ends(one) for one in streams}
        sockets = {end: self._sockets_at(end) for end in {end for found in ends.values() for end in found}}
        self._owners = self._processes.owners([one for found in sockets.values() for one in found])
        answer: dict[StreamKey, list[_Candidate]] = {}
        for one in streams:
            found: dict[tuple[SocketAddress, int | None], _Candidate] = {}
            for end in ends[one.key]:
                for candidate in [each for socket in sockets[end] for each in self._behind(end, socket, one)]:
                    if candidate.process is None or not candidate.process.only_reads:
                        found[end, candidate.process.pid if candidate.process else None] = candidate
            answer[one.key] = list(found.values())
        return answer

    def _ends(self, stream: PushedStream) -> list[SocketAddress]:
        end = endpoint_of(stream.address)
        if end is None or (self._server.elsewhere and is_loopback(end.address)):
            return []
        if end.port:
            return [end]
        peers = self._peers.get(end.address, [])
        return peers if len(peers) <= MOST_CONNECTIONS else []

    def _peers_by_address(self) -> Mapping[str, list[SocketAddress]]:
        """The peers of the server's connections. Where it is on another machine: this machine's ends of connections to
        such ports."""
        ports, namespace = self._server.ports, self._server.namespace
        if namespace is not None:
            table = self._processes.table(namespace)
            ends = [one.there for one in table if one.state == ESTABLISHED and one.here.port in ports]
        else:
            ends = [end for end, found in self._here.items() if any(one.entry.there.port in ports for one in found)]
        peers: dict[str, list[SocketAddress]] = {}
        for end in dict.fromkeys(ends):
            peers.setdefault(end.address, []).append(end)
        return peers

    def _sockets_at(self, end: SocketAddress) -> list[HostSocket]:
        """The publisher's sockets behind the peer as seen by the server."""
        exact = self._here.get(end, [])
        at_home = [one for one in exact if one.namespace == self._server.namespace]
        if at_home or is_loopback(end.address):
            return at_home
        if exact or end.address not in self._addresses:
            return exact
        # Address translation keeps the port if it is free.
        return [
            one
            for one in self._by_port.get(end.port, [])
            if one.entry.there.port in self._server.ports and one.namespace != self._server.namespace
        ]

    def _behind(self, end: SocketAddress, socket: HostSocket, stream: PushedStream) -> list[_Candidate]:
        process = self._owners.get(socket)
        if process is None or process.program not in PROXIES:
            return [_Candidate(end, process)]
        accepted = self._accepted_by(process)
        if accepted:
            owners = self._processes.owners(accepted)
            return [_Candidate(end, owners.get(one)) for one in accepted]
        # Rootless networking: the proxy's other side is a separate namespace.
        named = [one for one in self._pushing if self._names(one, stream)]
        beyond = [_Candidate(end, one) for one in named if one.namespace != process.namespace]
        return beyond or [_Candidate(end, None, process.program)]

    def _accepted_by(self, proxy: HostProcess) -> list[HostSocket]:
        """The peers of the sockets that a proxy has accepted."""
        inodes = self._processes.files(proxy.pid, "socket")
        own = [one for one in self._processes.table(proxy.namespace) if one.inode in inodes]
        ports = {one.here.port for one in own if one.state == LISTEN}
        ends = [one.there for one in own if one.state == ESTABLISHED and one.here.port in ports]
        return [one for end in ends for one in self._here.get(end, []) if one.entry.inode not in inodes]

    def _keep_known(self, streams: Iterable[PushedStream], candidates: Mapping[StreamKey, list[_Candidate]]) -> None:
        """An earlier match holds while its process has that connection."""
        for one in streams:
            known = self._known.get(one.key)
            if known is None or known.endpoint is None or known.pid is None:
                continue
            for candidate in candidates.get(one.key, []):
                pid = candidate.process.pid if candidate.process is not None else None
                if (candidate.endpoint, pid) == (known.endpoint, known.pid):
                    self._found[one.key] = known

    def _left(self, candidates: Sequence[_Candidate]) -> list[_Candidate]:
        """Connections that do not belong to another stream: neither matched, nor of a process whose streams are all
        matched."""
        taken = {match.endpoint for match in self._found.values()}
        pushes = Counter(match.pid for match in self._found.values() if match.pid is not None)
        has = Counter(one.process.pid for one in candidates if one.process is not None)
        full = {pid for pid, count in pushes.items() if has[pid] <= count}
        return [
            one
            for one in candidates
            if one.endpoint not in taken and (one.process is None or one.process.pid not in full)
        ]

    def _settle(self, stream: PushedStream, method: EncoderMatch, found: Sequence[_Candidate]) -> bool:
        """Takes the process if all these belong to a single one; returns whether they do."""
        pids = {one.process.pid for one in found if one.process is not None}
        process = found[0].process if found else None
        if process is None or len(pids) != 1 or any(one.process is None for one in found):
            return False
        endpoint = found[0].endpoint if len(found) == 1 else None
        if process.pid in self._server.pids or process.program in STREAM_SERVERS:
            self._found[stream.key] = Match("server", endpoint=endpoint)
        else:
            self._found[stream.key] = Match(method, process.pid, endpoint=endpoint)
        return True

    def _by_elimination(self, streams: Iterable[PushedStream], candidates: Mapping[StreamKey, list[_Candidate]]) -> int:
        return sum(
            self._settle(one, "socket", self._left(candidates.get(one.key, [])))
            for one in streams
            if one.key not in self._found
        )

    def _by_command_line(
        self, streams: Iterable[PushedStream], candidates: Mapping[StreamKey, list[_Candidate]]
    ) -> int:
        """Of the processes with a connection, the one whose command line names the stream; else the one that names it
        and this server."""
        found = 0
        for one in streams:
            if one.key in self._found:
                continue
            left = self._left(candidates.get(one.key, []))
            connected = [each for each in left if each.process is not None and self._names(each.process, one)]
            if connected:
                found += self._settle(one, "socket", connected)
            elif self._is_local(one) and not any(each.process is not None for each in left):
                named = self._first_of_those_that_name(one)
                if named is not None:
                    self._found[one.key] = Match("command line", named.pid)
                    found += 1
        return found

    def _first_of_those_that_name(self, stream: PushedStream) -> HostProcess | None:
        """The only process that names a stream, apart from its ancestors, and from known publishers of others."""
        taken = {match.pid for match in self._found.values() if match.endpoint is not None}
        named = [
            one
            for one in self._pushing
            if one.pid not in taken and self._names(one, stream, strictly=not self._server.elsewhere)
        ]
        started = {pid for one in named for pid in self._processes.ancestors(one.pid)}
        named = [one for one in named if one.pid not in started and one.program not in LAUNCHERS]
        return named[0] if len(named) == 1 else None

    def _names(self, process: HostProcess, stream: PushedStream, *, strictly: bool = False) -> bool:
        """Whether a command line pushes to that stream; ``strictly``: to this machine or to a host name."""
        return any(
            target.is_stream(stream.app, stream.name) and (not strictly or self._may_be_here(target.host))
            for target in process.targets
        )

    def _may_be_here(self, host: str) -> bool:
        end = endpoint_of(host)
        return end is None or end.address in self._addresses or is_loopback(end.address)

    def _is_local(self, stream: PushedStream) -> bool:
        """Whether the publisher may be on this machine."""
        end = endpoint_of(stream.address)
        if end is not None and self._server.elsewhere and is_loopback(end.address):
            return False
        return self._may_be_here(stream.address)

    def _by_traffic(self, streams: Iterable[PushedStream], candidates: Mapping[StreamKey, list[_Candidate]]) -> int:
        """Of several connections, the only one that has carried about as many bytes as the stream."""
        found = 0
        for one in streams:
            if one.key in self._found or not one.bytes_in or one.bytes_in < LEAST_BYTES:
                continue
            near = [
                each
                for each in self._left(candidates.get(one.key, []))
                if each.process is not None
                and abs(self._bytes.get(each.endpoint, 0) - one.bytes_in) < MOST_DIFFERENCE * one.bytes_in
            ]
            alike = [
                other
                for other in streams
                if other.key not in self._found
                and abs((other.bytes_in or 0) - one.bytes_in) < 2 * MOST_DIFFERENCE * one.bytes_in
            ]
            if len(alike) == 1:
                found += self._settle(one, "traffic", near)
        return found

    def _unmatched(self, stream: PushedStream, candidates: Sequence[_Candidate]) -> Match:
        end = endpoint_of(stream.address)
        if end is not None and not candidates and not self._is_local(stream):
            return Match("remote", host=self._server.elsewhere if is_loopback(end.address) else end.address)
        if end is None:
            return Match("none", reason="neither the server nor a command line says who publishes it")
        left = self._left(candidates)
        proxies = {one.through for one in left if one.through}
        crowd = 0 if end.port else len(self._peers.get(end.address, ()))
        if crowd > MOST_CONNECTIONS:
            reason = f"{crowd:,} connections come from {end.address}: more than WattView compares"
        elif proxies:
            reason = f"it comes through {', '.join(sorted(proxies))}, and no command line names it"
        elif any(one.process is None for one in left) or (not left and self._processes.refused):
            reason = NEEDS_PTRACE
        elif len(left) > 1:
            reason = f"{len(left)} connections come from {end.address}, and nothing tells them apart"
        else:
            reason = f"no process of this machine has a connection from {end.address}"
        return Match("none", reason=reason)
