"""A moment between two bounds: how it moves, what the line of time shows of it, and what people write."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.times import NoTime, moment_of
from wattview.tui.time_travel.playback import SPEEDS, PastPlayback
from wattview.tui.time_travel.timeline import line_of, track_of

NOW = 1_750_000_000.0


@given(st.floats(-1e6, 1e6), st.floats(0, 1e5), st.lists(st.floats(-1e6, 1e6)), st.integers(-5, 5))
def test_a_moment_never_leaves_its_bounds(at: float, length: float, steps: list[float], faster: int) -> None:
    playback = PastPlayback(at, 0.0, length)
    playback.faster(faster)
    for step in steps:
        playback.go(playback.at + step)
        playback.play()
        playback.advance(abs(step))
        assert 0.0 <= playback.at <= length
        assert playback.speed in SPEEDS
        assert not (playback.playing and playback.at_end)


def test_playing_moves_on_by_the_speed_and_holding_does_not() -> None:
    playback = PastPlayback(100.0, 0.0, 1000.0)
    playback.advance(5.0)
    assert playback.at == 100.0
    playback.play()
    playback.faster(2)
    playback.advance(4.0)
    assert playback.at == 120.0
    playback.advance(1e6)
    assert (playback.at, playback.playing) == (1000.0, False)


def test_a_finished_run_is_replayed_within_its_bounds() -> None:
    playback = PastPlayback(50.0, 10.0, 50.0, "20250615_143000")
    playback.bound(0.0, 99.0)
    assert (playback.first, playback.last) == (10.0, 50.0)
    playback.play()
    assert (playback.at, playback.playing) == (10.0, True)


@given(st.floats(0, 8 * 86400), st.floats(1, 8 * 86400))
def test_the_line_of_time_has_the_moment_on_it(back: float, reach: float) -> None:
    playback = PastPlayback(NOW - back, NOW - reach, NOW)
    first, last = playback.scale()
    assert NOW - reach <= first <= playback.at <= last


@given(st.integers(20, 320), st.floats(0, 8 * 86400), st.floats(0, 8 * 86400), st.sampled_from(["", "20250615_143000"]))
def test_the_line_fits_its_width(width: int, back: float, reach: float, title: str) -> None:
    playback = PastPlayback(NOW - back, NOW - reach, NOW, title)
    parts = line_of(playback, None, NOW, width)
    assert sum(map(len, parts)) == width or width < 80


@given(st.floats(0, 1), st.integers(8, 200))
def test_the_timeline_mark_is_at_the_moment(share: float, width: int) -> None:
    track = track_of(share * 1000, 0.0, 1000.0, width)
    assert len(track) == width
    assert track.index("●") == round((width - 1) * share)


@given(st.text(max_size=30))
def test_whatever_is_written_is_a_moment_or_no_time(text: str) -> None:
    with contextlib.suppress(NoTime):
        assert isinstance(moment_of(text, NOW), float)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_time_of_day_means_its_last_occurrence(hour: int, minute: int, second: int) -> None:
    at = moment_of(f"{hour:02}:{minute:02}:{second:02}", NOW)
    assert NOW - 25 * 3600 < at <= NOW
    assert time.localtime(at)[3:6] == (hour, minute, second)


@pytest.mark.parametrize(
    ("text", "back"), [("90 s", 90), ("-20m", 1200), ("1.5 h ago", 5400), ("2d", 172800), ("5min", 300)]
)
def test_a_relative_time_is_counted_from_now(text: str, back: float) -> None:
    assert moment_of(text, NOW) == NOW - back
