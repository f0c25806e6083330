"""FFmpeg's language: what we write is what FFmpeg understands, and what it says is read as it is meant."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.ffmpeg import make_clip, need, run
from wattview.daemon.lab.encoding import ffmpeg_command, renditions
from wattview.daemon.lab.encoding.ffmpeg_command import OutputTarget
from wattview.daemon.lab.encoding.film import Film
from wattview.daemon.lab.encoding.renditions import streams_of
from wattview.model import Scenario

FFMPEG = "ffmpeg"

BLOCK = """frame=167
fps=30.11
stream_0_0_q=32.0
bitrate= 812.4kbits/s
total_size=552960
out_time_us=5440000
out_time_ms=5440000
out_time=00:00:05.440000
dup_frames=2
drop_frames=1
speed=0.981x
progress=continue
"""


def encode_command(scenario: Scenario, target: OutputTarget | None = None, film: Film | None = None) -> list[str]:
    """The command of a scenario's first stream, with one target for its first output."""
    stream = streams_of(scenario)[0]
    targets = {stream.variants[0]: target} if target is not None else {}
    return ffmpeg_command.encode_command(FFMPEG, scenario, stream, targets, film=film)


def blocks(text: str) -> list[ffmpeg_command.Progress]:
    parser = ffmpeg_command.ProgressParser()
    return [block for line in text.splitlines() if (block := parser.feed(line)) is not None]


def test_a_progress_block_is_read_with_its_units() -> None:
    (block,) = blocks(BLOCK)
    assert block == ffmpeg_command.Progress(
        frames=167,
        fps=30.11,
        speed=0.981,
        dropped_frames=1,
        duplicated_frames=2,
        bitrate_bps=812_400.0,
        out_seconds=5.44,
    )


def test_what_ffmpeg_does_not_know_is_unknown_and_not_zero() -> None:
    text = "frame=0\nfps=0.00\nbitrate=N/A\ntotal_size=N/A\nout_time_us=N/A\nspeed=N/A\nprogress=end\n"
    (block,) = blocks(text)
    assert block.frames == 0
    assert (block.bitrate_bps, block.speed, block.out_seconds, block.dropped_frames) == (None, None, None, None)
    assert block.ended


def test_a_block_does_not_inherit_from_the_one_before() -> None:
    first, second = blocks(BLOCK + "frame=200\nprogress=continue\n")
    assert (first.speed, second.speed) == (0.981, None)
    assert second.frames == 200


@given(st.lists(st.text(max_size=60) | st.sampled_from(BLOCK.splitlines()), max_size=40))
@example(["frame=١٢٣", "speed=nanx", "fps=1e999", "progress=continue"])
@example(["frame=-5", "bitrate= infkbits/s", "progress="])
def test_no_line_breaks_the_parser(lines: list[str]) -> None:
    parser = ffmpeg_command.ProgressParser()
    for line in lines:
        block = parser.feed(line)
        if block is not None:
            assert block.frames is None or block.frames >= 0
            assert block.speed is None or abs(block.speed) < float("inf")


@given(st.text(min_size=1, max_size=120), st.integers(0, 63))
@example("日本語", 0)
@example("a\n\"';$(reboot)|b:c]../..", 3)
def test_any_scenario_name_gives_a_harmless_stream_name(name: str, index: int) -> None:
    stream = renditions.stream_name(name, index)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*-[0-9]+", stream, re.ASCII)
    assert stream.endswith(f"-{index + 1}")
    assert len(stream) <= 64


def test_stream_names_stay_readable() -> None:
    assert renditions.stream_name("4x 720p 2.5M (café)", 1) == "4x-720p-2-5M-cafe-2"


