"""``wattview run --on URL --on URL``: one suite on several machines, and which of them does it for the least."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Sequence
from urllib.parse import urlsplit

import click
from msgspec import Struct

from wattview.analysis.sweeps.advice import below_idle
from wattview.analysis.sweeps.comparison import Repeats, repeats_of
from wattview.analysis.windows.energy import NoData
from wattview.analysis.windows.remarks import NOT_IDLE
from wattview.cli import terminal as term
from wattview.cli.attach import PATIENCE_SECONDS
from wattview.cli.progress import progress_bars
from wattview.cli.results.show import ShownSetting
from wattview.cli.run import POLL_SECONDS
from wattview.client import Address, Client, ClientError
from wattview.model import Run, RunRequest, RunResult
from wattview.model.quantities import QUANTITIES
from wattview.report.words import distinct

COLUMNS = (
    "power_mean_watts", "net_watts_per_stream", "vmaf_score", "cost_per_stream_hour", "carbon_grams_per_stream_hour",
)  # fmt: skip

COMPARED = ("net_watts_per_stream", "power_mean_watts", "cost_per_stream_hour", "carbon_grams_per_stream_hour")
"""The figures of the verdicts, where both machines have them."""


OF_A_STREAM = ("net_watts_per_stream", "watts_per_stream", "cost_per_stream_hour", "carbon_grams_per_stream_hour")
"""What one stream takes: joules a second above the idle machine and of the whole one, money and carbon."""


class OnMachine(Struct, frozen=True):
    """A daemon's address as people write it, and its result; None if it has none, for ``reason``."""

    address: str
    result: RunResult | None
    reason: str = ""


async def run_on(addresses: Sequence[Address], request: RunRequest, as_json: bool, vmaf: float | None) -> bool:
    """Runs it everywhere at once, prints a table of all machines and a verdict for each setting. True on success."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(one.url, one.token, PATIENCE_SECONDS, ca_file=one.ca_file))
            for one in addresses
        ]
        names = names_of([one.url for one in addresses])
        runs = await _started(clients, names, request)
        try:
            ended = await _followed(clients, names, runs)
        except asyncio.CancelledError:
            await _stopped(clients, runs)
            term.say("\nstopped everywhere; finished scenarios are kept", err=True)
            raise
        found = [await _result(*each) for each in zip(clients, names, ended, strict=True)]
    if as_json:
        term.say(term.json_text({one.address: one.result for one in found}))
    else:
        print_machines(found, vmaf)
    for one in found:
        if one.reason:
            term.say(term.bad(f"{one.address}: {one.reason}"), err=True)
    return not any(one.reason for one in found)


def names_of(urls: Sequence[str]) -> list[str]:
    """``http://encoder-7:9700`` → ``encoder-7:9700``; the addresses as they are if that names two of them alike."""
    short = [urlsplit(url).netloc or url.rpartition("/")[2] for url in urls]
    return short if len(set(short)) == len(short) else list(urls)


async def _started(clients: Sequence[Client], names: Sequence[str], request: RunRequest) -> list[Run]:
    """On all of them, or on none. Raises click.ClickException with the machine and its reason."""
    runs = await asyncio.gather(*(client.start_run(request) for client in clients), return_exceptions=True)
    failed = [(name, run) for name, run in zip(names, runs, strict=True) if isinstance(run, BaseException)]
    if not failed:
        return [run for run in runs if isinstance(run, Run)]
    started = [(client, run) for client, run in zip(clients, runs, strict=True) if isinstance(run, Run)]
    await _stopped([client for client, _ in started], [run for _, run in started])
    name, error = failed[0]
    if isinstance(error, ClientError):
        raise click.ClickException(f"{name}: {error}; nothing was measured anywhere")
    raise error


async def _stopped(clients: Sequence[Client], runs: Sequence[Run]) -> None:
    for client, run in zip(clients, runs, strict=True):
        with contextlib.suppress(ClientError):
            await client.stop_run(run.id)


async def _followed(clients: Sequence[Client], names: Sequence[str], runs: Sequence[Run]) -> list[Run | str]:
    """Each run at its end, or why it could not be followed. A bar for each, on a terminal."""
    with progress_bars() as add:

        async def follow_one(client: Client, name: str, run: Run) -> Run | str:
            show = add(name)
            try:
                while run.state == "running":
                    if progress := run.progress:
                        words = f"{name} · {progress.scenario or run.id} · {progress.phase}"
                        show(progress.fraction, words, term.time_left(progress.remaining_seconds))
                    await asyncio.sleep(POLL_SECONDS)
                    run = await client.run(run.id)
            except ClientError as error:
                return str(error)
            show(1.0, f"{name} · {run.state}")
            return run

        return await asyncio.gather(*map(follow_one, clients, names, runs))


async def _result(client: Client, name: str, run: Run | str) -> OnMachine:
    if isinstance(run, str):
        return OnMachine(name, None, run)
    reason = f"run {run.id} {run.state}: {run.error}" if run.error or run.state != "done" else ""
    if run.results_id is None:
        return OnMachine(name, None, reason or f"run {run.id} has no results")
    try:
        return OnMachine(name, await client.result(run.results_id), reason)
    except ClientError as error:
        return OnMachine(name, None, str(error))


