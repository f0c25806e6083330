"""A dashboard that is open for weeks keeps nothing of what it showed, on any screen and whatever a hand does there.

Time is sped up by its snapshots: the next one comes as soon as the last is drawn, each with other figures, four
containers and a stream that ended, and as many that are new. Textual's caches of styles and strips have a size
(the largest is emptied now and then) and are not counted; what is counted is what the app makes and has to let go.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
from collections import Counter
from random import Random
from typing import Any

import msgspec
import pytest
from rich.color import ColorSystem
from textual.message_pump import MessagePump
from textual.strip import Strip
from textual.style import Style
from textual.timer import Timer
from textual.worker import Worker

from tests.support.dashboard import ScriptedDaemon, container, opened, snapshot, stream, until
from wattview.model import Snapshot
from wattview.tui.feed import SnapshotArrived
from wattview.tui.screens.help import Help
from wattview.tui.toolkit.strips import forget_drawn

pytestmark = pytest.mark.parallel

MADE = (MessagePump, Timer, Worker, asyncio.Task, msgspec.Struct)
WARM_UP, ROUNDS = 3, 8
DRAWN_SECONDS = 0.03
"""Textual draws sixty times a second."""

HANDS = {
    **{f"screen {key}": (key,) for key in "123456789"},
    "through the screens": tuple("234567891"),
    "a container and back": ("3", "enter", "escape"),
    "a stream and back": ("4", "enter", "escape"),
    "help": ("1", "question_mark", "escape"),
    "a new run": ("6", "n", "escape"),
    "the palette": ("1", "ctrl+p", "escape"),
    "other sizes and themes": ("3", "t", "s", "S"),
    "the past and back": ("2", "comma", "less_than_sign", "L", "right_square_bracket"),
}


def test_style_codes_of_vanished_positions_are_freed() -> None:
    """Textual keeps those of 16,384 styles, 9 MB, and a text at another place has another style."""
    style = Style(bold=True)
    kept = style.rich_style
    drawn = [Strip.render_style(kept, "text", ColorSystem.TRUECOLOR)]
    for x in range(1000):
        Strip.render_ansi(style.rich_style_with_offset(x, 0), ColorSystem.TRUECOLOR)
    assert Strip.render_ansi.cache_info().currsize >= 1000
    forget_drawn([])
    assert Strip.render_ansi.cache_info().currsize == 0
    drawn.append(Strip.render_style(kept, "text", ColorSystem.TRUECOLOR))
    assert drawn[0] == drawn[1]


def strips() -> int:
    return sum(isinstance(one, Strip) for one in gc.get_objects())


async def test_a_drawn_line_is_freed_with_its_last_user(daemon: ScriptedDaemon) -> None:
    """Without a collection of garbage: until the next full one, lines of thousands of pictures would be kept."""
    random = Random(1)
    async with opened(daemon, (160, 48)) as pilot:
        await pilot.press("3")
        gc.collect()
        gc.disable()
        try:
            for step in range(20):
                pilot.app.post_message(SnapshotArrived(moving(step, random)))
                await pilot.pause()
                await pilot.pause(DRAWN_SECONDS)
            drawn = strips()
            gc.collect()
            assert strips() == drawn
        finally:
            gc.enable()


async def test_hidden_lines_are_freed(daemon: ScriptedDaemon) -> None:
    """Those of the other screens, and of dialogs that were closed."""
    gc.collect()
    elsewhere = strips()
    async with opened(daemon, (160, 48)) as pilot:
        for key in (*"123456789", *["question_mark", "escape", "n", "escape"] * 3, "1"):
            await pilot.press(key)
            await pilot.pause(DRAWN_SECONDS)
        drawn = strips() - elsewhere

        def let_go() -> bool:
            pilot.app.tidy_up()
            return strips() - elsewhere < drawn / 3

        await until(pilot, let_go)  # a screen that was closed last may still be on its way out


def moving(step: int, random: Random) -> Snapshot:
    figures = snapshot(float(step), containers=0, streams=0)
    containers = tuple(
        container(at, name=f"job-{at}", cpu_percent=100 * random.random()) for at in range(4 * step, 4 * step + 200)
    )
    streams = tuple(
        stream(at, name=f"cam-{at}", bandwidth_in_bytes=1e6 * random.random()) for at in range(step, step + 50)
    )
    return msgspec.structs.replace(figures, containers=containers, streams=streams)


def living() -> Counter[str]:
    """What there is, by class. A time-out that was cancelled stays in asyncio's heap, with the context of who set it,
    until its time has come, which it never does where time is sped up."""
    loop: Any = asyncio.get_running_loop()
    loop._scheduled[:] = [one for one in loop._scheduled if not one.cancelled()]
    heapq.heapify(loop._scheduled)
    gc.collect()
    return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, MADE))


async def watched(daemon: ScriptedDaemon, keys: tuple[str, ...], patience: int = 100) -> dict[str, int]:
    """What there is more of after the rounds than before them, by its class; ``patience`` is how often it is asked."""
    random = Random(1)
    async with opened(daemon, (160, 48)) as pilot:
        step = 0

        async def rounds(count: int) -> Counter[str]:
            nonlocal step
            for _ in range(count):
                for key in keys:
                    step += 1
                    pilot.app.post_message(SnapshotArrived(moving(step, random)))
                    await pilot.press(key)
            return living()

        before = await rounds(WARM_UP)
        await rounds(ROUNDS)
        for _ in range(patience):  # a screen that was closed last may still be on its way out
            grown = {name: more for name, count in living().items() if (more := count - before[name]) >= ROUNDS / 2}
            if not grown:
                break
            await pilot.pause(0.1)
    return grown


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("keys", HANDS.values(), ids=HANDS.keys())
async def test_closed_screens_are_freed(daemon: ScriptedDaemon, keys: tuple[str, ...]) -> None:
    assert await watched(daemon, keys) == {}


async def test_screens_that_are_kept_are_found(daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(Help, "on_unmount", lambda self: kept.append(self), raising=False)
    assert (await watched(daemon, ("question_mark", "escape"), patience=1)).get("Help", 0) >= ROUNDS
