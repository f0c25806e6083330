# ruff: noqa: ASYNC240
"""VMAF, PSNR and SSIM: that they are of the right frames, and that they say what is better and what is worse."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.conftest import ConfigFactory
from tests.support.ffmpeg import CAPABILITIES, make_clip, need, own_ffmpegs, rtmp_server, run, until, vmaf_ffmpeg
from wattview.daemon.lab.encoding import ffmpeg_command
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.ffmpeg_command import OutputTarget
from wattview.daemon.lab.encoding.film import Film
from wattview.daemon.lab.encoding.renditions import streams_of
from wattview.daemon.lab.judging import quality
from wattview.daemon.lab.judging.scores import PSNR_CEILING_DB, QualityFailed, mean_psnr, read_scores
from wattview.daemon.lab.judging.tool import Tool, find_tool
from wattview.daemon.lab.judging.vmaf_models import VMAF_MODELS
from wattview.daemon.lab.run_journal import delete_what_is_compared
from wattview.model import Scenario

FFMPEG = "ffmpeg"
SCENE = Scenario(name="x", resolution="320x180", fps=30, bitrate="500k", preset="veryfast")


@pytest.fixture(scope="module")
def tool() -> Tool:
    need(FFMPEG, "ffmpeg")
    return Tool(vmaf_ffmpeg(), "static", True)


def live_command(scenario: Scenario, film: Film | None = None) -> list[str]:
    """The encoder of a scenario's first stream, each output with a copy: ``copy-000.nut``, ``copy-2-000.nut`` …"""
    (stream, *_) = streams_of(scenario)
    targets = {
        variant: OutputTarget(copy=f"copy-{number}-%03d.nut" if number > 1 else "copy-%03d.nut", copy_seconds=600)
        for number, variant in enumerate(stream.variants, start=1)
    }
    return ffmpeg_command.encode_command(FFMPEG, scenario, stream, targets, film=film)


def one_thread(command: list[str]) -> list[str]:
    place = command.index("-c:v") + 2
    return [*command[:place], "-threads", "1", *command[place:]]


def encode(
    folder: Path,
    scenario: Scenario,
    *encoder: str,
    frames: int = 90,
    film: Film | None = None,
    threads: int = 0,
    program: str = FFMPEG,
) -> Path:
    """An offline encode of a scenario's pictures, as fast as it goes, by the daemon's own command line; ``encoder``
    replaces its rate control."""
    command = [part for part in live_command(scenario, film) if part != "-re"]
    if threads == 1:
        command = one_thread(command)
    if encoder:
        first, last = command.index("-b:v"), command.index("-bufsize") + 2
        command[first:last] = encoder
    targets = command.index("-flags")
    run(program, *command[1:targets], "-frames:v", str(frames), *command[targets:], cwd=folder)
    return folder / "copy-000.nut"


def clip(
    copy: Path, scenario: Scenario = SCENE, first: int = 30, frames: int = 45, film: Film | None = None
) -> quality.Clip:
    return quality.Clip(scenario=scenario, fps=scenario.fps, copy=copy, first_frame=first, frames=frames, film=film)


async def test_a_lossless_encode_is_perfect(tmp_path: Path, tool: Tool) -> None:
    copy = encode(tmp_path, SCENE, "-qp", "0")
    scores = await quality.measure(tool, FFMPEG, clip(copy), tmp_path)
    assert scores.frames == 45
    assert scores.vmaf_score is not None
    assert scores.vmaf_score > 97
    assert scores.psnr_score == PSNR_CEILING_DB
    assert scores.ssim_score == 1.0
    assert scores.vmaf_model == "vmaf_v0.6.1"


@pytest.mark.parametrize("source", ffmpeg_command.TEST_SOURCES)
@pytest.mark.parametrize("program", [FFMPEG, vmaf_ffmpeg()], ids=["Debian's", "the newest"])
async def test_every_test_picture_is_the_same_again(tmp_path: Path, tool: Tool, source: str, program: str) -> None:
    """Those that FFmpeg makes in RGB too."""
    scenario = replace(SCENE, source=source)
    copy = encode(tmp_path, scenario, "-qp", "0", frames=60, program=program)
    scores = await quality.measure(tool, program, clip(copy, scenario, frames=30), tmp_path)
    assert (scores.frames, scores.psnr_score, scores.ssim_score) == (30, PSNR_CEILING_DB, 1.0)


