"""When an app under test has done all that there was to do, told from the app itself and not from how busy it seems.

Textual's pilot takes an app for idle whose process used no CPU for 20 ms. On a machine that others load too, that is
so in the middle of the work as well. Here an app is idle when nothing in its event loop can run, no message waits, no
frame is to be drawn, and no call to the daemon is under way.
"""

from __future__ import annotations

import asyncio
from typing import Any

from textual.app import App
from textual.screen import Screen

PATIENCE_SECONDS = 1.0
"""For calls that the daemon leaves unanswered. All others end before."""


async def settled(app: App[Any]) -> None:
    """Returns when ``app`` is idle; a frame that is due is drawn at once."""
    loop = asyncio.get_running_loop()
    give_up, pause = loop.time() + PATIENCE_SECONDS, 0.001
    while True:
        await asyncio.sleep(0)
        if app._exception is not None:
            return
        if loop._ready:  # type: ignore[attr-defined]
            continue
        if app._resize_event is not None and app.screen_stack:
            app._check_resize()  # which waits for the end of a terminal's dragging
        elif (screen := _to_draw(app)) is not None:
            screen._on_timer_update()
        elif not _has_messages(app) and (not _calls(app) or loop.time() > give_up):
            return
        else:
            await asyncio.sleep(pause)
            pause = min(1.25 * pause, 0.02)


async def handled(app: App[Any]) -> None:
    """Returns when the keys pressed so far are handled where keys go: the widget in focus, and all that it is in."""
    focused = app.screen.focused if app.screen_stack else None
    waiting = {app, *app.screen_stack[-1:], *(focused.ancestors_with_self if focused is not None else ())}
    for pump in tuple(waiting):
        pump.call_later(lambda done=pump: waiting.discard(done))
    while app._exception is None and any(pump.is_running for pump in waiting):  # noqa: ASYNC110  it may also close
        await asyncio.sleep(0.001)


def _has_messages(app: App[Any]) -> bool:
    return any(not pump._message_queue.empty() or pump._next_callbacks for pump in (app, *app._registry))


def _calls(app: App[Any]) -> bool:
    """Whether an answer is waited for; a feed goes on for ever."""
    return any(worker.name != "feed" and not worker.is_finished for worker in app.workers)


def _to_draw(app: App[Any]) -> Screen[Any] | None:
    """The screen in front, where its next frame is to differ."""
    if not app.is_running or not app.screen_stack or app._batch_count:
        return None
    screen = app.screen
    changed = screen._layout_required or screen._scroll_required or screen._repaint_required
    return screen if changed or screen._recompose_required or screen._dirty_widgets or screen._callbacks else None
