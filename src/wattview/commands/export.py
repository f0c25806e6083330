"""``wattview results export``: runs as json, csv, parquet or a report in HTML."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from wattview.model import RunResult
from wattview.terminal import json_text


def export(everything: list[RunResult], kind: str) -> bytes:
    """Runs as json, csv, parquet or html."""
    if kind == "json":
        return json_text(everything).encode() + b"\n"
    if kind == "csv":
        return _csv(everything)
    if kind == "html":
        from wattview.analysis.report import html_report

        return html_report(everything).encode()
    return _parquet(everything)


def _flat(everything: list[RunResult]) -> list[dict[str, Any]]:
    rows = []
    for result in everything:
        for one in result.scenarios:
            row = {"run": result.id, **msgspec.to_builtins(one.record), **msgspec.to_builtins(one)}
            rows.append({key: value for key, value in row.items() if not isinstance(value, list | dict)})
    return rows


def _csv(everything: list[RunResult]) -> bytes:
    import csv
    import io

    rows = _flat(everything)
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(everything: list[RunResult]) -> bytes:
    import io

    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise click.ClickException("parquet needs pyarrow; run: pip install 'wattview[parquet]'") from None
    data = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(_flat(everything)), data)
    return data.getvalue()