async def test_a_shift_of_one_frame_is_seen(tmp_path: Path, tool: Tool) -> None:
    """If the pairing were off by a frame, a lossless encode would not be perfect: this is what that would look like."""
    copy = encode(tmp_path, SCENE, "-qp", "0")
    await quality.measure(tool, FFMPEG, clip(copy), tmp_path)
    shifted = quality.compare_command(tool, clip(copy, first=31), "shifted")
    reference = ffmpeg_command.reference_command(FFMPEG, SCENE, fps=30, film=None, first_frame=30, frames=45)
    pictures = await asyncio.create_subprocess_exec(*reference, stdout=asyncio.subprocess.PIPE)
    raw, _ = await pictures.communicate()
    comparing = await asyncio.create_subprocess_exec(
        *shifted, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL, cwd=tmp_path,
    )  # fmt: skip
    await comparing.communicate(raw)
    scores = read_scores(tool, tmp_path, "shifted")
    assert scores.frames == 45
    assert scores.psnr_score < 40
    assert scores.ssim_score < 0.99


async def test_more_bits_score_higher(tmp_path: Path, tool: Tool) -> None:
    scores = {}
    for bitrate in ("60k", "200k", "2M"):
        folder = tmp_path / bitrate
        folder.mkdir()
        scenario = Scenario(name="x", resolution="320x180", fps=30, bitrate=bitrate)
        scores[bitrate] = await quality.measure(tool, FFMPEG, clip(encode(folder, scenario), scenario), folder)
    for measure in ("vmaf_score", "psnr_score", "ssim_score"):
        values = [getattr(scores[bitrate], measure) for bitrate in ("60k", "200k", "2M")]
        assert values == sorted(values)
        assert values[0] < values[2]


async def test_the_copy_of_a_live_encode_scores_as_the_same_encode_offline(tmp_path: Path, tool: Tool) -> None:
    """In real time, through queues, stopped by a signal, and cut into segments: still the same frames.

    With one thread, because x264's rate control with several is not the same twice.
    """
    offline, live = tmp_path / "offline", tmp_path / "live"
    offline.mkdir()
    live.mkdir()
    scenario = Scenario(name="x", resolution="320x180", fps=30, bitrate="200k", preset="veryfast")
    command = one_thread(live_command(scenario))
    encoder = await asyncio.create_subprocess_exec(*command, cwd=live, stdout=asyncio.subprocess.PIPE)
    assert encoder.stdout is not None
    parser = ffmpeg_command.ProgressParser()
    async for line in encoder.stdout:
        block = parser.feed(line.decode())
        if block is not None and (block.frames or 0) >= 130 and encoder.returncode is None:
            encoder.terminate()
    await encoder.wait()
    copy = encode(offline, scenario, frames=150, threads=1)
    a = await quality.measure(tool, FFMPEG, clip(copy, scenario), offline)
    b = await quality.measure(tool, FFMPEG, clip(live / "copy-000.nut", scenario), live)
    assert a.frames == b.frames == 45
    assert (a.vmaf_score, a.psnr_score, a.ssim_score) == (b.vmaf_score, b.psnr_score, b.ssim_score)


@pytest.mark.parametrize("audio_seconds", [0.0, 1.3])
async def test_a_looped_file_of_another_size_and_rate_is_compared_frame_by_frame(
    tmp_path: Path, tool: Tool, audio_seconds: float
) -> None:
    """The file loops every second or so, and its audio is longer than its picture: the frames that are compared lie
    beyond the second loop and still are the ones that were encoded."""
    media = make_clip(tmp_path / "clip.mp4", size="160x120", fps=24, seconds=1.0, audio_seconds=audio_seconds)
    film = Film(path=media, sound=audio_seconds > 0)
    scenario = Scenario(name="x", resolution="320x180", fps=30, source="clip.mp4")
    copy = encode(tmp_path, scenario, "-qp", "0", frames=120, film=film)
    scores = await quality.measure(tool, FFMPEG, clip(copy, scenario, first=70, film=film), tmp_path)
    assert scores.frames == 45
    assert scores.psnr_score == PSNR_CEILING_DB
    assert scores.ssim_score == 1.0


