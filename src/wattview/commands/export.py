"""``wattview results export``: runs as json, csv, parquet or a report in HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from wattview.commands.results import named_runs, source_of
from wattview.config import Config
from wattview.model import RunResult
from wattview.terminal import json_text

PARTS = ("efficiency", "net_efficiency", "power_percentile_watts", "playback")
"""Fields of a scenario whose own fields are columns of a table."""


async def export(config: Config, ids: Sequence[str], kind: str) -> bytes:
    """The runs that are named, else all, as json, csv, parquet or html."""
    async with source_of(config) as source:
        runs = await named_runs(source, config, ids)
        if kind == "html":
            from wattview.analysis.report import html_report
            from wattview.daemon.power_curves import power_curves

            return html_report(runs, await power_curves(source.samples, runs)).encode()
    if kind == "json":
        return json_text(runs).encode() + b"\n"
    return _csv(runs) if kind == "csv" else _parquet(runs)


def _flat(everything: list[RunResult]) -> list[dict[str, Any]]:
    """A row a scenario. What has parts of its own (``efficiency``) is a column for each; lists are left out."""
    rows = []
    for result in everything:
        for one in result.scenarios:
            row = {"run": result.id}
            for name, value in (msgspec.to_builtins(one.record) | msgspec.to_builtins(one)).items():
                if isinstance(value, dict) and name in PARTS:
                    row |= {f"{name}_{part}": figure for part, figure in value.items()}
                elif not isinstance(value, list | dict):
                    row[name] = value
            rows.append(row)
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
