# ruff: noqa: ASYNC110
"""A runner with the real FFmpeg on its own settings, and what can be asked of it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from tests.support.ffmpeg import CAPABILITIES, need, until
from wattview.config import Config
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.measured_window import Load
from wattview.daemon.lab.runner import Runner
from wattview.daemon.lab.window_trail import Meters
from wattview.model import Phase, Run, RunRequest, Scenario

SHORT = Scenario(
    name="short", resolution="320x180", bitrate="300k", preset="ultrafast", duration=2.0, warmup=0.5, cooldown=0.2
)


class Bench:
    """A runner on its own settings, and what it told: the times of its marks and the phases it went through."""

    def __init__(
        self,
        config: Config,
        rtmp_url: str | None = None,
        load: Load | None = None,
        meters: Meters | None = None,
        capabilities: Capabilities = CAPABILITIES,
    ) -> None:
        need("ffmpeg", "ffmpeg")
        self.config = config
        self.marks: list[float] = []
        self.phases_at_marks: list[Phase] = []
        self.url = rtmp_url
        self.load = load
        self.meters = meters
        self.capabilities = capabilities
        self.runner = self.make()

    def make(self) -> Runner:
        async def rtmp() -> str | None:
            return self.url

        return Runner(
            self.config,
            rtmp_url=rtmp,
            mark=self.mark,
            power_source=lambda: "rapl",
            state_dir=Path(self.config.paths.state),
            load=self.load,
            meters=self.meters,
            capabilities=self.capabilities,
        )

    async def mark(self) -> None:
        self.marks.append(time.time())
        if self.runner.current and self.runner.current.progress:
            self.phases_at_marks.append(self.runner.current.progress.phase)

    async def run(self, *scenarios: Scenario, **options: Any) -> Run:
        begun = self.runner.start(RunRequest(scenarios=list(scenarios), **options))
        return await self.ended(begun.id)

    async def ended(self, run_id: str) -> Run:
        async with asyncio.timeout(60):
            while self.runner.current is not None:
                await asyncio.sleep(0.02)
        run = self.runner.get(run_id)
        assert run is not None
        return run

    async def phase(self, wanted: Phase, index: int = 0) -> None:
        def there() -> bool:
            current = self.runner.current
            assert current is not None, "the run ended before"
            progress = current.progress
            return progress is not None and (progress.phase, progress.scenario_index) == (wanted, index)

        await until(there, f"the run comes to {wanted}")

    def folder(self, run: Run) -> Path:
        return Path(self.config.paths.state) / "runs" / run.id

    def results(self, run: Run) -> dict:
        return json.loads((Path(self.config.paths.results) / f"test_results_{run.id}.json").read_text("utf-8"))
