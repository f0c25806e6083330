"""What a scenario delivered, and its energy, cost and carbon for each unit of that.

Work is what really left the encoders in the measured window where they were watched, else what the scenario asked for.
An encoder that fell behind real time did not do the scenario's work: such a scenario has no efficiency.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from msgspec import Struct

from wattview.analysis.windows.energy import NoData
from wattview.model import Efficiency, ScenarioRecord
from wattview.model.run_request import bits_per_second

HOUR = 3600.0
_RESOLUTION = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


class Work(Struct, frozen=True, kw_only=True):
    """What was delivered in the window. ``frames`` counts each source frame once; ``megapixels`` every rendition of it;
    ``gigabytes`` (1e9 bytes) what the encoders wrote, ``delivered_gigabytes`` what all viewers got of it. None: nobody
    knows."""

    seconds: float
    streams: int | None = None
    frames: float | None = None
    megapixels: float | None = None
    gigabytes: float | None = None
    viewer_hours: float | None = None
    delivered_gigabytes: float | None = None

    @property
    def stream_hours(self) -> float | None:
        return None if self.streams is None else self.streams * self.seconds / HOUR


def pixels(resolution: str) -> int:
    """Pixels of a picture of ``1280x720``. Raises ValueError for what is no resolution."""
    match = _RESOLUTION.fullmatch(resolution)
    if match is None:
        raise ValueError(f"not a resolution: {resolution!r}")
    return int(match[1]) * int(match[2])


def work_of(record: ScenarioRecord, seconds: float) -> Work:
    """What a scenario delivered. Raises NoData where its work is not comparable: it was not in real time."""
    if record.realtime is False:
        raise NoData("not real time: the encoders did not keep up")
    streams = record.streams if record.streams is not None else len(record.encoders or []) or None
    frames = _frames(record, seconds)
    if frames is None and streams is not None and record.fps is not None:
        frames = streams * record.fps * seconds
    bits = _bits_per_second(record, streams)
    gigabytes = bits * seconds / 8e9 if bits else None
    per_frame = _pixels_per_frame(record)
    viewers, pushed = _viewers(record, streams), record.pushed is not False
    return Work(
        seconds=seconds,
        streams=streams,
        frames=frames,
        megapixels=None if frames is None or per_frame is None else frames * per_frame / 1e6,
        gigabytes=gigabytes,
        delivered_gigabytes=gigabytes * record.viewers if gigabytes and record.viewers and pushed else None,
        viewer_hours=viewers * seconds / HOUR if viewers and pushed else None,
    )


def stream_bits_per_second(record: ScenarioRecord) -> float | None:
    """What each stream's encoder wrote, all renditions together: measured where it was, else as asked for."""
    streams = record.streams if record.streams is not None else len(record.encoders or []) or None
    bits = _bits_per_second(record, streams)
    return bits / streams if bits and streams else None


def efficiency(
    joules: float,
    work: Work,
    *,
    cost: float | None = None,
    egress: float | None = None,
    carbon_grams: float | None = None,
    sci_grams: float | None = None,
) -> Efficiency:
    """That energy (gross, or net of the baseline), cost and carbon by what was delivered for it.

    ``egress`` is the cost of bringing it to viewers: it is part of what a viewer-hour costs.
    """  # fmt: skip
    return Efficiency(
        watts_per_stream=_by(joules / work.seconds, work.streams),
        joules_per_frame=_by(joules, work.frames),
        joules_per_megapixel=_by(joules, work.megapixels),
        joules_per_gigabyte=_by(joules, work.gigabytes),
        joules_per_viewer_hour=_by(joules, work.viewer_hours),
        cost_per_stream_hour=_by(cost, work.stream_hours),
        cost_per_viewer_hour=_by(None if cost is None else cost + (egress or 0.0), work.viewer_hours),
        carbon_grams_per_stream_hour=_by(carbon_grams, work.stream_hours),
        sci_grams_per_stream_hour=sci_grams,
    )


def _by(amount: float | None, units: float | None) -> float | None:
    return amount / units if amount is not None and units else None


def _frames(record: ScenarioRecord, seconds: float) -> float | None:
    """Of all streams over the window, at the pace of each encoder: its own count is between two of its reports, which
    is less than the window. A count without a pace is taken as it stands."""
    return _summed([one.fps * seconds if one.fps is not None else one.frames for one in record.encoders or []])


def _viewers(record: ScenarioRecord, streams: int | None) -> int | None:
    """All of them: those that were counted, else so many of each output, where ``viewers`` pull every rendition."""
    if record.playback is not None and record.playback.viewers:
        return record.playback.viewers
    if streams is None or record.viewers is None:
        return None
    return record.viewers * streams * max(1, len(record.outputs or ()))


def _summed(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _bits_per_second(record: ScenarioRecord, streams: int | None) -> float | None:
    """Of all streams and renditions together: as they were measured, else as they were asked for.

    A list of bitrates is one for each stream, or one for each rendition of every stream.
    """
    measured = _summed([rendition.bitrate_bps for rendition in record.renditions or []])
    if measured is None:
        measured = _summed([status.bitrate_bps for status in record.encoders or []])
    if measured is not None or streams is None or record.bitrate is None:
        return measured
    asked = [_known(bits_per_second, text.strip()) for text in record.bitrate.split(",")]
    if not all(asked):
        return None
    return sum(asked) if len(asked) == streams and len(asked) != len(record.outputs or []) else sum(asked) * streams


def _pixels_per_frame(record: ScenarioRecord) -> float | None:
    """Of every rendition, for each frame of the source: one of fewer frames a second encodes only a part of them."""
    if record.outputs:
        shares = [one.fps / record.fps if record.fps else 1.0 for one in record.outputs]
        return (
            sum(_known(pixels, one.resolution) * share for one, share in zip(record.outputs, shares, strict=True))
            or None
        )
    return _known(pixels, record.resolution) or None if record.resolution is not None else None


def _known(parse: Callable[[str], float], text: str) -> float:
    """0 for a text of another program that means nothing here: the figure is then unknown."""
    try:
        return parse(text)
    except ValueError:
        return 0.0
