"""``wattview run``: its options. What it does is imported when it is called."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from wattview.cli import completion
from wattview.cli.options import VMAF_MODEL, Options, settings, token_files_option


@click.command()
@click.option("--name", help="Name of the scenario.  [default: its options, such as 2x 1280x720 2500k]")
@click.option("--streams", type=int, help="Concurrent streams.  [default: 1]")
@click.option("--bitrate", metavar="RATE", help="Video bitrate of each stream, e.g. 5M.  [default: 2500k]")
@click.option("--resolution", metavar="WxH", help="Picture size.  [default: 1280x720]")
@click.option("--fps", metavar="RATE", help="Frames per second, e.g. 25, 59.94.  [default: 30]")
@click.option("--duration", type=float, metavar="SECONDS", help="Measured window.  [default: 60]")
@click.option("--warmup", type=float, metavar="SECONDS", help="Time before the measured window.  [default: 5]")
@click.option("--cooldown", type=float, metavar="SECONDS", help="Time after it.  [default: 3]")
@click.option("--source", metavar="NAME", help="A test picture, or a file in the media directory.  [default: testsrc2]")
@click.option(
    "--preset", metavar="NAME", shell_complete=completion.presets, help="Encoder preset.  [default: veryfast]"
)
@click.option(
    "--encoder",
    metavar="NAME",
    shell_complete=completion.encoders,
    help="libx264, libx265, libsvtav1, h264_nvenc, …  [default: libx264]",
)
@click.option("--encoder-args", metavar="ARGS", help="More encoder options, e.g. '-tune film -bf 2'; no files.")
@click.option("--bit-depth", type=int, help="8 or 10.  [default: the source's]")
@click.option("--rate-control", metavar="MODE", help="capped, cbr or crf.  [default: capped]")
@click.option("--crf", type=int, help="Constant quality, with --rate-control crf.")
@click.option("--gop-seconds", type=float, metavar="SECONDS", help="Length of a group of pictures.  [default: 2]")
@click.option("--viewers", type=int, help="Players that pull each stream.  [default: 0]")
@click.option("--push/--no-push", default=None, help="Push the streams to the RTMP server.  [default: push]")
@click.option("--target", metavar="ADDRESS|NAME", help="Push to this SRT, RTSP or RTMP address, or a named one.")
@click.option(
    "--analyze-quality/--no-quality",
    "quality",
    default=None,
    help="Compute VMAF, PSNR and SSIM.  [default: --analyze-quality]",
)
@VMAF_MODEL
@click.option(
    "--baseline", type=float, metavar="SECONDS", help="Idle window before the scenarios; 0 for none.  [default: 20]"
)
@click.option("--baseline-after", is_flag=True, help="Repeat the idle window at the end, to show drift.")
@click.option(
    "--repeat", type=int, metavar="TIMES", help="Repeats of every scenario, for confidence intervals.  [default: 1]"
)
@click.option("--pause", type=float, metavar="SECONDS", help="Idle time between two scenarios.  [default: 0]")
@click.option("--suite", type=click.Path(path_type=Path), metavar="FILE", help="Scenarios from a TOML or JSON file.")
@click.option(
    "--on", "urls", multiple=True, metavar="URL", help="Run on this daemon; give several to compare their machines."
)
@token_files_option("With --on: file with the token: one for all, or one for each URL, in the same order.")
@click.option("--vmaf", type=float, help="With --on: compare only settings that reach this VMAF.")
@click.option("--list-encoders", is_flag=True, help="Print which encoders work on this machine, and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the analysed result as JSON.")
@settings
def run(options: Options, **asked: Any) -> None:
    """Run scenarios through the daemon, with a progress bar. Starts a daemon if none runs.

    \b
    Examples:
      wattview run --name quick --streams 1 --duration 60
      wattview run --streams 4 --bitrate 5M --resolution 1920x1080 --repeat 3
      wattview run --suite nightly.toml --baseline-after --json
      wattview run --suite s.toml --on http://encoder-1:9700 --on http://encoder-2:9700 --token-file ~/.token
    """
    from wattview.cli.attach import addresses, with_daemon
    from wattview.cli.run import print_encoders, read_request, run_scenarios

    if asked.pop("list_encoders"):
        with_daemon(options.config(), options.arguments(), lambda client, _: print_encoders(client))
        return
    as_json, suite, vmaf = asked.pop("as_json"), asked.pop("suite"), asked.pop("vmaf")
    urls, token_files = asked.pop("urls"), asked.pop("token_files")
    request = read_request(suite, asked)
    config = options.config("streams.managed=auto")
    if urls:
        from wattview.cli.measure.several import run_on

        daemons = addresses(urls, token_files, config.http.ca_file)
        sys.exit(0 if asyncio.run(run_on(daemons, request, as_json, vmaf)) else 1)
    if token_files or vmaf is not None:
        raise click.UsageError("--token-file and --vmaf go with --on")
    ok = with_daemon(config, options.arguments(), lambda client, _: run_scenarios(client, request, as_json))
    sys.exit(0 if ok else 1)
