"""``wattview record``: a window of the running workloads, from now on or in the past, as a result."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from datetime import datetime

import click
from msgspec import Struct

from wattview import times
from wattview.cli import terminal as term
from wattview.cli.results.show import print_result
from wattview.cli.run import follow
from wattview.client import Client, ClientError
from wattview.model import RecordingRequest, Run, RunRequest, RunResult
from wattview.model.quantities import ENERGY, POWER
from wattview.model.scenarios import LONGEST_SECONDS, window

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", re.ASCII)

END_TRIES = 3

MOST_LINES = 20
"""How many workloads and streams are printed by default."""


class Recording(Struct, frozen=True, kw_only=True):
    """The request: a name; seconds from now, or a past window in Unix seconds; and which workloads and streams to print
    (default: all)."""

    name: str
    seconds: float | None = None
    window: tuple[float, float] | None = None
    workloads: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()


def seconds_of(text: str) -> float:
    """``90``, ``90s``, ``10m`` or ``1h30m`` in seconds. Raises click.BadParameter."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise click.BadParameter(f"{text!r} is not a time such as 90s, 10m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    whole = hours * 3600 + minutes * 60 + seconds
    if not 0 < whole <= LONGEST_SECONDS:
        raise click.BadParameter(f"{text!r}: more than 0, at most {term.duration(LONGEST_SECONDS)}")
    return whole


def moment_of(text: str, now: datetime) -> float:
    """``20:00`` (the last one that is over) or ``2026-11-29T20:00`` in this machine's time, as Unix seconds. Raises
    click.BadParameter."""
    try:
        return times.moment_of(text, now.timestamp())
    except times.NoTime:
        raise click.BadParameter(f"{text!r} is not a time such as 20:00 or 2026-11-29T20:00") from None


async def record(client: Client, asked: Recording, as_json: bool) -> bool:
    """Records, and prints who used how much. Ctrl-C ends a recording early and keeps it. True if all is well."""
    run = await (_past(client, asked) if asked.window else _from_now(client, asked))
    if run.results_id is None:
        term.say(term.bad(f"run {run.id} {run.state}: {run.error or 'it left no results'}"), err=True)
        return False
    result = await client.result(run.results_id)
    term.say_found(result, as_json, print_result)
    if not as_json:
        _print_parts(result, asked)
    return run.state == "done"


async def _past(client: Client, asked: Recording) -> Run:
    assert asked.window is not None
    return await client.record_past(RecordingRequest(name=asked.name, start=asked.window[0], end=asked.window[1]))


async def _from_now(client: Client, asked: Recording) -> Run:
    scenario = window(asked.name, "recording", asked.seconds or 0.0)
    run = await client.start_run(RunRequest(scenarios=[scenario]))
    try:
        return await follow(client, run)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        await _ended(client, run.id)
        return await follow(client, await client.run(run.id))


async def _ended(client: Client, run_id: str) -> None:
    """Ends a recording, so that it is kept; aborts it if that cannot be had."""
    for _ in range(END_TRIES):
        try:
            await client.close_window(run_id)
            return
        except ClientError:
            await asyncio.sleep(1.0)
    with contextlib.suppress(ClientError):
        await client.stop_run(run_id)


def _print_parts(result: RunResult, asked: Recording) -> None:
    [one] = result.scenarios[-1:]
    parts = one.record.parts or []
    wanted = {*(("workload", name) for name in asked.workloads), *(("stream", name) for name in asked.streams)}
    missing = wanted - {(part.kind, part.name) for part in parts}
    shown = [part for part in parts if (part.kind, part.name) in wanted] if wanted else parts[:MOST_LINES]
    seconds = one.window_seconds or 0.0
    rows = [
        [
            part.name, part.kind, part.what, term.figure(part.energy_joules),
            term.figure(
                None if part.energy_joules is None or not seconds else part.energy_joules / seconds, POWER.decimals
            ),
            _share(part.energy_joules, one.energy_joules),
        ]
        for part in shown
    ]  # fmt: skip
    if rows:
        idle = any(part.includes_idle for part in shown)
        title = "Energy, idle power included, as it is not known" if idle else "Active energy, above idle"
        term.say(f"\n{title}:\n{term.table(HEADER, rows, right=frozenset({3, 4, 5}), shorten=2)}")
    if not wanted and len(parts) > MOST_LINES:
        term.say(term.quiet(f"and {len(parts) - MOST_LINES} more; wattview results show {result.id} --json has all"))
    for kind, name in sorted(missing):
        term.say(term.bad(f"no {kind} {name} used power in this window"))


HEADER: Sequence[str] = (
    "NAME", "KIND", "WHAT", ENERGY.unit, POWER.title.upper(), "% OF MACHINE",
)  # fmt: skip


def _share(joules: float | None, whole: float | None) -> str:
    return term.figure(100.0 * joules / whole if joules is not None and whole else None)
