"""Writes compose/kubernetes/wattview.yaml, the chart as Helm renders it: ``python scripts/kubernetes_manifest.py``.

``--check`` writes nothing and says by its exit status whether the manifest is what it would write.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import helm_python as helm

DIRECTORY = Path(__file__).parent.parent / "compose" / "kubernetes"
CHART = DIRECTORY / "wattview"
MANIFEST = DIRECTORY / "wattview.yaml"
NAMESPACE = "wattview"

INTRODUCTION = """\
# WattView on every node, with a store and dashboards: kubectl apply --server-side --filename wattview.yaml
# Made by scripts/kubernetes_manifest.py from the chart beside it. Change that, not this.
"""

FIRST = ("namespace.yaml", "access.yaml")
"""The templates whose objects the others need."""


def rendered(values: dict[str, Any]) -> str:
    """The chart as ``helm template`` renders it with these values. Raises HelmRenderError."""
    with helm.Chart.load(CHART) as chart:
        rendering = chart.render(values, name="wattview", namespace=NAMESPACE)
    texts = {Path(path).name: text.strip().removeprefix("---").strip() for path, text in rendering.items()}
    rest = sorted(name for name in texts if name.endswith(".yaml") and name not in FIRST)
    return "\n---\n".join(texts[name] for name in (*FIRST, *rest) if texts[name]) + "\n"


def main() -> None:
    text = INTRODUCTION + rendered({"namespace": {"create": True}})
    if "--check" in sys.argv[1:]:
        is_current = MANIFEST.is_file() and MANIFEST.read_text() == text
        sys.exit(0 if is_current else f"{MANIFEST} is not current: run {sys.argv[0]}")
    MANIFEST.write_text(text)


if __name__ == "__main__":
    main()
