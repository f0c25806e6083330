"""The FFmpeg that compares: which one it is, and what it can measure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from wattview.config import Scenarios
from wattview.daemon import children
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.judging.vmaf_models import NEWEST, model_name, model_option, models_of, newest
from wattview.model import Scenario

DEFAULT_MODEL = "hd"

CAMBI = "feature=name=cambi"
"""The option of libvmaf's filter."""


class Tool(Struct, frozen=True):
    """The comparing FFmpeg. ``vmaf``: it has libvmaf and the model ``model`` (a short name, or a version as in
    libvmaf). ``xpsnr``, ``cambi``: it has these too; False if they are not requested."""

    path: str
    version: str
    vmaf: bool
    model: str = DEFAULT_MODEL
    xpsnr: bool = False
    cambi: bool = False

    def __str__(self) -> str:
        return f"{self.path} {self.version}"


async def find_tool(settings: Scenarios, capabilities: Capabilities, models: Iterable[str] = ()) -> Tool:
    """The comparing FFmpeg: the configured one; else the encoding one if it has the VMAF models; else the static build
    of imageio-ffmpeg; else the encoding one, for PSNR and SSIM alone. Without ``models`` it is the setting's model."""
    wanted = set(models) or {settings.vmaf_model}
    programs = _programs(settings)
    for program in programs:
        try:
            tool = await _tool(program, settings, capabilities, wanted)
        except children.ProgramMissing:
            continue
        if tool.vmaf:
            return tool
    return await _tool(programs[0], settings, capabilities, wanted)


async def of_model(tool: Tool, capabilities: Capabilities, model: str, scenario: Scenario) -> Tool:
    """The tool with a VMAF model: the newest is that for the scenario's picture."""
    if model == NEWEST and tool.vmaf:
        model = newest(await models_of(capabilities, tool.path), scenario)
    return replace(tool, model=model)


async def why_not_models(settings: Scenarios, capabilities: Capabilities, models: Sequence[str]) -> str:
    """Why no FFmpeg here can judge by all of these models, with those that there are; "" if one can. The default is no
    choice: without libvmaf there are PSNR and SSIM."""
    if set(models) <= {DEFAULT_MODEL}:
        return ""
    said = []
    for program in _programs(settings):
        try:
            lacking = [name for name in models if not await _has(program, capabilities, name)]
            if not lacking:
                return ""
            known = await models_of(capabilities, program)
        except children.ProgramMissing:
            continue
        names = ", ".join(model_name(name) for name in lacking)
        path = children.find_program(program)
        said.append(f"{path} has no {names}: it has {', '.join(known)}" if known else f"{path} has no libvmaf")
    return "; ".join(said) or "there is no FFmpeg"


def _programs(settings: Scenarios) -> list[str]:
    if settings.quality_ffmpeg:
        return [settings.quality_ffmpeg]
    return [program for program in (settings.ffmpeg, _static_ffmpeg()) if program is not None]


async def _has(program: str, capabilities: Capabilities, model: str) -> bool:
    if model == NEWEST:
        return bool(await models_of(capabilities, program))
    return await capabilities.can_vmaf(program, model_option(model))


async def _tool(program: str, settings: Scenarios, capabilities: Capabilities, models: set[str]) -> Tool:
    banding = f"{model_option(DEFAULT_MODEL)}:{CAMBI}"
    vmaf = all([await _has(program, capabilities, model) for model in models])
    return Tool(
        children.find_program(program),
        await capabilities.version(program),
        vmaf,
        settings.vmaf_model,
        xpsnr=settings.xpsnr and await capabilities.can_xpsnr(program),
        cambi=settings.cambi and vmaf and await capabilities.can_vmaf(program, banding),
    )


def _static_ffmpeg() -> str | None:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None
