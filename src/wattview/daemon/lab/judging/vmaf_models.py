"""VMAF models: what a setting means, and which ones an FFmpeg has.

libvmaf has its models built in, each under its version's name; FFmpeg cannot list them. Candidates are the names known
here and those in the files of FFmpeg and libvmaf themselves; each is then used once.
"""

from __future__ import annotations

import asyncio
import mmap
import re
from pathlib import Path

from wattview.config import Scenarios
from wattview.daemon import children
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.renditions import picture_size
from wattview.model import Scenario

NEWEST = "newest"

VMAF_MODELS = {
    "hd": ("vmaf_v0.6.1", "version=vmaf_v0.6.1"),
    "phone": ("vmaf_v0.6.1 (phone)", "version=vmaf_v0.6.1\\\\:enable_transform=true"),
    "4k": ("vmaf_4k_v0.6.1", "version=vmaf_4k_v0.6.1"),
    "neg": ("vmaf_v0.6.1neg", "version=vmaf_v0.6.1neg"),
}
"""Short names: the recorded name, and the filter's ``model=`` option (a colon in it is escaped twice: for the option
and for the filter graph)."""

KNOWN = (
    "vmaf_v0.6.1", "vmaf_v0.6.1neg", "vmaf_4k_v0.6.1", "vmaf_4k_v0.6.1neg", "vmaf_v1.0.16_3d0h", "vmaf_v1.0.16_5d0h",
    "vmaf_v1.0.16_1d5h_2160", "vmaf_v1.0.16_3d0h_2160", "vmaf_v1.0.16_hfr_3d0h", "vmaf_v1.0.16_hfr_5d0h",
    "vmaf_v1.0.16_hfr_1d5h_2160", "vmaf_v1.0.16_hfr_3d0h_2160",
)  # fmt: skip

HIGH_FRAME_RATE = 45.0
"""From here on the models for high frame rates are the right ones: they were made for 50 and 60 fps."""

UHD_LINES = 2160

_IN_A_FILE = re.compile(rb"vmaf_(?:4k_)?v[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}[0-9a-z_]{0,30}")
_GENERATION_1 = re.compile(r"vmaf_v([1-9][0-9]*)\.([0-9]+)\.([0-9]+)_(.+)")
_LIBRARY = re.compile(r"=> (/\S*libvmaf\S*)")
LDD_SECONDS = 10.0


def model_of(settings: Scenarios, scenario: Scenario) -> str:
    """The model of a scenario's score: its own, else the setting's."""
    return scenario.vmaf_model or settings.vmaf_model


def model_name(asked: str) -> str:
    """The recorded name of the model that a setting means: a short name, or a version as in libvmaf."""
    return VMAF_MODELS[asked][0] if asked in VMAF_MODELS else asked.removeprefix("version=")


def model_option(asked: str) -> str:
    """The filter's ``model=`` option."""
    return VMAF_MODELS[asked][1] if asked in VMAF_MODELS else f"version={model_name(asked)}"


def of_ten_bits(asked: str) -> bool:
    """Whether the model is to be used on ten bits, whatever the pictures have: those of generation 1 see banding."""
    return _GENERATION_1.fullmatch(model_name(asked)) is not None


async def models_of(capabilities: Capabilities, program: str) -> tuple[str, ...]:
    """The models that a program has, by their versions' names; () without libvmaf."""

    async def ask(path: str) -> tuple[str, ...]:
        candidates = {*KNOWN, *await asyncio.to_thread(_named_in, await _files(path))}
        return tuple([name for name in sorted(candidates) if await capabilities.can_vmaf(path, model_option(name))])

    return await capabilities.remembered(("vmaf models",), program, ask)


async def _files(program: str) -> list[Path]:
    """The program, and the libvmaf that it loads, if that is a file of its own."""
    try:
        _, said = await children.output(["ldd", program], seconds=LDD_SECONDS)
    except OSError:
        return [Path(program)]
    return [Path(program), *(Path(found) for found in _LIBRARY.findall(said.decode(errors="replace")))]


def _named_in(files: list[Path]) -> set[str]:
    found: set[str] = set()
    for file in files:
        try:
            with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as text:
                found |= {name.decode("ascii") for name in _IN_A_FILE.findall(text)}
        except (OSError, ValueError):
            continue
    return found


def newest(models: tuple[str, ...], scenario: Scenario) -> str:
    """The newest generation that fits the picture: for 4K, for high frame rates, else for a 1080p screen at three times
    its height. "hd" or "4k" where there is none of generation 1."""
    uhd = picture_size(scenario.resolution)[1] >= UHD_LINES
    screen = "1d5h_2160" if uhd else "3d0h"
    wanted = f"hfr_{screen}" if scenario.fps >= HIGH_FRAME_RATE else screen
    versions = [
        (tuple(int(number) for number in found.groups()[:3]), name)
        for name in models
        if (found := _GENERATION_1.fullmatch(name)) is not None and found[4] == wanted
    ]
    return max(versions)[1] if versions else "4k" if uhd else "hd"
