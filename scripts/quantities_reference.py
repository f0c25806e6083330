"""Writes docs/quantities.md from the catalogue: ``python scripts/quantities_reference.py``.

``--check`` writes nothing and says by its exit status whether the page is what it would write.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wattview.model.quantities import CURRENCY, QUANTITIES, Quantity

PAGE = Path(__file__).parent.parent / "docs" / "quantities.md"

INTRODUCTION = """\
# Quantities

Every figure of a result, as the dashboard, the command line, reports, CSV files and the exporters show it. The names
are those of the control API and of CSV columns; the API's values are in the base unit at the end of the name.
`scripts/quantities_reference.py` generates this page from `wattview.model.quantities`.
"""


def row(quantity: Quantity) -> str:
    unit = "the currency" if quantity.unit == CURRENCY else quantity.unit
    metrics = ", ".join(f"`{name}`" for name in (quantity.metric, quantity.run_metric) if name)
    return f"| `{quantity.name}` | {quantity.words} | {unit} | {quantity.title} | {metrics} |"


def page() -> str:
    lines = [INTRODUCTION]
    for part in ("Energy", "Quality", "Cost"):
        rows = [row(quantity) for quantity in QUANTITIES.values() if quantity.part == part]
        lines += [f"## {part}", "", "| name | what it is | shown in | column | metrics |", "|---|---|---|---|---|"]
        lines += [*rows, ""]
    return "\n".join(lines)


def main() -> None:
    text = page()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if PAGE.is_file() and PAGE.read_text() == text else f"{PAGE} is not current: run {sys.argv[0]}")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
