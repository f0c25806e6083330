"""A line that appears only when needed: no daemon, an old picture, or a pause."""

from __future__ import annotations

from wattview.tui.feed import Link
from wattview.tui.text import about
from wattview.tui.widgets.pane import Pane

QUIET_SECONDS = 4.0
"""A live daemon that has been silent for longer is mentioned."""


class Banner(Pane):
    DEFAULT_CSS = """
    Banner {
        display: none; height: auto; max-height: 4; padding: 0 1;
        background: $warning 25%; color: $foreground;
        &.-lost { background: $error 30%; }
        &.-there { display: block; }
        &:ansi { background: ansi_default; text-style: reverse; }
    }
    """
    grows = True

    def show(self, link: Link, age_seconds: float | None, paused: bool, what: str = "daemon") -> None:
        text = banner_text(link, age_seconds, paused, what)
        self.set_class(bool(text), "-there")
        self.set_class(link.state == "lost", "-lost")
        if text:
            self.put(text)


def banner_text(link: Link, age_seconds: float | None, paused: bool, what: str = "daemon") -> str:
    """The banner's text about ``what``; empty if all is well."""
    if link.state == "lost":
        old = f"; what you see is {about(age_seconds)} old" if age_seconds is not None else ""
        again = f" Trying again in {about(link.retry_seconds)}." if link.retry_seconds >= 1 else " Trying again."
        return f"✗ {link.trouble or f'No {what}'}: {link.reason}{old}.{again} Press r to try now."
    if link.state == "connecting":
        return f"Connecting to the {what} … {about(age_seconds)}" if age_seconds and age_seconds >= 1 else ""
    if age_seconds is not None and age_seconds >= QUIET_SECONDS:
        return f"! The {what} has not answered for {about(age_seconds)}."
    return "Paused: the screen is frozen, collecting continues. Press space to resume." if paused else ""
