"""Text of a report: untrusted text made safe, and labels shortened to what distinguishes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wattview.foreign_text import clean
from wattview.model.runs import without_addresses

_WORDS = re.compile(
    r"\d+ x|\S+ fps|CRF \S+|GOP \S+ s|buffer \S+ s|no audio|audio \S+|\d+ viewers|not pushed|\S+"
)  # fmt: skip
"""The parts of a setting's label (``comparison.setting_text``)."""


def plain(text: str) -> str:
    """The text with a dot for each unprintable character, and without memory addresses."""
    return without_addresses(clean(text, keep="\n\t"))


def distinct(labels: Sequence[str]) -> tuple[list[str], str]:
    """The labels without their common words, and those words; a label keeps all its words if none would remain."""
    words = [_WORDS.findall(plain(label)) for label in labels]
    if len(set(labels)) < 2:
        return list(labels), ""
    shared = set.intersection(*map(set, words))
    shorter = [" ".join(word for word in own if word not in shared) for own in words]
    if not all(shorter):
        return list(labels), ""
    return shorter, " ".join(word for word in words[0] if word in shared)


def mean_text(mean: float, low: float | None, high: float | None, unit: str) -> str:
    """``31 W ± 2.5``: half of the interval accompanies the mean if it shows in the mean's digits."""
    text = f"{mean:.4g} {unit}".rstrip()
    half = 0.0 if low is None or high is None else (high - low) / 2
    return f"{text} ± {half:.2g}" if half >= 5e-4 * abs(mean) and half else text
