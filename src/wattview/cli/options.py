"""The options of every subcommand: ``--config FILE`` and ``--set KEY=VALUE``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from wattview.cli import completion
from wattview.config import Config, ConfigError, load

Command = Callable[..., Any]


VMAF_MODEL = click.option(
    "--vmaf-model",
    metavar="NAME",
    help="hd, phone, 4k, neg, newest, or a version such as vmaf_v0.6.1neg.  [default: scenarios.vmaf_model]",
)


def token_files_option(help_text: str) -> Callable[[Command], Command]:
    """``--token-file``, which may be given several times."""
    path = click.Path(path_type=Path)
    return click.option("--token-file", "token_files", multiple=True, metavar="FILE", type=path, help=help_text)


class Options:
    """The options given to a subcommand. ``config()`` loads the settings again, as for a SIGHUP."""

    def __init__(self, file: Path | None, sets: tuple[str, ...]) -> None:
        self._file = file
        self._sets = sets

    def config(self, *defaults: str) -> Config:
        """The effective settings; ``defaults`` are this subcommand's own, which ``--set`` overrides."""
        config = load(self._file, (*defaults, *self._sets))
        if config.streams.server != "auto":
            from wattview.probes.streams.probe import check_server

            check_server(config.streams)
        return config

    def arguments(self) -> list[str]:
        """The same options as arguments for another ``wattview``."""
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
        click.option(
            "--set",
            "sets",
            multiple=True,
            metavar="KEY=VALUE",
            help="A setting, e.g. cost.currency=EUR.",
            shell_complete=completion.setting,
        ),
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
