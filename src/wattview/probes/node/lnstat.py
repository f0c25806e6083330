"""Counters of the network's caches, by CPU (/proc/net/stat)."""

from __future__ import annotations

import os
import re

from wattview.config import Config
from wattview.exposition import Family, counter, label_name, labels
from wattview.probes.kernel_files import read_once
from wattview.probes.lines import understood

_HEXADECIMAL = re.compile(r"[0-9a-f]{8,16}")


class Lnstat:
    """``node_lnstat_*_total{subsystem,cpu}``."""

    def __init__(self, config: Config) -> None:
        self._root = f"{config.paths.procfs}/net/stat"

    def collect(self) -> list[Family]:
        families: dict[str, Family] = {}
        for file in sorted(os.listdir(self._root)):
            for cpu, counts in enumerate(per_cpu(read_once(f"{self._root}/{file}"), f"net/stat/{file}")):
                for column, count in counts.items():
                    name = f"node_lnstat_{label_name(column)}_total"
                    family = families.setdefault(name, counter(name, "linux network cache stats"))
                    family.add(count, labels(subsystem=file, cpu=str(cpu)))
        return list(families.values())


def per_cpu(data: bytes, file: str) -> list[dict[str, int]]:
    """The counters of each CPU: a line of names, then one line of hexadecimal numbers per CPU."""
    lines = data.decode("ascii", "replace").splitlines()
    width = max((len(words) for line in lines if _is_numbers(words := line.split())), default=0)
    names = next((words for line in lines if len(words := line.split()) == width and _is_names(words)), [])

    def line_of_cpu(line: str) -> dict[str, int] | None:
        words = line.split()
        if words == names:
            return None
        if len(words) != len(names):
            raise ValueError("other columns than the heading's")
        return {name: int(word, 16) for name, word in zip(names, words, strict=True)}

    return understood(lines, line_of_cpu, file)


def _is_names(words: list[str]) -> bool:
    return not _is_numbers(words) and not any(word[0].isdigit() for word in words)


def _is_numbers(words: list[str]) -> bool:
    return bool(words) and all(_HEXADECIMAL.fullmatch(word) for word in words)
