"""``wattview gate`` as a CI server calls it: by its exit status and the files that it leaves."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.core.conftest import Call
from tests.support.measured_runs import IDLE_WATTS, baseline, record_windows, scenario, write_runs
from wattview.cli import gate
from wattview.client import CallRefused

A, B = "20260101_120000", "20260101_130000"
BOUNDS = ("--max", "power=+1%", "--min", "vmaf=-0.5")
STILL = (49.9, 50.0, 50.1)


def repeats(name: str, *watts: float, **fields: object) -> list[dict[str, object]]:
    return [scenario(f"{name} #{at}", power, setting=name, repeat=at, **fields) for at, power in enumerate(watts, 1)]


def write(state: Path, by: float = 0.0, **fields: object) -> None:
    """A baseline run of three repeats, and a candidate run of the same with so many watts more."""
    before = repeats("fast", *STILL, vmaf_score=93.0)
    after = repeats("fast", *(value + by for value in STILL), **{"vmaf_score": 93.0} | fields)
    write_runs(state, {A: [baseline(), *before], B: [baseline(), *after]})


@pytest.mark.parametrize(("by", "status", "word"), [(0.0, 0, "within"), (0.45, 3, "undecided"), (2.0, 1, "exceeded")])
def test_the_exit_status_is_the_verdict(call: Call, state: Path, by: float, status: int, word: str) -> None:
    write(state, by)
    said = call("gate", A, B, *BOUNDS)
    assert (said.exit_code, said.output.partition(":")[0].partition(" ")[0]) == (status, word)
    as_json = json.loads(call("gate", A, B, *BOUNDS, "--json").stdout)
    assert (as_json["verdict"], as_json["baseline"], as_json["candidate"]) == (word, A, B)


def test_an_undecided_gate_says_how_many_repeats_would_decide(call: Call, state: Path) -> None:
    write(state, 0.45)
    report = json.loads(call("gate", A, B, *BOUNDS, "--json").stdout)
    assert report["repeats_needed"] > 3
    said = call("gate", A, B, *BOUNDS).output
    assert f"--repeat {report['repeats_needed']}" in said


def test_the_summary_and_the_xml_are_written_whatever_the_verdict(call: Call, state: Path, tmp_path: Path) -> None:
    write(state, 2.0)
    junit, markdown = tmp_path / "gate.xml", tmp_path / "gate.md"
    assert call("gate", A, B, *BOUNDS, "--junit", str(junit), "--markdown", str(markdown)).exit_code == 1
    suite = ElementTree.parse(junit).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert markdown.read_text().startswith("### WattView gate: exceeded: 1 of 2 checks")


def test_a_run_may_be_the_beginning_of_an_id_or_the_latest(call: Call, state: Path) -> None:
    write(state, 2.0)
    assert call("gate", "20260101_12", "latest", *BOUNDS).exit_code == 1
    assert call("gate", "latest", B, *BOUNDS).exit_code == 2, "the same run"
    assert call("gate", "2026", "latest", *BOUNDS).exit_code == 2, "the beginning of two"


def test_a_run_may_be_an_exported_file_from_another_machine(call: Call, state: Path, tmp_path: Path) -> None:
    write(state)
    kept = tmp_path / "main.json"
    assert call("results", "export", A, "--output", str(kept)).exit_code == 0
    (state / f"results/test_results_{A}.json").unlink()
    assert call("gate", str(kept), B, *BOUNDS).exit_code == 0


def test_a_run_may_be_a_results_file_anywhere(call: Call, state: Path, tmp_path: Path) -> None:
    """Its energy comes from the history of this machine."""
    write(state, 2.0)
    kept = tmp_path / "main.json"
    shutil.move(state / f"results/test_results_{A}.json", kept)
    assert call("gate", str(kept), B, "--max", "power=+1%").exit_code == 1
    assert call("gate", str(kept), B, "--max", "power=+9%").exit_code == 0


def test_a_runs_folder_is_judged_on_any_machine(call: Call, state: Path, tmp_path: Path) -> None:
    """Archived from its state directory, or as it lies there beside the results of another state directory."""
    write(state, 2.0)
    archive, other = tmp_path / "archive", tmp_path / "other"
    for stamp, watts in ((A, STILL), (B, [value + 2.0 for value in STILL])):
        file = Path(f"test_results_{stamp}.json")
        for folder in (archive / stamp, other / "runs" / stamp):
            folder.mkdir(parents=True)
            shutil.copy(state / "results" / file, folder)
            record_windows(folder / file, [IDLE_WATTS, *watts])
        (other / "results").mkdir(exist_ok=True)
        shutil.move(state / "results" / file, other / "results")
    (state / "history.sqlite").unlink()
    for names in ("archive/{}", "archive/{0}/test_results_{0}.json", "other/results/test_results_{}.json"):
        runs = [str(tmp_path / names.format(stamp)) for stamp in (A, B)]
        assert call("gate", *runs, "--max", "power=+1%").exit_code == 1
        assert call("gate", *runs, "--max", "power=+9%").exit_code == 0
    alone = shutil.copy(other / "results" / f"test_results_{A}.json", tmp_path / "alone.json")
    said = call("gate", str(alone), str(archive / B), "--max", "power=+9%")
    assert (said.exit_code, "wattview results export" in " ".join(said.output.split())) == (3, True)
    refused = call("gate", str(archive), str(archive / B), "--max", "power=+9%")
    assert (refused.exit_code, "has one results file, this one has 0" in refused.output) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        (A, B),
        (A, B, "--max", "speed=+1%"),
        (A, B, "--max", "power=1%"),
        (A, B, "--max", "power=+1%", "--max", "power_mean_watts=+2%"),
        (A, A, *BOUNDS),
        (A, "20990101_000000", *BOUNDS),
        (A, "nowhere/none.json", *BOUNDS),
        (A, "broken.json", *BOUNDS),
        (A, B, *BOUNDS, "--junit", "nowhere/none.xml"),
        (A, B, *BOUNDS, "--set", "cost.pue=zero"),
    ],
    ids=[
        "no bound",
        "no figure",
        "no sign",
        "twice",
        "one run",
        "no run",
        "no file",
        "no results",
        "no room",
        "setting",
    ],
)
def test_a_failed_gate_never_looks_like_an_exceeded_bound(
    call: Call, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    write(state)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    refused = call("gate", *words)
    assert refused.exit_code == 2
    assert refused.output.strip()
    assert "Traceback" not in refused.output


def test_a_refusal_by_the_daemon_is_not_an_exceeded_bound(
    call: Call, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(state)

    async def refuses(*_: object) -> None:
        raise CallRefused("the store does not answer", 503)

    monkeypatch.setattr(gate, "_read", refuses)
    refused = call("gate", A, B, *BOUNDS)
    assert (refused.exit_code, "Error: the store does not answer" in refused.output) == (2, True)


def test_several_runs_in_one_file_are_refused(call: Call, state: Path, tmp_path: Path) -> None:
    write(state)
    kept = tmp_path / "both.json"
    call("results", "export", "--output", str(kept))
    refused = call("gate", str(kept), B, *BOUNDS)
    assert refused.exit_code == 2
    assert "holds 2 runs" in refused.output


def test_absurdly_large_figures_give_a_one_line_error(call: Call, state: Path, tmp_path: Path) -> None:
    write(state)
    kept = tmp_path / "main.json"
    call("results", "export", A, "--output", str(kept))
    kept.write_text(re.sub(r'"power_mean_watts": 5\d\.\d+', '"power_mean_watts": 1e300', kept.read_text()))
    refused = call("gate", str(kept), B, *BOUNDS)
    assert refused.exit_code == 2
    assert "too large" in refused.output


def test_a_name_in_a_file_cannot_send_terminal_commands(call: Call, state: Path, tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    write(state, preset=evil)
    said = call("gate", A, B, *BOUNDS).output
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said)
    assert "owned" in said
