"""The command line: one short function a subcommand. What a subcommand needs is imported when it is called.

Exit status: 0 done, 1 the thing asked about is bad, 2 the command or a setting is wrong.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wattview import __version__
from wattview.config import Config, ConfigError, load

if TYPE_CHECKING:
    from wattview.client import Client

T = TypeVar("T")
Command = Callable[..., Any]

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Options:
    """The settings that a subcommand was given. ``config()`` reads them anew, as a SIGHUP does."""

    def __init__(self, file: Path | None, sets: tuple[str, ...]) -> None:
        self._file = file
        self._sets = sets

    def config(self, *defaults: str) -> Config:
        """The settings in force; ``defaults`` are this subcommand's own, which ``--set`` overrules."""
        return load(self._file, (*defaults, *self._sets))

    def arguments(self) -> list[str]:
        """The same settings as arguments for another ``wattview``."""
        file = ["--config", str(self._file.absolute())] if self._file else []
        return file + [part for text in self._sets for part in ("--set", text)]


def settings(command: Command) -> Command:
    """Adds ``--config`` and ``--set`` to a subcommand, which gets them as its first argument, an ``Options``."""

    def wrapper(config_file: Path | None, sets: tuple[str, ...], **arguments: Any) -> Any:
        try:
            return command(Options(config_file, sets), **arguments)
        except ConfigError as error:
            raise click.UsageError(str(error)) from None

    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    wrapper.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    for option in (
        click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="A setting, e.g. cost.currency=EUR."),
        click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path),
            envvar="WATTVIEW_CONFIG",
            metavar="FILE",
            help="Settings file (TOML).",
        ),
    ):
        wrapper = option(wrapper)
    return wrapper


@click.group(context_settings=HELP)
@click.version_option(__version__, prog_name="wattview")
def main() -> None:
    """Watts, money, carbon and quality of every live stream, container and test scenario.

    \b
    Start here:
      wattview up                  the dashboard, with everything it needs
      wattview run                 measure one 720p stream for a minute
      wattview doctor              what works on this machine, and how to mend the rest
    """


@main.command()
@settings
def daemon(options: Options) -> None:
    """Run all probes, analyses and endpoints in the foreground. SIGTERM stops, SIGHUP re-reads the settings.

    \b
    Example:
      wattview daemon --config /etc/wattview.toml --set daemon.listen=0.0.0.0
    """
    _serve(options)


@main.command()
@click.option("--url", metavar="URL", help="unix:///path or http://host:port (default: the local socket).")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with the token for an http:// URL.")
@settings
def tui(options: Options, url: str | None, token_file: Path | None) -> None:
    """Open the dashboard of a running daemon.

    \b
    Example:
      wattview tui --url http://encoder-7:9700 --token-file ~/.wattview-token
    """
    from wattview.attach import socket_url
    from wattview.tui.app import run as run_dashboard

    token = token_file.read_text().strip() if token_file else ""
    config = options.config()
    sys.exit(run_dashboard(url or socket_url(config), token, config.tui))


@main.command()
@click.option("--headless", is_flag=True, help="No dashboard: daemon and media server in the foreground.")
@settings
def up(options: Options, headless: bool) -> None:
    """Open the dashboard; start a daemon and a media server for as long as it is open, where none runs.

    \b
    Example:
      wattview up --set cost.energy_per_kwh=0.31 --set cost.currency=EUR
    """
    if headless:
        _serve(options, "streams.managed=auto")
        return
    from wattview.attach import DaemonFailed, daemon_for, socket_url

    config = options.config("streams.managed=auto")
    try:
        with daemon_for(config, options.arguments()):
            from wattview.tui.app import run as run_dashboard

            status = run_dashboard(socket_url(config), settings=config.tui)
    except DaemonFailed as error:
        raise click.ClickException(str(error)) from None
    sys.exit(status)


