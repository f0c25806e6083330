"""Container names, stream names and fields of results files may hold anything: no medium obeys it."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.core.conftest import Call
from tests.support.dashboard import ScriptedDaemon, scripted
from tests.support.measured_runs import baseline, scenario, write_runs
from wattview.cli.commands import main
from wattview.cli.log_lines import LogLines
from wattview.cli.terminal import bad, say
from wattview.foreign_text import clean, csv_cell, json_escaped
from wattview.model import Finding, RunResult

HOSTILE = (
    "\x1b]0;owned\x07",  # the window's title
    "\x1b[2J\x1b[31m",  # an empty screen, and red, which is ours too
    "\x9b2J\x90q\x9c",  # the same in C1, and a device control string
    "\x1b]52;c;b3duZWQ=\x1b\\",  # the clipboard
    "\r\nfake: done\b\b\x7f",
    "\u202egpj.exe\u2066\u2069\u200f\u061c",  # the order of text
    "a\u200bb\u200db\u2060\ufeff\u00ad\U000e0041",  # what takes no room
    "\u2028\u2029\x85",  # more line breaks
    "\ufdd1[red]x[/red]",  # our own marks, and markup
)
EVIL = "".join(HOSTILE)
OUR_COLOURS = re.compile(r"\x1b\[(?:0|1|2|31|32)m")


def obeyed(text: str) -> list[str]:
    """What a terminal would obey, or a reader be misled by, but our own colours and line breaks."""
    text = OUR_COLOURS.sub("", text)
    return [one for one in text if one != "\n" and not one.isprintable() and unicodedata.category(one) != "Zs"]


def coloured(*arguments: str) -> str:
    """All that a command prints to a terminal that has colours; it may fail, and has no traceback."""
    done = CliRunner().invoke(main, list(arguments), color=True)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    return done.output


@pytest.fixture
def hostile_runs(call: Call, state: Path) -> tuple[str, str]:
    first, second = "20260101_120000", "20260101_130000"
    fields = {"notes": [EVIL], "source": EVIL, "encoder_version": EVIL, "host": EVIL}
    named = [
        scenario(f"{EVIL} #{at}", 50.0 + at, setting=EVIL, repeat=at, encoder=EVIL, vmaf_score=90.0 + at, **fields)
        for at in (1, 2, 3)
    ]
    rates = [
        scenario(f"{EVIL} {rate}", 50.0 + rate, bitrate=f"{rate}000k", vmaf_score=80.0 + rate, preset=EVIL)
        for rate in (1, 2, 3, 4)
    ]
    write_runs(state, {first: [baseline(), *named], second: [baseline(), *rates]})
    return first, second


@pytest.mark.parametrize(
    "words",
    ["list", "list --json", "show", "show A", "show A --json", "compare A B", "compare A B --json", "advise --vmaf 85",
     "advise --vmaf 85 --json", "curves", "curves --json", f"curves --first {HOSTILE[0]}", "predict --streams 2",
     "predict --streams 2 --json", f"show {HOSTILE[1].split()[0]}", "export --format csv",
     "export --format json", "export --format html"],
)  # fmt: skip
def test_results_say_nothing_that_a_terminal_obeys(hostile_runs: tuple[str, str], words: str) -> None:
    names = dict(zip("AB", hostile_runs, strict=True))
    said = coloured("results", *(names.get(word, word) for word in words.split()))
    assert said
    assert obeyed(said.replace("\r\n", "\n")) == []


def test_json_says_the_same_name_in_escapes(hostile_runs: tuple[str, str]) -> None:
    found = json.loads(coloured("results", "show", hostile_runs[0], "--json"))
    assert found["scenarios"][1]["record"]["setting"] == EVIL


@pytest.fixture
def hostile_daemon(call: Call) -> Iterator[ScriptedDaemon]:
    with tempfile.TemporaryDirectory(prefix="wv") as directory, scripted(Path(directory) / "s") as daemon:
        daemon.findings = [Finding(source="RTMP", state="broken", detail=EVIL, fix=EVIL)]
        exporters = tuple(
            msgspec.structs.replace(one, reason=EVIL, healthy=False, url=EVIL) for one in daemon.now.exporters
        )
        daemon.now = msgspec.structs.replace(daemon.now, exporters=exporters)
        daemon.results = [RunResult(path="", id="r", test_date="", error=EVIL)]
        yield daemon


@pytest.mark.parametrize("words", ["doctor", "doctor --json", "results", "results show r", "results compare r r"])
def test_what_a_daemon_tells_is_printed_safely(hostile_daemon: ScriptedDaemon, words: str) -> None:
    said = coloured(*words.split(), "--set", f"daemon.control_socket={hostile_daemon.socket}")
    assert "owned" in said
    assert obeyed(said) == []


def test_a_run_is_followed_and_refused_safely(hostile_daemon: ScriptedDaemon) -> None:
    hostile_daemon.refuse_runs = (422, {"error": EVIL, "field": "scenarios"})
    said = coloured("run", "--set", f"daemon.control_socket={hostile_daemon.socket}")
    assert "owned" in said
    assert obeyed(said) == []


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://exa mple", "http://a:99999", "http://", "ftp://a", "http://\x1b[31m", "unix:x", "//", "http://a:b",
     "http://user:secret@[", "http://\u202ea", "http://" + "a" * 70_000,  "https://:1", "http://.."],
)  # fmt: skip
@pytest.mark.parametrize("option", ["--url", "--prometheus"])
def test_an_odd_address_is_one_line_and_status_2(call: Call, url: str, option: str) -> None:
    done = CliRunner().invoke(main, ["tui", option, url], color=True)
    assert done.exit_code == 2, done.output[:500]
    assert obeyed(done.output) == []
    assert "secret" not in done.output


# spreadsheets


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "\n=1"]
)
def test_no_cell_is_a_formula(text: str) -> None:
    cell = csv_cell(text)
    assert cell.startswith("'")
    assert obeyed(cell) == []


@pytest.mark.parametrize("value", [-1.5, 0, 1e-9, True, None, "2500k", "a=b", "1280x720", "Łódź – kamera 1", ""])
def test_numbers_and_common_names_stay_as_they_are(value: object) -> None:
    assert csv_cell(value) is value or csv_cell(value) == value


def test_a_table_of_results_is_safe_and_its_numbers_are_numbers(call: Call, state: Path) -> None:
    write_runs(state, {"20260101_120000": [baseline(), scenario("=HYPERLINK(1)", 10.0)]})
    text = call("results", "export", "--format", "csv").stdout
    _, row = csv.DictReader(io.StringIO(text))
    assert row["name"] == "'=HYPERLINK(1)"
    assert float(row["baseline_diff_power_watts"]) == pytest.approx(-10.0)


# the mechanisms


@given(st.text())
def test_what_is_said_holds_no_command_whatever_it_was(text: str) -> None:
    assert obeyed(clean(text)) == []
    assert json.loads(json_escaped(json.dumps([text], ensure_ascii=False))) == [text]


def test_a_colour_in_a_name_is_not_ours(capsys: pytest.CaptureFixture[str]) -> None:
    say(bad("\x1b[32mfine\x1b[0m"))
    assert capsys.readouterr().out.strip() == "·[32mfine·[0m"


def test_a_line_of_the_log_is_one_line() -> None:
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "stream %s", "args": (EVIL,)})
    line = LogLines("%(levelname)s %(name)s: %(message)s").format(record)
    assert obeyed(line) == []
    assert "\n" not in line
