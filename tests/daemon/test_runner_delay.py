"""The end-to-end delay: on lists made by hand, and with the real FFmpeg and server against a delay that is put in."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.conftest import ConfigFactory
from tests.support.bench import SHORT, Bench
from tests.support.ffmpeg import make_clip, rtmp_server
from wattview.daemon.lab.judging import delay
from wattview.daemon.lab.judging.delay import DelayUnknown, Packets
from wattview.model import Rendition

FPS = 30
START = 1_700_000_000.0
SIZES = random.Random(4).choices(range(300, 9000), k=600)


def listed(times: Sequence[float], durations: Sequence[int], sizes: Sequence[int]) -> list[str]:
    """What FFmpeg's framecrc muxer writes, with milliseconds as its time base."""
    head = ["#software: Lavf59.27.100\n", "#tb 0: 1/1000\n", "#media_type 0: video\n"]
    rows = zip(times, durations, sizes, strict=True)
    return head + [
        f"0, {round(time * 1000):10}, {round(time * 1000):10}, {lasts:8}, {size:8}, 0x1a2b3c4d, F=0x0\n"
        for time, lasts, size in rows
    ]


def sent(sizes: Sequence[int] = SIZES) -> Packets:
    return delay.packets(listed([number / FPS for number in range(len(sizes))], [33] * len(sizes), sizes))


def received(
    seen: Sequence[int], takes: Callable[[int], float], *, shift: float = 0.0, sizes: Sequence[int] = SIZES
) -> Packets:
    """The pictures with these numbers, each ``takes(number)`` seconds after the source gave it; the server counts time
    from ``shift`` seconds earlier."""
    times = [number / FPS + shift for number in seen]
    came = [round(1e6 * (START + number / FPS + takes(number))) for number in seen]
    return delay.packets(listed(times, came, [sizes[number] for number in seen]))


@pytest.mark.parametrize("shift", [0.0, 0.067, -3.021, 86400.5])
def test_the_delay_is_that_of_the_pictures_whatever_time_the_server_counts_from(shift: float) -> None:
    arrivals = delay.arrivals(START, sent(), received(range(90, 600), lambda _: 0.25, shift=shift))
    figures = delay.delay([arrivals])
    assert figures is not None
    assert figures.mean == pytest.approx(0.25, abs=0.001)
    assert figures.maximum == pytest.approx(0.25, abs=0.002)
    assert len(arrivals.delays) == 510


def test_a_window_counts_only_frames_displayed_in_it() -> None:
    arrivals = delay.arrivals(START, sent(), received(range(600), lambda number: 0.9 if number < 150 else 0.3))
    inside = delay.within(arrivals, START + 10.01, START + 12.01)
    assert len(inside.delays) == 60
    figures = delay.delay([inside])
    assert figures is not None
    assert figures.maximum == pytest.approx(0.3, abs=0.002)


def test_a_picture_is_delayed_by_earlier_ones_in_display_order() -> None:
    """Every third one comes 0.2 s later: the two after it cannot be shown earlier than it."""
    arrivals = delay.arrivals(START, sent(), received(range(300), lambda number: 0.3 if number % 3 == 0 else 0.1))
    expected = {0: 0.3, 1: 0.3 - 1 / FPS, 2: 0.3 - 2 / FPS}
    assert all(
        seconds == pytest.approx(expected[number % 3], abs=0.002) for number, seconds in enumerate(arrivals.delays)
    )


def test_lost_pictures_leave_the_others_with_their_delay() -> None:
    seen = [number for number in range(60, 600) if number % 7]
    figures = delay.delay([delay.arrivals(START, sent(), received(seen, lambda _: 0.4))])
    assert figures is not None
    assert figures.mean == pytest.approx(0.4, abs=0.001)


def test_percentile_and_maximum_show_a_few_late_frames() -> None:
    figures = delay.delay(
        [delay.Arrivals([0.0] * 100, [0.2] * 94 + [0.5] * 5 + [2.0]), delay.Arrivals([0.0] * 100, [0.2] * 100)]
    )
    assert figures is not None
    assert (figures.percentile_95, figures.maximum) == (pytest.approx(0.2), 2.0)
    assert figures.mean == pytest.approx((194 * 0.2 + 5 * 0.5 + 2.0) / 200)


STILL = [5000 if number % 60 == 0 else 120 for number in range(600)]
"""A still picture has the same packets in every group of pictures."""


def test_identical_packets_are_matched_by_preserved_time_stamps() -> None:
    """FLV begins at 0 with what comes first: the sound, 1024 samples before the picture."""
    arrivals = delay.arrivals(START, sent(STILL), received(range(90, 400), lambda _: 0.2, shift=0.021, sizes=STILL))
    figures = delay.delay([arrivals])
    assert figures is not None
    assert figures.mean == pytest.approx(0.2, abs=0.002)


@pytest.mark.parametrize("shift", [0.5, -3.0, 1 / 30 + 0.021])
def test_identical_packets_with_rewritten_time_stamps_give_no_delay(shift: float) -> None:
    with pytest.raises(DelayUnknown, match="too similar"):
        delay.arrivals(START, sent(STILL), received(range(90, 400), lambda _: 0.2, shift=shift, sizes=STILL))


def test_the_packets_of_another_stream_give_no_delay() -> None:
    other = [size + 500 for size in reversed(SIZES)]
    with pytest.raises(DelayUnknown, match="not those that were sent"):
        delay.arrivals(START, sent(), received(range(90, 400), lambda _: 0.2, sizes=other))


