"""GPU time of a command and its children, from the daemon's list of the processes on each GPU.

The driver samples each process' use of a GPU's units; the probe gives the mean of the last two seconds. Read once a
second, its integral is the time in which the command used the busiest unit (SMs, encoder or decoder), within a second
or two of use at either end. What is not known is None, with the reason; a command that no GPU lists used none.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import psutil

from wattview.cli.measure.child import CommandTimes
from wattview.client import Client, ClientError
from wattview.model import Gpu, GpuProcess

FIRST_SECONDS, POLL_SECONDS = 0.3, 1.0
MAX_GAP_SECONDS = 5.0

Ran = Callable[[Callable[[int], None]], Coroutine[Any, Any, CommandTimes]]
"""Runs the command, and passes its process id to the callback as soon as it has one."""


async def followed(client: Client, run: Ran) -> tuple[CommandTimes, float | None, str]:
    """Runs the command; its GPU-seconds, and why they are unknown, or ""."""
    follower: list[asyncio.Task[None]] = []
    use: list[GpuUse] = []

    def started(pid: int) -> None:
        use.append(GpuUse(pid, time.monotonic()))
        follower.append(asyncio.get_running_loop().create_task(_follow(client, use[0])))

    try:
        times = await run(started)
    finally:
        for task in follower:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    return times, *use[0].total(time.monotonic())


async def _follow(client: Client, use: GpuUse) -> None:
    await asyncio.sleep(FIRST_SECONDS)
    while True:
        with contextlib.suppress(ClientError):
            use.note(await client.gpus(), time.monotonic())
        await asyncio.sleep(POLL_SECONDS)


class GpuUse:
    """Adds up readings of the GPUs, for the process ``root`` and all that it has started."""

    def __init__(self, root: int, begun: float) -> None:
        self._tree = {root: _began(root)}
        self._last = begun
        self._read = False
        self._share = self._seconds = 0.0
        self._unknown = ""
        self._strangers: set[int] = set()

    def note(self, gpus: Sequence[Gpu], now: float) -> None:
        """One reading: the use up to now is taken to be that of now."""
        self._advance(now)
        self._share = 0.0
        strangers = set()
        for gpu in gpus:
            if not gpu.processes_known:
                self._unknown = self._unknown or f"the driver of {gpu.name} does not list its processes"
            for process in gpu.processes:
                strangers |= {process.pid} if _is_another(process) else set()
                if self._belongs(process.pid):
                    self._share += self._used(process, gpu)
        # One reading may name a process that has just ended.
        if strangers & self._strangers:
            self._unknown = self._unknown or "the daemon sees other process ids than this command (another namespace)"
        self._strangers = strangers
        self._seconds += self._share * self._pending
        self._read = True

    def total(self, now: float) -> tuple[float | None, str]:
        """GPU-seconds up to the end, and why they are unknown, or ""."""
        if not self._read:
            return None, "it ended before the GPUs were read"
        self._advance(now)
        self._seconds += self._share * self._pending
        return (None, self._unknown) if self._unknown else (self._seconds, "")

    def _advance(self, now: float) -> None:
        self._pending, self._last = now - self._last, now
        if self._pending > MAX_GAP_SECONDS:
            self._unknown = self._unknown or f"the GPUs were not read for {self._pending:.0f} s"

    def _used(self, process: GpuProcess, gpu: Gpu) -> float:
        percents = [process.sm_percent, process.encoder_percent, process.decoder_percent]
        known = [percent for percent in percents if percent is not None]
        if not known:
            self._unknown = self._unknown or f"{gpu.name} does not say how much each process uses it"
        return max(known, default=0.0) / 100

    def _belongs(self, pid: int) -> bool:
        """Whether a process is the command's, also after its parent has ended."""
        began = _began(pid)
        if pid in self._tree:
            return began in (None, self._tree[pid])
        try:
            chain = [one.pid for one in psutil.Process(pid).parents()]
        except psutil.Error:
            return False
        at = next((at for at, parent in enumerate(chain) if parent in self._tree), None)
        if at is None:
            return False
        self._tree |= {one: _began(one) for one in (pid, *chain[:at])}
        return True


def _began(pid: int) -> float | None:
    """When a process began, None if it has ended: a process id may be used again."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def _is_another(process: GpuProcess) -> bool:
    """Whether the daemon's process of this id is not the one that we see."""
    if not process.name:
        return False
    try:
        return psutil.Process(process.pid).name()[:15] != process.name[:15]
    except psutil.Error:
        return True
