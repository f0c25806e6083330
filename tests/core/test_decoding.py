"""What was written wrongly, in words: whatever reader found it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.config import ConfigError, load
from wattview.decoding import Explained, did_you_mean, mistake, shown, steps, value_at, why_unreadable
from wattview.model.run_request import WrongField, run_request
from wattview.probes import SourceBroken


class Part(msgspec.Struct, forbid_unknown_fields=True):
    size: int
    names: dict[str, int] = {}


class Whole(msgspec.Struct, forbid_unknown_fields=True):
    parts: list[Part] = []
    numbered: dict[int, str] = {}


def why(read: Callable[[], object]) -> str:
    with pytest.raises((ValueError, RecursionError)) as caught:
        read()
    return why_unreadable(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[]", "expected an object, got a list"),
        (b'{"parts": {}}', "parts: expected a list, got an object"),
        (b'{"parts": [{"size": "big"}]}', "parts[0].size: expected a number, got text"),
        (b'{"parts": [{"size": 1, "sise": 2}]}', "parts[0].sise: no such field"),
        (b'{"parts": [{}]}', "parts[0].size: missing"),
        (b'{"parts": [{"size": 1, "names": {"a": null}}]}', "parts[0].names[...]: expected a number, got null"),
        (b'{"numbered": {"x": "y"}}', "numbered: expected a number, got text"),
        (b"{", "not valid JSON: Input data was truncated"),
    ],
)
def test_errors_are_in_words_with_the_path_to_the_value(text: bytes, words: str) -> None:
    assert why(lambda: msgspec.json.decode(text, type=Whole)) == words


def test_every_reader_of_texts_is_explained() -> None:
    assert why(lambda: b"\xff".decode()) == "not UTF-8 text"
    assert why(lambda: json.loads('{\n"a" 1}')) == "not valid JSON: Expecting ':' delimiter at line 2"
    assert why(lambda: tomllib.loads("a = ")).startswith("not valid TOML: ")
    assert why(lambda: msgspec.json.decode(b"[" * 100_000)) == "nested too deeply"
    assert why_unreadable(FileNotFoundError(2, "No such file or directory")) == "No such file or directory"


def test_settings_and_requests_that_are_nested_too_deeply_are_refused_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "wattview.toml"
    file.write_text(f"a = {'[' * 100_000}")
    with pytest.raises(ConfigError, match="nested too deeply"):
        load(file, environ={})
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(file, environ={})


@given(st.lists(st.one_of(st.integers(0, 30), st.from_regex(r"[a-z_]{1,8}", fullmatch=True)), min_size=1))
def test_an_error_path_leads_to_the_value_there(way: list[int | str]) -> None:
    tree: object = "here"
    for step in reversed(way):
        tree = [None] * step + [tree] if isinstance(step, int) else {step: tree}
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in way).lstrip(".")
    assert steps(path) == way
    assert value_at(tree, path) == "here"
    assert value_at(tree, f"{path}.nothing") is None


def test_a_nearly_right_name_is_suggested_and_a_long_value_is_cut() -> None:
    assert did_you_mean("bitrat", ["bitrate", "fps"]) == "; did you mean bitrate?"
    assert did_you_mean("zzz", ["bitrate"]) == ""
    assert len(shown("x" * 500)) == 58


def test_an_error_in_a_multi_line_field_is_found() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"a\nb": 1}, Whole)
    assert mistake(caught.value).path == "a\nb"
    with pytest.raises(WrongField, match="no such field"):
        run_request({"scenarios": [{"name": "x", "fp\ns": 1}]})


@pytest.mark.parametrize("kind", [Explained, SourceBroken])
def test_an_error_that_quotes_megabytes_is_cut(kind: type[Explained] | type[SourceBroken]) -> None:
    error = kind("a" * 10_000_000, "b" * 10_000_000)
    assert (error.reason[:5], error.fix[:5]) == ("aaaaa", "bbbbb")
    assert max(len(text) for text in (error.reason, error.fix, str(error))) < 20_000
