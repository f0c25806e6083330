"""End-to-end delay from the source's picture to the player, if both are on this machine and share its clock.

FFmpeg itself writes three lists while it works, which are read after the measured window: when the source delivered
which picture (``ffmpeg.source_clock``), which packets the encoder sent, and when which packets reached a viewer. The
source is paced by the clock, so the smallest difference in its list gives the Unix time of its time 0. The viewer's
packets are matched by size, as servers renumber time stamps. If sizes repeat (a still picture, a loop), time stamps are
used if the server left them unchanged. Pure functions of texts.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from msgspec import Struct

from wattview.analysis.windows.energy import percentile

COMPARED_PACKETS = 200
MIN_COMPARED_PACKETS = 25
ENOUGH = 0.6
"""Share of the compared packets that must have a match of equal size at the chosen offset; any other offset may have at
most half as many."""

AS_MANY = 0.99
"""Share of the most matches that the offset of a server with unchanged time stamps must reach."""

AAC_LEAD_SECONDS = 1024 / 48_000
"""How much earlier than the picture AAC starts, where it is encoded too: ``ffmpeg.AUDIO_RATE``."""

SIZE_TOLERANCE_BYTES = 4
"""RTMP carries H.264 with four bytes before each unit; an encoder may write three."""

_SOURCE_LINE = re.compile(r"frame:[0-9]+ +pts:([0-9]{1,17}) ", re.ASCII)
_BASE_LINE = re.compile(r"#tb 0: ([1-9][0-9]{0,9})/([1-9][0-9]{0,9})$", re.ASCII)
_PACKET_LINE = re.compile(
    r"0, *(-?[0-9]{1,18}), *(-?[0-9]{1,18}), *([0-9]{1,18}), *([0-9]{1,10}), 0x[0-9a-f]{8}[,\n]", re.ASCII
)


class DelayUnknown(Exception):
    """``str()`` says why there is no figure."""


class Packets(Struct, frozen=True):
    """A list of video packets: presentation times in seconds, durations as written, sizes in bytes; and by how many
    seconds the first one's decoding precedes time 0."""

    times: Sequence[float]
    durations: Sequence[int]
    sizes: Sequence[int]
    lead: float = 0.0


class Arrivals(Struct, frozen=True):
    """The earliest time at which a player could have shown each picture (Unix seconds), and how long after the source
    delivered it. In the order of the pictures."""

    times: Sequence[float]
    delays: Sequence[float]


class Delay(Struct, frozen=True, kw_only=True):
    """Over all pictures of a window, in seconds."""

    mean: float
    percentile_95: float
    maximum: float


def source_start(lines: Iterable[str]) -> float:
    """Unix time of the source's time 0, from the output of ``ffmpeg.source_clock``.

    A real-time source is sometimes late and never early. Raises DelayUnknown.
    """
    starts = [int(found[1]) for line in lines if (found := _SOURCE_LINE.match(line))]
    if not starts:
        raise DelayUnknown("the source reported no time stamps")
    return min(starts) / 1e6


def packets(lines: Iterable[str]) -> Packets:
    """Parses the ``framecrc`` muxer's list: ``stream, dts, pts, duration, size, checksum`` below ``#tb 0: 1/1000``.
    Other lines, such as a truncated one, are skipped."""
    times, durations, sizes, base, lead = array("d"), array("q"), array("q"), 0.0, 0.0
    for line in lines:
        if found := _PACKET_LINE.match(line):
            lead = max(0.0, -int(found[1]) * base) if not times else lead
            times.append(int(found[2]) * base)
            durations.append(int(found[3]))
            sizes.append(int(found[4]))
        elif found := _BASE_LINE.match(line):
            base = int(found[1]) / int(found[2])
    return Packets(times, durations, sizes, lead)


def offset(sent: Packets, received: Packets) -> float:
    """Offset in seconds of received time stamps from sent ones. Raises DelayUnknown."""
    by_size: dict[int, list[float]] = {}
    for time, size in zip(sent.times, sent.sizes, strict=True):
        by_size.setdefault(size, []).append(time)
    compared = range(min(len(received.times), COMPARED_PACKETS))
    if len(compared) < MIN_COMPARED_PACKETS:
        raise DelayUnknown(f"only {len(compared)}packets arrived")
    votes: Counter[int] = Counter()
    for number in compared:
        size = received.sizes[number]
        alike = {
            round(1000 * (received.times[number] - time))
            for near in range(size - SIZE_TOLERANCE_BYTES, size + SIZE_TOLERANCE_BYTES + 1)
            for time in by_size.get(near, ())
        }
        votes.update(alike)
    # RTMP time stamps are whole milliseconds, and each is the sum of two roundings: one offset spreads over neighbours.
    around = {one: votes[one - 1] + votes[one] + votes[one + 1] for one in votes}
    best = max(around, key=around.__getitem__, default=0)
    if around.get(best, 0) < ENOUGH * len(compared):
        raise DelayUnknown("the packets received are not those that were sent")
    if any(count > around[best] / 2 for one, count in around.items() if abs(one - best) > 2):
        best = _left_alone(sent.lead, around, AS_MANY * around[best])
    return (best + (votes[best + 1] - votes[best - 1]) / around[best]) / 1000


def _left_alone(lead: float, around: Mapping[int, int], enough: float) -> int:
    """Offset in milliseconds of a server that keeps FLV's time stamps, from 0 at the first packet, if at least
    ``enough`` packets match it."""
    expected = {round(1000 * lead), round(1000 * max(lead, AAC_LEAD_SECONDS))}
    near = [one for one in around if any(abs(one - shift) <= 1 for shift in expected)]
    best = max(near, key=around.__getitem__, default=None)
    if best is None or around[best] < enough:
        raise DelayUnknown("the packets are too similar to be matched")
    return best


def arrivals(source_start: float, sent: Packets, received: Packets) -> Arrivals:
    """The received pictures in display order: a picture waits for those before it. Raises DelayUnknown.

    The durations of ``received`` are arrival times in Unix microseconds.
    """
    zero = source_start - offset(sent, received)
    order = sorted(range(len(received.times)), key=received.times.__getitem__)
    shown = array("d", accumulate((received.durations[number] / 1e6 for number in order), max))
    return Arrivals(
        shown, array("d", (when - zero - received.times[number] for when, number in zip(shown, order, strict=True)))
    )


def within(arrivals: Arrivals, start_time: float, end_time: float) -> Arrivals:
    """The part within a window (Unix seconds)."""
    first, last = bisect_left(arrivals.times, start_time), bisect_right(arrivals.times, end_time)
    return Arrivals(arrivals.times[first:last], arrivals.delays[first:last])


def delay(all_arrivals: Iterable[Arrivals]) -> Delay | None:
    """Over the pictures of all streams; None if there are none."""
    delays = [delay for one in all_arrivals for delay in one.delays]
    if not delays:
        return None
    return Delay(mean=sum(delays) / len(delays), percentile_95=percentile(delays, 95), maximum=max(delays))