@main.command()
@click.option("--name", help="Name of the scenario.")
@click.option("--streams", type=int, help="Concurrent streams.  [default: 1]")
@click.option("--bitrate", metavar="RATE", help="Video bitrate of each stream, e.g. 2500k.")
@click.option("--resolution", metavar="WxH", help="Picture size, e.g. 1280x720.")
@click.option("--fps", type=int, help="Frames per second.")
@click.option("--duration", type=float, metavar="SECONDS", help="Measured window.  [default: 60]")
@click.option("--warmup", type=float, metavar="SECONDS", help="Time before the measured window.")
@click.option("--cooldown", type=float, metavar="SECONDS", help="Time after it.")
@click.option("--source", metavar="NAME", help="testsrc2, or a file in the media directory.")
@click.option("--preset", metavar="NAME", help="Encoder preset, e.g. veryfast.")
@click.option("--encoder", metavar="NAME", help="libx264, libx265, libsvtav1, h264_nvenc, …  [default: libx264]")
@click.option("--viewers", type=int, help="Players that pull each stream.  [default: 0]")
@click.option("--no-quality", is_flag=True, help="Do not compute VMAF, PSNR and SSIM.")
@click.option("--baseline", type=float, metavar="SECONDS", help="Idle window before it; 0 for none.  [default: 20]")
@click.option("--baseline-after", is_flag=True, help="The same idle window again at the end, so that drift shows.")
@click.option("--repeat", type=int, metavar="TIMES", help="Measure everything so often, for intervals.  [default: 1]")
@click.option("--pause", type=float, metavar="SECONDS", help="Idle time between two scenarios.")
@click.option("--suite", type=click.Path(path_type=Path), metavar="FILE", help="Scenarios from a TOML or JSON file.")
@click.option("--json", "as_json", is_flag=True, help="Print the analysed result as JSON.")
@settings
def run(options: Options, **asked: Any) -> None:
    """Run scenarios through the daemon, with a progress bar. Starts a daemon where none runs.

    \b
    Examples:
      wattview run --name quick --streams 1 --duration 60
      wattview run --streams 4 --bitrate 5M --resolution 1920x1080 --repeat 3
      wattview run --suite nightly.toml --baseline-after --json
    """
    from wattview.attach import DaemonFailed, daemon_for
    from wattview.commands.run import read_request, run_scenarios

    as_json, suite = asked.pop("as_json"), asked.pop("suite")
    request = read_request(suite, asked)
    config = options.config("streams.managed=auto")
    try:
        with daemon_for(config, options.arguments()):
            ok = _with_client(config, lambda client: run_scenarios(client, request, as_json))
    except DaemonFailed as error:
        raise click.ClickException(str(error)) from None
    sys.exit(0 if ok else 1)


@main.group(invoke_without_command=True)
@click.pass_context
def results(context: click.Context) -> None:
    """List runs; show and compare what they cost and what they are worth; advise; export.

    \b
    Examples:
      wattview results
      wattview results show 20261124_101500
      wattview results compare 20261124_101500 20261124_111500
      wattview results advise --vmaf 93 --streams 4
      wattview results export --format html --output report.html
    """
    if context.invoked_subcommand is None:
        context.invoke(list_results)


@results.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
def list_results(options: Options, as_json: bool) -> None:
    """List all results files, newest first.

    \b
    Example:
      wattview results list --json
    """
    from wattview.commands.results import print_list, read_results

    print_list(asyncio.run(read_results(options.config())), as_json)