def test_few_packets_give_no_delay() -> None:
    with pytest.raises(DelayUnknown, match="only 10packets arrived"):
        delay.arrivals(START, sent(), received(range(10), lambda _: 0.2))
    assert delay.delay([]) is None


def test_the_source_began_when_it_was_least_late() -> None:
    lines = [
        "frame:0    pts:1795516386231611 pts_time:1.79552e+09\n", "source=1\n",
        "frame:1    pts:1795516386222994 pts_time:1.79552e+09\n", "source=1\n",
        "frame:2    pts:1795516387222994 pts_time:1.79552e+09\n",
    ]  # fmt: skip
    assert delay.source_start(lines) == 1795516386.222994
    with pytest.raises(DelayUnknown, match="reported no time stamps"):
        delay.source_start([])


@given(st.lists(st.text() | st.sampled_from([*listed([0.0], [1], [2]), "#tb 0: 1/0\n", "0, 1, 2, 3, 4"])))
def test_no_text_breaks_the_reading_of_the_lists(lines: list[str]) -> None:
    found = delay.packets(lines)
    assert len(found.times) == len(found.durations) == len(found.sizes) <= len(lines)
    try:
        assert delay.source_start(lines) >= 0
    except DelayUnknown:
        assert not any(line.startswith("frame:") and " pts:" in line for line in lines)


# the real thing


@asynccontextmanager
async def late_by(seconds: float, server: str) -> AsyncIterator[str]:
    """The address of a way to an RTMP server on which all that the server says comes so much later."""
    host, _, rest = server.removeprefix("rtmp://").partition(":")
    port, _, application = rest.partition("/")
    loop = asyncio.get_running_loop()

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late: float) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def take() -> None:
            while data := await reader.read(65536):
                queue.put_nowait((loop.time() + late, data))
            queue.put_nowait((loop.time() + late, b""))

        taking = asyncio.create_task(take())
        try:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not data:
                    return
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            taking.cancel()
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        async with asyncio.TaskGroup() as both:
            both.create_task(through(reader, far_writer, 0.0))
            both.create_task(through(far_reader, writer, seconds))

    way = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with way:
        yield f"rtmp://127.0.0.1:{way.sockets[0].getsockname()[1]}/{application}"


def media_directory(bench: Bench) -> Path:
    path = Path(bench.config.scenarios.media_dir)
    path.mkdir(parents=True)
    return path


@pytest.mark.slow
async def test_an_inserted_delay_is_measured(make_config: ConfigFactory, tmp_path: Path) -> None:
    scenario = replace(SHORT, viewers=1, duration=3.0, warmup=1.0, quality=False, streams=2)
    seen = []
    with rtmp_server(tmp_path) as server:
        for seconds in (0.0, 0.7):
            async with late_by(seconds, server.url) as url:
                bench = Bench(make_config(), url)
                run = await bench.run(replace(scenario, name=f"late by {seconds}"))
                await bench.runner.close()
            (record,) = run.finished
            assert record.status == "done", record.notes
            assert record.playback is not None
            seen.append(record.playback)
    near, far = seen
    added = (far.end_to_end_delay_seconds or 0) - (near.end_to_end_delay_seconds or 0)
    assert added == pytest.approx(0.7, abs=0.1)
    # x264's ultrafast looks at no frame ahead and holds none back: what is left is one frame's work and a loopback.
    assert 0 < (near.end_to_end_delay_seconds or 0) < 0.4
    for one in seen:
        assert (one.end_to_end_delay_percentile_95_seconds or 0) <= (one.end_to_end_delay_max_seconds or 0)
    names = {path.name for path in bench.folder(run).iterdir()}
    lines = (bench.folder(run) / "01-delay.csv").read_text("ascii").splitlines()
    assert lines[0] == "stream,time,delay_seconds"
    assert len(lines) == pytest.approx(1 + 2 * 3 * 30, abs=12)
    assert not any(name.endswith(".txt") for name in names)


@pytest.mark.slow
async def test_a_ladder_from_a_file_has_a_delay_too(make_config: ConfigFactory, tmp_path: Path) -> None:
    with rtmp_server(tmp_path) as server:
        bench = Bench(make_config(), server.url)
        make_clip(media_directory(bench) / "clip.mp4", fps=25, audio_seconds=1.0)
        ladder = replace(
            SHORT, name="ladder", source="clip.mp4", viewers=1, duration=3.0, quality=False, preset="veryfast",
            renditions=[Rendition(resolution="320x180"), Rendition(resolution="160x90", fps=15, bitrate="100k")],
        )  # fmt: skip
        run = await bench.run(ladder)
        await bench.runner.close()
    (record,) = run.finished
    assert record.playback is not None, record.notes
    assert not any("delay" in note for note in record.notes or [])
    assert 0.1 < (record.playback.end_to_end_delay_seconds or 0) < 3


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"source": "smptehdbars"}, {"rate_control": "crf", "crf": 30}, {"audio": "none"}])
async def test_a_looped_stream_has_a_delay_too(
    make_config: ConfigFactory, tmp_path: Path, change: dict[str, object]
) -> None:
    with rtmp_server(tmp_path) as server:
        bench = Bench(make_config(), server.url)
        make_clip(media_directory(bench) / "loop.mp4", fps=30, seconds=2.0)
        run = await bench.run(
            replace(SHORT, viewers=1, duration=2.0, quality=False, **({"source": "loop.mp4"} | change))
        )
        await bench.runner.close()
    (record,) = run.finished
    assert record.playback is not None, record.notes
    assert 0 < (record.playback.end_to_end_delay_seconds or 0) < 0.6, record.notes
    assert (record.playback.received_frames_ratio or 2) <= 1
