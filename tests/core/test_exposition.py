"""Exposition, judged by the parsers of prometheus_client: what is rendered is what was meant, in both formats."""

from __future__ import annotations

import gzip
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from wattview import exposition
from wattview.exposition import (
    OPENMETRICS,
    TEXT,
    Family,
    accepts_gzip,
    label_name,
    label_text,
    labels,
    negotiate,
    number,
    parse_series,
    render,
    render_zipped,
)

LABEL_VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_a_gauge_and_a_counter_round_trip() -> None:
    power = Family("demo_power_watts", "gauge", "Power.").add(12.5, labels(package="package-0", zone="core"))
    energy = Family("demo_energy_joules_total", "counter", "Energy.").add(1e9 + 0.25, labels(package="package-0"))
    for parse, openmetrics in ((parse_text, False), (parse_openmetrics, True)):
        first, second = parse(render([power, energy], openmetrics).decode())
        assert (first.name, first.type, first.documentation) == ("demo_power_watts", "gauge", "Power.")
        assert first.samples[0].labels == {"package": "package-0", "zone": "core"}
        assert first.samples[0].value == 12.5
        assert second.type == "counter"
        assert second.samples[0].name == "demo_energy_joules_total"
        assert second.samples[0].value == 1e9 + 0.25


def test_a_family_without_samples_is_omitted_and_none_is_not_a_sample() -> None:
    family = Family("demo_watts", "gauge", "Power.").add(None, labels(zone="core"))
    assert render([family]) == b""
    assert render([family], openmetrics=True) == b"# EOF\n"


@pytest.mark.parametrize("module", ["isal.isal_zlib", "no.such.module"], ids=["isal", "Python's own zlib"])
@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_compressed_scrape_is_the_same_text(module: str, openmetrics: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "FAST_ZLIB", module)
    exposition._zlib.cache_clear()
    families = [Family(f"a_{number}", "gauge", "Some help.") for number in range(300)]
    for family in families:
        for name in ("one", "zwei", "três"):
            family.add(number := len(family.samples) / 3, labels(name=name, value=str(number)))
    assert gzip.decompress(render_zipped(families, openmetrics)) == render(families, openmetrics)
    exposition._zlib.cache_clear()


def test_a_counter_known_without_total_keeps_its_name_in_openmetrics() -> None:
    family = Family("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "counter", "Energy.").add(5, "")
    (parsed,) = parse_openmetrics(render([family], openmetrics=True).decode())
    assert (parsed.samples[0].name, parsed.type) == ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "unknown")


def test_a_histogram_keeps_its_suffixed_series() -> None:
    family = Family("demo_seconds", "histogram", "Time.")
    for text, value in (('_bucket{le="1.0"}', 2), ('_bucket{le="+Inf"}', 3), ("_count", 3), ("_sum", 2.5)):
        family.add(value, text)
    for parse, openmetrics in ((parse_text, False), (parse_openmetrics, True)):
        (parsed,) = parse(render([family], openmetrics).decode())
        assert parsed.type == "histogram"
        assert len(parsed.samples) == 4


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True), LABEL_VALUES, max_size=4))
def test_no_label_value_leaves_its_quotes(pairs: dict[str, str]) -> None:
    family = Family("demo", "gauge", "Any.").add(1, label_text(pairs))
    (parsed,) = parse_text(render([family]).decode())
    assert parsed.samples[0].labels == pairs
    if "\r" not in "".join(pairs.values()):
        (parsed,) = parse_openmetrics(render([family], openmetrics=True).decode())
        assert parsed.samples[0].labels == pairs


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True), LABEL_VALUES, max_size=4))
def test_a_series_name_reads_back(pairs: dict[str, str]) -> None:
    assert parse_series("demo_watts" + label_text(pairs)) == ("demo_watts", pairs)


@given(st.text(max_size=40))
def test_a_series_name_is_read_or_refused(text: str) -> None:
    try:
        name, pairs = parse_series(text)
    except ValueError as error:
        assert "not" in str(error)
    else:
        assert text.startswith(name)
        assert isinstance(pairs, dict)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_help_text_is_one_line(text: str) -> None:
    family = Family("demo", "gauge", text).add(1)
    (parsed,) = parse_text(render([family]).decode())
    assert parsed.samples[0].value == 1


@given(st.floats() | st.integers(-(2**63), 2**64))
def test_a_number_reads_back_exactly(value: float) -> None:
    back = float(number(value))
    assert back == float(value) or (math.isnan(back) and math.isnan(value))


def test_a_lone_surrogate_cannot_break_a_scrape() -> None:
    assert render([Family("demo", "gauge", "Any.").add(1, labels(name="a\udce9b"))])


@pytest.mark.parametrize(("text", "name"), [("com.docker.service", "com_docker_service"), ("7up", "_7up")])
def test_label_names(text: str, name: str) -> None:
    assert label_name(text) == name


PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        (PROMETHEUS, OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ('Application/OpenMetrics-Text; Version="1.0.0"; Q=0.5', OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", TEXT),
        ("application/openmetrics-text;q=0.1,text/plain;q=0.9", TEXT),
        ("application/openmetrics-text;q=rubbish", TEXT),
        ("text/html", TEXT),
    ],
)
def test_the_format_is_negotiated(accept: str, content_type: str) -> None:
    assert negotiate(accept)[0] == content_type


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [
        ("gzip", True),
        ("zstd;q=1, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("identity;q=1, gzip; q=0.0", False),
        ("gzip;q=rubbish", False),
        ("zstd, notgzip", False),
        ("", False),
    ],
)
def test_an_answer_is_compressed_for_those_who_take_it(accept_encoding: str, accepted: bool) -> None:
    assert accepts_gzip(accept_encoding) is accepted
