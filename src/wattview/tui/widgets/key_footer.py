"""The line of keys at the foot of a screen."""

from __future__ import annotations

from textual.widgets import Footer


class KeyFooter(Footer):
    """Textual's footer, which lets go of the keys that it showed before.

    Its keys are made anew whenever other bindings apply, and each is bound to the footer's ``compact``. Textual forgets
    what was bound so when that attribute changes, which it never does: a dashboard whose screens are gone through kept
    every key that it had ever shown.
    """

    DEFAULT_CSS = """
    KeyFooter.-compact FooterLabel { margin: 0 1 0 0; }
    """

    async def recompose(self) -> None:
        await super().recompose()
        self.mutate_reactive(Footer.compact)
