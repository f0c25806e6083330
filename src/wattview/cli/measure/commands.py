"""The subcommands that measure what others run. Their options; what they do is imported when they are called."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from wattview.cli import completion
from wattview.cli.options import VMAF_MODEL, Options, settings
from wattview.model.scenarios import MOST_REPEATS


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--name", "names", multiple=True, metavar="NAME",
              help="Name of the result; with --against one for each command.  [default: the program's]")  # fmt: skip
@click.option("--against", multiple=True, metavar="COMMAND",
              help="Another command, quoted, to interleave with the first; may be repeated.")  # fmt: skip
@click.option(
    "--repeat", type=click.IntRange(1, MOST_REPEATS), default=1, show_default=True, help="Windows to measure."
)
@click.option(
    "--warmup", type=click.IntRange(0, 100), default=0, show_default=True, help="Runs before the first window."
)
@click.option("--baseline", type=click.FloatRange(0, 86400), default=20.0, show_default=True, metavar="SECONDS",
              help="Idle window before all of them; 0 for none.")  # fmt: skip
@click.option("--once", is_flag=True, help="Do not repeat a command of less than 2 s inside a window.")
@click.option("--quality", is_flag=True, help="Compare FFmpeg's output file with its input file.")
@click.option("--reference", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
              help="The source to compare --output with.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="What the command writes, to compare with --reference.")  # fmt: skip
@VMAF_MODEL
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write the analysed result as JSON.")  # fmt: skip
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND …")
@settings
def measure(
    options: Options,
    command: tuple[str, ...],
    names: tuple[str, ...],
    against: tuple[str, ...],
    json_file: Path | None,
    vmaf_model: str | None,
    **asked: Any,
) -> None:
    """Run a command and measure its energy, CPU time, cost and carbon.

    The command uses this terminal; WattView's own output goes to standard error. A command that takes less than 2 s is
    repeated within one window. FFmpeg's speed and frames are read from its -progress. The result is a run like any
    other, for wattview results and wattview gate. The exit status is the command's.

    \b
    Examples:
      wattview measure -- ffmpeg -y -i film.mkv -c:v libx264 -preset slow out.mp4
      wattview measure --repeat 5 --name slow --quality -- ffmpeg -y -i film.mkv -c:v libx264 -preset slow out.mp4
      wattview measure --repeat 8 --name old --name new --against './new.sh in.mkv' -- ./old.sh in.mkv
      wattview measure --baseline 60 -- make -j8
    """
    from wattview.cli.attach import with_daemon
    from wattview.cli.measure.measure import MeasureRequest, check, commands_of
    from wattview.cli.measure.measure import measure as run_measured

    wanted = MeasureRequest(commands=commands_of(command, against, names), **asked)
    check(wanted)
    config = options.config(*([f"scenarios.vmaf_model={vmaf_model}"] if vmaf_model else []))
    status = with_daemon(
        config, options.arguments(), lambda client, reached: run_measured(client, reached, wanted, json_file)
    )
    sys.exit(status)


@click.command()
@click.argument("baseline", shell_complete=completion.runs_or_files)
@click.argument("candidate", shell_complete=completion.runs_or_files, required=False)
@click.option(
    "--max",
    "most",
    multiple=True,
    metavar="NAME=BOUND",
    shell_complete=completion.bounds,
    help="Largest increase, e.g. energy=+1%.",
)
@click.option(
    "--min",
    "least",
    multiple=True,
    metavar="NAME=BOUND",
    shell_complete=completion.bounds,
    help="Largest decrease, e.g. vmaf=-0.5.",
)
@click.option("--run", "suite", type=click.Path(path_type=Path, dir_okay=False), metavar="SUITE",
              help="Measure this suite as the candidate; interleaved, if the baseline is a suite too.")  # fmt: skip
@click.option(
    "--repeat",
    type=click.IntRange(2, MOST_REPEATS),
    default=8,
    show_default=True,
    help="With --run: repeats of every scenario.",
)
@click.option("--allow-missing", is_flag=True, help="Ignore settings that only one of the runs has.")
@click.option("--allow-other-machine", is_flag=True, help="Allow runs of two different machines.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML, for a CI server.")
@click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write a summary for a pull request.")
@settings
def gate(
    options: Options,
    baseline: str,
    candidate: str | None,
    most: tuple[str, ...],
    least: tuple[str, ...],
    suite: Path | None,
    repeat: int,
    **asked: Any,
) -> None:
    """Check a candidate run against a baseline run.

    Exit status 0 if every setting is within all bounds, 1 if one exceeds a bound (both with 95 % confidence), 3 if more
    repeats are needed, and 2 for any other error.

    A run is an id, a prefix of one, or latest; or the path of a results file or of an exported run; RUN:NAME is one of
    its scenarios. A bound is a difference from the baseline's mean, in percent of it or in the figure's unit.

    \b
    Examples:
      wattview gate 20261124_1015 latest --max energy=+1% --min vmaf=-0.5
      wattview gate baseline.json candidate.json --max power=+2% --junit gate.xml
      wattview gate baseline.json --run candidate.toml --max energy=+1%
      wattview gate old.toml --run new.toml --repeat 10 --max energy=+1% --min vmaf=-0.5
      wattview gate latest:old latest:new --max joules_per_execution=+1%
    """
    from wattview.cli.gate import bounds_of, run_gate

    bounds = bounds_of(most, least)
    if (candidate is None) == (suite is None):
        raise click.UsageError("give a CANDIDATE, or --run SUITE to measure one")
    if suite is None:
        assert candidate is not None
        sys.exit(run_gate(options.config(), (baseline, candidate), bounds, **asked))
    from wattview.cli import gate_run
    from wattview.cli.run import read_suite

    config = options.config("streams.managed=auto")
    first = read_suite(Path(baseline)) if gate_run.is_suite(baseline) else None
    second = read_suite(suite)
    words = () if first is not None else (baseline,)
    measure = partial(gate_run.measured, config, options.arguments(), first, second, repeat)
    sys.exit(run_gate(config, words, bounds, measure=measure, **asked))


@click.command()
@click.option("--for", "seconds", metavar="TIME", help="Record from now on, for e.g. 90s, 10m, 1h30m.")
@click.option("--from", "begin", metavar="TIME", help="Start of a past window, e.g. 20:00, 2026-11-29T20:00.")
@click.option("--to", "end", metavar="TIME", help="End of that window.  [default: now]")
@click.option("--name", default="recording", show_default=True, help="Name of the result.")
@click.option("--workload", "workloads", multiple=True, metavar="NAME", help="Print this workload; may be repeated.")
@click.option("--stream", "streams", multiple=True, metavar="APP/NAME", help="Print this stream; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the analysed result as JSON.")
@settings
def record(
    options: Options, seconds: str | None, begin: str | None, end: str | None, as_json: bool, **asked: Any
) -> None:
    """Record a result from whatever is running, without starting anything.

    It has the energy of the machine and of each workload and stream: from now on (--for; Ctrl-C ends it early and keeps
    it), or in the past (--from), as far back as the history goes. The result is a run like any other, for wattview
    results and wattview gate.

    \b
    Examples:
      wattview record --for 10m --name evening
      wattview record --from 20:00 --to 22:00 --name show --stream live/main
    """
    from datetime import datetime

    from wattview.cli.attach import running, with_daemon
    from wattview.cli.measure.record import Recording, moment_of, seconds_of
    from wattview.cli.measure.record import record as run_recording

    if (seconds is None) == (begin is None) or (end is not None and begin is None):
        raise click.UsageError("give --for TIME, or --from TIME [--to TIME]")
    now = datetime.now()
    window = None if begin is None else (moment_of(begin, now), now.timestamp() if end is None else moment_of(end, now))
    if window is not None and window[0] >= window[1]:
        raise click.UsageError(f"--from {begin} is not before --to {end or 'now'}")
    wanted = Recording(seconds=None if seconds is None else seconds_of(seconds), window=window, **asked)
    config = options.config()
    if window is not None and running(config) is None:
        raise click.ClickException("no daemon runs here, so there is no history; start one with: wattview daemon")
    ok = with_daemon(config, options.arguments(), lambda client, _: run_recording(client, wanted, as_json))
    sys.exit(0 if ok else 1)


@click.command()
@click.option("--bitrate", metavar="RATE", default="2500k", show_default=True, help="Video bitrate of each stream.")
@click.option("--resolution", metavar="WxH", default="1280x720", show_default=True, help="Picture size.")
@click.option("--fps", metavar="RATE", default="30", show_default=True, help="Frames per second.")
@click.option("--encoder", metavar="NAME", default="libx264", show_default=True, shell_complete=completion.encoders,
              help="libx264, libx265, h264_nvenc, …")  # fmt: skip
@click.option("--preset", metavar="NAME", default="veryfast", show_default=True, shell_complete=completion.presets,
              help="Encoder preset.")  # fmt: skip
@click.option("--encoder-args", metavar="ARGS", default="", help="More encoder options, e.g. '-tune film'.")
@click.option("--source", metavar="NAME", default="testsrc2", show_default=True,
              help="A test picture, or a file in the media directory.")  # fmt: skip
@click.option("--viewers", type=int, default=0, show_default=True, help="Players that pull each stream.")
@click.option(
    "--duration", type=float, metavar="SECONDS", default=20.0, show_default=True, help="Measured window of each step."
)
@click.option(
    "--warmup", type=float, metavar="SECONDS", default=5.0, show_default=True, help="Run time before each window."
)
@click.option("--baseline", type=float, metavar="SECONDS", default=20.0, show_default=True,
              help="Idle window before the first step; 0 for none.")  # fmt: skip
@click.option("--most", type=click.IntRange(1, 64), default=64, show_default=True, help="Most streams to try.")
@click.option("--push/--no-push", default=True, show_default=True, help="Push the streams to the RTMP server.")
@click.option("--name", default="capacity", show_default=True, help="Name of the scenarios.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
def capacity(options: Options, baseline: float, most: int, as_json: bool, **asked: Any) -> None:
    """Find how many streams fit in real time, and their power.

    Doubles the streams until one falls behind, then bisects. Each step is a run, kept like any other. Exit status 1 if
    not even one stream fits.

    \b
    Examples:
      wattview capacity --resolution 1920x1080 --bitrate 5M --preset medium
      wattview capacity --encoder h264_nvenc --duration 60 --json
    """
    from wattview.cli.attach import with_daemon
    from wattview.cli.measure.capacity import capacity as find_capacity
    from wattview.cli.run import checked

    scenario = {**asked, "cooldown": 1.0, "quality": False}
    [one] = checked({"scenarios": [scenario]}).scenarios
    config = options.config("streams.managed=auto")
    ok = with_daemon(config, options.arguments(), lambda client, _: find_capacity(client, one, baseline, most, as_json))
    sys.exit(0 if ok else 1)
