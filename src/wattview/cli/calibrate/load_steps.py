"""The steps of load that a calibration goes through, and the encoders that make them.

First idle, then encoders of growing load, the GPU if it encodes, and idle again; then the steps that were left out,
alternately heavy and light: whatever lags behind the power, such as fans, shows in large steps both up and down.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO, NamedTuple

from wattview.daemon.children import child_command, find_program
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.encoder_options import entry_of
from wattview.daemon.lab.encoding.ffmpeg_process import ENVIRONMENT
from wattview.model import Scenario

CPU_ENCODERS = ("libx264", "libx265")
GPU_ENCODERS = ("h264_nvenc", "h264_vaapi", "h264_qsv")

MOST_SAID_BYTES = 1 << 20
"""Of an encoder's messages. It writes nothing else; one that says more is ended by the kernel (SIGXFSZ)."""

PRESETS = ("veryfast", "medium", "slower")
"""In turn: the same CPU use takes more or less power by what the instructions are."""

PACED_SHARE = 0.2
"""About what one small encoder in real time uses of a CPU."""

GPU_SESSIONS = (1, 2, 3)
"""So many encoders on the GPU: older drivers allow three."""


class LoadStep(NamedTuple):
    """``full`` encoders with one thread each that go as fast as they can, ``paced`` small ones in real time, and
    ``on_gpu`` on the GPU. ``preset`` is of the full ones."""

    full: int = 0
    paced: int = 0
    preset: str = PRESETS[0]
    on_gpu: int = 0

    @property
    def words(self) -> str:
        """``3 encoders (medium)``."""
        parts = (
            f"{self.full} x {self.preset}" if self.full else "",
            f"{self.paced} in real time" if self.paced else "",
            f"{self.on_gpu} on the GPU" if self.on_gpu else "",
        )
        return ", ".join(part for part in parts if part) or "idle"


def steps_of(count: int, cpus: int, gpu: bool) -> list[LoadStep]:
    """``count`` steps for a machine of ``cpus`` CPUs."""
    on_gpu = [LoadStep(on_gpu=sessions) for sessions in GPU_SESSIONS] if gpu else []
    busy = max(3, count - 2 - len(on_gpu))
    rising = [_of_weight(cpus * (at + 1) / busy, PRESETS[at % len(PRESETS)]) for at in range(busy)]
    rest = rising[1::2]
    turns = [one for pair in zip(reversed(rest), rest, strict=True) for one in pair][: len(rest)]
    return [LoadStep(), *rising[::2], *on_gpu, LoadStep(), *turns]


def _of_weight(busy_cpus: float, preset: str) -> LoadStep:
    full = math.floor(busy_cpus + 1e-9)
    paced = round((busy_cpus - full) / PACED_SHARE)
    return LoadStep(full, paced if full else max(1, paced), preset)


async def usable_encoders(ffmpeg: str, gpu: bool) -> tuple[str, str]:
    """The first encoder for the CPU and for the GPU that works here, "" for none. Raises ProgramMissing."""
    capabilities = Capabilities()
    found = []
    for names in (CPU_ENCODERS, GPU_ENCODERS if gpu else ()):
        for name in names:
            if not await capabilities.why_not_encode(ffmpeg, _scenario(name)):
                found.append(name)
                break
        else:
            found.append("")
    return found[0], found[1]


def _scenario(encoder: str) -> Scenario:
    return Scenario(name="calibration", encoder=encoder)  # type: ignore[arg-type]


class Encoders:
    """The FFmpegs of one step. The kernel ends them where this program ends."""

    def __init__(self, ffmpeg: str, cpu_encoder: str, gpu_encoder: str) -> None:
        self._ffmpeg = ffmpeg
        self._cpu_encoder = cpu_encoder
        self._gpu_encoder = gpu_encoder
        self._running: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    def start(self, step: LoadStep) -> None:
        """Raises ``children.ProgramMissing``, OSError."""
        full = self._on_cpu(step.preset, "1280x720", [])
        paced = self._on_cpu(PRESETS[0], "640x360", ["-re"])
        commands = [full] * step.full + [paced] * step.paced + [self._on_gpu()] * step.on_gpu
        for command in commands:
            said = tempfile.TemporaryFile()  # noqa: SIM115
            limited = ["prlimit", f"--fsize={MOST_SAID_BYTES}", "--", find_program(command[0]), *command[1:]]
            process = subprocess.Popen(
                child_command(limited, death_signal=signal.SIGKILL), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=said, start_new_session=True, env={**os.environ, **ENVIRONMENT},
            )  # fmt: skip
            self._running.append((process, said))

    def problem(self) -> str:
        """What the first that has ended by itself said, "" while all run."""
        for process, said in self._running:
            # It is not reaped: its process group, which may have others in it, keeps its number until stop().
            ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None:
                said.seek(0)
                words = said.read(4096).decode("utf-8", "replace").strip().splitlines()
                status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
                return f"FFmpeg ended with status {status}: {' · '.join(words[-2:]) or 'it said nothing'}"
        return ""

    def stop(self) -> None:
        for process, _ in self._running:
            os.killpg(process.pid, signal.SIGKILL)
        for process, said in self._running:
            process.wait()
            said.close()
        self._running.clear()

    def _on_cpu(self, preset: str, size: str, pace: Sequence[str]) -> list[str]:
        return [
            self._ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", *pace,
            "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30", "-c:v", self._cpu_encoder, "-preset", preset,
            "-threads", "1", "-f", "null", "-",
        ]  # fmt: skip

    def _on_gpu(self) -> list[str]:
        upload = entry_of(self._gpu_encoder) if self._gpu_encoder else None
        device, way = (upload.device, upload.uploads[0]) if upload is not None else ((), "")
        return [
            self._ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", *device,
            "-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=60", "-vf", f"format=yuv420p{way}",
            "-c:v", self._gpu_encoder, "-b:v", "8M", "-f", "null", "-",
        ]  # fmt: skip
