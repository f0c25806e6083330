"""``wattview results …``: one short function per subcommand; other modules do the work."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from wattview.cli import completion
from wattview.cli import terminal as term
from wattview.cli.options import Options, settings
from wattview.model import EXPORT_FORMATS

MACHINE = click.option(
    "--machine", default="", metavar="NAME", help="Results of this machine (default: the newest run's)."
)


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
@click.pass_context
def results(context: click.Context, options: Options, as_json: bool) -> None:
    """List, show, compare and export results; advise and predict.

    \b
    Examples:
      wattview results
      wattview results show 20261124_101500
      wattview results plot --kind front
      wattview results compare 20261124_101500 20261124_111500
      wattview results advise --vmaf 93 --streams 4
      wattview results curves --first libx264 --second libx265
      wattview results predict --streams 3 --resolution 1280x720
      wattview results export --format html --output report.html
    """
    if context.invoked_subcommand is None:
        context.invoke(list_results, **context.params)
    for name, option in (("as_json", "--json"), ("sets", "--set"), ("config_file", "--config")):
        if context.invoked_subcommand and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} goes after the subcommand: {context.invoked_subcommand} {option} …")


@results.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
def list_results(options: Options, as_json: bool) -> None:
    """List all results files, newest first.

    \b
    Example:
      wattview results list --json
    """
    from wattview.cli.results.listing import print_list
    from wattview.cli.results.results_source import read_results

    term.say_found(asyncio.run(read_results(options.config())), as_json, print_list)


@results.command("show")
@click.argument("id", required=False, shell_complete=completion.run_ids)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
def show_result(options: Options, id: str | None, as_json: bool) -> None:
    """Show every figure of one run (default: the latest).

    Missing figures are listed with the reason.

    \b
    Example:
      wattview results show 20261124_101500
    """
    from wattview.cli.results.results_source import read_result
    from wattview.cli.results.show import print_result

    term.say_found(asyncio.run(read_result(options.config(), id)), as_json, print_result)


@results.command("plot")
@click.argument("id", required=False, shell_complete=completion.run_ids)
@click.option(
    "--kind",
    type=click.Choice(["power", "bars", "curves", "front"]),
    default="power",
    show_default=True,
    help="Power over time; mean power by setting; quality over bitrates; quality against power.",
)
@settings
def plot_result(options: Options, id: str | None, kind: str) -> None:
    """Plot one run (default: the latest) in the terminal.

    \b
    Examples:
      wattview results plot
      wattview results plot 20261124_101500 --kind front
    """
    from wattview.cli.results.plot import plot

    term.say(asyncio.run(plot(options.config(), id, kind)))


@results.command("compare")
@click.argument("a", shell_complete=completion.run_ids)
@click.argument("b", shell_complete=completion.run_ids)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
def compare_results(options: Options, a: str, b: str, as_json: bool) -> None:
    """Compare run B with run A, setting by setting.

    If a setting was repeated in both runs, every difference has a 95 % interval and a verdict.

    \b
    Example:
      wattview results compare 20261124_101500 20261124_111500
    """
    from wattview.cli.results.compare import print_comparison
    from wattview.cli.results.results_source import read_results

    first, second = asyncio.run(read_results(options.config(), (a, b)))
    print_comparison(first, second, as_json)


@results.command("advise")
@click.argument("ids", nargs=-1, shell_complete=completion.run_ids)
@click.option("--vmaf", type=float, metavar="SCORE", help="VMAF that is good enough, e.g. 93.")
@click.option("--qoe", type=float, metavar="SCORE", help="QoE score (1 to 5) that is good enough.")
@click.option("--streams", type=int, metavar="N", help="Concurrent streams needed.")
@click.option("--at-most", type=float, metavar="NUMBER", help="Upper limit of the objective, in its unit.")
@click.option(
    "--objective",
    type=click.Choice(["energy", "power", "cost", "carbon"]),
    default="energy",
    show_default=True,
    help="What to minimise: power above baseline per stream, power of the host, cost or carbon of a stream-hour.",
)
@MACHINE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
def advise_results(
    options: Options,
    ids: tuple[str, ...],
    objective: str,
    machine: str,
    as_json: bool,
    at_most: float | None,
    **wanted: Any,
) -> None:
    """Name the cheapest measured setting that is good enough.

    Shows by how much it beats the others. A setting meets the target if the 95 % intervals of its repeats do,
    and may meet it if they include it. Uses all runs, or those given. Exit status 1 if no measured setting demonstrably
    meets the target.

    \b
    Example:
      wattview results advise --vmaf 93 --streams 4 --objective cost
    """
    from wattview.analysis.sweeps.advice import WORDS, AdviceTarget
    from wattview.cli.results.advise import print_advice
    from wattview.cli.results.results_source import read_results

    target = AdviceTarget(**{f"{name}_at_least": value for name, value in wanted.items()}, most=at_most)
    if wrong := target.wrong():
        field, limits = wrong
        option = "--at-most" if field == "most" else f"--{field.removesuffix('_at_least')}"
        raise click.UsageError(f"{option}: {limits}, not {getattr(target, field):g}")
    runs = asyncio.run(read_results(options.config(), ids))
    sys.exit(0 if print_advice(runs, target, WORDS[objective], machine, as_json) else 1)


@results.command("curves")
@click.argument("ids", nargs=-1, shell_complete=completion.run_ids)
@click.option(
    "--first",
    default="",
    metavar="WORDS",
    shell_complete=completion.encoders,
    help="Reference curves by name, e.g. libx264.",
)
@click.option(
    "--second",
    default="",
    metavar="WORDS",
    shell_complete=completion.encoders,
    help="Curves to compare by name, e.g. 'libx265 fast'.",
)
@click.option(
    "--quality",
    type=click.Choice(["vmaf", "psnr", "ssim"]),
    default="vmaf",
    show_default=True,
    help="Quality metric.",
)
@MACHINE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
def curves_of_results(
    options: Options, ids: tuple[str, ...], first: str, second: str, quality: str, machine: str, as_json: bool
) -> None:
    """Compare encoders by BD-rate, BD-energy and BD-quality.

    A setting measured at three or more bitrates is a curve. Two curves of the same streams and pictures are compared by
    how much more, or less, the second needs at equal quality. Uses all runs, or those given. Exit status 1 if nothing
    can be compared.

    \b
    Example:
      wattview results curves --first libx264 --second libx265
    """
    from wattview.cli.results.curves import print_curves
    from wattview.cli.results.results_source import read_results

    runs = asyncio.run(read_results(options.config(), ids))
    sys.exit(0 if print_curves(runs, first, second, quality, machine, as_json) else 1)


@results.command("predict")
@click.argument("ids", nargs=-1, shell_complete=completion.run_ids)
@click.option("--streams", type=click.IntRange(1), required=True, metavar="N", help="Concurrent streams.")
@click.option(
    "--resolution",
    "resolutions",
    multiple=True,
    metavar="WxH",
    help="Picture size; repeat it for a ladder.  [default: 1280x720]",
)
@click.option("--fps", type=click.FloatRange(1, 240), default=30.0, show_default=True, help="Frames per second.")
@click.option(
    "--bitrate",
    "bitrates",
    multiple=True,
    metavar="RATE",
    help="Video bitrate, e.g. 2500k; one for each rendition of a ladder.  [default: as in the measured settings]",
)
@click.option("--source", default="", metavar="NAME", help="Content: as this measured source.")
@click.option("--si", "spatial", type=click.FloatRange(0), metavar="SI", help="Content: its mean SI (P.910).")
@click.option("--ti", "temporal", type=click.FloatRange(0), metavar="TI", help="Content: its mean TI (P.910).")
@click.option(
    "--encoder",
    default="",
    metavar="NAME",
    shell_complete=completion.encoders,
    help="Use only results of this encoder.",
)
@click.option(
    "--preset",
    default="",
    metavar="NAME",
    shell_complete=completion.presets,
    help="Use only results of this preset.",
)
@click.option("--extrapolate", is_flag=True, help="Extrapolate outside the measured range, and mark it.")
@MACHINE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
def predict_from_results(
    options: Options, ids: tuple[str, ...], resolutions: tuple[str, ...], as_json: bool, **asked: Any
) -> None:
    """Predict the power of a setting between measured ones.

    A fit of power to streams, pixels, bitrate and content. Outside the measured range there is no prediction (exit
    status 1) unless --extrapolate is given.

    \b
    Example:
      wattview results predict --streams 3 --resolution 1280x720 --fps 30 --bitrate 2500k
    """  # fmt: skip
    from wattview.cli.results.predict import print_prediction
    from wattview.cli.results.results_source import read_results
    from wattview.model import Question
    from wattview.model.sweeps import DEFAULT_RESOLUTION

    question = Question(resolutions=resolutions or (DEFAULT_RESOLUTION,), **asked)
    print_prediction(asyncio.run(read_results(options.config(), ids)), question, as_json)


@results.command("export")
@click.argument("ids", nargs=-1, shell_complete=completion.run_ids)
@click.option(
    "--format",
    "kind",
    type=click.Choice([form.name for form in EXPORT_FORMATS]),
    default="json",
    show_default=True,
    help="Format; html is a report with plots.",
)
@click.option("--output", type=click.Path(path_type=Path), help="File to write (default: standard output).")
@click.option(
    "--vmaf",
    type=click.FloatRange(0, 100),
    metavar="SCORE",
    help="VMAF that is good enough, for the verdict of the HTML report.  [default: 90]",
)
@settings
def export_results(options: Options, ids: tuple[str, ...], kind: str, output: Path | None, vmaf: float | None) -> None:
    """Export runs (default: all).

    The HTML report is one self-contained file. It starts with the verdict: which setting reaches the VMAF at the lowest
    power.

    \b
    Examples:
      wattview results export --format csv > results.csv
      wattview results export 20261124_101500 --format html --vmaf 93 --output report.html
    """
    from wattview.analysis.sweeps.advice import AdviceTarget
    from wattview.cli.results.export import export

    target = None if vmaf is None else AdviceTarget(vmaf_at_least=vmaf)
    data = asyncio.run(export(options.config(), ids, kind, target))
    if output is None:
        sys.stdout.buffer.write(data)
        return
    term.write(output, data)
