"""What is said of a request that cannot be run: the field, what it takes, and what was given."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from wattview.model import Rendition, RunRequest, Scenario
from wattview.model.run_request import EXPECTED, WrongField, bitrate_text, bits_per_second, run_request


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"scenarios": [{"name": "a", "bitrate": "fast"}]},
         "scenarios[0].bitrate: expected a bitrate such as 2500k or 2.5M, got 'fast'"),
        ({"scenarios": [{"name": "a"}, {"name": "b", "bitrates": ["1M", "much"]}]},
         "scenarios[1].bitrates[1]: expected a bitrate such as 2500k or 2.5M, got 'much'"),
        ({"scenarios": [{"name": "a", "streams": 65}]},
         "scenarios[0].streams: expected a whole number, 1 to 64, got 65"),
        ({"scenarios": [{"name": "a", "encoder": "x264"}]},
         "scenarios[0].encoder: expected one of libx264, libx265, libsvtav1, libaom-av1, libvpx-vp9, h264_nvenc, "
         "hevc_nvenc, av1_nvenc, h264_vaapi, hevc_vaapi, vp9_vaapi, av1_vaapi, h264_qsv, hevc_qsv, vp9_qsv, av1_qsv, "
         "got 'x264'"),
        ({"scenarios": [{"name": "a", "renditions": [{"resolution": "720p"}]}]},
         "scenarios[0].renditions[0].resolution: expected width x height, such as 1280x720, got '720p'"),
        ({"scenarios": [{"name": "a", "renditions": ["720p"]}]},
         "scenarios[0].renditions[0]: expected an object with fields, got '720p'"),
        ({"scenarios": [{"name": "a", "renditions": [{"fps": 30}]}]},
         "scenarios[0].renditions[0].resolution: missing; expected width x height, such as 1280x720"),
        ({"scenarios": [{"name": "a", "bitrat": "1M"}]},
         "scenarios[0].bitrat: no such field; did you mean bitrate?"),
        ({"scenarios": [{"name": "a"}], "repeats": 2}, "repeats: no such field; did you mean repeat?"),
        ({"scenarios": ["a"]}, "scenarios[0]: expected an object with fields, got 'a'"),
        ({"scenarios": []}, "scenarios: expected a list of 1 to 1000 scenarios, got []"),
        ({}, "scenarios: missing; expected a list of 1 to 1000 scenarios"),
        ([], "expected an object with scenarios, got []"),
    ],
)  # fmt: skip
def test_an_error_names_the_field_the_expectation_and_the_value(tree: object, words: str) -> None:
    with pytest.raises(WrongField) as caught:
        run_request(tree)
    assert str(caught.value) == words


def test_every_field_has_words() -> None:
    fields = {*RunRequest.__struct_fields__, *Scenario.__struct_fields__, *Rendition.__struct_fields__}
    assert fields == set(EXPECTED)


def test_stated_bounds_are_the_checked_ones() -> None:
    for kind in (RunRequest, Scenario):
        for field in inspect.type_info(kind).fields:  # type: ignore[attr-defined]
            numeric = next((one for one in _parts(field.type) if isinstance(one, inspect.IntType | inspect.FloatType)),
                           None)  # fmt: skip
            if numeric is not None:
                bounds = [numeric.ge if numeric.ge is not None else numeric.gt, numeric.le]
                said = [float(number) for number in re.findall(r"[0-9]+(?:\.[0-9]+)?", EXPECTED[field.name])]
                assert said == bounds, field.name
                assert ("more than" in EXPECTED[field.name]) == (numeric.gt is not None), field.name


def _parts(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    return tuple(kind.types) if isinstance(kind, inspect.UnionType) else (kind,)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(EXPECTED)), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_whatever_is_sent_is_a_request_or_refused_in_one_line(tree: Any) -> None:
    try:
        asked = run_request(tree)
    except WrongField as error:
        assert "\n" not in str(error)
        assert "`" not in error.message.partition(", got ")[0]
    else:
        assert msgspec.convert(msgspec.to_builtins(asked), RunRequest) == asked


@given(st.sampled_from(sorted(set(EXPECTED) & set(Scenario.__struct_fields__))), JSON)
def test_a_wrong_field_is_named(name: str, value: Any) -> None:
    try:
        run_request({"scenarios": [{"name": "a", name: value}]})
    except WrongField as error:
        assert error.field.startswith(f"scenarios[0].{name}")


@pytest.mark.parametrize(
    ("text", "bits"),
    [("2500k", 2_500_000), ("2.5M", 2_500_000), ("64000", 64_000), ("0.1k", 100), ("1.0000001M", 1_000_000)],
)
def test_bit_rates_mean_what_ffmpeg_takes_them_for(text: str, bits: int) -> None:
    assert bits_per_second(text) == bits


@pytest.mark.parametrize("text", ["", "k", "2500K", "-1k", "1e6", "2500kb", " 1k", "٣k"])
def test_an_invalid_bitrate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="bitrate"):
        bits_per_second(text)


@given(st.integers(min_value=1, max_value=10**10))
def test_a_bitrate_round_trips_through_its_text(bits: int) -> None:
    assert bits_per_second(bitrate_text(bits)) == bits
