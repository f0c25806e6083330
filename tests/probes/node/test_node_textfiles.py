"""Metrics that other programs leave in files, judged by Prometheus' own parser."""

from __future__ import annotations

import logging
import math
import os
import resource
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ConfigFactory
from tests.support.node_exporter import Exposition
from wattview.exposition import render
from wattview.probes import node
from wattview.probes.node import textfile
from wattview.probes.node.textfile import Textfile, parse

NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,9}", fullmatch=True)
LABEL_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(repr),
    st.sampled_from(["+Inf", "-Inf", "NaN", "1e3", ".5", "5.", "-0"]),
)


def escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@st.composite
def samples(draw: st.DrawFn) -> str:
    """A sample's line, with the spaces and the comma that the format leaves free."""
    pairs = draw(st.dictionaries(NAMES, LABEL_TEXT, max_size=3))
    space, comma = draw(st.sampled_from(["", " ", "\t"])), draw(st.sampled_from(["", ","]))
    body = f"{space},{space}".join(f'{name}{space}={space}"{escaped(text)}"' for name, text in pairs.items())
    labels = "{" + space + body + (comma if pairs else "") + space + "}" if pairs or draw(st.booleans()) else ""
    return f"m_{draw(NAMES)}{labels} {draw(VALUES)}"


