"""The command: its options and output."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from wattview.cli import terminal as term
from wattview.cli.options import Options, settings
from wattview.foreign_text import one_line

if TYPE_CHECKING:
    from wattview.cli.calibrate.session import Plan
    from wattview.client import Client
    from wattview.model.power.calibration import WallCalibration

STEPS = 14


@click.command()
@click.option("--steps", type=click.IntRange(8, 60), default=STEPS, show_default=True, help="Number of load steps.")
@click.option(
    "--step-seconds", type=click.FloatRange(5, 600), metavar="SECONDS",
    help="Length of each step.  [default: 30, more for a slow meter]",
)  # fmt: skip
@click.option("--meter", default="", metavar="NAME", help="Which of several meters, by its name in the settings.")
@click.option("--force", is_flag=True, help="Accept a machine that is not idle; with --import, another model.")
@click.option("--dry-run", is_flag=True, help="Show the steps and how long they take, and do nothing.")
@click.option("--show", is_flag=True, help="Show the calibration in force.")
@click.option("--forget", is_flag=True, help="Remove the calibration in force.")
@click.option(
    "--export",
    "export_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the calibration in force to a file.",
)
@click.option(
    "--import", "import_file", type=click.Path(path_type=Path), metavar="FILE",
    help="Use the calibration of another machine of this model, with a wider ±.",
)  # fmt: skip
@click.option(
    "--instance-type",
    default="",
    metavar="NAME",
    help="With --import or --export: the cloud's name for this machine type.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the calibration as JSON.")
@settings
def calibrate(
    options: Options, export_file: Path | None, import_file: Path | None, show: bool, forget: bool, **asked: Any
) -> None:
    """Calibrate wall power against a meter, to compute it later without one.

    Loads the machine step by step with encoders, and compares the meter with RAPL, GPUs and CPU use. The daemon then
    computes wall power, with its ±, whenever the meter is not connected.

    \b
    Examples:
      wattview calibrate --dry-run
      wattview calibrate --steps 20 --step-seconds 60
      wattview calibrate --export r650.json
      wattview calibrate --import r650.json
    """
    if sum((export_file is not None, import_file is not None, show, forget)) > 1:
        raise click.UsageError("give one of --export, --import, --show and --forget")
    from wattview.cli.attach import ask_daemon

    config = options.config()
    as_json, instance_type = asked["as_json"], asked.pop("instance_type")
    if import_file is not None:
        found = ask_daemon(config, lambda client: _offer(client, import_file, instance_type, asked["force"]))
    elif export_file is not None:
        found = ask_daemon(config, lambda client: client.calibration())
        _write(export_file, found, instance_type)
    elif show:
        found = ask_daemon(config, lambda client: client.calibration())
    elif forget:
        ask_daemon(config, lambda client: client.forget_calibration())
        term.say("the calibration is forgotten")
        return
    else:
        made = ask_daemon(config, lambda client: _calibrate(client, config.scenarios.ffmpeg, **asked))
        if made is None:
            return
        found = made
    term.say(term.json_text(found) if as_json else "\n".join(_lines(found)))


async def _calibrate(
    client: Client, ffmpeg: str, *, steps: int, step_seconds: float | None, meter: str, force: bool, dry_run: bool,
    as_json: bool,
) -> WallCalibration | None:  # fmt: skip
    from wattview.cli.calibrate.session import calibrated, plan_of
    from wattview.model.power.calibration import CalibrationOffer

    plan = await plan_of(client, ffmpeg, steps, step_seconds, meter)
    if dry_run:
        term.say(_plan_text(plan))
        return None
    term.say(f"{len(plan.steps)} steps of {plan.step_seconds:g} s: {term.duration(plan.seconds)}", err=True)
    try:
        found = await calibrated(client, plan, ffmpeg, meter, force=force)
    except asyncio.CancelledError:
        term.say("\nstopped; what was known before is still in force", err=True)
        raise
    return await client.offer_calibration(CalibrationOffer(calibration=found))


async def _offer(client: Client, file: Path, instance_type: str, force: bool) -> WallCalibration:
    from wattview import whole_file
    from wattview.daemon.wall.calibration_file import MAX_BYTES
    from wattview.decoding import UNREADABLE, why_unreadable
    from wattview.model.power.calibration import CalibrationOffer, WallCalibration

    try:
        found = msgspec.json.decode(whole_file.read(file, MAX_BYTES), type=WallCalibration)
    except OSError as error:
        raise click.UsageError(f"--import {file}: {error.strerror}") from None
    except UNREADABLE as error:
        raise click.UsageError(f"--import {file}: no calibration: {why_unreadable(error)}") from None
    offer = CalibrationOffer(calibration=found, imported=True, force=force, instance_type=instance_type)
    return await client.offer_calibration(offer)


def _write(file: Path, calibration: WallCalibration, instance_type: str) -> None:
    from msgspec.structs import replace

    from wattview import whole_file

    if instance_type:
        calibration = replace(calibration, machine=replace(calibration.machine, instance_type=instance_type))
    try:
        whole_file.write(file, msgspec.json.format(msgspec.json.encode(calibration), indent=2), mode=0o644)
    except OSError as error:
        raise click.ClickException(f"--export {file}: {error.strerror}") from None


def _plan_text(plan: Plan) -> str:
    rows = [[str(number), step.words, term.duration(plan.step_seconds)] for number, step in enumerate(plan.steps, 1)]
    table = term.table(["Step", "Load", "Time"], rows, right=frozenset({0, 2}))
    encoders = " and ".join(name for name in (plan.cpu_encoder, plan.gpu_encoder) if name)
    return f"{table}\n\n{term.duration(plan.seconds)} in all, with {encoders}"


def _lines(found: WallCalibration) -> list[str]:
    from wattview.analysis.wall.terms import formula, range_text

    when = datetime.fromtimestamp(found.time, UTC).astimezone()
    made = f"made {when:%Y-%m-%d %H:%M} with the meter {found.meter!r}, {found.steps} steps, {found.windows} windows"
    lines = [
        term.strong(f"wall = {formula(found)}"),
        f"mean error {found.error_percent:.1f} % on steps that were left out, root mean square"
        f" {found.error_watts:.2f} W",
        f"calibrated range: {range_text(found)}",
        f"{one_line(made)}; it was {max(0.0, found.lag_seconds):.1f} s late",
        one_line(f"machine: {found.machine.cpu}, {found.machine.product or found.machine.board or 'of unknown make'}"),
    ]
    if found.imported:
        lines.append("imported from another machine of this model: its ± is wider")
    if found.forced:
        lines.append(term.bad("imported from ANOTHER model of machine, as --force asked"))
    return [*lines, *(term.bad(f"remark: {one_line(remark)}") for remark in found.remarks)]
