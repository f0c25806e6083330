"""VMAF models by name and version, CAMBI, ten bits and high frame rates: with the real libvmaf."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.conftest import ConfigFactory
from tests.daemon.test_quality_truth import FFMPEG, SCENE, clip, encode
from tests.support.bench import SHORT, Bench
from tests.support.ffmpeg import CAPABILITIES, need, run, vmaf_ffmpeg
from wattview.config import ConfigError
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.film import bits_of
from wattview.daemon.lab.judging import quality, self_test, two_files
from wattview.daemon.lab.judging.scores import QualityFailed
from wattview.daemon.lab.judging.tool import Tool, find_tool, why_not_models
from wattview.daemon.lab.judging.vmaf_models import models_of, newest
from wattview.model import Scenario

pytestmark = pytest.mark.parallel

V1 = "vmaf_v1.0.16_3d0h"
ALL_V1 = tuple(f"vmaf_v1.0.16_{kind}" for kind in (
    "1d5h_2160", "3d0h", "3d0h_2160", "5d0h", "hfr_1d5h_2160", "hfr_3d0h", "hfr_3d0h_2160", "hfr_5d0h"
))  # fmt: skip


@pytest.fixture(scope="module")
def capabilities() -> Capabilities:
    return CAPABILITIES


async def test_the_models_of_a_program_are_those_that_it_really_has(capabilities: Capabilities) -> None:
    known = await models_of(capabilities, vmaf_ffmpeg())
    assert {"vmaf_v0.6.1", "vmaf_v0.6.1neg", "vmaf_4k_v0.6.1", *ALL_V1} <= set(known)
    assert await models_of(capabilities, "/bin/true") == ()


@pytest.mark.parametrize(
    ("models", "picture", "expected"),
    [
        (ALL_V1, ("1280x720", 30), V1),
        (ALL_V1, ("1920x1080", 60), "vmaf_v1.0.16_hfr_3d0h"),
        (ALL_V1, ("3840x2160", 25), "vmaf_v1.0.16_1d5h_2160"),
        (ALL_V1, ("3840x2160", 50), "vmaf_v1.0.16_hfr_1d5h_2160"),
        ((*ALL_V1, "vmaf_v1.0.9_3d0h", "vmaf_v1.2.0_3d0h"), ("1280x720", 30), "vmaf_v1.2.0_3d0h"),
        (("vmaf_v0.6.1", "vmaf_4k_v0.6.1"), ("1280x720", 60), "hd"),
        (("vmaf_v0.6.1", "vmaf_4k_v0.6.1"), ("3840x2160", 60), "4k"),
    ],
)
def test_the_newest_model_is_that_of_the_picture(
    models: tuple[str, ...], picture: tuple[str, int], expected: str
) -> None:
    scenario = Scenario(name="x", resolution=picture[0], fps=picture[1])
    assert newest(models, scenario) == expected


@pytest.mark.parametrize("wrong", ["best", "vmaf_v0.6.1:path=/etc/passwd", "version=", "vmaf_v0.6.1'", "VMAF_V0.6.1"])
def test_an_invalid_name_of_a_model_is_refused_as_a_setting(make_config: ConfigFactory, wrong: str) -> None:
    """Nothing but a name reaches FFmpeg's filter graph."""
    with pytest.raises(ConfigError, match=r"scenarios\.vmaf_model"):
        make_config(f"scenarios.vmaf_model={wrong}")


@pytest.mark.parametrize("spelt", ["vmaf_v0.6.1neg", "version=vmaf_v0.6.1neg", "neg"])
async def test_a_model_is_chosen_by_its_version(
    tmp_path: Path, make_config: ConfigFactory, capabilities: Capabilities, spelt: str
) -> None:
    found = await find_tool(make_config(f"scenarios.vmaf_model={spelt}").scenarios, capabilities)
    assert found.vmaf
    scores = await quality.measure(found, FFMPEG, clip(encode(tmp_path, SCENE), frames=5), tmp_path)
    assert scores.vmaf_model == "vmaf_v0.6.1neg"


@pytest.mark.parametrize("model", [V1, "vmaf_v1.0.16_hfr_3d0h"])
async def test_the_newest_models_separate_good_from_bad(tmp_path: Path, model: str) -> None:
    tool = Tool(vmaf_ffmpeg(), "static", vmaf=True, model=model)
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()
    lossless = await quality.measure(tool, FFMPEG, clip(encode(good, SCENE, "-qp", "0"), frames=20), good)
    poor = replace(SCENE, bitrate="60k")
    coarse = await quality.measure(tool, FFMPEG, clip(encode(bad, poor), poor, frames=20), bad)
    assert lossless.vmaf_model == coarse.vmaf_model == model
    assert lossless.vmaf_score > 97
    assert lossless.psnr_score == 100.0
    assert coarse.vmaf_score < lossless.vmaf_score - 20


