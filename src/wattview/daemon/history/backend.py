"""The configured history: the embedded SQLite file, or a Prometheus that scrapes the daemon."""

from __future__ import annotations

from pathlib import Path

from wattview.config import Config
from wattview.daemon.history.protocol import History
from wattview.daemon.history.retention import GAP_SECONDS
from wattview.daemon.history.sqlite import SqliteHistory


def open_history(config: Config) -> History:
    """Returns the configured history. Never fails: problems are reported by its first query."""
    if config.history.backend == "prometheus":
        from wattview.daemon.history.prometheus import PrometheusHistory
        from wattview.probes.store import store_access

        return PrometheusHistory(config.history.prometheus_url, access=store_access(config))
    return SqliteHistory(
        Path(config.paths.state) / "history.sqlite",
        config.history.retention_seconds,
        gap_seconds=max(GAP_SECONDS, 3 * config.history.interval_seconds),
    )