def print_machines(found: Sequence[OnMachine], vmaf: float | None = None) -> None:
    """The table, a line for each machine and setting, and the verdicts; ``vmaf`` leaves out what looks worse."""
    by_setting: dict[str, list[tuple[str, Repeats]]] = {}
    for one in found:
        for repeats in repeats_of(one.result.scenarios if one.result is not None else []):
            by_setting.setdefault(repeats.label, []).append((one.address, repeats))
    quantities = [QUANTITIES[name] for name in COLUMNS]
    rows = []
    short, shared = distinct(list(by_setting))
    for label, group in zip(short, by_setting.values(), strict=True):
        for number, (address, repeats) in enumerate(group):
            shown = ShownSetting(label, repeats)
            values = [shown.value(quantity) for quantity in quantities]
            cells = [term.figure(value, one.decimals, "", error)
                     for one, (value, error) in zip(quantities, values, strict=True)]  # fmt: skip
            rows.append(["" if number else label, address, *cells, "" if repeats.valid else "NOT REAL TIME"])
    if shared:
        term.say(f"all settings: {shared}")
    header = ["SETTING", "MACHINE", *(quantity.title for quantity in quantities), ""]
    term.say(term.table(header, rows, right=frozenset(range(2, 2 + len(quantities))), shorten=0))
    for one in found:
        scenarios = one.result.scenarios if one.result is not None else []
        for remark in dict.fromkeys(each.remarks[NOT_IDLE] for each in scenarios if NOT_IDLE in each.remarks):
            term.say(term.wrap(f"{one.address}: {remark}"))
    for label, group in by_setting.items():
        for line in verdicts(label, group, vmaf):
            term.say(term.strong(term.wrap(line, "")))
    for line in overall([one for group in by_setting.values() for one in group], vmaf):
        term.say(term.strong(term.wrap(line, "")))


def overall(found: Sequence[tuple[str, Repeats]], vmaf: float | None = None) -> list[str]:
    """Over several settings of one picture: which machine makes such a stream for the least, each with its own best
    setting. A sentence for each figure of ``OF_A_STREAM``; none where one setting was measured."""
    pictures: dict[str, list[tuple[str, Repeats]]] = {}
    for address, repeats in found:
        setting = repeats.setting
        if setting.resolution:
            pictures.setdefault(f"{setting.resolution} {setting.fps or 0:g} fps", []).append((address, repeats))
    said = []
    for picture, group in pictures.items():
        if len({repeats.label for _, repeats in group}) > 1:
            fit = [(address, repeats) for address, repeats in group if repeats.valid and _good(repeats, vmaf)]
            good = "" if vmaf is None else f" of VMAF {vmaf:g} or more"
            said += [line for name in OF_A_STREAM if (line := _best(f"a {picture} stream{good}", fit, name))]
    return said


def _best(what: str, group: Sequence[tuple[str, Repeats]], name: str) -> str:
    """ "" if fewer than two machines have the figure, or their power is of different kinds."""
    quantity = QUANTITIES[name]
    best: dict[str, tuple[float, str]] = {}
    for address, repeats in group:
        if (found := repeats.estimate(name)) is not None and not below_idle(name, found.mean):
            best[address] = min(best.get(address, (math.inf, "")), (found.mean, repeats.label))
    if len(best) < 2 or len({repeats.power_source for _, repeats in group}) > 1:
        return ""
    unit = quantity.unit_in(group[0][1].valid[0].currency)
    (machine, (least, label)), *others = sorted(best.items(), key=lambda each: each[1])
    listed = "; ".join(
        f"{address} {term.figure(quantity.scaled(value), quantity.decimals, unit)} ({other})"
        for address, (value, other) in others
    )
    value = term.figure(quantity.scaled(least), quantity.decimals, unit)
    return f"{what}: {machine} has the least {quantity.words}, {value} ({label}); {listed}"


def verdicts(label: str, group: Sequence[tuple[str, Repeats]], vmaf: float | None = None) -> list[str]:
    """Which machine does a setting for the least, by how much, and how sure that is: a sentence for each figure."""
    fit = [(address, repeats) for address, repeats in group if repeats.valid and _good(repeats, vmaf)]
    if len(fit) < 2:
        left = f" is done in real time{'' if vmaf is None else f' with VMAF {vmaf:g} or more'} by "
        return [f"{label}{left}{fit[0][0] if fit else 'no machine'}"] if len(group) > 1 else []
    said = []
    for name in COMPARED:
        quantity = QUANTITIES[name]
        known = [(address, repeats, found.mean) for address, repeats in fit if (found := repeats.estimate(name))]
        sources = {repeats.power_source for _, repeats, _ in known}
        if len(known) < len(fit) or len(sources) > 1 or any(below_idle(name, each[2]) for each in known):
            continue
        known.sort(key=lambda each: each[2])
        (best, lowest, least), (second, other, more) = known[:2]
        unit = quantity.unit_in(lowest.valid[0].currency)
        by = term.figure(quantity.scaled(more - least), quantity.decimals, unit)
        percent = f" ({100 * (more - least) / more:.0f} %)" if more > 0 else ""
        less = f"{by}{percent} less than {second}{_sure(other, lowest, name)}"
        said.append(f"{label}: {best} has the least {quantity.words}, {less}")
    return said or [f"{label}: the machines cannot be compared, as their power comes from different sources"]


def _good(repeats: Repeats, vmaf: float | None) -> bool:
    if vmaf is None:
        return True
    found = repeats.estimate("vmaf_score")
    return found is not None and found.mean >= vmaf


def _sure(more: Repeats, less: Repeats, name: str) -> str:
    try:
        found = more.less(less, name)
    except NoData:
        return ""
    quantity = QUANTITIES[name]
    if found.differ is None or found.low is None or found.high is None:
        return f"; {found.verdict}"
    low, high = (term.figure(quantity.scaled(value), quantity.decimals) for value in (found.low, found.high))
    return f", 95 % interval {low} to {high}{'' if found.differ else ', not significant'}"
