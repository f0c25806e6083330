"""Our themes, as data. Every pair of colours for text has a contrast of at least 4.5 to 1.

``colour-blind`` uses the colours of Okabe and Ito (https://jfly.uni-koeln.de/color/), which are distinguishable with
every kind of colour vision. ``terminal`` uses the terminal's own sixteen colours. In every theme, text carries all
information.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from textual.theme import Theme

_DARK_CURSOR = {"block-cursor-background": "#2b5f8a", "block-cursor-foreground": "#ffffff"}


def _series(*colours: str) -> dict[str, str]:
    """The colours of a plot's lines, chosen to be easy to distinguish."""
    return {f"series{at}": colour for at, colour in enumerate(colours)}


THEMES: tuple[Theme, ...] = (
    Theme(
        name="wattview-dark",
        primary="#5fb3e6",
        secondary="#b08ce8",
        accent="#f2a65a",
        success="#6cc788",
        warning="#f0b84a",
        error="#f07178",
        foreground="#d7dce2",
        background="#11151a",
        surface="#181d24",
        panel="#222932",
        variables={
            "muted": "#8d99a6",
            "graph-fill": "#2f6688",
            **_series("#5fb3e6", "#f2a65a", "#6cc788", "#b08ce8", "#f07178", "#e6d96a"),
            **_DARK_CURSOR,
            "border": "#5fb3e6",
            "border-blurred": "#3a4450",
            "footer-key-foreground": "#5fb3e6",
        },
    ),
    Theme(
        name="wattview-light",
        primary="#0b5c94",
        secondary="#6a3fa0",
        accent="#9c4a00",
        success="#1d6b36",
        warning="#875400",
        error="#b3202c",
        foreground="#1c232b",
        background="#f7f8fa",
        surface="#eceff3",
        panel="#dfe4ea",
        dark=False,
        variables={
            "muted": "#55616d",
            "graph-fill": "#7fb0d6",
            **_series("#0b5c94", "#9c4a00", "#1d6b36", "#6a3fa0", "#b3202c", "#6b5900"),
            "block-cursor-background": "#0b5c94",
            "block-cursor-foreground": "#ffffff",
            "border": "#0b5c94",
            "border-blurred": "#a9b4c0",
            "footer-key-foreground": "#0b5c94",
        },
    ),
    Theme(
        name="wattview-colour-blind",
        primary="#56b4e9",
        secondary="#cc79a7",
        accent="#e69f00",
        success="#56b4e9",
        warning="#f0e442",
        error="#e8763a",
        foreground="#e6e6e6",
        background="#101010",
        surface="#1a1a1a",
        panel="#262626",
        variables={
            "muted": "#9a9a9a",
            "graph-fill": "#336b8b",
            **_series("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00"),
            **_DARK_CURSOR,
            "border": "#56b4e9",
            "border-blurred": "#4a4a4a",
            "footer-key-foreground": "#56b4e9",
        },
    ),
    Theme(
        name="wattview-terminal",
        primary="ansi_cyan",
        secondary="ansi_magenta",
        accent="ansi_yellow",
        success="ansi_green",
        warning="ansi_yellow",
        error="ansi_red",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        ansi=True,
        # Textual does not mix the terminal's own colours: what it would derive is listed here.
        variables={
            "muted": "ansi_bright_black",
            "graph-fill": "ansi_blue",
            **_series("ansi_cyan", "ansi_yellow", "ansi_green", "ansi_magenta", "ansi_red", "ansi_blue"),
            "ansi-background": "ansi_black",
            "ansi-foreground": "ansi_white",
            "border": "ansi_cyan",
            "border-blurred": "ansi_bright_black",
            "footer-key-foreground": "ansi_cyan",
            "block-cursor-foreground": "ansi_black",
            "block-cursor-background": "ansi_cyan",
            "input-cursor-background": "ansi_white",
            "input-cursor-foreground": "ansi_black",
            "input-selection-background": "ansi_cyan",
            "input-selection-foreground": "ansi_black",
            "screen-selection-background": "ansi_cyan",
            "screen-selection-foreground": "ansi_black",
        },
    ),
)

DEFAULTS = {
    "muted": "#808080", "graph-fill": "#4a6a80",
    **_series("#5fb3e6", "#f2a65a", "#6cc788", "#b08ce8", "#f07178", "#e6d96a"),
}  # fmt: skip
"""Defaults of our own variables, for themes without them: quiet text, the body of a graph's area, a plot's lines."""

NAMES = tuple(theme.name for theme in THEMES)


def default_theme(environ: Mapping[str, str]) -> str:
    """The theme that suits the terminal: its own sixteen colours if it has no more."""
    term = environ.get("TERM", "")
    many = environ.get("COLORTERM") in ("truecolor", "24bit") or any(
        word in term for word in ("256", "direct", "kitty", "alacritty", "ghostty", "wezterm")
    )
    return "wattview-dark" if many or "NO_COLOR" in environ else "wattview-terminal"


def remembered(memory: Path) -> str:
    """The last selected theme; "" if there is none."""
    with contextlib.suppress(OSError, UnicodeError):
        return memory.read_text("utf-8").strip()
    return ""


def remember(memory: Path, theme: str) -> None:
    """Stores the theme. A failure is ignored: another user's daemon may own the directory."""
    with contextlib.suppress(OSError):
        memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        memory.write_text(f"{theme}\n", "utf-8")
