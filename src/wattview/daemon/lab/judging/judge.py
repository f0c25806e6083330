"""The quality judge of a run: the comparing FFmpeg, self-tested before use, and its scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec.structs import replace

from wattview.analysis.efficiency import pixels
from wattview.config import Scenarios
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.encoder_group import Copy, EncoderGroup
from wattview.daemon.lab.encoding.renditions import streams_of
from wattview.daemon.lab.judging import quality, self_test
from wattview.daemon.lab.judging.content import content_of, pixels_looked_at
from wattview.daemon.lab.judging.scores import QualityFailed
from wattview.daemon.lab.judging.tool import Tool, find_tool, of_model
from wattview.daemon.lab.judging.vmaf_models import model_of
from wattview.daemon.lab.os_errors import os_error_text
from wattview.daemon.lab.scenario_record import Score, with_content, with_scores
from wattview.model import ContentComplexity, ScenarioRecord


class Judge:
    """The judge of one run. Per-frame scores are kept in ``folder``."""

    def __init__(self, settings: Scenarios, capabilities: Capabilities, folder: Path) -> None:
        self._settings = settings
        self._capabilities = capabilities
        self._folder = folder
        self._tool: Tool | None = None
        self._fault = ""
        self._notes: list[str] = []

    async def prepare(self, encoder_tool: str, models: Iterable[str]) -> str:
        """Finds the comparing FFmpeg for these VMAF models, and checks its scores of the encoding FFmpeg's output.
        Returns why they are wrong or missing; "" if all is well."""
        settings = self._settings
        try:
            tool = self._tool = await find_tool(settings, self._capabilities, models)
            wrong, known = await self_test.fault(self._capabilities, settings.ffmpeg, tool)
        except OSError as error:
            self._fault = os_error_text(error)
            return self._fault
        if wrong and known:
            self._fault = f"{encoder_tool} and {tool} give wrong scores: {wrong}; set scenarios.quality_ffmpeg"
        elif wrong:
            self._notes.append(f"the scores could not be verified: {wrong}")
        if not tool.vmaf:
            self._notes.append(f"VMAF was not measured: {tool.path} has no libvmaf; set scenarios.quality_ffmpeg")
        if settings.cambi and not tool.cambi:
            self._notes.append(f"CAMBI was not measured: {tool.path} has no libvmaf that knows it")
        if settings.xpsnr and not tool.xpsnr:
            self._notes.append(
                f"XPSNR was not measured: {tool.path} has no xpsnr filter (FFmpeg 7.1 and later have it)"
            )
        return self._fault

    async def judged(
        self, record: ScenarioRecord, group: EncoderGroup, advance: Callable[[float], None]
    ) -> ScenarioRecord:
        """The record with its source's SI and TI and the scores of its outputs, or with the reasons why it has none.
        ``advance`` is called with the progress, from 0 to 1."""
        began = time.monotonic()
        notes = list(record.notes or [])
        looked_at: list[float] = []
        content = await self._content(group, lambda: looked_at.append(pixels_looked_at(group.scenario)))
        if isinstance(content, str):
            notes.append(f"SI and TI were not measured: {content}")
        else:
            record = with_content(record, content)
        if self._tool is None or self._fault:
            return replace(record, notes=[*notes, f"quality was not measured: {self._fault}"])
        notes += self._notes
        tool = await of_model(self._tool, self._capabilities, model_of(self._settings, group.scenario), group.scenario)
        copies = group.copies(min(self._settings.quality_seconds, group.scenario.duration))
        scores: dict[tuple[str, float, int], Score] = {}
        try:
            for number, copy in enumerate(copies):
                try:
                    scores[copy.variant.setting] = await self._score(
                        tool, group, copy, _part(advance, number, len(copies))
                    )
                except QualityFailed as error:
                    notes.append(f"quality of {copy.variant.name} was not measured: {error}")
                    continue
                compared = scores[copy.variant.setting].quality.frames
                if compared < copy.frames:
                    notes.append(
                        f"quality: only {compared} of {copy.frames} frames of {copy.variant.name} were compared"
                    )
        except OSError as error:
            notes.append(f"quality was not measured: {os_error_text(error)}")
        compared = pixels(group.scenario.resolution) * sum(score.quality.frames for score in scores.values())
        speed = (compared + sum(looked_at)) / (time.monotonic() - began) if compared else 0.0
        record = with_scores(record, streams_of(group.scenario), scores)
        return replace(record, judged_pixels_per_second=round(speed) or None, notes=notes or None)

    async def _content(self, group: EncoderGroup, on_measure: Callable[[], None]) -> ContentComplexity | str:
        """The source's, by the FFmpeg that encodes, else by the one that compares."""
        found: ContentComplexity | str = "there is no FFmpeg"
        for program in (self._settings.ffmpeg, *([self._tool.path] if self._tool else [])):
            try:
                found = await content_of(self._capabilities, program, group.scenario, group.film, on_measure)
            except OSError as error:
                found = os_error_text(error)
            if not isinstance(found, str):
                break
        return found

    async def _score(self, tool: Tool, group: EncoderGroup, copy: Copy, advance: Callable[[float], None]) -> Score:
        clip = quality.Clip(
            scenario=group.scenario, fps=copy.variant.fps, copy=copy.path, first_frame=copy.first_frame,
            frames=copy.frames, film=group.film, encoded=copy.variant.resolution,
            ten_bits=group.scenario.bit_depth == 10,
        )  # fmt: skip
        program = self._settings.ffmpeg
        scores = await quality.measure(tool, program, clip, self._folder, lambda done: advance(done / clip.frames))
        return Score(scores, await quality.encoded_bits_per_second(program, clip, self._folder))


def _part(advance: Callable[[float], None], number: int, parts: int) -> Callable[[float], None]:
    return lambda fraction: advance((number + fraction) / parts)
