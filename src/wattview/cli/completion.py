"""Shell completion: ids of runs, encoders, presets and settings. It runs at every press of Tab, so it imports only the
settings and the words themselves, and contacts no daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
)

_CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "bash": (
        (
            """COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD""",
            """COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1))""",
        ),
        (
            "    local response\n",
            """    local response word words=() glued="" begun=""
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ ${#words[@]} -gt 0 && ( $word == = || -n $glued ) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
        [[ $word == = ]] && glued=1 || glued=""
    done
    if [[ $COMP_WORDBREAKS == *=* && ${words[-1]} == *=* ]]; then
        begun="${words[-1]%=*}="
    fi
""",
        ),
        ("COMPREPLY+=($value)", 'COMPREPLY+=("${value#"$begun"}")'),
        (
            "    return 0\n}",
            "    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n    return 0\n}",
        ),
    ),
    "zsh": (
        ("            _path_files -f\n", "            compset -P '--*='\n            _path_files -f\n"),
        (
            "        compadd -U -V unsorted -a completions\n",
            "        compadd -U -V settings -S '' -- ${(M)completions:#*=}\n"
            "        compadd -U -V unsorted -- ${completions:#*=}\n",
        ),
    ),
    "fish": (
        ('string split "," $completion', 'string split --max 1 "," $completion'),
        ("complete --no-files", "complete --no-files --keep-order"),
        (
            "    for completion",
            "    set -l option (string match --regex -- '^--[^=]*=' (commandline -t));\n\n    for completion",
        ),
        *(
            (f"{finder} $metadata[2]", f"""{finder} $metadata[2] | string replace --regex -- '^' "$option\"""")
            for finder in ("__fish_complete_directories", "__fish_complete_path")
        ),
    ),
}
"""Texts in click's scripts, and their replacements. bash takes ``=`` for the end of a word: the words are put together
again, and what stands before ``=`` is not written twice. No shell writes a space after a setting's ``=``. fish shows
whole descriptions, in our order, and completes files after ``--option=`` as well."""


def script(program: click.Command, shell: str) -> str:
    """The completion script for a shell."""
    kind = get_completion_class(shell)
    assert kind is not None
    text = kind(program, {}, "wattview", "_WATTVIEW_COMPLETE").source()
    for before, after in _CHANGES[shell]:
        assert before in text, f"click's script for {shell} has changed: {before}"
        text = text.replace(before, after)
    return text


class _WholeWords(ShellComplete):
    """Click answers ``--encoder=lib`` with ``libx264``; a shell replaces the whole word."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        found = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("--"):
            for item in found:
                item.value = f"{option}={item.value}" if item.type == "plain" else item.value
        return found


class _Bash(_WholeWords, BashComplete): ...


class _Zsh(_WholeWords, ZshComplete): ...


class _Fish(_WholeWords, FishComplete): ...


for _kind in (_Bash, _Zsh, _Fish):
    add_completion_class(_kind)


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


def setting(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem[Any]]:
    """The keys, each with ``=``; after that the values, where they are few."""
    from wattview.config import Config, choices, flatten

    key, equals, _ = begun.partition("=")
    if equals:
        return _begun(begun, [f"{key}={value}" for value in choices(key)] if key in flatten(Config()) else [])
    return _begun(begun, [f"{key}=" for key in flatten(Config())])


def _begun(begun: str, words: list[str]) -> list[CompletionItem[Any]]:
    return [CompletionItem(word) for word in words if word.startswith(begun)]