@pytest.mark.slow
@pytest.mark.parametrize("model", ["hd", "phone", "4k", "neg", *ALL_V1])
async def test_the_self_test_holds_for_every_model(model: str) -> None:
    assert await self_test.why_scores_are_wrong(FFMPEG, Tool(vmaf_ffmpeg(), "x", vmaf=True, model=model)) == ""


async def test_a_model_that_is_not_there_is_refused_before_the_run_with_those_that_are(
    make_config: ConfigFactory,
) -> None:
    bench = Bench(make_config(f"scenarios.quality_ffmpeg={vmaf_ffmpeg()}"))
    ended = await bench.run(replace(SHORT, vmaf_model="vmaf_v9.0.0"))
    assert ended.state == "failed"
    assert ended.finished == []
    assert ended.error is not None
    assert ended.error.startswith(f"scenarios[0].vmaf_model: {vmaf_ffmpeg()} has no vmaf_v9.0.0: it has vmaf_4k_v0.6.1")
    assert V1 in ended.error


async def test_a_model_is_refused_where_no_program_has_libvmaf(
    make_config: ConfigFactory, capabilities: Capabilities
) -> None:
    settings = make_config(f"scenarios.quality_ffmpeg={need(FFMPEG, 'ffmpeg')}").scenarios
    reason = await why_not_models(settings, capabilities, ["neg"])
    assert reason.endswith("/ffmpeg has no libvmaf") or not reason


@pytest.mark.slow
async def test_cambi_is_computed_in_the_same_pass_as_other_scores(
    tmp_path: Path, make_config: ConfigFactory, capabilities: Capabilities
) -> None:
    """A dark gradient in eight bits has steps that one sees; noise of the same mean hides them."""
    settings = make_config("scenarios.cambi=true").scenarios
    found = await find_tool(settings, capabilities)
    assert found.cambi
    assert not (await find_tool(make_config().scenarios, capabilities)).cambi
    ramp = "nullsrc=size=640x360:rate=25:duration=0.2,format=yuv420p,geq=lum='64+X/20':cb=128:cr=128"
    for file, change in (("noisy.mkv", "noise=alls=8:allf=t"), ("banded.mkv", "null")):
        run(
            vmaf_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", ramp, "-vf", change, "-c:v", "ffv1", str(tmp_path / file)
        )
    banding = {}
    for name in ("noisy", "banded"):
        scores, record, _ = await two_files.compared(
            settings, tmp_path / "noisy.mkv", tmp_path / f"{name}.mkv", lambda done: None, CAPABILITIES
        )
        banding[name] = scores.cambi_score
        assert record.cambi_score == scores.cambi_score
    assert banding["noisy"] < 1
    assert banding["banded"] > 5


async def test_a_picture_too_small_for_cambi_keeps_its_other_scores(tmp_path: Path) -> None:
    scenario = replace(SCENE, resolution="160x120")
    tool = Tool(vmaf_ffmpeg(), "static", vmaf=True, cambi=True)
    scores = await quality.measure(tool, FFMPEG, clip(encode(tmp_path, scenario), scenario, frames=5), tmp_path)
    assert scores.vmaf_score is not None
    assert scores.cambi_score is None


async def test_cambi_of_a_small_rendition_uses_its_own_size(tmp_path: Path) -> None:
    """With the newest models too, whose own CAMBI is told the size that was encoded."""
    copy = encode(tmp_path, replace(SCENE, resolution="640x360", bitrate="300k"))
    big = replace(SCENE, resolution="1280x720")
    for model in ("hd", V1):
        tool = Tool(vmaf_ffmpeg(), "static", vmaf=True, cambi=True, model=model)
        scaled = replace(clip(copy, big, frames=5), encoded="640x360")
        scores = await quality.measure(tool, FFMPEG, scaled, tmp_path)
        assert scores.vmaf_score is not None
        assert scores.cambi_score is not None
        assert "enc_width=640" in " ".join(quality.compare_command(tool, scaled, "x"))


