"""The base of our apps: themes, keys, plain ASCII, help, palette, toasts."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from textual import events
from textual._context import active_message_pump
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.dom import DOMNode, NoScreen
from textual.filter import ANSIToTruecolor, LineFilter
from textual.notifications import Notify, SeverityLevel
from textual.screen import ModalScreen, Screen
from textual.widget import MountError, Widget
from textual.widgets._toast import ToastHolder, ToastRack
from textual.worker import WorkerFailed, get_current_worker

from wattview.config import Tui
from wattview.foreign_text import clean
from wattview.gc_tuning import begin, tidy
from wattview.tui import themes, web_size
from wattview.tui.ascii import AsciiFilter, needs_ascii
from wattview.tui.notice import Notice
from wattview.tui.plots.plot import series_rules
from wattview.tui.screens.help import Help
from wattview.tui.toolkit.strips import forget_drawn, let_go_of_strips
from wattview.tui.toolkit.style_sheet import LazyStylesheet

TIDY_SECONDS = 120.0
"""How often ``tidy_up`` is called, which takes about a tenth of a second."""

MOST_TOASTS = 3
"""Of what happens at once. A screen has no room for more."""

AGAIN_SECONDS = 300.0
"""A warning that comes again within this time is in the log, and no second toast."""

_FIGURES = re.compile(r"[0-9][0-9.,]*")

KEYS: list[BindingType] = [
    Binding("space", "pause", "Pause", id="pause"),
    Binding("r", "retry", "Refresh", show=False, id="refresh"),
    Binding("t", "next_theme", "Theme", show=False, id="theme"),
    Binding("question_mark", "help", "Help", id="help", key_display="?"),
    Binding("q", "quit", "Quit", id="quit"),
]
"""Bindings of every app: the last in the list, and so in the footer."""


class BaseApp(App[str]):
    """An app with the configured theme and keys. Its result is the name of where to go next, if any."""

    TITLE = "WattView"
    ENABLE_COMMAND_PALETTE = True
    CSS = """
    * { scrollbar-background: $surface; scrollbar-color: $border-blurred; scrollbar-size-vertical: 1;
        scrollbar-background-hover: $surface; scrollbar-background-active: $surface; }
    ToastRack { dock: top; align: right top; margin: 3 0 0 0; }
    """ + "".join(map(series_rules, ("Graph", "Plot", "Table")))  # fmt: skip

    def __init__(self, settings: Tui) -> None:
        environ = dict(os.environ)  # before Textual takes NO_COLOR out of it
        super().__init__()
        let_go_of_strips()
        self.stylesheet = LazyStylesheet(variables=self.get_css_variables())
        self.settings = settings
        self._ascii = needs_ascii(environ) if settings.glyphs == "auto" else settings.glyphs == "ascii"
        self._ascii_filter = AsciiFilter()
        for one in themes.THEMES:
            self.register_theme(one)
        self._memory: Path | None = None
        self._warned: dict[tuple[str, str], float] = {}
        self._typed: deque[events.Key | events.Paste] = deque()
        self._painting = False
        known = settings.theme in self.available_themes
        self.theme = settings.theme if known else themes.default_theme(environ)
        self.set_keymap(settings.keys)

    def on_mount(self) -> None:
        self.set_interval(TIDY_SECONDS, self.tidy_up)

    def paint(self) -> None:
        """Renders the current picture on the active screen."""
        self._painting = False

    def paint_soon(self) -> None:
        """One rendering for all queued updates."""
        if not self._painting and self.is_running:
            self._painting = True
            self.call_later(self.paint)

    async def run_async(self, *arguments: Any, **options: Any) -> str | None:
        begin()
        return await super().run_async(*arguments, **options)

    def tidy_up(self) -> None:
        """Releases the memory of closed screens and of drawn lines."""
        forget_drawn(self._registry)
        tidy()

    async def on_event(self, event: events.Event) -> None:
        """Keys take effect one after the other. Textual gives a key to what is in focus when it arrives, so that a
        letter typed at once after ``/`` was a key of the table and not a part of the filter."""
        if isinstance(event, events.Resize) and self.is_web:  # a page can also type a terminal's report of its size
            width, height = event.size
            event = events.Resize.from_dimensions((web_size.columns(width), web_size.rows(height)), None)
        if isinstance(event, (events.Key, events.Paste)) and not event.is_forwarded and self.screen_stack:
            self._typed.append(event)
            if len(self._typed) == 1:
                await self._type_next()
        else:
            await super().on_event(event)

    async def _type_next(self) -> None:
        target = self.focused or self.screen
        await super().on_event(self._typed[0])
        way = list(target.ancestors_with_self)  # of the key, and then of messages that its handlers have posted
        _after([*way, *way], self._wait_for_screen)

    def _wait_for_screen(self) -> None:
        """The key may have opened a screen, which is mounted and focuses its input first."""
        _after([self.screen, self], self._typed_one)

    async def _typed_one(self) -> None:
        self._typed.popleft()
        if self._typed:
            await self._type_next()

    def _handle_exception(self, error: Exception) -> None:
        """On a busy machine a screen is closed while it mounts, or its worker still runs, and finds its children gone.
        Textual would end the app."""
        cause: BaseException = error
        where = active_message_pump.get(None)
        if isinstance(error, WorkerFailed):
            cause, where = error.error, get_current_worker().node
        closing = isinstance(where, Widget) and (where._pruning or not self.is_running)
        if not (closing and isinstance(cause, (NoMatches, NoScreen, MountError))):
            super()._handle_exception(error)

    def get_screen(self, screen: Any, screen_class: Any = None) -> Any:
        """Textual treats a new screen as one that has missed a change of themes, and parses all style sheets again. It
        is styled when mounted, and has missed nothing."""
        found = super().get_screen(screen, screen_class)
        if not found.is_running:
            found._css_update_count = self._css_update_count
        return found

    def delay_update(self, delay: float = 0.05) -> None:
        """Textual pauses after a change of screens, to hide one that is incomplete. Here a screen is complete before it
        is shown (``Dashboard.action_go``)."""

    def check_settings(self, known_keys: set[str]) -> None:
        """Reports unknown names in the settings; the others apply."""
        if self.settings.theme and self.settings.theme != self.theme:
            text = f"no theme {self.settings.theme}; there are {', '.join(themes.NAMES)}"
            self.notify(text, title="tui.theme", severity="warning")
        unknown = sorted(set(self.settings.keys) - known_keys)
        if unknown:
            text = f"no such key binding: {', '.join(unknown)}"
            self.notify(text, title="tui.keys", severity="warning")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: everything that a key does here, and every theme."""
        seen = set()
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.description and not binding.system and active.enabled and binding.action not in seen:
                seen.add(binding.action)
                if not binding.action.startswith("go("):
                    key = self.get_key_display(binding)
                    run_it = partial(self.run_action, binding.action, active.node)
                    yield SystemCommand(binding.description, f"Key {key}", run_it)
        for name in themes.NAMES:
            yield SystemCommand(f"Theme {name}", "Use this theme", partial(setattr, self, "theme", name))

    def action_help(self) -> None:
        if not isinstance(self.screen, ModalScreen):
            self.push_screen(Help(self.screen))

    def action_next_theme(self) -> None:
        names = themes.NAMES
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]

    def remember_theme(self, memory: Path) -> None:
        """Starts with the last selected theme, unless the settings name one, and stores the next selection."""
        chosen = themes.remembered(memory)
        if not self.settings.theme and chosen in self.available_themes:
            self.theme = chosen
        self._memory = memory

    def watch_theme(self, name: str) -> None:
        if self._memory is not None and self.is_running:
            themes.remember(self._memory, name)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """A toast; its text may be untrusted and is shown literally. One that is still visible is not repeated, and a
        warning not for ``AGAIN_SECONDS``, whatever its figures are by then."""
        message, title = clean(message), clean(title)
        if any((one.message, one.title) == (message, title) for one in self._notifications):
            return
        if severity != "information":
            what, now = (title, _FIGURES.sub("#", message)), time.monotonic()
            if now - self._warned.get(what, -AGAIN_SECONDS) < AGAIN_SECONDS:
                return
            self._warned = {one: at for one, at in self._warned.items() if now - at < AGAIN_SECONDS} | {what: now}
        seconds = self.NOTIFICATION_TIMEOUT if timeout is None else timeout
        self.post_message(Notify(Notice(message, title, severity, seconds)))

    def _refresh_notifications(self) -> None:
        """Textual removes a toast whose time ended on another screen, and leaves its holder, which does nothing, for
        ever: in a quarter of an hour of events and visits, 50 of them."""
        super()._refresh_notifications()
        shown = {ToastRack._toast_id(one) for one in self._notifications}
        for holder in self.screen.query(ToastHolder) if self.screen_stack else ():
            if holder.id not in shown:
                holder.remove()

    def copy_to_clipboard(self, text: str) -> None:
        """The text may be untrusted, and may be pasted into a shell."""
        super().copy_to_clipboard(clean(text))

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return themes.DEFAULTS

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual converts the sixteen terminal colours to true colours, line by line. Our themes use them only where
        the terminal's own colours are meant, so the filter is skipped."""
        filters = [one for one in super().get_line_filters() if not isinstance(one, ANSIToTruecolor)]
        return [*filters, self._ascii_filter] if self._ascii else filters


def key_names(classes: Iterable[type[DOMNode]]) -> set[str]:
    """Names of key bindings for the settings."""
    return {binding.id for one in classes for binding in Binding.make_bindings(one.BINDINGS) if binding.id is not None}


def _after(nodes: Sequence[DOMNode], do: Callable[[], Any]) -> None:
    """Calls ``do`` when each of ``nodes``, one after the other, has handled the messages that it has by then; one that
    is being removed is passed over."""
    for index, node in enumerate(nodes, 1):
        if node.call_later(_after, nodes[index:], do) if index < len(nodes) else node.call_later(do):
            return
