"""The families of the nginx-rtmp exporter (9728), from a StreamsReading of any RTMP server.

Our own are ``nginx_rtmp_*`` and ``nginx_rtmp_stream_*`` with bytes per second under ``bandwidth_*_bytes``. The names of
the public exporters (mauricioabreu/nginx_rtmp_prometheus, kaylendog/nginx-rtmp-exporter) are exported too, in the units
that their names and help state. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable

from wattview.exposition import Family, families_of, gauge, labels, rows
from wattview.model import RtmpServer, Stream, StreamClient, StreamsReading
from wattview.probes.streams.rates import total

_SERVER = rows("""
connections nginx_rtmp_connections  Publishers and players that are connected now.
bandwidth_in_bytes nginx_rtmp_bandwidth_in_bytes  Bytes per second that the RTMP server receives.
bandwidth_out_bytes nginx_rtmp_bandwidth_out_bytes  Bytes per second that the RTMP server sends.
accepted_total nginx_rtmp_accepted_connections_total  RTMP connections accepted since the server began.
bytes_in_total nginx_rtmp_server_incoming_bytes_total  Current total of incoming bytes
bytes_out_total nginx_rtmp_server_outgoing_bytes_total  Current total of outgoing bytes
bandwidth_in_bytes nginx_rtmp_server_receive_bytes  Current bandwidth in per second
bandwidth_out_bytes nginx_rtmp_server_transmit_bytes  Current bandwidth out per second
uptime_seconds nginx_rtmp_server_uptime_seconds_total  Number of seconds NGINX-RTMP started
""")

_STREAM = rows("""
connections nginx_rtmp_stream_connections  Publishers and players of the stream.
bandwidth_in_bytes nginx_rtmp_stream_bandwidth_in_bytes  Bytes per second that come from the publisher.
bandwidth_out_bytes nginx_rtmp_stream_bandwidth_out_bytes  Bytes per second that go to the players.
bandwidth_video_bytes nginx_rtmp_stream_bandwidth_video_bytes  Bytes per second of video from the publisher.
bandwidth_audio_bytes nginx_rtmp_stream_bandwidth_audio_bytes  Bytes per second of audio from the publisher.
publishers nginx_rtmp_stream_publishers  Publishers of the stream.
players nginx_rtmp_stream_players  Players of the stream.
active nginx_rtmp_stream_active  Whether data flows: a stream may have players who wait for it.
fps nginx_rtmp_stream_frames_per_second  Frame rate that the publisher announced.
width nginx_rtmp_stream_width_pixels  Width that the publisher announced.
height nginx_rtmp_stream_height_pixels  Height that the publisher announced.
dropped_frames nginx_rtmp_stream_dropped_frames  Frames that the clients connected now have not been sent.
avsync_seconds nginx_rtmp_stream_avsync_seconds
    How far the publisher's audio is ahead of its video; negative where it is behind.
bytes_in_total nginx_rtmp_stream_incoming_bytes_total  Current total of incoming bytes
bytes_out_total nginx_rtmp_stream_outgoing_bytes_total  Current total of outgoing bytes
bandwidth_in_bytes nginx_rtmp_stream_receive_bytes  Current bandwidth in per second
bandwidth_out_bytes nginx_rtmp_stream_transmit_bytes  Current bandwidth out per second
uptime_seconds nginx_rtmp_stream_uptime_seconds_total  Number of seconds since the stream started
connections nginx_rtmp_stream_total_clients  Clients connected to the stream, its publisher included.
""")

_CLIENT = rows("""
connected_seconds nginx_rtmp_client_connected_seconds  How long the client has been connected.
dropped nginx_rtmp_client_dropped_frames_total  Frames that were not sent to the client.
""")

MAX_CLIENTS = 1000
"""Limit on series of single clients: a popular stream must not dominate a scrape."""


def families(reading: StreamsReading) -> list[Family]:
    """Each series once: a repeated label set would fail the whole scrape."""
    by_name = {(stream.app, stream.name): stream for stream in reading.streams}
    streams, unlisted = list(by_name.values()), reading.server.unlisted_streams
    active = sum(stream.active for stream in streams) if not unlisted else None
    marked = [(labels(app=app, stream=name), stream) for (app, name), stream in by_name.items()]
    return [
        *families_of(_SERVER, [("", reading.server)]),
        gauge("nginx_rtmp_streams", "Streams in which data flows.", active),
        gauge("nginx_rtmp_active_streams", "Streams in which data flows.", active),
        gauge(
            "nginx_rtmp_server_current_streams",
            "Streams of the server, with data or without.",
            len(streams) + unlisted,
        ),
        *families_of(_STREAM, marked),
        *_applications([] if unlisted else streams),
        _stream_info(reading.server, streams),
        *families_of(_CLIENT, _listed_clients(streams)),
    ]


def _applications(streams: list[Stream]) -> list[Family]:
    """Sums by application; of none while streams are unlisted."""
    flowing = gauge("nginx_rtmp_application_streams", "Streams of the application in which data flows.")
    connected = gauge("nginx_rtmp_application_connections", "Publishers and players of the application.")
    received = gauge("nginx_rtmp_application_bandwidth_in_bytes", "Bytes per second that the application receives.")
    sent = gauge("nginx_rtmp_application_bandwidth_out_bytes", "Bytes per second that the application sends.")
    for app in dict.fromkeys(stream.app for stream in streams):
        text, those = labels(app=app), [stream for stream in streams if stream.app == app]
        flowing.add(sum(stream.active for stream in those), text)
        connected.add(sum(stream.connections for stream in those), text)
        received.add(total(stream.bandwidth_in_bytes for stream in those), text)
        sent.add(total(stream.bandwidth_out_bytes for stream in those), text)
    return [flowing, connected, received, sent]


def _stream_info(server: RtmpServer, streams: list[Stream]) -> Family:
    family = gauge("nginx_rtmp_stream_info", "Codecs and picture of the stream, and its server, as labels; always 1.")
    for stream in streams:
        family.add(
            1,
            labels(
                app=stream.app,
                stream=stream.name,
                server=server.name,
                video_codec=stream.video_codec or "",
                video_profile=stream.video_profile or "",
                video_level=stream.video_level or "",
                resolution=stream.resolution,
                audio_codec=stream.audio_codec or "",
                audio_profile=stream.audio_profile or "",
                audio_channels=str(stream.audio_channels or ""),
                audio_sample_rate=str(stream.audio_sample_rate_hertz or ""),
            ),
        )
    return family


def _listed_clients(streams: list[Stream]) -> Iterable[tuple[str, StreamClient]]:
    listed: dict[str, StreamClient] = {}
    for stream in streams:
        for client in stream.clients:
            if not client.relay and len(listed) < MAX_CLIENTS:
                role = "publisher" if client.publishing else "player"
                text = labels(app=stream.app, stream=stream.name, client=client.id, address=client.address, role=role)
                listed.setdefault(text, client)
    return listed.items()