@pytest.mark.parametrize(("source_bits", "copy_bits"), [(10, 10), (8, 10), (10, 8)])
async def test_ten_bits_on_one_side_are_compared_in_ten(
    tmp_path: Path, make_config: ConfigFactory, source_bits: int, copy_bits: int
) -> None:
    """A slow ramp in ten bits: in eight it loses three values of four, which eight bits could not show."""
    formats = {8: "yuv420p", 10: "yuv420p10le"}
    ramp = "nullsrc=size=320x180:rate=25:duration=0.4,format=yuv420p10le,geq=lum='400+mod(X,64)':cb=512:cr=512"
    files = (tmp_path / "source.mkv", source_bits), (tmp_path / "copy.mkv", copy_bits)
    for file, bits in files:
        run(vmaf_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", ramp, "-vf",
            f"scale=sws_dither=none,format={formats[bits]}", "-c:v", "ffv1", str(file))  # fmt: skip
    settings = make_config().scenarios
    scores, _, _ = await two_files.compared(settings, files[0][0], files[1][0], lambda done: None, CAPABILITIES)
    assert scores.frames == 10
    if source_bits == copy_bits:
        assert (scores.psnr_score, scores.ssim_score) == (100.0, 1.0)
        assert scores.vmaf_score > 97
    else:
        assert 50 < scores.psnr_score < 65


@pytest.mark.parametrize(
    ("pixel_format", "bits"),
    [("yuv420p", 8), ("nv12", 8), ("yuv420p10le", 10), ("p010le", 10), ("yuv444p12be", 12), ("gray16le", 16),
     ("gbrp10le", 10), ("rgb24", 8), ("rgb48le", 16), ("yuvj422p", 8), ("x2rgb10le", 10), ("p016le", 16)],
)  # fmt: skip
def test_the_bits_of_a_pixel_format(pixel_format: str, bits: int) -> None:
    assert bits_of(pixel_format) == bits


@pytest.mark.parametrize(("fps", "model"), [(50, "hd"), (60, "vmaf_v1.0.16_hfr_3d0h")])
async def test_no_frame_of_a_fast_source_is_dropped_or_doubled(tmp_path: Path, fps: int, model: str) -> None:
    scenario = replace(SCENE, fps=fps)
    copy = encode(tmp_path, scenario, "-qp", "0", frames=100)
    tool = Tool(vmaf_ffmpeg(), "static", vmaf=True, model=model)
    scores = await quality.measure(tool, FFMPEG, clip(copy, scenario, first=30, frames=60), tmp_path)
    assert (scores.frames, scores.psnr_score, scores.ssim_score) == (60, 100.0, 1.0)
    assert 97 <= scores.vmaf_score <= 100


@pytest.mark.slow
async def test_a_film_of_60_frames_a_second_is_compared_with_itself_frame_by_frame(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    picture = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=60000/1001:duration=1"]
    run(vmaf_ffmpeg(), "-v", "error", *picture, "-c:v", "ffv1", str(tmp_path / "source.mkv"))
    run(FFMPEG, "-v", "error", "-i", str(tmp_path / "source.mkv"), "-c:v", "libx264", "-qp", "0",
        str(tmp_path / "copy.mp4"))  # fmt: skip
    settings = make_config("scenarios.vmaf_model=newest").scenarios
    scores, record, _ = await two_files.compared(
        settings, tmp_path / "source.mkv", tmp_path / "copy.mp4", lambda done: None, CAPABILITIES
    )
    assert (scores.frames, scores.psnr_score, record.fps) == (60, 100.0, 59.94)
    assert scores.vmaf_score > 97
    assert scores.vmaf_model == "vmaf_v1.0.16_hfr_3d0h"


async def test_two_files_are_not_compared_by_a_model_that_is_not_there(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    run(vmaf_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", "testsrc2=duration=0.2", str(tmp_path / "a.mkv"))
    settings = make_config("scenarios.vmaf_model=vmaf_v9").scenarios
    with pytest.raises(QualityFailed, match=r"has no vmaf_v9: it has .*vmaf_v0\.6\.1"):
        await two_files.compared(settings, tmp_path / "a.mkv", tmp_path / "a.mkv", lambda done: None, CAPABILITIES)


async def test_the_self_test_takes_the_newest_model_by_its_name(capabilities: Capabilities) -> None:
    tool = Tool(vmaf_ffmpeg(), "x", vmaf=True, model="newest")
    assert await self_test.fault(capabilities, FFMPEG, tool) == ("", True)


async def test_programs_that_give_wrong_scores_compare_no_files(
    make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_config(f"scenarios.quality_ffmpeg={vmaf_ffmpeg()}").scenarios
    assert await two_files.why_not_compared(settings) == ""
    monkeypatch.setattr(quality, "SAME_COLOURS", "null")
    reason = await two_files.why_not_compared(settings)
    assert "give wrong scores: PSNR 26." in reason
    assert reason.endswith("set scenarios.quality_ffmpeg")
