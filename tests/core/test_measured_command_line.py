"""What ``wattview measure`` reads from a command line, and what of it is never written down."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from wattview.cli.measure import command_line


@pytest.mark.parametrize(
    ("command", "secret"),
    [
        ("ffmpeg -i a.mp4 -f flv rtmp://live.example/app/KEY123", "KEY123"),
        ("ffmpeg -i a.mp4 -f flv rtmps://me:KEY123@live.example/app/stream", "KEY123"),
        ("ffmpeg -i a.mp4 -f tee '[f=flv]rtmp://a.example/app/KEY123|[f=flv]rtmp://b.example/app/KEY123'", "KEY123"),
        ("ffmpeg -i 'srt://relay.example:9000?passphrase=KEY123&mode=caller' out.ts", "KEY123"),
        ("ffmpeg -headers 'Authorization: Bearer KEY123' -i https://a.example/x.m3u8 out.mp4", "KEY123"),
        ("curl --token KEY123 https://a.example/", "KEY123"),
        ("tool --api-key=KEY123 input", "KEY123"),
        ("tool password=KEY123", "KEY123"),
    ],
)
def test_no_secret_of_a_command_is_written_down(command: str, secret: str) -> None:
    assert secret not in command_line.shown(shlex.split(command))


def test_ordinary_arguments_are_quoted_as_in_a_shell() -> None:
    command = ["ffmpeg", "-i", "a film.mkv", "-c:v", "libx264", "-preset", "slow", "rtmp://localhost/app/stream"]
    assert command_line.shown(command[:-1]) == "ffmpeg -i 'a film.mkv' -c:v libx264 -preset slow"
    assert "rtmp://localhost/app/" in command_line.shown(command)


@pytest.mark.parametrize(
    ("program", "it_is"),
    [("ffmpeg", True), ("/opt/ffmpeg/bin/ffmpeg", True), ("ffmpeg-7.1", True), ("ffmpeg_g", True), ("ffprobe", False),
     ("myffmpeg.sh", False), ("make", False)],
)  # fmt: skip
def test_ffmpeg_is_known_by_its_program(program: str, it_is: bool) -> None:
    assert command_line.ffmpeg_at([program]) == (0 if it_is else None)


@pytest.mark.parametrize(
    ("command", "place"),
    [("nice -n 5 ffmpeg -i a", 3), ("taskset -c 0 /opt/ffmpeg-7/bin/ffmpeg -i a", 3), ("env A=b nice ffmpeg", 3),
     ("sh -c 'ffmpeg -i a'", None), ("ssh host ffmpeg -i a", None), ("cp ffmpeg b", None), ("nice make", None)],
)  # fmt: skip
def test_ffmpeg_is_recognised_behind_wrapper_programs(command: str, place: int | None) -> None:
    words = shlex.split(command)
    assert command_line.ffmpeg_at(words) == place
    if place is not None:
        wrapped = command_line.with_progress(words, 7)
        assert (wrapped[: place + 3], wrapped[place + 3 :]) == (
            [*words[: place + 1], "-progress", "pipe:7"],
            words[place + 1 :],
        )


@pytest.mark.parametrize(
    ("command", "outputs"),
    [("ffmpeg -y -i a.mkv -c:v libx264 out.mp4", ["out.mp4"]),
     ("ffmpeg -i a.mkv -an -c:v libx264 1.mp4 -vn -c:a aac 'two words.m4a'", ["1.mp4", "two words.m4a"]),
     ("ffmpeg -hide_banner -noautorotate -re -i a.mkv -f null -", ["-"]),
     ("nice ffmpeg -i a -map 0:v -f mpegts pipe:1", ["pipe:1"]),
     ("ffmpeg -i a -ss -1 -vf scale=-2:720 out.mp4", ["out.mp4"]),
     ("ffmpeg -i a -strange_flag out.mp4", ["out.mp4"])],
)  # fmt: skip
def test_outputs_are_what_is_neither_an_option_nor_its_value(command: str, outputs: list[str]) -> None:
    assert command_line.outputs(shlex.split(command)) == outputs


def test_the_files_of_a_plain_transcode_are_found(tmp_path: Path) -> None:
    source, made = tmp_path / "a film.mkv", tmp_path / "out.mp4"
    source.touch()
    command = ["ffmpeg", "-y", "-i", str(source), "-c:v", "libx264", str(made)]
    assert command_line.files(command) is None, "there is no output yet"
    made.touch()
    assert command_line.files(command) == (source, made)
    assert command_line.files(["ffmpeg", "-i", str(source), "-i", str(made), str(made)]) is None
    assert command_line.files(["ffmpeg", "-i", str(source), "-f", "null", "-"]) is None
    assert command_line.files(["ffmpeg", "-i", str(source), str(source)]) is None
    assert command_line.files(["ffmpeg", "-i", str(source), str(tmp_path / "a.mp4"), str(made)]) is None, "two outputs"


@pytest.mark.parametrize(
    ("command", "live"),
    [("ffmpeg -re -i a.mp4 out.mp4", True), ("ffmpeg -i a.mp4 -f flv rtmp://localhost/app/s", True),
     ("ffmpeg -i a.mp4 -f mpegts srt://localhost:9000", True), ("ffmpeg -i https://a.example/a.mp4 out.mp4", False),
     ("ffmpeg -i a.mp4 rtmp://localhost/app/s out.mp4", True), ("ffmpeg -i a.mp4 out.mp4", False)],
)  # fmt: skip
def test_real_time_is_required_of_live_commands_only(command: str, live: bool) -> None:
    assert command_line.is_live(shlex.split(command)) is live


@pytest.mark.parametrize(
    ("command", "asks"),
    [("ffmpeg -i a.mp4 out.mp4", True), ("ffmpeg -y -i a.mp4 out.mp4", False), ("ffmpeg -i a.mp4 -f null -", False),
     ("ffmpeg -i a.mp4 -f flv rtmp://localhost/app/s", False), ("make out.mp4", False)],
)  # fmt: skip
def test_ffmpeg_that_would_ask_before_it_overwrites_is_not_run_twice(command: str, asks: bool) -> None:
    assert command_line.asks_before_overwriting(shlex.split(command)) is asks