async def test_a_copy_that_is_too_short_gives_the_frames_that_it_has(tmp_path: Path, tool: Tool) -> None:
    copy = encode(tmp_path, SCENE, "-qp", "0", frames=50)
    scores = await quality.measure(tool, FFMPEG, clip(copy), tmp_path)
    assert scores.frames == 20
    assert scores.psnr_score == PSNR_CEILING_DB


async def test_the_progress_of_a_comparison_is_reported(tmp_path: Path, tool: Tool) -> None:
    told: list[int] = []
    await quality.measure(tool, FFMPEG, clip(encode(tmp_path, SCENE)), tmp_path, told.append)
    assert told == sorted(told)
    assert told[-1] == 45


@pytest.mark.parametrize("content", [b"", b"not a video", b"nut/multimedia container\0" + bytes(500)])
async def test_a_broken_copy_gives_no_scores_and_a_reason(tmp_path: Path, tool: Tool, content: bytes) -> None:
    copy = tmp_path / "copy-000.nut"
    copy.write_bytes(content)
    with pytest.raises(QualityFailed, match=r"could not compare|frames were compared"):
        await quality.measure(tool, FFMPEG, clip(copy), tmp_path)
    assert own_ffmpegs() == set()


async def test_a_missing_source_film_gives_no_scores_and_a_reason(tmp_path: Path, tool: Tool) -> None:
    media = make_clip(tmp_path / "clip.mp4")
    scenario = Scenario(name="x", resolution="320x180", fps=30, source="clip.mp4")
    film = Film(path=media)
    copy = encode(tmp_path, scenario, film=film)
    media.unlink()
    with pytest.raises(QualityFailed, match="No such file"):
        await quality.measure(tool, FFMPEG, clip(copy, scenario, film=film), tmp_path)


async def test_a_comparison_that_is_cut_off_leaves_nothing_half_written(tmp_path: Path, tool: Tool) -> None:
    """The logs have their names when they are whole; others are deleted after the scenario, or at the next start."""
    scenario = Scenario(name="x", resolution="1280x720", fps=30, preset="ultrafast")
    encode(tmp_path, scenario, frames=120).rename(tmp_path / "01-copy-1-000.nut")
    measuring = asyncio.create_task(
        quality.measure(tool, FFMPEG, clip(tmp_path / "01-copy-1-000.nut", scenario, 0, 120), tmp_path)
    )
    await until(lambda: list(tmp_path.glob("*.part-psnr.log")), "the comparison writes")
    measuring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await measuring
    assert not list(tmp_path.glob("*-000-*.json"))
    assert not list(tmp_path.glob("*-000-psnr.log"))
    delete_what_is_compared(tmp_path)
    assert not list(tmp_path.glob("*.part-*"))
    small = Scenario(name="x", resolution="320x180", fps=30)
    await quality.measure(tool, FFMPEG, clip(encode(tmp_path, small), small), tmp_path)
    assert {path.name for path in tmp_path.glob("copy-000-*")} >= {"copy-000-vmaf.json", "copy-000-psnr.log"}


async def test_a_window_without_recorded_frames_is_reported(tmp_path: Path, tool: Tool) -> None:
    with pytest.raises(QualityFailed, match="no frame of the measured window"):
        await quality.measure(tool, FFMPEG, clip(tmp_path / "copy-000.nut", frames=0), tmp_path)


async def test_an_aborted_comparison_leaves_no_child(tmp_path: Path, tool: Tool) -> None:
    scenario = Scenario(name="x", resolution="1280x720", fps=30, preset="ultrafast")
    copy = encode(tmp_path, scenario, frames=120)
    measuring = asyncio.create_task(quality.measure(tool, FFMPEG, clip(copy, scenario, 0, 120), tmp_path))
    await until(lambda: len(own_ffmpegs()) == 2, "two children compare")
    measuring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await measuring
    assert own_ffmpegs() == set()


