"""SI and TI of sources: against P.910's formulas, written out here, on the real pictures."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.conftest import ConfigFactory
from tests.support.bench import SHORT, Bench
from tests.support.ffmpeg import make_clip, run, vmaf_ffmpeg
from wattview.daemon import children
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.judging.content import complexity, content_of, content_of_file
from wattview.model import ContentComplexity, Scenario

FFMPEG = "ffmpeg"
SIZE = (64, 48)
SCENE = Scenario(name="x", source="mandelbrot", resolution="64x48", fps=25, duration=0.4, warmup=0.0)


def spread(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def by_the_book(luma: bytes) -> tuple[list[float], list[float]]:
    """SI and TI of each picture, limited range expanded to full: the Sobel filter without the border, then the standard
    deviation; the standard deviation of the difference from the picture before."""
    width, height = SIZE
    size = width * height
    pictures = [
        [min(max(value - 16, 0), 219) * 255 // 219 for value in luma[at : at + size]]
        for at in range(0, len(luma), size)
    ]
    spatial, temporal = [], []
    for number, picture in enumerate(pictures):
        edges = []
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                around = [picture[(y + dy) * width + x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
                across = around[0] - around[2] + 2 * (around[3] - around[5]) + around[6] - around[8]
                down = around[0] + 2 * around[1] + around[2] - around[6] - 2 * around[7] - around[8]
                edges.append(math.hypot(across, down))
        spatial.append(spread(edges))
        if number:
            before = pictures[number - 1]
            temporal.append(spread([float(now - then) for now, then in zip(picture, before, strict=True)]))
    return spatial, temporal


def luma_of(folder: Path, *source: str) -> bytes:
    run(FFMPEG, "-v", "error", "-y", *source, "-vf", "format=yuv420p,extractplanes=y", "-f", "rawvideo",
        "luma.raw", cwd=folder)  # fmt: skip
    return (folder / "luma.raw").read_bytes()


@pytest.mark.parametrize("program", [FFMPEG, vmaf_ffmpeg()], ids=["Debian's", "the newest"])
async def test_si_and_ti_of_a_test_pattern_match_p910(tmp_path: Path, program: str) -> None:
    found = await content_of(Capabilities(), program, SCENE, None)
    assert isinstance(found, ContentComplexity)
    run(program, "-v", "error", "-y", "-f", "lavfi", "-i", "mandelbrot=size=64x48:rate=25", "-t", "0.4", "-vf",
        "format=yuv420p,extractplanes=y", "-f", "rawvideo", "luma.raw", cwd=tmp_path)  # fmt: skip
    spatial, temporal = by_the_book((tmp_path / "luma.raw").read_bytes())
    assert (len(spatial), len(temporal)) == (10, 9)
    assert found.spatial_information == pytest.approx(max(spatial), rel=0.01, abs=0.01)
    assert found.temporal_information == pytest.approx(max(temporal), rel=0.01, abs=0.01)
    assert found.spatial_information_mean == pytest.approx(sum(spatial) / 10, rel=0.01, abs=0.01)
    assert found.temporal_information_mean == pytest.approx(sum(temporal) / 9, rel=0.01, abs=0.01)


@pytest.mark.parametrize("bits", ["yuv420p", "yuv420p10le"])
async def test_a_film_has_the_same_si_and_ti_in_eight_bits_and_in_ten(tmp_path: Path, bits: str) -> None:
    """At its own size and rate, whatever the scenario's; the filter itself gives four times as much in ten bits."""
    film = tmp_path / "film.mkv"
    run(vmaf_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", "mandelbrot=size=64x48:rate=25", "-t", "0.4", "-vf",
        f"format={bits}", "-c:v", "ffv1", str(film))  # fmt: skip
    capabilities = Capabilities()
    found = await content_of(
        capabilities, FFMPEG, replace(SCENE, resolution="320x180", fps=30), await capabilities.film(FFMPEG, film)
    )
    spatial, temporal = by_the_book(luma_of(tmp_path, "-i", str(film)))
    assert isinstance(found, ContentComplexity)
    assert found.spatial_information == pytest.approx(max(spatial), rel=0.02)
    assert found.temporal_information == pytest.approx(max(temporal), rel=0.02)


async def test_a_still_has_ti_0_and_a_single_picture_unknown_ti(tmp_path: Path) -> None:
    still = await content_of(Capabilities(), FFMPEG, replace(SCENE, source="smptebars"), None)
    assert isinstance(still, ContentComplexity)
    assert (still.temporal_information, still.temporal_information_mean) == (0.0, 0.0)
    assert still.spatial_information > 0
    single = complexity("frame:0 pts:0 pts_time:0\nlavfi.siti.si=12.50\nlavfi.siti.ti=0.00\n")
    assert single == ContentComplexity(spatial_information=12.5, spatial_information_mean=12.5)
    assert complexity("") is None
    assert complexity("lavfi.siti.si=nan\n") is None


async def test_a_source_film_is_probed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = children.output

    async def counted(command: list[str], **options: object) -> tuple[int, bytes]:
        asked.extend(part for part in command if "siti" in part)
        return await real(command, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(children, "output", counted)
    film = make_clip(tmp_path / "film.mp4", size="64x48", seconds=0.4)
    capabilities = Capabilities()
    looked = await capabilities.film(FFMPEG, film)
    measured: list[str] = []
    first = await content_of(capabilities, FFMPEG, SCENE, looked, lambda: measured.append("first"))
    other = replace(SCENE, name="y", resolution="320x180", fps=50)
    again = await content_of(capabilities, FFMPEG, other, looked, lambda: measured.append("again"))
    assert first == again
    assert measured == ["first"]
    assert await content_of_file(capabilities, FFMPEG, looked) == first
    assert len(asked) == 1
    stat = film.stat()
    os.utime(film, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    await content_of(capabilities, FFMPEG, SCENE, await capabilities.film(FFMPEG, film))
    assert len(asked) == 2


async def test_a_program_without_the_filter_says_so(tmp_path: Path) -> None:
    program = tmp_path / "old-ffmpeg"
    program.write_text("#!/bin/sh\necho \"No such filter: 'siti'\"\nexit 1\n", "utf-8")
    program.chmod(0o755)
    assert await content_of(Capabilities(), str(program), SCENE, None) == f"{program} has no filter siti"


@pytest.mark.slow
async def test_a_result_has_the_content_of_its_source(make_config: ConfigFactory) -> None:
    bench = Bench(make_config("scenarios.quality_seconds=1"))
    (one,) = (await bench.run(SHORT)).finished
    expected = await content_of(Capabilities(), FFMPEG, SHORT, None)
    assert isinstance(expected, ContentComplexity)
    assert one.spatial_information == expected.spatial_information
    assert one.temporal_information_mean == expected.temporal_information_mean
