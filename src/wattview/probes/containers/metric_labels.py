"""Containers' labels as metric labels: selection, names and limits.

The selection is cAdvisor's (``store_container_labels``, ``whitelisted_container_labels``). Every series of 8080 carries
all of them, so their number and length are limited.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wattview.config import Docker
from wattview.exposition import label_name
from wattview.model import Container, Fault

MOST_LABELS = 100
LONGEST_VALUE = 1024
"""Maximum length of a label's value."""

MOST_TEXT = 8192
"""Of the values of all labels of a container: with names and escapes, no line is longer than the 64 KiB that our health
check accepts."""

RESTARTS = "container_label_restartcount"
"""cAdvisor's own label, whose name looks like a container label."""


def shown_labels(containers: Iterable[Container], settings: Docker) -> tuple[tuple[str, ...], Fault | None]:
    """The exported labels, by the containers' own names, and a message if some are left out."""
    keys = {key for container in containers for key in container.labels}
    if not settings.store_container_labels:
        keys &= {key.strip() for key in settings.whitelisted_container_labels.split(",")}
    chosen = sorted(keys)[:MOST_LABELS]
    if len(chosen) == len(keys):
        return tuple(chosen), None
    fault = Fault(
        "container labels",
        f"containers have {len(keys)} different labels: metrics show the first {MOST_LABELS} of them by name",
        "choose some: docker.store_container_labels=false, docker.whitelisted_container_labels=NAME,NAME",
    )
    return tuple(chosen), fault


def shown_values(labels: Mapping[str, str], keys: Iterable[str]) -> list[str]:
    """The values of one container's labels, in the order of ``keys``, each cut to what is left of ``MOST_TEXT``."""
    values, left = [], MOST_TEXT
    for key in keys:
        values.append(labels.get(key, "")[: min(LONGEST_VALUE, left)])
        left -= len(values[-1])
    return values


def label_names(keys: Iterable[str]) -> dict[str, str]:
    """The metric label for each container label. If several map to one name (``a.b`` and ``a-b``), the first in sorted
    order keeps it, and the others are numbered as in kube-state-metrics: ``container_label_a_b_conflict2``."""
    names: dict[str, str] = {}
    taken = {RESTARTS}
    for key in sorted(keys):
        plain = name = label_name(key, "container_label_")
        number = 2
        while name in taken:
            name = f"{plain}_conflict{number}"
            number += 1
        taken.add(name)
        names[key] = name
    return names
