# ruff: noqa: ASYNC240
"""Films as people have them: what a file says of itself is honoured on both sides of every comparison."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.support import films
from tests.support.ffmpeg import CAPABILITIES, run, vmaf_ffmpeg
from wattview.daemon.lab.encoding import ffmpeg_command
from wattview.daemon.lab.encoding.ffmpeg_command import OutputTarget
from wattview.daemon.lab.encoding.film import Film, FilmError
from wattview.daemon.lab.encoding.picture_choice import rate_remarks, with_bit_depth
from wattview.daemon.lab.encoding.renditions import streams_of
from wattview.daemon.lab.judging import quality
from wattview.daemon.lab.judging.scores import PSNR_CEILING_DB
from wattview.daemon.lab.judging.tool import Tool
from wattview.model import Scenario

ENCODERS = {"Debian's": "ffmpeg", "the newest": vmaf_ffmpeg()}
SCENE = Scenario(name="x", resolution="320x180", fps=25, bitrate="400k", preset="veryfast", source="film")

SLOW = pytest.mark.slow
pytestmark = [pytest.mark.parallel, pytest.mark.parametrize("program", ENCODERS.values(), ids=ENCODERS)]


async def film(program: str, path: Path) -> Film:
    return await CAPABILITIES.film(program, path)


def encode(program: str, source: Film, folder: Path, scenario: Scenario, frames: int, lossless: bool) -> Path:
    """By the daemon's own command, as fast as it goes."""
    (stream,) = streams_of(scenario)
    targets = {stream.variants[0]: OutputTarget(copy="copy-%03d.nut", copy_seconds=600)}
    command = ffmpeg_command.encode_command(program, scenario, stream, targets, film=source)
    command = [part for part in command if part != "-re"]
    # x264's rate control with several threads is not the same twice.
    coder = command.index("-c:v") + 2
    command[coder:coder] = ["-threads", "1"]
    if lossless:
        first, last = command.index("-b:v"), command.index("-bufsize") + 2
        command[first:last] = ["-qp", "0"]
    place = command.index("-flags")
    run(*command[:place], "-frames:v", str(frames), *command[place:], cwd=folder)
    return folder / "copy-000.nut"


async def scores(
    program: str, path: Path, folder: Path, *, scenario: Scenario = SCENE, frames: int = 50, lossless: bool = False
) -> quality.Quality:
    folder.mkdir(exist_ok=True)
    source = await film(program, path)
    copy = encode(program, source, folder, scenario, frames + 10, lossless)
    clip = quality.Clip(
        scenario=scenario, fps=scenario.fps, copy=copy, first_frame=10, frames=frames, film=source,
        ten_bits=scenario.bit_depth == 10,
    )  # fmt: skip
    return await quality.measure(Tool(vmaf_ffmpeg(), "static", True), program, clip, folder)


def shown(path: Path) -> dict[str, object]:
    text = run("ffprobe", "-v", "error", "-select_streams", "v:0", "-show_streams", "-of", "json", str(path))
    return dict(json.loads(text)["streams"][0])


def mean_picture(path: Path, folder: Path, frame: int) -> tuple[bytes, int, int]:
    """The luma of one frame of a copy, row after row."""
    stream = shown(path)
    width, height = int(str(stream["width"])), int(str(stream["height"]))
    run("ffmpeg", "-v", "error", "-y", "-noautorotate", "-i", str(path), "-vf", f"select=eq(n\\,{frame})",
        "-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo", str(folder / "picture.gray"))  # fmt: skip
    return (folder / "picture.gray").read_bytes(), width, height