def ours(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return Exposition(render(parse(text)).decode()).values


def same(one: float, other: float) -> bool:
    return float(one) == float(other) or (math.isnan(one) and math.isnan(other))


@given(st.lists(samples(), max_size=5, unique_by=lambda line: line.split(" ")[0].split("{")[0]))
def test_samples_are_what_prometheus_reads(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    theirs = {
        (sample.name, frozenset((name, value) for name, value in sample.labels.items() if value)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    mine = ours(text)
    assert mine.keys() == theirs.keys()
    assert [key for key in theirs if not same(mine[key], theirs[key])] == []


PIECES = ["# HELP ", "# TYPE ", "a ", "a{", 'b="', '"', "}", ",", " 1", "\n", "gauge", "histogram", "\\", "_sum"]


@given(st.text(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_text_is_families_or_a_ValueError_with_its_line(text: str) -> None:
    try:
        render(parse(text))
    except ValueError as error:
        assert str(error).startswith("line ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a 1 1700000000000\n", "time stamps"),
        ("a 1\na 2\n", "same series twice"),
        ('a{b="1",c="2"} 1\na{c="2",b="1"} 2\n', "same series twice"),
        ('a{b="1",b="2"} 1\n', "same label twice"),
        ("# TYPE a gauge\n# TYPE a wrong\n", "not a metric type"),
        ("a 1\n# TYPE a gauge\n", "after its samples"),
        ("# HELP a x\n# HELP a y\na 1\n", "second HELP"),
        ('a{b="1 1\n', "brace is not closed"),
        ("a{b=1} 1\n", "not a label"),
        ('a{__name__="b"} 1\n', "keeps for itself"),
        ("1a 1\n", "not a metric name"),
        ("a 1_000\n", "not a value"),
        ("a\n", "not a value"),
    ],
)
def test_text_in_another_format_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"line \d+: .*{reason}"):
        parse(text)


def test_help_is_unescaped_once() -> None:
    (family,) = parse("# HELP a one\\ntwo \\\\n three\na 1\n")
    assert family.help == "one\ntwo \\n three"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "textfiles").mkdir()
    return tmp_path / "textfiles"


@pytest.fixture
def collector(directory: Path, make_config: ConfigFactory) -> Textfile:
    return Textfile(make_config(f"node.textfile_directory={directory}"))


def read(collector: Textfile) -> Exposition:
    return Exposition(render(collector.collect()).decode())


def test_a_file_is_read_again_when_it_changes_and_not_otherwise(directory: Path, collector: Textfile) -> None:
    path = directory / "a.prom"
    path.write_text("a 1\n")
    os.utime(path, ns=(0, 5_000_000_000))
    assert read(collector).value("a") == 1
    assert read(collector).value("node_textfile_mtime_seconds", file=str(path)) == 5
    path.write_text("a 2\n")
    assert read(collector).value("a") == 2
    path.unlink()
    assert "a" not in read(collector).names


def test_a_broken_file_is_skipped_and_reported_once(
    directory: Path, collector: Textfile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="wattview.node")
    (directory / "good.prom").write_text("good 1\n")
    (directory / "bad.prom").write_text("bad {\n")
    (directory / "latin.prom").write_bytes(b'latin{a="\xff"} 1\n')
    for _ in range(3):
        found = read(collector)
        assert found.value("good") == 1
        assert found.value("node_textfile_scrape_error") == 1
        assert {Path(labels["file"]).name for labels in found.labels_of("node_textfile_mtime_seconds")} == {"good.prom"}
    assert len(caplog.records) == 2
    (directory / "bad.prom").write_text("bad 1\n")
    (directory / "latin.prom").unlink()
    assert read(collector).value("node_textfile_scrape_error") == 0


def test_a_file_larger_than_the_limit_is_skipped(
    directory: Path, collector: Textfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(textfile, "MAX_BYTES", 10)
    (directory / "good.prom").write_text("good 1\n")
    (directory / "large.prom").write_text("large 1\n" + "#" * 10)
    found = read(collector)
    assert found.value("node_textfile_scrape_error") == 1
    assert (found.value("good"), "large" in found.names) == (1, False)


def test_a_pipe_does_not_block_the_scrape(directory: Path, collector: Textfile) -> None:
    os.mkfifo(directory / "pipe.prom")
    assert read(collector).value("node_textfile_scrape_error") == 1


def test_a_missing_directory_is_an_error_and_no_directory_is_none(
    directory: Path, collector: Textfile, make_config: ConfigFactory
) -> None:
    directory.rmdir()
    assert read(collector).value("node_textfile_scrape_error") == 1
    assert read(Textfile(make_config())).value("node_textfile_scrape_error") == 0


def test_a_pattern_means_several_directories(tmp_path: Path, make_config: ConfigFactory) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.prom").write_text(f"{name} 1\n")
    found = read(Textfile(make_config(f"node.textfile_directory={tmp_path}/[ot]*")))
    assert {"one", "two"} <= found.names


def test_a_family_in_two_files_is_merged_with_the_first_files_help(directory: Path, collector: Textfile) -> None:
    (directory / "1.prom").write_text('# HELP runs_total Runs.\n# TYPE runs_total counter\nruns_total{a="1"} 1\n')
    (directory / "2.prom").write_text('# HELP runs_total Runs.\n# TYPE runs_total counter\nruns_total{a="2"} 2\n')
    (directory / "3.prom").write_text('# HELP runs_total Runs.\n# TYPE runs_total gauge\nruns_total{a="3"} 3\n')
    (directory / "4.prom").write_text('# TYPE runs_total counter\nruns_total{a="1"} 4\n')
    found = read(collector)
    assert {labels["a"]: found.value("runs_total", **labels) for labels in found.labels_of("runs_total")} == {
        "1": 1,
        "2": 2,
    }
    assert found.value("node_textfile_scrape_error") == 1


def test_a_text_file_that_repeats_our_family_is_merged_into_it(directory: Path, make_config: ConfigFactory) -> None:
    (directory / "a.prom").write_text(
        '# TYPE node_load1 gauge\nnode_load1 77\n# TYPE node_os_info gauge\nnode_os_info{name="x",id="y"} 5\n'
    )
    probe = node.NodeProbe(make_config(f"node.textfile_directory={directory}"))
    text = render(node.families(probe.read(collect={"loadavg", "os", "textfile"}))).decode()
    assert text.count("# TYPE node_load1 ") == 1
    found = Exposition(text)
    assert found.value("node_load1") != 77
    assert len(found.labels_of("node_os_info")) == 2


@pytest.mark.parametrize("text", ["x" * 4_000_000, r"\n" * 2_000_000])
def test_a_label_of_any_length_takes_memory_in_proportion_to_it(text: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (family,) = parse(f'x{{a="{text}"}} 1\n')
    assert text in family.samples[0][0]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


def test_a_line_of_any_length_is_read_in_time_that_is_in_proportion_to_it() -> None:
    def seconds(count: int) -> float:
        line = "x{" + ",".join(f'a{at}=""' for at in range(count)) + "} 1\n"
        before = time.thread_time()
        parse(line)
        return time.thread_time() - before

    short = min(seconds(10_000) for _ in range(3))
    assert min(seconds(80_000) for _ in range(3)) < 20 * short
