"""The command line: one short function per subcommand, which imports what it needs when called.

Exit status: 0 success, 1 the checked thing is bad, 2 a usage or settings error.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wattview import __version__
from wattview.cli import completion
from wattview.cli import terminal as term
from wattview.cli.calibrate.command import calibrate
from wattview.cli.measure.commands import capacity, gate, measure, record
from wattview.cli.options import Options, settings, token_files_option
from wattview.cli.results.commands import results
from wattview.cli.run_options import run
from wattview.config import Config

if TYPE_CHECKING:
    from wattview.client import Address

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=term.SafeGroup, context_settings=HELP)
@click.version_option(__version__, prog_name="wattview")
def main() -> None:
    """Power, cost, carbon and quality of every live stream, container and test scenario.

    \b
    Start here:
      wattview up                  the dashboard, with everything it needs
      wattview run                 measure one 720p stream for a minute
      wattview doctor              what works on this machine, and how to fix the rest
    """
    # httpx imports its own command line if rich is installed (the dashboard needs rich): 3 MB and 30 ms for nothing.
    # With this entry it behaves as if rich were missing.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]


@main.command()
@settings
def daemon(options: Options) -> None:
    """Run the daemon in the foreground.

    It reads all sources and serves the exporters and the control API. SIGTERM stops it, SIGHUP reloads the settings.

    \b
    Example:
      wattview daemon --config /etc/wattview.toml --set daemon.listen=0.0.0.0
    """
    _serve(options)


@main.command()
@click.option(
    "--url",
    "urls",
    multiple=True,
    metavar="URL",
    help="unix:///path or http://host:port (default: the local socket). Several open the fleet page.",
)
@click.option("--prometheus", metavar="URL", help="The fleet page, from this Prometheus or VictoriaMetrics.")
@token_files_option("File with the token for the http:// URLs: one for all, or one for each, in the same order.")
@click.option(
    "--prometheus-token-file",
    "store_token_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File with the store's bearer token, or user:password.",
)
@click.option("--web", is_flag=True, help="Serve the dashboard to a browser on this machine.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8090,
    show_default=True,
    help="Port for --web; 0 picks a free one.",
)
@click.option(
    "--replay",
    metavar="RUN_ID",
    default="",
    shell_complete=completion.run_ids,
    help="Replay a recorded run as if it were live; latest is the newest.",
)
@settings
def tui(
    options: Options,
    urls: tuple[str, ...],
    prometheus: str | None,
    token_files: tuple[Path, ...],
    store_token_file: Path | None,
    web: bool,
    port: int,
    replay: str,
) -> None:
    """Open the dashboard of a running daemon, or the fleet page of several.

    wattview up also starts a daemon if none runs.

    \b
    Examples:
      wattview tui --url http://encoder-7:9700 --token-file ~/.wattview-token
      wattview tui --url http://encoder-1:9700 --url http://encoder-2:9700 --token-file ~/.wattview-token
      wattview tui --prometheus http://metrics:8428
      wattview tui --web --port 8090
      wattview tui --replay 20261124_073309
    """
    from wattview.cli.attach import addresses, check_url, read_secret, socket_url

    config = options.config()
    daemons = addresses(urls or ([] if prometheus else [socket_url(config)]), token_files, config.http.ca_file)
    secret = read_secret(store_token_file) if store_token_file is not None else ""
    if prometheus is not None:
        check_url(prometheus)
    if replay and (prometheus is not None or len(daemons) > 1):
        raise click.UsageError("--replay shows a run of one daemon: give one --url")
    if replay:
        replay = _recorded_run(daemons[0], replay)
    if web:
        pairs = [("--url", url) for url in urls] + [("--token-file", str(path.absolute())) for path in token_files]
        pairs += [("--prometheus", prometheus)] if prometheus else []
        pairs += [("--replay", replay)] if replay else []
        pairs += [("--prometheus-token-file", str(store_token_file.absolute()))] if store_token_file else []
        _serve_web([*options.arguments(), *(part for pair in pairs for part in pair)], port)
        return
    term.needs_terminal("wattview tui --web shows it in a browser, and wattview results prints")
    if prometheus is not None or len(daemons) > 1:
        from wattview.fleet import FleetStore
        from wattview.tui.fleet.app import run as run_fleet

        ca_file = config.http.ca_file
        store = FleetStore(prometheus, secret, ca_file=ca_file) if prometheus is not None else None
        sys.exit(run_fleet(daemons, config.tui, store))
    from wattview.tui.app import run as run_dashboard

    address = daemons[0]
    sys.exit(run_dashboard(address.url, address.token, config.tui, replay, address.ca_file, memory=_theme(config)))


@main.command()
@click.option("--headless", is_flag=True, help="No dashboard: daemon and media server in the foreground.")
@settings
def up(options: Options, headless: bool) -> None:
    """Open the dashboard, with everything it needs.

    Starts a daemon and a media server if none runs, and ends them with the dashboard.

    \b
    Example:
      wattview up --set cost.energy_per_kwh=0.31 --set cost.currency=EUR
    """
    if headless:
        _serve(options, "streams.managed=auto")
        return
    from wattview.cli.attach import daemon_for, running, socket_url

    config = options.config("streams.managed=auto")
    term.needs_terminal("wattview up --headless needs none")
    attached = running(config) is not None
    with daemon_for(config, options.arguments()) as reached:
        from wattview.tui.app import run as run_dashboard

        url = socket_url(reached)
        status = run_dashboard(url, settings=config.tui, owns_daemon=not attached, memory=_theme(config))
    sys.exit(status)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--timeout", "timeout_seconds", type=float, default=10.0, show_default=True, metavar="SECONDS", help="Per exporter."
)
@click.option("--debug", is_flag=True, help="Show what each exporter answered.")
@settings
def check(options: Options, as_json: bool, timeout_seconds: float, debug: bool) -> None:
    """Scrape every exporter and report its health. Exit status 1 if one is unhealthy.

    \b
    Example:
      wattview check --timeout 2 --json
    """
    from wattview.cli.check import check_exporters

    sys.exit(0 if asyncio.run(check_exporters(options.config(), as_json, timeout_seconds, debug)) else 1)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--alone", is_flag=True, help="Check with your settings, not with those of a running daemon.")
@click.option("--meters", metavar="NETWORK", help="Only search this network for power meters, e.g. 192.0.2.0/28.")
@settings
def doctor(options: Options, as_json: bool, alone: bool, meters: str | None) -> None:
    """Check each source, and say how to fix those that do not work. Exit status 1 if one is broken.

    \b
    Example:
      wattview doctor
      wattview doctor --alone --set docker.host=unix:///run/podman/podman.sock
    """
    from wattview.cli.doctor import run_doctor

    sys.exit(0 if asyncio.run(run_doctor(options.config(), as_json, alone, meters)) else 1)


@main.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def print_completion(shell: str) -> None:
    """Print the completion script for a shell.

    It completes commands, options, run ids, encoders, presets and settings.

    \b
    Examples:
      wattview completion bash > ~/.local/share/bash-completion/completions/wattview
      wattview completion zsh > "${fpath[1]}/_wattview"
      wattview completion fish > ~/.config/fish/completions/wattview.fish
    """
    term.say(completion.script(main, shell))


for _command in (calibrate, capacity, gate, measure, record, results, run):
    main.add_command(_command)


def _recorded_run(address: Address, word: str) -> str:
    """The id of the run to replay. Raises click.UsageError if there is none."""
    from wattview.cli.attach import ask_address
    from wattview.cli.results.results_source import UnknownRun, id_of

    try:
        return id_of(word, ask_address(address, lambda client: client.result_ids()))
    except UnknownRun as error:
        raise click.UsageError(f"--replay: {error.message}") from None


def _theme(config: Config) -> Path:
    return Path(config.paths.state) / "theme"


def _serve_web(arguments: list[str], port: int) -> None:
    try:
        from wattview.cli.web import serve_web
    except ImportError as error:
        how = f"in the folder of WattView's clone run: {sys.executable} -m pip install '.[web]'"
        raise click.ClickException(f"--web needs more ({error}); {how}") from None
    serve_web(arguments, port)


def _serve(options: Options, *defaults: str) -> None:
    import logging
    import signal

    # A reload before the daemon handles it would end the process, and the settings are read after that.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    from wattview.cli.log_lines import LogLines
    from wattview.daemon.sd_notify import writes_to_the_journal
    from wattview.daemon.service import serve

    config = options.config(*defaults)
    line = "%(levelname)s %(name)s: %(message)s"
    if not writes_to_the_journal(sys.stderr.fileno()):
        line = f"%(asctime)s {line}"
    logging.basicConfig(level=config.daemon.log_level.upper())
    for handler in logging.root.handlers:
        handler.setFormatter(LogLines(line))
        handler.setLevel(config.daemon.log_level.upper())  # the event log has records that are not written here
    for noisy in ("httpx", "httpcore", "docker", "urllib3", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    asyncio.run(serve(lambda: options.config(*defaults)))
