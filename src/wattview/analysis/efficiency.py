"""Work that a scenario delivered, and its energy, cost and carbon per unit of that work.

Work is the output of the encoders in the measured window if they were watched, else what the scenario asked for. An
encoder that fell behind real time did not do the scenario's work, so such a scenario has no efficiency.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from wattview.analysis.windows.energy import NoData
from wattview.model import Efficiency, ScenarioRecord
from wattview.model.run_request import bits_per_second
from wattview.model.source import total

HOUR = 3600.0
_RESOLUTION = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


class Work(Struct, frozen=True, kw_only=True):
    """Work in the window. ``frames`` counts each source frame once, ``megapixels`` every rendition of it. ``gigabytes``
    (1e9 bytes) is what the encoders wrote, ``delivered_gigabytes`` what all viewers received. None is unknown."""

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
    """Pixels of a picture of ``1280x720``. Raises ValueError for an invalid resolution."""
    match = _RESOLUTION.fullmatch(resolution)
    if match is None:
        raise ValueError(f"not a resolution: {resolution!r}")
    return int(match[1]) * int(match[2])


def work_of(record: ScenarioRecord, seconds: float) -> Work:
    """The work of a scenario. Raises NoData if it is not comparable because an encoder fell behind real time."""
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
    """Bit rate of each stream's encoder, all renditions together: measured, else as requested."""
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
    """Energy (gross, or net of the baseline), cost and carbon per unit of work.

    ``egress`` is the cost of delivery to viewers, which a viewer-hour includes.
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
    """Frames of all streams in the window, by each encoder's rate: its own counter spans only the time between two
    progress reports. A count without a rate is used as it is."""
    return total(one.fps * seconds if one.fps is not None else one.frames for one in record.encoders or [])


def _viewers(record: ScenarioRecord, streams: int | None) -> int | None:
    """All viewers: as counted, else ``viewers`` for each output, as each of them pulls every rendition."""
    if record.playback is not None and record.playback.viewers:
        return record.playback.viewers
    if streams is None or record.viewers is None:
        return None
    return record.viewers * streams * max(1, len(record.outputs or ()))


def _bits_per_second(record: ScenarioRecord, streams: int | None) -> float | None:
    """Bit rate of all streams and renditions together: measured, else as requested.

    A list of bitrates has one for each stream, or one for each rendition of every stream.
    """
    measured = total(rendition.bitrate_bps for rendition in record.renditions or [])
    if measured is None:
        measured = total(status.bitrate_bps for status in record.encoders or [])
    if measured is not None or streams is None or record.bitrate is None:
        return measured
    asked = [_known(bits_per_second, text.strip()) for text in record.bitrate.split(",")]
    if not all(asked):
        return None
    return sum(asked) if len(asked) == streams and len(asked) != len(record.outputs or []) else sum(asked) * streams


def _pixels_per_frame(record: ScenarioRecord) -> float | None:
    """Pixels of all renditions per source frame: one with a lower frame rate encodes only some of the frames."""
    if record.outputs:
        shares = [one.fps / record.fps if record.fps else 1.0 for one in record.outputs]
        return (
            sum(_known(pixels, one.resolution) * share for one, share in zip(record.outputs, shares, strict=True))
            or None
        )
    return _known(pixels, record.resolution) or None if record.resolution is not None else None


def _known(parse: Callable[[str], float], text: str) -> float:
    """0, so that the figure is unknown, for another program's text that has no meaning here."""
    try:
        return parse(text)
    except ValueError:
        return 0.0
