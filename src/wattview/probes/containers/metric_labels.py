"""Containers' labels as labels of metrics: which of them, under which names, and how many at most.

The choice is cAdvisor's (``store_container_labels``, ``whitelisted_container_labels``). Every series of 8080 carries
every one of them, so that their number is bounded, and their length.
"""

from __future__ import annotations

from collections.abc import Iterable

from wattview.config import Docker
from wattview.exposition import label_name
from wattview.model import Container, Fault

MOST_LABELS = 100
LONGEST_VALUE = 1024
"""Characters of a label's value that are shown."""

RESTARTS = "container_label_restartcount"
"""cAdvisor's own label, which looks like a container's."""


def shown_labels(containers: Iterable[Container], settings: Docker) -> tuple[tuple[str, ...], Fault | None]:
    """The labels that metrics show, by the containers' own names for them, and what to say where some are left out."""
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


def label_names(keys: Iterable[str]) -> dict[str, str]:
    """The name of each label in metrics. Of those that come to the same name (``a.b`` and ``a-b``) the first by its own
    name keeps it, and the others are numbered as kube-state-metrics does it: ``container_label_a_b_conflict2``."""
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
