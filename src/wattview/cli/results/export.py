"""``wattview results export``: runs as json, csv, parquet or an HTML report."""

from __future__ import annotations

from collections.abc import Sequence

import click

from wattview.analysis.sweeps.advice import AdviceTarget
from wattview.cli import terminal as term
from wattview.cli.results.results_source import named_runs, source_of
from wattview.config import Config
from wattview.model import RunResult
from wattview.report.result_rows import csv_text, rows_of


async def export(config: Config, ids: Sequence[str], kind: str, target: AdviceTarget | None = None) -> bytes:
    """These runs, else all, as json, csv, parquet or html. ``target`` is that of the report's verdict."""
    async with source_of(config) as source:
        runs = await named_runs(source, config, ids)
        if kind == "html":
            from wattview.daemon.history.power_curves import power_curves
            from wattview.report.html_page import html_report

            return html_report(runs, await power_curves(config, source.samples, runs), target).encode()
    if kind == "json":
        return term.json_text(runs).encode() + b"\n"
    return csv_text(runs).encode() if kind == "csv" else _parquet(runs)


def _parquet(everything: list[RunResult]) -> bytes:
    import io

    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise click.ClickException(
            "parquet needs pyarrow; in the folder of WattView's clone run: pip install '.[parquet]'"
        ) from None
    data = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows_of(everything)), data)
    return data.getvalue()