def box_of_light(path: Path, folder: Path, frame: int = 15) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is not black."""
    luma, width, height = mean_picture(path, folder, frame)
    rows = [row for row in range(height) if max(luma[row * width : (row + 1) * width]) > 60]
    columns = [column for column in range(width) if max(luma[column::width]) > 60]
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


TAGS = {
    "bt709": films.tagged("bt709", "bt709", "bt709"),
    "bt601": films.tagged("smpte170m", "smpte170m", "smpte170m"),
    "pal": films.tagged("bt470bg", "bt470bg", "gamma28"),
    "bt2020": films.tagged("bt2020nc", "bt2020", "bt2020-10"),
    "hdr10": films.tagged("bt2020nc", "bt2020", "smpte2084"),
    "hlg": films.tagged("bt2020nc", "bt2020", "arib-std-b67"),
    "fcc": films.tagged("fcc", "bt470m", "bt709"),
    "matrix alone": ["-colorspace", "bt709"],
    "chroma location": [*films.tagged("bt2020nc", "bt2020", "smpte2084"), "-chroma_sample_location", "topleft"],
}


@pytest.mark.parametrize(
    "tags", [pytest.param(tags, id=name, marks=() if name == "bt709" else SLOW) for name, tags in TAGS.items()]
)
async def test_a_tagged_film_scores_as_the_same_film_untagged(tmp_path: Path, program: str, tags: list[str]) -> None:
    plain = films.lavfi(films.picture(), *films.YUV, to=tmp_path / "plain.mp4")
    tagged = films.lavfi(films.picture(), *films.YUV, *tags, to=tmp_path / "tagged.mp4")
    a = await scores(program, plain, tmp_path / "a")
    b = await scores(program, tagged, tmp_path / "b")
    assert a.frames == b.frames == 50
    assert b.vmaf_score == pytest.approx(a.vmaf_score, abs=0.3)
    assert b.psnr_score == pytest.approx(a.psnr_score, abs=0.2)
    assert b.ssim_score == pytest.approx(a.ssim_score, abs=0.002)
    says, asked = shown(tmp_path / "b" / "copy-000.nut"), shown(tagged)
    for name in ("color_space", "color_primaries", "color_transfer"):
        assert says.get(name) == asked.get(name), "what the film says reaches the viewer"


KINDS = {
    "full range": ["-pix_fmt", "yuvj420p", "-color_range", "pc"],
    "10 bits": ["-pix_fmt", "yuv420p10le", *TAGS["hdr10"]],
    "4:2:2 10 bits": ["-pix_fmt", "yuv422p10le", *TAGS["bt709"]],
    "4:4:4": ["-pix_fmt", "yuv444p"],
    "grey": ["-pix_fmt", "gray"],
    "RGB": ["-c:v", "libx264rgb", "-pix_fmt", "rgb24"],
    "anamorphic": ["-vf", "setsar=64/45", *films.YUV],
    "odd": ["-vf", "scale=321:181:flags=bicubic", "-pix_fmt", "yuv444p"],
    "interlaced": ["-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags", "+ilme+ildct", *films.YUV],
    "variable rate": ["-vf", "select='not(between(mod(n,25),3,9))',setpts=PTS+0.01*mod(N\\,3)/TB", *films.YUV,
                      "-vsync", "passthrough"],
}  # fmt: skip


@SLOW
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_a_lossless_encode_of_any_film_is_perfect(tmp_path: Path, program: str, kind: list[str]) -> None:
    """Over the end of its loop: frame n of the reference is frame n of the stream."""
    path = films.lavfi(films.picture(), *kind, to=tmp_path / "film.mkv")
    found = await scores(program, path, tmp_path / "run", frames=90, lossless=True)
    assert found.frames == 90
    assert found.psnr_score == PSNR_CEILING_DB
    assert found.ssim_score == 1.0


@SLOW
@pytest.mark.parametrize(("fps", "exact"), [(59.94, "60000/1001"), (29.97, "30000/1001"), (23.976, "24000/1001")])
async def test_a_film_of_ntsc_rate_is_encoded_picture_by_picture(
    tmp_path: Path, program: str, fps: float, exact: str
) -> None:
    path = films.lavfi(f"testsrc2=size=320x180:rate={exact}:duration=3", *films.YUV, to=tmp_path / "film.mkv")
    scenario = replace(SCENE, fps=fps)
    source = await film(program, path)
    assert list(rate_remarks(source, scenario)) == []
    copy = encode(program, source, tmp_path, scenario, 60, lossless=True)
    assert shown(copy)["r_frame_rate"] == exact
    hashes = [
        run("ffmpeg", "-v", "error", "-i", str(one), "-frames:v", "60", "-pix_fmt", "yuv420p", "-f", "framemd5", "-")
        for one in (path, copy)
    ]
    first, second = ([line.rpartition(",")[2] for line in text.splitlines() if line[:1] == "0"] for text in hashes)
    assert len(first) == 60
    assert first == second
    found = await scores(program, path, tmp_path / "run", scenario=scenario, lossless=True)
    assert (found.frames, found.psnr_score) == (50, PSNR_CEILING_DB)


@SLOW
@pytest.mark.parametrize("sound", [4.5, 1.0])
async def test_longer_or_shorter_sound_does_not_affect_the_picture(tmp_path: Path, program: str, sound: float) -> None:
    """A picture of 2 s begins again after 2 s, whatever its sound does."""
    plain = films.lavfi(films.picture(), *films.YUV, to=tmp_path / "plain.mp4")
    path = films.with_sound(plain, sound, tmp_path / "film.mp4")
    source = await film(program, path)
    assert source.sound
    assert any("looped by itself" in remark for remark in source.remarks)
    found = await scores(program, path, tmp_path / "run", frames=120, lossless=True)
    assert (found.frames, found.psnr_score) == (120, PSNR_CEILING_DB)
    copy = tmp_path / "run" / "copy-000.nut"
    first, again = (mean_picture(copy, tmp_path, frame)[0] for frame in (20, 70))
    assert first == again, "frame 70 is frame 20 of the second loop"


async def test_a_film_whose_size_changes_is_encoded_to_its_end(tmp_path: Path, program: str) -> None:
    path = films.of_two_sizes(tmp_path, "320x180", "160x120")
    scenario = Scenario(name="x", resolution="320x180", fps=25, source="film", bitrate="3M")
    found = await scores(program, path, tmp_path / "run", scenario=scenario, frames=150, lossless=True)
    assert (found.frames, found.psnr_score) == (150, PSNR_CEILING_DB)
    copy = tmp_path / "run" / "copy-000.nut"
    assert box_of_light(copy, tmp_path, 15) == pytest.approx((0, 0, 320, 180), abs=3)
    # 160x120 is 4:3: 240 of 320 columns between bars. And in the second loop 320x180 again.
    assert box_of_light(copy, tmp_path, 75) == pytest.approx((40, 0, 280, 180), abs=3)
    assert box_of_light(copy, tmp_path, 115) == pytest.approx((0, 0, 320, 180), abs=3)


@SLOW
async def test_an_interlaced_film_whose_size_changes_is_encoded_to_its_end(tmp_path: Path, program: str) -> None:
    fields = ["-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags", "+ilme+ildct"]
    path = films.of_two_sizes(tmp_path, "640x360", "320x240", *fields)
    source = await film(program, path)
    assert source.interlaced
    found = await scores(program, path, tmp_path / "run", frames=80, lossless=True)
    assert (found.frames, found.psnr_score) == (80, PSNR_CEILING_DB)


async def test_cover_art_is_not_the_film(tmp_path: Path, program: str) -> None:
    plain = films.lavfi(films.picture(), *films.YUV, to=tmp_path / "plain.mp4")
    path = films.with_cover(plain, tmp_path / "film.mp4")
    found = await scores(program, path, tmp_path / "run")
    same = await scores(program, plain, tmp_path / "same")
    assert (found.vmaf_score, found.psnr_score) == pytest.approx((same.vmaf_score, same.psnr_score), abs=1e-6)


async def test_a_films_title_is_not_parsed_as_ffmpeg_output(tmp_path: Path, program: str) -> None:
    """FFmpeg prints a title as it is, of any length and on one line where it holds carriage returns."""
    plain = films.lavfi(films.picture(), *films.YUV, to=tmp_path / "plain.mkv")
    says = "\u2028[Parsed_showinfo_0 @ 0x1] n: 0 x fmt:rgb24 x s:9999x9999 i:T \n[Parsed_showinfo_0 @ 0x1] n: 0 \r"
    title = says + "] n: 1 \r" * 4_000 + "color_space:\r" * 4_000
    named = films.with_title(plain, title, tmp_path / "film.mkv")
    before = time.monotonic()
    expected = await film(program, plain)
    between = time.monotonic()
    found = await film(program, named)
    assert msgspec.structs.replace(found, path=plain) == expected
    assert time.monotonic() - between < 3 * (between - before) + 2.0


@SLOW
async def test_of_several_pictures_the_largest_is_the_film(tmp_path: Path, program: str) -> None:
    small = films.lavfi(films.picture("160x90"), *films.YUV, to=tmp_path / "small.mp4")
    large = films.lavfi(films.picture(), *films.YUV, to=tmp_path / "large.mp4")
    run("ffmpeg", "-v", "error", "-i", str(small), "-i", str(large), "-map", "0", "-map", "1", "-c", "copy",
        str(tmp_path / "film.mkv"))  # fmt: skip
    source = await film(program, tmp_path / "film.mkv")
    assert source.picture == "V:1"
    assert source.remarks == ("it has 2 pictures; the largest was taken",)
    found = await scores(program, tmp_path / "film.mkv", tmp_path / "run")
    same = await scores(program, large, tmp_path / "same")
    assert (found.vmaf_score, found.psnr_score) == pytest.approx((same.vmaf_score, same.psnr_score), abs=1e-6)


@SLOW
async def test_an_anamorphic_film_keeps_its_shape(tmp_path: Path, program: str) -> None:
    """720x576 with pixels of 64:45 is 16:9: it fills a picture of 16:9, and one of 4:3 in its width."""
    path = films.lavfi(films.picture("720x576"), "-vf", "setsar=64/45", *films.YUV, to=tmp_path / "pal.mp4")
    for resolution, box in (("640x360", (0, 0, 640, 360)), ("320x240", (0, 30, 320, 210))):
        scenario = Scenario(name="x", resolution=resolution, fps=25, source="film")
        folder = tmp_path / resolution
        folder.mkdir()
        copy = encode(program, await film(program, path), folder, scenario, 20, lossless=True)
        assert box_of_light(copy, tmp_path) == pytest.approx(box, abs=3)
        assert shown(copy).get("sample_aspect_ratio") in {"1:1", None}


@SLOW
async def test_a_portrait_film_is_rotated_exactly_once(tmp_path: Path, program: str) -> None:
    plain = films.lavfi(films.picture(), *films.YUV, to=tmp_path / "plain.mp4")
    path = tmp_path / "turned.mp4"
    run(vmaf_ffmpeg(), "-v", "error", "-display_rotation", "90", "-i", str(plain), "-c", "copy", str(path))
    found = await scores(program, path, tmp_path / "run", lossless=True)
    assert found.psnr_score == PSNR_CEILING_DB
    copy = tmp_path / "run" / "copy-000.nut"
    # 180x320 in 320x180: 101 columns in the middle.
    assert box_of_light(copy, tmp_path) == pytest.approx((109, 0, 211, 180), abs=4)
    assert "rotation" not in json.dumps(shown(copy))


@SLOW
async def test_an_interlaced_film_is_deinterlaced_with_a_note(tmp_path: Path, program: str) -> None:
    fields = ["-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags", "+ilme+ildct"]
    path = films.lavfi(films.picture(fps=50), *fields, *films.YUV, to=tmp_path / "film.mkv")
    source = await film(program, path)
    assert source.interlaced
    scenario = Scenario(name="x", resolution="320x180", fps=50, source="film")
    (remark,) = rate_remarks(source, scenario)
    assert (
        remark
        == "source: it is interlaced, 25 frames a second; deinterlaced before the encoder, each field became a picture"
    )
    assert "the two fields became one picture" in next(rate_remarks(source, replace(scenario, fps=25)))
    copy = encode(program, source, tmp_path, scenario, 40, lossless=True)
    pictures = {mean_picture(copy, tmp_path, frame)[0] for frame in range(10, 20)}
    assert len(pictures) == 10, "each field is a picture of its own"
    progressive = await film(program, films.lavfi(films.picture(), *films.YUV, to=tmp_path / "plain.mp4"))
    assert not progressive.interlaced


async def test_an_hdr_film_notes_the_limits_of_its_scores(tmp_path: Path, program: str) -> None:
    path = films.lavfi(films.picture(), *KINDS["10 bits"], to=tmp_path / "film.mkv")
    source = await film(program, path)
    assert source.colours == ("bt2020nc", "bt2020", "smpte2084")
    assert any("HDR (PQ)" in remark for remark in source.remarks)


@SLOW
async def test_ten_bits_stay_ten_bits_without_loss(tmp_path: Path, program: str) -> None:
    path = films.lavfi(films.picture(), *KINDS["4:2:2 10 bits"], to=tmp_path / "film.mkv")
    scenario = replace(SCENE, bit_depth=10)
    found = await scores(program, path, tmp_path / "run", scenario=scenario, frames=60, lossless=True)
    assert (found.frames, found.psnr_score, found.ssim_score) == (60, PSNR_CEILING_DB, 1.0)
    assert shown(tmp_path / "run" / "copy-000.nut")["pix_fmt"] == "yuv420p10le"


@SLOW
async def test_every_encoder_of_ten_bits_keeps_them_and_the_tags_of_hdr(tmp_path: Path, program: str) -> None:
    path = films.lavfi(films.picture(seconds=1.0), *KINDS["10 bits"], to=tmp_path / "film.mkv")
    source = await film(program, path)
    for encoder in ("libx265", "libsvtav1", "libaom-av1", "libvpx-vp9", "libx264"):
        folder = tmp_path / encoder
        folder.mkdir()
        asked = replace(SCENE, encoder=encoder)
        scenario, remarks = await with_bit_depth(asked, source, program, CAPABILITIES)
        assert scenario.bit_depth == 10
        assert bool(remarks) is (encoder == "libx264"), remarks
        says = shown(encode(program, source, folder, scenario, 10, lossless=False))
        assert says["pix_fmt"] == "yuv420p10le", encoder
        tags = [says.get(name) for name in ("color_space", "color_primaries", "color_transfer")]
        # VP9 itself has a place for the matrix alone.
        kept = 1 if encoder == "libvpx-vp9" else 3
        assert tags[:kept] == ["bt2020nc", "bt2020", "smpte2084"][:kept], encoder
    asked = replace(SCENE, encoder="h264_nvenc", preset="p1")
    scenario, remarks = await with_bit_depth(asked, source, program, CAPABILITIES)
    assert (scenario.bit_depth, remarks) == (8, ["source: it has 10 bits, and 8 were encoded: h264_nvenc takes 8"])


def test_a_frame_rate_other_than_the_sources_is_noted(program: str) -> None:
    told = ((50, 25, "left out"), (25, 50, "shown twice"), (59.94, 60, "shown twice"), (59.94, 59.94, ""), (30, 30, ""))
    for fps, at, says in told:
        remarks = list(rate_remarks(Film(path=Path("x"), fps=fps), replace(SCENE, fps=at)))
        assert remarks[0].endswith(f"pictures are {says}") if says else remarks == [], remarks


async def test_a_frozen_picture_is_attributed_to_the_film(tmp_path: Path, program: str) -> None:
    slow = ["-vf", "select='lt(n,25)+gte(n,75)'", "-vsync", "passthrough", *films.YUV]
    source = await film(program, films.lavfi(films.picture(seconds=4), *slow, to=tmp_path / "film.mkv"))
    assert source.still_seconds == pytest.approx(2.04, abs=0.05)
    assert source.remarks == ("its picture stands still for up to 2.0 s",)


BFRAMES = ["-c:v", "libx264", "-preset", "medium", "-qp", "23", "-bf", "3", "-g", "30", "-pix_fmt", "yuv420p"]
AGAIN = {
    "a.mp4": (BFRAMES, True),
    "a.mkv": (BFRAMES, True),
    "a.ts": (BFRAMES, False),
    "a.h264": (BFRAMES, False),
    "b.ts": ([*films.LOSSLESS, *films.YUV], True),
}


@pytest.mark.parametrize("name", AGAIN)
async def test_a_film_that_cannot_restart_is_detected(tmp_path: Path, program: str, name: str) -> None:
    """Its second loop would be broken pictures, and the encoder's or the source's damage to a reader."""
    arguments, again = AGAIN[name]
    source = await film(program, films.lavfi(films.picture(), *arguments, to=tmp_path / name))
    assert source.begins_again is again
    assert source.seconds == pytest.approx(2.0, abs=0.1)


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{path}\n#EXT-X-ENDLIST\n"
DASH = """<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"
mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="9">
<BaseURL>{path}</BaseURL></Representation></AdaptationSet></Period></MPD>"""
PLAYLISTS = {
    "list.m3u8": HLS,
    "list.mp4": HLS,
    "list.ts": HLS,
    "manifest.mpd": DASH,
    "concat.txt": "ffconcat version 1.0\nfile {path}\n",
    "concat.mp4": "ffconcat version 1.0\nfile {path}\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "film%d.png": "\x89PNG",
}


@pytest.mark.parametrize("name", PLAYLISTS)
async def test_a_playlist_reads_nothing_outside_of_the_media_folder(tmp_path: Path, program: str, name: str) -> None:
    secret = films.lavfi(films.picture(), *films.YUV, to=tmp_path / "secret.mp4")
    media = tmp_path / "media"
    media.mkdir()
    (media / name).write_text(PLAYLISTS[name].format(path=secret), "utf-8")
    with pytest.raises(FilmError):
        await film(program, media / name)
