"""The command line as a user without a daemon calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wattview.cli.commands import main

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """``call("results", "list")`` with a state directory of its own and no daemon."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "DOCKER_HOST", "RESULTS_DIR", "PROMETHEUS_URL"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments))

    return invoke


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of ``call``."""
    directory = tmp_path / ".local/state/wattview"
    directory.mkdir(parents=True)
    return directory
