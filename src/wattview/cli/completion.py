"""Shell completion: ids of runs, encoders, presets and settings. It runs at every press of Tab, so it imports only the
settings and the words themselves, and contacts no daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click
from click.shell_completion import CompletionItem, get_completion_class

_SPACES = {
    "bash": (
        "    return 0\n}",
        "    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n    return 0\n}",
    ),
    "zsh": (
        "        compadd -U -V unsorted -a completions\n",
        "        compadd -U -V settings -S '' -- ${(M)completions:#*=}\n"
        "        compadd -U -V unsorted -- ${completions:#*=}\n",
    ),
}  # fmt: skip
"""No space after a setting's ``=``: the text in click's script, and its replacement. fish adds none."""


def script(program: click.Command, shell: str) -> str:
    """The completion script for a shell."""
    kind = get_completion_class(shell)
    assert kind is not None
    text = kind(program, {}, "wattview", "_WATTVIEW_COMPLETE").source()
    return text.replace(*_SPACES[shell]) if shell in _SPACES else text


def run_ids(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem[Any]]:
    """Newest first, and ``latest``."""
    from wattview.config import ConfigError, load
    from wattview.daemon.results_files import stamp_of, stamped

    try:
        config = load(context.params.get("config_file"), context.params.get("sets") or ())
    except ConfigError:
        return []
    stamps = [stamp_of(path) or "" for path in stamped(Path(config.paths.results))]
    return _begun(begun, ["latest", *stamps] if stamps else [])


def runs_or_files(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem[Any]]:
    return run_ids(context, parameter, begun) or [CompletionItem(begun, type="file")]


def bounds(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem[Any]]:
    """The short names of figures, each with ``=``."""
    from wattview.analysis.sweeps.gate_bounds import WORDS

    return _begun(begun, [f"{word}=" for word in WORDS])


def encoders(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem[Any]]:
    from wattview.model import VideoEncoder

    return _begun(begun, list(get_args(VideoEncoder)))


def presets(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem[Any]]:
    """Those of the encoder given earlier on the line; else x264's, which every encoder accepts."""
    from wattview.daemon.lab.encoding.encoder_options import accepts_preset
    from wattview.model import Preset

    encoder = context.params.get("encoder") or "libx264"
    return _begun(begun, [name for name in get_args(Preset) if accepts_preset(encoder, name)])


def setting_keys(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem[Any]]:
    from wattview.config import Config, flatten

    return _begun(begun, [f"{key}=" for key in flatten(Config())])


def _begun(begun: str, words: list[str]) -> list[CompletionItem[Any]]:
    return [CompletionItem(word) for word in words if word.startswith(begun)]
