"""Text of a report: what came from a file as harmless words, and labels cut to what tells them apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wattview.foreign_text import clean

_ADDRESS = re.compile(r" @ 0x[0-9a-fA-F]+(?=\])")
"""Where FFmpeg's context lies in its memory: ``[libx264 @ 0x55d0c0]``. It differs with every process."""

_WORDS = re.compile(
    r"\d+ x|\S+ fps|CRF \S+|GOP \S+ s|buffer \S+ s|no audio|audio \S+|\d+ viewers|not pushed|\S+"
)  # fmt: skip
"""The parts of a setting's label (``comparison.setting_text``)."""


def plain(text: str) -> str:
    """With a dot for what is no printable character, and without addresses of memory."""
    return _ADDRESS.sub("", clean(text, keep="\n\t"))


def distinct(labels: Sequence[str]) -> tuple[list[str], str]:
    """The labels without the words that all of them have, and these words; all of a label where that leaves nothing."""
    words = [_WORDS.findall(plain(label)) for label in labels]
    if len(set(labels)) < 2:
        return list(labels), ""
    shared = set.intersection(*map(set, words))
    shorter = [" ".join(word for word in own if word not in shared) for own in words]
    if not all(shorter):
        return list(labels), ""
    return shorter, " ".join(word for word in words[0] if word in shared)


def counted(number: int, word: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{number} {word}{'' if number == 1 else 's'}"