@results.command("show")
@click.argument("id", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
def show_result(options: Options, id: str | None, as_json: bool) -> None:
    """Show one run (the latest, where none is named) with every figure and the reason for each that is missing.

    \b
    Example:
      wattview results show 20261124_101500
    """
    from wattview.commands.results import print_result, read_result

    print_result(asyncio.run(read_result(options.config(), id)), as_json)


@results.command("compare")
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
def compare_results(options: Options, a: str, b: str, as_json: bool) -> None:
    """Compare run B with run A, setting by setting.

    Where a setting was repeated in both runs, every difference has its 95 % interval and a plain verdict.

    \b
    Example:
      wattview results compare 20261124_101500 20261124_111500
    """
    from wattview.commands.compare import print_comparison
    from wattview.commands.results import read_results

    first, second = asyncio.run(read_results(options.config(), (a, b)))
    print_comparison(first, second, as_json)


@results.command("advise")
@click.argument("ids", nargs=-1)
@click.option("--vmaf", type=float, metavar="SCORE", help="VMAF that is good enough, e.g. 93.")
@click.option("--qoe", type=float, metavar="SCORE", help="QoE score (1 to 5) that is good enough.")
@click.option("--streams", type=int, metavar="N", help="Concurrent streams that are needed.")
@click.option("--at-most", type=float, metavar="NUMBER", help="The most that the objective itself may be.")
@click.option(
    "--objective",
    type=click.Choice(["energy", "power", "cost", "carbon"]),
    default="energy",
    show_default=True,
    help="What is to be low: power above the baseline per stream, power of the host, cost or carbon of a stream-hour.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
def advise_results(
    options: Options, ids: tuple[str, ...], objective: str, as_json: bool, at_most: float | None, **wanted: Any
) -> None:
    """Name the cheapest measured setting that is good enough, and by how much it beats the others.

    Takes all runs, or those that are named. Exit status 1 where no measured setting meets the target.

    \b
    Example:
      wattview results advise --vmaf 93 --streams 4 --objective cost
    """
    from wattview.analysis.advice import WORDS, Target
    from wattview.commands.advise import print_advice
    from wattview.commands.results import read_results

    target = Target(**{f"{name}_at_least": value for name, value in wanted.items()}, most=at_most)
    runs = asyncio.run(read_results(options.config(), ids))
    sys.exit(0 if print_advice(runs, target, WORDS[objective], as_json) else 1)


@results.command("export")
@click.argument("ids", nargs=-1)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["json", "csv", "parquet", "html"]),
    default="json",
    show_default=True,
    help="As what; html is a report with pictures.",
)
@click.option("--output", type=click.Path(path_type=Path), help="File to write (default: standard output).")
@settings
def export_results(options: Options, ids: tuple[str, ...], kind: str, output: Path | None) -> None:
    """Export runs (all, where none is named).

    The HTML report is one file with its pictures inside, to be sent to a colleague.

    \b
    Examples:
      wattview results export --format csv > results.csv
      wattview results export 20261124_101500 --format html --output report.html
    """
    from wattview.commands.export import export

    data = asyncio.run(export(options.config(), ids, kind))
    if output is None:
        sys.stdout.buffer.write(data)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise click.ClickException(f"{output}: {error.strerror}") from None


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--timeout", "timeout_seconds", type=float, default=10.0, show_default=True, help="Seconds for each.")
@click.option("--debug", is_flag=True, help="Say what each exporter answered.")
@settings
def check(options: Options, as_json: bool, timeout_seconds: float, debug: bool) -> None:
    """Fetch every exporter and say which is healthy. Exit status 1 where one is not.

    \b
    Example:
      wattview check --timeout 2 --json
    """
    from wattview.commands.check import check_exporters

    sys.exit(0 if asyncio.run(check_exporters(options.config(), as_json, timeout_seconds, debug)) else 1)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings
def doctor(options: Options, as_json: bool) -> None:
    """Say of each source whether it works here, and what would mend it. Exit status 1 where one is broken.

    \b
    Example:
      wattview doctor
    """
    from wattview.commands.doctor import run_doctor

    sys.exit(0 if asyncio.run(run_doctor(options.config(), as_json)) else 1)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Example:
      wattview completion bash > ~/.local/share/bash-completion/completions/wattview
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(main, {}, "wattview", "_WATTVIEW_COMPLETE").source())


def _serve(options: Options, *defaults: str) -> None:
    import logging

    from wattview.daemon.service import DaemonError, serve

    config = options.config(*defaults)
    logging.basicConfig(level=config.daemon.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("httpx", "httpcore", "docker", "urllib3", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        asyncio.run(serve(lambda: options.config(*defaults)))
    except DaemonError as error:
        raise click.ClickException(str(error)) from None


def _with_client(config: Config, use: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    from wattview.attach import socket_url
    from wattview.client import Client, ClientError

    async def call() -> T:
        async with Client(socket_url(config)) as client:
            return await use(client)

    try:
        return asyncio.run(call())
    except ClientError as error:
        raise click.ClickException(str(error)) from None
