"""``wattview run``: starts a run in the daemon and follows it to its end."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from wattview.cli import terminal as term
from wattview.cli.headline import headline
from wattview.cli.progress import progress_bars
from wattview.cli.results.show import print_result
from wattview.client import Client, ClientError
from wattview.foreign_text import one_line
from wattview.model import EncoderStatus, Run, RunRequest, Scenario
from wattview.model.run_request import WrongField, run_request

BASELINE_SECONDS = 20.0
POLL_SECONDS = 0.25
WATTS_SECONDS = 2.0
"""How often the daemon's power is requested: each answer is a whole snapshot."""


def read_request(suite: Path | None, asked: dict[str, Any]) -> RunRequest:
    """The run request from the options. Raises click.UsageError that names the option or the field."""
    after = asked.pop("baseline_after") or None
    whole = {name: asked.pop(name) for name in ("baseline", "repeat", "pause")} | {"baseline_after": after}
    whole = {name: value for name, value in whole.items() if value is not None}
    chosen = {name: value for name, value in asked.items() if value is not None}
    if suite is None:
        chosen.setdefault("name", _default_name(chosen))
        return checked({"baseline": BASELINE_SECONDS, **whole, "scenarios": [chosen]})
    if chosen:
        first = next(iter(chosen))
        option = first if first != "quality" else "analyze-quality" if chosen["quality"] else "no-quality"
        raise click.UsageError(f"--suite and --{option} cannot be used together")
    return checked({**msgspec.to_builtins(read_suite(suite)), **whole})


def checked(tree: dict[str, Any]) -> RunRequest:
    try:
        return run_request(tree)
    except WrongField as error:
        option = error.field.rpartition(".")[2].replace("_", "-")
        raise click.UsageError(f"--{option}: {error.message}") from None


def read_suite(path: Path) -> RunRequest:
    """Raises click.UsageError for an invalid suite."""
    from wattview.daemon.lab.suite import load_suite

    try:
        return load_suite(path)
    except WrongField as error:
        raise click.UsageError(f"{path}: {error}") from None


def _default_name(chosen: dict[str, Any]) -> str:
    """``4x 1920x1080 5M slow``: contains the non-default options, to distinguish runs."""
    usual = Scenario(name="-")
    streams = f"{chosen.get('streams', usual.streams)}x"
    parts = [str(chosen.get(field, getattr(usual, field))) for field in ("resolution", "bitrate")]
    return " ".join([streams, *parts, *(str(chosen[field]) for field in ("encoder", "preset") if field in chosen)])


async def print_encoders(client: Client) -> None:
    """The encoders of the daemon's FFmpeg, with their codec, and why one does not work there."""
    for one in await client.encoders():
        state = f"does not work here: {one.reason.partition(' · ')[0]}" if one.reason else "works"
        term.say(f"{one.name:<12} {one.codec:<5} {state}")


async def run_scenarios(client: Client, request: RunRequest, as_json: bool) -> bool:
    """Starts the run, follows it to its end, prints its result. Ctrl-C stops the run. True on success."""
    run = await client.start_run(request)
    if run.pushes_to:
        term.say(f"pushing to {run.pushes_to}", err=True)
    try:
        run = await followed(client, run)
    except asyncio.CancelledError:
        term.say(f"\nstopped run {run.id}; finished scenarios are kept", err=True)
        raise
    if run.results_id is None:
        term.say(term.bad(f"run {run.id} {run.state}: {run.error or 'it has no results'}"), err=True)
        return False
    result = await client.result(run.results_id)
    term.say_found(result, as_json, print_result)
    if not as_json:
        for line in headline(result):
            term.say(term.strong(term.wrap(line, "")))
    if run.error:
        term.say(term.bad(f"run {run.id} {run.state}: {run.error}"), err=True)
    scenarios = [scenario.record for scenario in result.scenarios]
    return run.state == "done" and all(record.status in (None, "done") for record in scenarios)


async def followed(client: Client, run: Run) -> Run:
    """``follow``; whatever interrupts it, such as Ctrl-C, stops the run."""
    try:
        return await follow(client, run)
    except asyncio.CancelledError:
        with contextlib.suppress(ClientError):
            await client.stop_run(run.id)
        raise


async def follow(client: Client, run: Run) -> Run:
    """The run at its end; its progress is shown on standard error."""
    if sys.stderr.isatty():
        return await _follow_with_bar(client, run)
    said = None
    while run.state == "running":
        progress = run.progress
        now = (progress.scenario, progress.phase) if progress else None
        if progress and now != said:
            term.say(one_line(f"{progress.scenario or run.id}: {progress.phase}"), err=True)
            said = now
        await asyncio.sleep(POLL_SECONDS)
        run = await client.run(run.id)
    return run


async def _follow_with_bar(client: Client, run: Run) -> Run:
    with progress_bars() as add:
        show = add(run.id)
        asked = -math.inf
        while run.state == "running":
            if time.monotonic() - asked >= WATTS_SECONDS:
                asked = time.monotonic()
                watts = await _watts(client)
            if progress := run.progress:
                behind = [watts, *live_speed(run.encoders), term.time_left(progress.remaining_seconds)]
                show(progress.fraction, f"{progress.scenario or run.id} · {progress.phase}", "  ".join(behind))
            await asyncio.sleep(POLL_SECONDS)
            run = await client.run(run.id)
    return run


async def _watts(client: Client) -> str:
    """Current power of the machine, with ``~`` for an estimate; a dash if unknown."""
    try:
        power = (await client.snapshot()).machine_power
    except ClientError:
        power = None
    if power is None or power.watts is None:
        return f"{term.UNKNOWN} W"
    return f"{'~' if 'estimated' in power.source else ''}{power.watts:.1f} W"


def live_speed(encoders: Sequence[EncoderStatus]) -> list[str]:
    """FFmpeg's speed and frames per second: of several streams, the slowest."""
    slowest = min((one for one in encoders if one.speed is not None), key=lambda one: one.speed or 0.0, default=None)
    if slowest is None or slowest.speed is None:
        return []
    late = "! " if slowest.behind else ""
    return [f"{late}{slowest.speed:.2f}x", *([f"{slowest.fps:.0f} fps"] if slowest.fps is not None else [])]