def test_the_tee_muxer_understands_our_escaping(tmp_path: Path) -> None:
    """The real muxer: every character that is special to it in a file name, and a colon inside an option's value."""
    name = "it's a|b:c]d[e\\f .nut"
    target = ffmpeg_command.tee_target(
        name, {"f": "nut", "use_fifo": "1", "fifo_options": "queue_size=7:timeshift=0.1"}
    )
    picture = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=5:duration=1", "-map", "0:v", "-c:v", "libx264"]
    run(need(FFMPEG, "ffmpeg"), "-v", "error", *picture, "-f", "tee", target, cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@given(st.text(st.characters(min_codepoint=1, max_codepoint=0x2FF), max_size=20), st.text(max_size=20))
def test_tee_escaping_is_undone_by_ffmpegs_two_levels(value: str, url: str) -> None:
    """Against the rules of av_get_token: backslash and quotes, and blanks at the ends are dropped."""
    url = url.replace("[", "")
    text = ffmpeg_command.tee_target("u" + url, {"key": value}) + "|" + "second"
    first, rest = _token(text, "|")
    assert rest == "|second"
    assert first.startswith("[key=")
    got, tail = _token(first[len("[key=") :], ":]")
    assert got == value
    assert tail == "]u" + url


def _token(text: str, delimiters: str) -> tuple[str, str]:
    """av_get_token of libavutil/avstring.c, as its documentation describes it."""
    out: list[str] = []
    firm = 0
    position = 0
    while position < len(text) and text[position] in " \n\t\r":
        position += 1
    while position < len(text) and text[position] not in delimiters:
        char = text[position]
        position += 1
        if char == "\\" and position < len(text):
            out.append(text[position])
            position += 1
            firm = len(out)
        elif char == "'":
            while position < len(text) and text[position] != "'":
                out.append(text[position])
                position += 1
            position += 1
            firm = len(out)
        else:
            out.append(char)
    while len(out) > firm and out[-1] in " \n\t\r":
        out.pop()
    return "".join(out), text[position:]


def test_a_stream_without_server_and_copy_is_discarded() -> None:
    command = encode_command(Scenario(name="x"))
    assert command[-3:] == ["-f", "null", "-"]


def test_every_input_of_an_encoder_is_paced_in_real_time() -> None:
    for film in (None, Film(path=Path("/media/clip.mp4")), Film(path=Path("/media/clip.mp4"), sound=True)):
        command = encode_command(Scenario(name="x", source="clip.mp4" if film else "testsrc2"), film=film)
        assert command.count("-re") == command.count("-i")


def test_a_slow_server_cannot_stall_the_encoder_and_a_dead_one_ends_it() -> None:
    command = encode_command(
        Scenario(name="x"), OutputTarget(push_url="rtmp://h/live/x", copy="c-%03d.nut", copy_seconds=9)
    )
    push, copy = command[-1].split("|")
    assert "drop_pkts_on_overflow=1" in push
    assert "onfail=abort" in push
    assert "drop_pkts_on_overflow" not in copy
    assert "onfail=ignore" in copy


@pytest.mark.parametrize("source", ["testsrc2", "clip.mp4"])
def test_the_encoder_makes_what_the_scenario_says(tmp_path: Path, source: str) -> None:
    """The real FFmpeg: size, rate, pixel format, a key frame every two seconds, and about the asked bitrate."""
    scenario = Scenario(name="x", resolution="320x240", fps=20, bitrate="300k", preset="ultrafast", source=source)
    media = make_clip(tmp_path / "clip.mp4", size="200x60", fps=25, seconds=1.5) if source == "clip.mp4" else None
    film = Film(path=media) if media else None
    command = encode_command(scenario, OutputTarget(copy="copy-%03d.nut", copy_seconds=60), film)
    command = [part for part in command if part != "-re"]
    before = command.index("-flags")
    run(*command[:before], "-t", "8", *command[before:], cwd=tmp_path)
    shown = json.loads(
        run("ffprobe", "-v", "error", "-show_streams", "-show_packets", "-of", "json", str(tmp_path / "copy-000.nut"))
    )
    (stream,) = shown["streams"]
    assert (stream["width"], stream["height"], stream["pix_fmt"]) == (320, 240, "yuv420p")
    assert stream["r_frame_rate"] == "20/1"
    packets = shown["packets"]
    assert len(packets) == 160
    assert [number for number, packet in enumerate(packets) if "K" in packet["flags"]] == [0, 40, 80, 120]
    bits = 8 * sum(int(packet["size"]) for packet in packets) / 8
    assert bits == pytest.approx(300_000, rel=0.25)