async def test_without_libvmaf_there_are_psnr_and_ssim(tmp_path: Path, make_config: ConfigFactory) -> None:
    """Debian's FFmpeg has no libvmaf; it is asked, not believed."""
    settings = make_config(f"scenarios.quality_ffmpeg={need(FFMPEG, 'ffmpeg')}").scenarios
    found = await find_tool(settings, CAPABILITIES)
    scores = await quality.measure(found, FFMPEG, clip(encode(tmp_path, SCENE)), tmp_path)
    assert (scores.vmaf_score is None) == (not found.vmaf)
    assert scores.vmaf_model is None or found.vmaf
    assert scores.psnr_score > 20
    assert 0.5 < scores.ssim_score <= 1


async def test_the_tool_is_one_that_really_computes_vmaf(make_config: ConfigFactory) -> None:
    found = await find_tool(make_config().scenarios, CAPABILITIES)
    assert found.vmaf
    assert found.version
    assert str(found).startswith(found.path)


async def test_capabilities_are_queried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    capabilities = Capabilities()
    assert await capabilities.can_vmaf(vmaf_ffmpeg(), "version=vmaf_v0.6.1")
    monkeypatch.setattr("wattview.daemon.children.spawn", None)
    assert await capabilities.can_vmaf(vmaf_ffmpeg(), "version=vmaf_v0.6.1")


async def test_a_program_that_is_not_ffmpeg_has_no_capabilities() -> None:
    capabilities = Capabilities()
    assert not await capabilities.can_vmaf("/bin/true", "version=vmaf_v0.6.1")
    assert await capabilities.version("/bin/echo") == ""


def test_psnr_of_a_clip_is_of_its_mean_error() -> None:
    # Mean squared errors 65.025 and 6.5025: 10·log10(65025 / 35.76375) = 32.596 dB, where the mean of 30 and 40 is 35.
    assert mean_psnr([30.0, 40.0]) == pytest.approx(32.5964, abs=1e-4)


def test_psnr_of_identical_pictures_is_the_ceiling() -> None:
    assert mean_psnr([float("inf")] * 3) == PSNR_CEILING_DB


@given(st.lists(st.floats(0, 120) | st.just(float("inf")), min_size=1, max_size=50))
def test_psnr_of_a_clip_lies_between_its_worst_and_its_best_frame(values: list[float]) -> None:
    clip_psnr = mean_psnr(values)
    assert min(*values, PSNR_CEILING_DB) - 1e-9 <= clip_psnr <= PSNR_CEILING_DB
    assert clip_psnr <= max(values) + 1e-9


async def test_the_model_is_the_viewer_that_was_chosen(tmp_path: Path, make_config: ConfigFactory) -> None:
    """A phone forgives more than a 1080p screen, and each score names its model."""
    copy = encode(tmp_path, Scenario(name="x", resolution="320x180", fps=30, bitrate="60k"))
    scores = {}
    for model in VMAF_MODELS:
        found = await find_tool(make_config(f"scenarios.vmaf_model={model}").scenarios, CAPABILITIES)
        assert found.vmaf, f"{found.path} has no model {model}"
        scores[model] = await quality.measure(found, FFMPEG, clip(copy), tmp_path)
    assert scores["hd"].vmaf_score < scores["phone"].vmaf_score
    assert scores["hd"].vmaf_score < scores["4k"].vmaf_score
    assert scores["neg"].vmaf_score <= scores["hd"].vmaf_score
    assert len({one.vmaf_model for one in scores.values()}) == len(VMAF_MODELS)


