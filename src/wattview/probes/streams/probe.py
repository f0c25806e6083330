"""Which RTMP server is here: nginx-rtmp, MediaMTX or SRS. The probe that the registry makes, whatever it is.

``streams.server`` names it, or ``auto`` finds out: it asks the configured address for nginx's statistics page, then for
MediaMTX's and SRS's APIs; where nobody listens there and the address is this machine, also at the APIs' usual ports.
What answered is kept until it stops to.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from wattview.config import Config, Streams
from wattview.model import StreamsReading
from wattview.probes import Probe, SourceAbsent, SourceError, SourceRefused
from wattview.probes.streams import mediamtx, srs
from wattview.probes.streams.families import families
from wattview.probes.streams.http import NoAnswer
from wattview.probes.streams.mediamtx import MediaMtxProbe
from wattview.probes.streams.nginx_rtmp import NginxRtmpProbe
from wattview.probes.streams.srs import SrsProbe

__all__ = ["RtmpServerProbe", "families"]

_KINDS: dict[str, Callable[[str], Probe[StreamsReading]]] = {
    "nginx-rtmp": NginxRtmpProbe,
    "mediamtx": MediaMtxProbe,
    "srs": SrsProbe,
}


class RtmpServerProbe:
    """The RTMP server of the settings, recognised at the first reading."""

    def __init__(self, config: Config) -> None:
        self._streams = config.streams
        self._probe: Probe[StreamsReading] | None = None

    def read(self) -> StreamsReading:
        """The server and its streams. Raises SourceAbsent, SourceRefused or SourceBroken."""
        if self._probe is None:
            return self._recognise()
        try:
            return self._probe.read()
        except SourceRefused:
            raise
        except SourceError:
            self.close()  # another kind may be in its place by now
            raise

    def close(self) -> None:
        if self._probe is not None:
            self._probe.close()
            self._probe = None

    def _recognise(self) -> StreamsReading:
        first: SourceError | None = None
        silent: set[str] = set()
        for kind, url in _candidates(self._streams):
            if _place(url) in silent:
                continue
            probe = _KINDS[kind](url)
            try:
                reading = probe.read()
            except SourceError as error:
                probe.close()
                if isinstance(error, SourceRefused):
                    raise  # there is a server, and it says no
                if isinstance(error, SourceAbsent | NoAnswer):
                    silent.add(_place(url))
                first = first or error
            else:
                self._probe = probe
                return reading
        assert first is not None
        raise first


def _candidates(streams: Streams) -> list[tuple[str, str]]:
    """(kind, address) in the order to try."""
    url = streams.nginx_rtmp_url
    if streams.server != "auto":
        return [(streams.server, url if streams.server == "nginx-rtmp" else _base(url))]
    found = [("nginx-rtmp", url)]
    if url:
        found += [("mediamtx", _base(url)), ("srs", _base(url))]
        if is_local(url):
            host = urlsplit(url).hostname or "127.0.0.1"
            host = f"[{host}]" if ":" in host else host
            found += [
                ("mediamtx", f"http://{host}:{mediamtx.DEFAULT_PORT}"),
                ("srs", f"http://{host}:{srs.DEFAULT_PORT}"),
            ]
    return found


def is_local(url: str) -> bool:
    """Whether the URL's host is this machine by its loopback address."""
    host = urlsplit(url).hostname or ""
    return host in ("", "localhost", "::1") or host.startswith("127.")


def _base(url: str) -> str:
    """The server's address: a page of it, or the API's own prefix, may stand behind it."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, "", "", ""))


def _place(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
