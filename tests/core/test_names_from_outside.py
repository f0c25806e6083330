"""Container names, stream names and fields of results files may hold anything: no medium obeys it."""

from __future__ import annotations

import csv
import io
import json
import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.core.conftest import Call
from tests.support.dashboard import ScriptedDaemon, scripted
from tests.support.hostile_text import EVIL, HOSTILE, obeyed, with_hostile_text
from tests.support.measured_runs import baseline, scenario, write_runs
from tests.support.sweep import sweep
from wattview.cli.commands import main
from wattview.cli.log_lines import LogLines
from wattview.cli.terminal import bad, cells, fit, say
from wattview.foreign_text import clean, csv_cell, json_escaped
from wattview.model import Finding, RunResult


def coloured(*arguments: str) -> str:
    """All that a command prints to a terminal that has colours; it may fail, and has no traceback."""
    done = CliRunner().invoke(main, list(arguments), color=True)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    return done.output


LATER = "20260101_140000"
"""A run with the settings of the first of ``hostile_runs``, at more power."""


@pytest.fixture
def hostile_runs(call: Call, state: Path) -> tuple[str, str]:
    first, second = "20260101_120000", "20260101_130000"
    fields = {"notes": [EVIL], "source": EVIL, "encoder_version": EVIL, "host": EVIL}

    def named(more: float = 0.0) -> list[dict[str, object]]:
        return [
            scenario(
                f"{EVIL} #{at}", 50.0 + at + more, setting=EVIL, repeat=at, encoder=EVIL, vmaf_score=90.0 + at, **fields
            )
            for at in (1, 2, 3)
        ]

    rates = [
        scenario(f"{EVIL} {rate}", 50.0 + rate, bitrate=f"{rate}000k", vmaf_score=80.0 + rate, preset=EVIL)
        for rate in (1, 2, 3, 4)
    ]
    runs = {first: [baseline(), *named()], second: [baseline(), *rates], LATER: [baseline(), *named(9.0)]}
    write_runs(state, runs)
    return first, second


@pytest.mark.parametrize(
    "words",
    ["list", "list --json", "show", "show A", "show A --json", "compare A B", "compare A B --json", "advise --vmaf 85",
     "advise --vmaf 85 --json", "curves", "curves --json", f"curves --first {HOSTILE[0]}", "predict --streams 2",
     "predict --streams 2 --json", "plot A --kind power", "plot A --kind bars", "plot A --kind front",
     "plot B --kind curves", f"show {HOSTILE[1].split()[0]}", "export --format csv",
     "export --format json", "export --format html"],
)  # fmt: skip
def test_results_output_holds_no_terminal_commands(hostile_runs: tuple[str, str], words: str) -> None:
    names = dict(zip("AB", hostile_runs, strict=True))
    said = coloured("results", *(names.get(word, word) for word in words.split()))
    assert said
    assert obeyed(said.replace("\r\n", "\n")) == []


@pytest.mark.parametrize("written", ["", "--json", "--junit FILE", "--markdown FILE"])
@pytest.mark.parametrize("candidate", [LATER, "20260101_130000"])
def test_gate_output_holds_no_terminal_commands(
    hostile_runs: tuple[str, str], tmp_path: Path, candidate: str, written: str
) -> None:
    file = tmp_path / "said"
    options = [str(file) if word == "FILE" else word for word in written.split()]
    said = coloured("gate", hostile_runs[0], candidate, "--max", "energy=+1%", "--allow-missing", *options)
    for text in (said, file.read_text("utf-8") if file.exists() else said):
        assert "owned" in text
        assert obeyed(text) == []


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
def test_the_daemons_answers_are_printed_safely(hostile_daemon: ScriptedDaemon, words: str) -> None:
    said = coloured(*words.split(), "--set", f"daemon.control_socket={hostile_daemon.socket}")
    assert "owned" in said
    assert obeyed(said) == []


def test_check_output_holds_no_terminal_commands(hostile_daemon: ScriptedDaemon, tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_users: {a: $2y$04$abcdefghijklmnopqrstuuSmzb3iUC6ZuBYdyGm9cbdBzXNDaKWyS}\n")
    settings = (f"daemon.control_socket={hostile_daemon.socket}", f"daemon.web_config_file={web}")
    said = coloured("check", *(part for one in settings for part in ("--set", one)))
    assert "owned" in said
    assert obeyed(said) == []


def test_a_runs_headline_holds_no_terminal_commands(hostile_daemon: ScriptedDaemon) -> None:
    hostile_daemon.results = [with_hostile_text(sweep("r"))]

    def end() -> None:
        while not hostile_daemon.posted:
            time.sleep(0.01)
        hostile_daemon.finish(results_id="r", error=EVIL)

    ending = threading.Thread(target=end)
    ending.start()
    said = coloured("run", "--set", f"daemon.control_socket={hostile_daemon.socket}")
    ending.join()
    assert said.count("owned") > 5
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
def test_an_invalid_url_is_one_line_and_status_2(call: Call, url: str, option: str) -> None:
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
def test_any_message_is_free_of_terminal_commands(text: str) -> None:
    assert obeyed(clean(text)) == []
    assert json.loads(json_escaped(json.dumps([text], ensure_ascii=False))) == [text]


def test_colour_markup_in_a_name_is_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    say(bad("\x1b[32mfine\x1b[0m"))
    assert capsys.readouterr().out.strip() == "·[32mfine·[0m"


def test_a_line_of_the_log_is_one_line() -> None:
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "stream %s", "args": (EVIL,)})
    line = LogLines("%(levelname)s %(name)s: %(message)s").format(record)
    assert obeyed(line) == []
    assert "\n" not in line


# lengths


def test_a_long_name_is_cut_at_once() -> None:
    before = time.monotonic()
    for long in ("漢" * 100_000, "a" + "\u0301" * 100_000 + "b" * 100):
        cut = fit(long, 40)
        assert cut.endswith("…")
        assert cells(cut) <= 40
    assert time.monotonic() - before < 2.0


def test_tables_of_a_results_file_with_long_texts_stay_readable(call: Call, state: Path) -> None:
    texts = dict.fromkeys(("source", "encoder", "preset", "encoder_version", "host"), "漢" * 100_000)
    notes = ["note"] * 10_000
    of = [scenario(f"{rate}", 50.0 + rate, bitrate=f"{rate}000k", vmaf_score=80.0, notes=notes, **texts)
          for rate in (1, 2, 3)]  # fmt: skip
    write_runs(state, {"20260101_120000": [baseline(), *of]})
    for words in ("show", "advise --vmaf 85", "curves", "list"):
        assert len(call("results", *words.split()).output) < 300_000, words


def test_a_line_of_the_log_has_a_maximum_length() -> None:
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "stream %s", "args": ("漢" * 100_000,)})
    assert len(LogLines("%(message)s").format(record)) < 10_000