async def test_xpsnr_is_what_ffmpeg_itself_sums_up(tmp_path: Path, make_config: ConfigFactory) -> None:
    """Against the filter run by hand on raw pictures, the reference first: the other way round is another number."""
    found = await find_tool(make_config("scenarios.xpsnr=true").scenarios, CAPABILITIES)
    assert found.xpsnr, f"{found.path} has no xpsnr filter"
    scenario = Scenario(name="x", resolution="320x180", fps=30, bitrate="60k")
    copy = encode(tmp_path, scenario)
    scores = await quality.measure(found, FFMPEG, clip(copy, scenario), tmp_path)
    reference = ffmpeg_command.reference_command(FFMPEG, scenario, fps=30, film=None, first_frame=30, frames=45)
    run(*reference[:-1], "reference.yuv", cwd=tmp_path)
    run(FFMPEG, "-i", str(copy), "-vf", "trim=start_frame=30:end_frame=75,setpts=N/(30*TB)", "-pix_fmt", "yuv420p",
        "-f", "rawvideo", "encoded.yuv", cwd=tmp_path)  # fmt: skip

    def by_hand(first: str, second: str) -> float:
        raw = ["-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", "320x180", "-framerate", "30", "-i"]
        command = [found.path, *raw, first, *raw, second, "-lavfi", "xpsnr", "-f", "null", "-"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return float(done.stderr.rpartition("(minimum: ")[2].partition(")")[0])

    assert scores.xpsnr_score == pytest.approx(by_hand("reference.yuv", "encoded.yuv"), abs=1e-3)
    assert scores.xpsnr_score != pytest.approx(by_hand("encoded.yuv", "reference.yuv"), abs=0.1)


async def test_xpsnr_of_a_lossless_encode_is_the_ceiling(tmp_path: Path, make_config: ConfigFactory) -> None:
    found = await find_tool(make_config("scenarios.xpsnr=true").scenarios, CAPABILITIES)
    scores = await quality.measure(found, FFMPEG, clip(encode(tmp_path, SCENE, "-qp", "0")), tmp_path)
    assert scores.xpsnr_score == PSNR_CEILING_DB


async def test_xpsnr_is_measured_only_on_request(tmp_path: Path, make_config: ConfigFactory) -> None:
    found = await find_tool(make_config().scenarios, CAPABILITIES)
    assert not found.xpsnr
    assert (await quality.measure(found, FFMPEG, clip(encode(tmp_path, SCENE)), tmp_path)).xpsnr_score is None


async def test_a_program_without_the_filter_has_no_xpsnr() -> None:
    assert not await Capabilities().can_xpsnr("/bin/false")


async def test_a_subscribers_copy_scores_as_the_encoders_own(tmp_path: Path, tool: Tool) -> None:
    """A player that joined later records what the RTMP server hands on, with the stream's own time stamps. Aligned by
    them, and nothing lost, it is the same frames: the same scores to the last digit."""
    # Without audio and without B-frames FLV's time stamps are the encoder's: nothing has to come before time 0.
    scenario = Scenario(
        name="x", resolution="320x180", fps=30, bitrate="200k", preset="ultrafast", gop_seconds=1.0, audio="none"
    )
    (stream,) = streams_of(scenario)
    with rtmp_server(tmp_path) as server:
        url = f"{server.url}/x"
        targets = {stream.variants[0]: OutputTarget(push_url=url, copy="copy-%03d.nut", copy_seconds=600)}
        encoder = await asyncio.create_subprocess_exec(
            *ffmpeg_command.encode_command(FFMPEG, scenario, stream, targets, film=None),
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert encoder.stdout is not None
        while b"frame=" not in (line := await encoder.stdout.readline()) or int(line.split(b"=")[1]) < 45:
            assert line, "the encoder ended"
        subscriber = await asyncio.create_subprocess_exec(
            FFMPEG, "-v", "error", "-nostdin", "-copyts", "-i", url, "-map", "0:v", "-c", "copy", "-t", "4",
            "seen.nut", cwd=tmp_path,
        )  # fmt: skip
        assert await subscriber.wait() == 0
        encoder.terminate()
        await encoder.communicate()
    shown = run(
        "ffprobe", "-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0", "seen.nut", cwd=tmp_path
    )
    begins = round(float(shown.split()[0].strip(",")) * scenario.fps)
    assert begins >= 30, "the subscriber joined after the first key frame"
    own = clip(tmp_path / "copy-000.nut", scenario, first=begins + 5, frames=45)
    seen = replace(own, copy=tmp_path / "seen.nut", copy_begins=begins)
    a = await quality.measure(tool, FFMPEG, own, tmp_path)
    b = await quality.measure(tool, FFMPEG, seen, tmp_path)
    assert a.frames == b.frames == 45
    assert (a.vmaf_score, a.psnr_score, a.ssim_score) == (b.vmaf_score, b.psnr_score, b.ssim_score)
    wrong = await quality.measure(tool, FFMPEG, replace(seen, copy_begins=begins - 1), tmp_path)
    assert wrong.vmaf_score < a.vmaf_score - 20
