"""Detection of the stream server. This is the probe in the registry, whatever the server.

``SERVERS`` is the list of all kinds. ``streams.server`` names one, or ``auto`` detects it: each is tried at the
configured address in the order of the list, and for this machine also at the usual ports of their APIs. The one that
answers is kept until it fails.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from msgspec.structs import replace

from wattview.config import Config, ConfigError, Streams
from wattview.foreign_text import shortened
from wattview.model import Stream, StreamsReading
from wattview.probes import Probe, SourceAbsent, SourceError, SourceRefused
from wattview.probes.streams import mediamtx, nginx_rtmp, srs
from wattview.probes.streams.http import Silent, access, fail_if_closed
from wattview.probes.streams.kind import StreamServer

NAMES = ("app", "name", "video_codec", "video_profile", "video_level", "audio_codec", "audio_profile")

SERVERS: tuple[StreamServer, ...] = (nginx_rtmp.SERVER, mediamtx.SERVER, srs.SERVER)


class RtmpServerProbe:
    """The configured stream server, detected at the first reading. Raises ConfigError for an unknown name."""

    def __init__(self, config: Config) -> None:
        self._candidates = _candidates(config.streams)
        self._access = access(config)
        self._probe: Probe[StreamsReading] | None = None

    def read(self) -> StreamsReading:
        """The server and its streams. Raises SourceAbsent, SourceRefused or SourceBroken."""
        if self._probe is None:
            return _with_short_names(self._recognise())
        try:
            return _with_short_names(self._probe.read())
        except SourceRefused:
            raise
        except SourceError:
            self.close()  # another kind may have taken its place
            raise

    def close(self) -> None:
        if self._probe is not None:
            self._probe.close()
            self._probe = None

    def _recognise(self) -> StreamsReading:
        first: SourceError | None = None
        silent: set[str] = set()
        for server, url in self._candidates:
            if _place(url) in silent:
                continue
            probe = server.make(url, self._access)
            try:
                if url and is_local(url):
                    fail_if_closed(url)
                reading = probe.read()
            except SourceError as error:
                probe.close()
                if isinstance(error, SourceRefused):
                    raise  # there is a server, and it refuses
                if isinstance(error, SourceAbsent | Silent):
                    silent.add(_place(url))
                first = first or error
            else:
                self._probe = probe
                return reading
        assert first is not None
        raise first


def _with_short_names(reading: StreamsReading) -> StreamsReading:
    """Every sample of a stream carries its names, and publishers choose them."""
    streams = tuple(map(_with_short_name, reading.streams))
    server = replace(reading.server, name=shortened(reading.server.name))
    return replace(reading, streams=streams, server=server)


def _with_short_name(stream: Stream) -> Stream:
    given = {name: text for name in NAMES if (text := getattr(stream, name)) is not None}
    short = {name: shortened(text) for name, text in given.items()}
    return stream if short == given else replace(stream, **short)


def check_server(streams: Streams) -> None:
    """Raises ConfigError if ``streams.server`` is none of ``SERVERS``."""
    names = ["auto", *(server.name for server in SERVERS)]
    if streams.server not in names:
        raise ConfigError(f"streams.server: expected one of {', '.join(names)}, got {streams.server!r}")


def _candidates(streams: Streams) -> list[tuple[StreamServer, str]]:
    """(server, address) in the order to try."""
    check_server(streams)
    url = streams.nginx_rtmp_url
    wanted = [server for server in SERVERS if streams.server in ("auto", server.name)]
    found = [(server, address) for server in wanted for address in _addresses(server, url)]
    if url and streams.server == "auto" and is_local(url):
        host = urlsplit(url).hostname or "127.0.0.1"
        host = f"[{host}]" if ":" in host else host
        found += [(server, f"http://{host}:{server.port}") for server in wanted if server.port]
    return found


def _addresses(server: StreamServer, url: str) -> list[str]:
    """Possible addresses: after the given path, as behind a proxy, or at the root of that address."""
    if not server.api:
        return [url]
    if not url:
        return []
    parts = urlsplit(url)
    prefix = parts.path.partition(server.api)[0].rstrip("/")
    return [urlunsplit((parts.scheme, parts.netloc, path, "", "")) for path in dict.fromkeys((prefix, ""))]


def is_local(url: str) -> bool:
    """Whether the URL's host is a loopback address."""
    host = urlsplit(url).hostname or ""
    return host in ("", "localhost", "::1") or host.startswith("127.")


def _place(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
