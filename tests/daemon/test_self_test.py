"""The self-test of the FFmpegs that encode and judge: a known score, and a fault that is found before the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.bench import SHORT, Bench
from tests.support.ffmpeg import need, vmaf_ffmpeg
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.judging import quality, self_test
from wattview.daemon.lab.judging.tool import Tool

PROGRAMS = {"Debian's": "/usr/bin/ffmpeg", "the newest": vmaf_ffmpeg()}


@pytest.mark.parametrize("encoder", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("judge", PROGRAMS.values(), ids=PROGRAMS)
async def test_the_programs_of_this_machine_give_the_known_score(encoder: str, judge: str) -> None:
    need("ffmpeg", "ffmpeg")
    tool = Tool(judge, "x", vmaf=judge == vmaf_ffmpeg())
    assert await self_test.why_scores_are_wrong(encoder, tool) == ""


async def test_a_comparison_that_converts_one_side_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newer FFmpegs convert where the names of colours differ: what one sees without one name for both sides."""
    monkeypatch.setattr(quality, "SAME_COLOURS", "null")
    wrong = await self_test.why_scores_are_wrong("ffmpeg", Tool(vmaf_ffmpeg(), "x", vmaf=True))
    assert wrong.startswith("PSNR 26.")
    assert wrong.endswith("37.85 dB is right")


async def test_the_self_test_runs_once_for_each_pair_of_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def ask(encoder: str, tool: Tool) -> str:
        asked.append(encoder)
        return "wrong"

    monkeypatch.setattr(self_test, "why_scores_are_wrong", ask)
    capabilities, tool = Capabilities(), Tool("/usr/bin/ffmpeg", "x", vmaf=False)
    for _ in range(3):
        assert await self_test.fault(capabilities, "ffmpeg", tool) == ("wrong", True)
    assert len(asked) == 1
    await self_test.fault(capabilities, vmaf_ffmpeg(), tool)
    assert len(asked) == 2


@pytest.mark.slow
async def test_disagreeing_programs_are_reported_before_the_run_and_give_no_scores(
    make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(quality, "SAME_COLOURS", "null")
    bench = Bench(make_config(f"scenarios.quality_ffmpeg={vmaf_ffmpeg()}"), capabilities=Capabilities())
    ended = await bench.run(SHORT)
    (one,) = ended.finished
    assert (one.status, one.vmaf_score, one.psnr_score) == ("done", None, None)
    assert any("give wrong scores: PSNR 26." in note for note in one.notes or [])
    assert "quality will not be measured" in caplog.text


@pytest.mark.slow
async def test_a_failed_self_test_keeps_the_scores_and_is_reported(make_config: ConfigFactory, tmp_path: Path) -> None:
    program = tmp_path / "my-ffmpeg"
    program.write_text('#!/bin/sh\ncase "$*" in *ffv1*) exit 1 ;; esac\nexec ffmpeg "$@"\n', "utf-8")
    program.chmod(0o755)
    bench = Bench(make_config(f"scenarios.ffmpeg={program}", "scenarios.quality_seconds=1"))
    (one,) = (await bench.run(SHORT)).finished
    assert one.quality_frames == 30
    assert any(note.startswith("the scores could not be verified") for note in one.notes or [])
    assert (one.encoder_tool or "").startswith(f"{program} 5")
    assert (one.quality_tool or "").startswith(vmaf_ffmpeg())
