"""The families of the nginx-rtmp exporter (9728), from a StreamsReading of any RTMP server.

Our own are ``nginx_rtmp_*`` and ``nginx_rtmp_stream_*`` with bytes per second under ``bandwidth_*_bytes``. The names of
the public exporters (mauricioabreu/nginx_rtmp_prometheus, kaylendog/nginx-rtmp-exporter) are exported too, in the units
that their names and help state. Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from wattview.exposition import Family, FamilyType, gauge, labels
from wattview.model import RtmpServer, Stream, StreamClient, StreamsReading
from wattview.probes.streams.rates import total


class _Metric(NamedTuple):
    name: str
    type: FamilyType
    help: str


_SERVER: tuple[tuple[_Metric, Callable[[RtmpServer], float | None]], ...] = (
    (
        _Metric("nginx_rtmp_connections", "gauge", "Publishers and players that are connected now."),
        lambda server: server.connections,
    ),
    (
        _Metric("nginx_rtmp_bandwidth_in_bytes", "gauge", "Bytes per second that the RTMP server receives."),
        lambda server: server.bandwidth_in_bytes,
    ),
    (
        _Metric("nginx_rtmp_bandwidth_out_bytes", "gauge", "Bytes per second that the RTMP server sends."),
        lambda server: server.bandwidth_out_bytes,
    ),
    (
        _Metric(
            "nginx_rtmp_accepted_connections_total", "counter", "RTMP connections accepted since the server began."
        ),
        lambda server: server.accepted_total,
    ),
    (
        _Metric("nginx_rtmp_server_incoming_bytes_total", "counter", "Current total of incoming bytes"),
        lambda server: server.bytes_in_total,
    ),
    (
        _Metric("nginx_rtmp_server_outgoing_bytes_total", "counter", "Current total of outgoing bytes"),
        lambda server: server.bytes_out_total,
    ),
    (
        _Metric("nginx_rtmp_server_receive_bytes", "gauge", "Current bandwidth in per second"),
        lambda server: server.bandwidth_in_bytes,
    ),
    (
        _Metric("nginx_rtmp_server_transmit_bytes", "gauge", "Current bandwidth out per second"),
        lambda server: server.bandwidth_out_bytes,
    ),
    (
        _Metric("nginx_rtmp_server_uptime_seconds_total", "counter", "Number of seconds NGINX-RTMP started"),
        lambda server: server.uptime_seconds,
    ),
)

_STREAM: tuple[tuple[_Metric, Callable[[Stream], float | None]], ...] = (
    (
        _Metric("nginx_rtmp_stream_connections", "gauge", "Publishers and players of the stream."),
        lambda stream: stream.publishers + stream.players,
    ),
    (
        _Metric("nginx_rtmp_stream_bandwidth_in_bytes", "gauge", "Bytes per second that come from the publisher."),
        lambda stream: stream.bandwidth_in_bytes,
    ),
    (
        _Metric("nginx_rtmp_stream_bandwidth_out_bytes", "gauge", "Bytes per second that go to the players."),
        lambda stream: stream.bandwidth_out_bytes,
    ),
    (
        _Metric("nginx_rtmp_stream_bandwidth_video_bytes", "gauge", "Bytes per second of video from the publisher."),
        lambda stream: stream.bandwidth_video_bytes,
    ),
    (
        _Metric("nginx_rtmp_stream_bandwidth_audio_bytes", "gauge", "Bytes per second of audio from the publisher."),
        lambda stream: stream.bandwidth_audio_bytes,
    ),
    (
        _Metric("nginx_rtmp_stream_publishers", "gauge", "Publishers of the stream."),
        lambda stream: stream.publishers,
    ),
    (_Metric("nginx_rtmp_stream_players", "gauge", "Players of the stream."), lambda stream: stream.players),
    (
        _Metric("nginx_rtmp_stream_active", "gauge", "Whether data flows: a stream may have players who wait for it."),
        lambda stream: float(stream.active),
    ),
    (
        _Metric("nginx_rtmp_stream_frames_per_second", "gauge", "Frame rate that the publisher announced."),
        lambda stream: stream.fps,
    ),
    (
        _Metric("nginx_rtmp_stream_width_pixels", "gauge", "Width that the publisher announced."),
        lambda stream: stream.width,
    ),
    (
        _Metric("nginx_rtmp_stream_height_pixels", "gauge", "Height that the publisher announced."),
        lambda stream: stream.height,
    ),
    (
        _Metric(
            "nginx_rtmp_stream_dropped_frames", "gauge", "Frames that the clients connected now have not been sent."
        ),
        lambda stream: stream.dropped_frames,
    ),
    (
        _Metric(
            "nginx_rtmp_stream_avsync_seconds",
            "gauge",
            "How far the publisher's audio is ahead of its video; negative where it is behind.",
        ),
        lambda stream: None if stream.avsync_ms is None else stream.avsync_ms / 1000,
    ),
    (
        _Metric("nginx_rtmp_stream_incoming_bytes_total", "counter", "Current total of incoming bytes"),
        lambda stream: stream.bytes_in_total,
    ),
    (
        _Metric("nginx_rtmp_stream_outgoing_bytes_total", "counter", "Current total of outgoing bytes"),
        lambda stream: stream.bytes_out_total,
    ),
    (
        _Metric("nginx_rtmp_stream_receive_bytes", "gauge", "Current bandwidth in per second"),
        lambda stream: stream.bandwidth_in_bytes,
    ),
    (
        _Metric("nginx_rtmp_stream_transmit_bytes", "gauge", "Current bandwidth out per second"),
        lambda stream: stream.bandwidth_out_bytes,
    ),
    (
        _Metric("nginx_rtmp_stream_uptime_seconds_total", "counter", "Number of seconds since the stream started"),
        lambda stream: stream.uptime_seconds,
    ),
    (
        _Metric("nginx_rtmp_stream_total_clients", "gauge", "Clients connected to the stream, its publisher included."),
        lambda stream: stream.publishers + stream.players,
    ),
)

_CLIENT: tuple[tuple[_Metric, Callable[[StreamClient], float | None]], ...] = (
    (
        _Metric("nginx_rtmp_client_connected_seconds", "gauge", "How long the client has been connected."),
        lambda client: client.connected_seconds,
    ),
    (
        _Metric("nginx_rtmp_client_dropped_frames_total", "counter", "Frames that were not sent to the client."),
        lambda client: client.dropped,
    ),
)

_APPLICATION: tuple[tuple[_Metric, Callable[[list[Stream]], float | None]], ...] = (
    (
        _Metric("nginx_rtmp_application_streams", "gauge", "Streams of the application in which data flows."),
        lambda streams: sum(stream.active for stream in streams),
    ),
    (
        _Metric("nginx_rtmp_application_connections", "gauge", "Publishers and players of the application."),
        lambda streams: sum(stream.publishers + stream.players for stream in streams),
    ),
    (
        _Metric(
            "nginx_rtmp_application_bandwidth_in_bytes", "gauge", "Bytes per second that the application receives."
        ),
        lambda streams: total(stream.bandwidth_in_bytes for stream in streams),
    ),
    (
        _Metric("nginx_rtmp_application_bandwidth_out_bytes", "gauge", "Bytes per second that the application sends."),
        lambda streams: total(stream.bandwidth_out_bytes for stream in streams),
    ),
)

MAX_CLIENTS = 1000
"""Limit on series of single clients: a popular stream must not dominate a scrape."""


def families(reading: StreamsReading) -> list[Family]:
    """Each series once: a repeated label set would fail the whole scrape."""
    streams = {(stream.app, stream.name): stream for stream in reading.streams}
    marked = [(labels(app=app, stream=name), stream) for (app, name), stream in streams.items()]
    result = [Family(metric.name, metric.type, metric.help).add(value(reading.server)) for metric, value in _SERVER]
    unlisted = reading.server.unlisted_streams
    active = sum(stream.active for stream in streams.values()) if not unlisted else None
    for name, help_text, count in (
        ("nginx_rtmp_streams", "Streams in which data flows.", active),
        ("nginx_rtmp_active_streams", "Streams in which data flows.", active),
        ("nginx_rtmp_server_current_streams", "Streams of the server, with data or without.", len(streams) + unlisted),
    ):
        result.append(gauge(name, help_text, count))
    for metric, read in _STREAM:
        family = Family(metric.name, metric.type, metric.help)
        for text, stream in marked:
            family.add(read(stream), text)
        result.append(family)
    by_application: dict[str, list[Stream]] = {}
    for (app, _), stream in streams.items():
        by_application.setdefault(app, []).append(stream)
    for metric, over in _APPLICATION:
        family = Family(metric.name, metric.type, metric.help)
        for app, its_streams in by_application.items():
            family.add(over(its_streams) if not unlisted else None, labels(app=app))
        result.append(family)
    result.append(_stream_info(reading.server, list(streams.values())))
    result.extend(_clients(list(streams.values())))
    return result


def _stream_info(server: RtmpServer, streams: list[Stream]) -> Family:
    family = gauge("nginx_rtmp_stream_info", "What the stream is made of, and the server that serves it.")
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
                resolution=f"{stream.width}x{stream.height}" if stream.width and stream.height else "",
                audio_codec=stream.audio_codec or "",
                audio_profile=stream.audio_profile or "",
                audio_channels=str(stream.audio_channels or ""),
                audio_sample_rate=str(stream.audio_sample_rate_hertz or ""),
            ),
        )
    return family


def _clients(streams: list[Stream]) -> list[Family]:
    listed: dict[str, StreamClient] = {}
    for stream in streams:
        for client in stream.clients:
            if not client.relay and len(listed) < MAX_CLIENTS:
                role = "publisher" if client.publishing else "player"
                text = labels(app=stream.app, stream=stream.name, client=client.id, address=client.address, role=role)
                listed.setdefault(text, client)
    result = []
    for metric, read in _CLIENT:
        family = Family(metric.name, metric.type, metric.help)
        for text, client in listed.items():
            family.add(read(client), text)
        result.append(family)
    return result
