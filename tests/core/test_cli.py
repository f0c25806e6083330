"""The command line: help with examples, settings on every subcommand, exit statuses, answers without a daemon."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.core.conftest import Call
from wattview.cli.commands import main
from wattview.model import Scenario

COMMANDS = ["daemon", "tui", "up", "run", "results", "gate", "check", "doctor", "completion"]


def write_results(home: Path, stamp: str = "20260101_120000", name: str = "quick") -> None:
    results = home / ".local/state/wattview/results"
    results.mkdir(parents=True, exist_ok=True)
    scenario = {"name": name, "bitrate": "2500k", "resolution": "1280x720", "fps": 30, "duration": 60,
                "start_time": 1767268800.0, "end_time": 1767268860.0, "outputs": None,
                "vmaf_score": 93.0, "psnr_score": 41.0, "ssim_score": 0.98}  # fmt: skip
    document = {"test_date": "2026-01-01T12:00:00", "scenarios": [scenario]}
    (results / f"test_results_{stamp}.json").write_text(json.dumps(document))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_subcommand_has_help_with_an_example(call, command: str) -> None:  # type: ignore[no-untyped-def]
    result = call(command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"wattview {command}" in result.output


@pytest.mark.parametrize("command", ["daemon", "up", "run", "check", "doctor", "tui"])
def test_every_subcommand_takes_settings_and_refuses_wrong_ones_with_status_2(call, command: str) -> None:  # type: ignore[no-untyped-def]
    result = call(command, "--set", "power.sample_hz=fast")
    assert result.exit_code == 2
    assert "power.sample_hz: expected float" in result.output
    missing = call(command, "--config", "/nowhere.toml")
    assert missing.exit_code == 2
    assert "/nowhere.toml: No such file" in missing.output


def test_an_unknown_subcommand_or_option_is_status_2(call) -> None:  # type: ignore[no-untyped-def]
    assert call("dance").exit_code == 2
    assert call("run", "--colour", "red").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--streams", "0"), "--streams: expected a whole number, 1 to 64, got 0"),
        (("--bitrate", "fast"), "--bitrate: expected a bitrate such as 2500k or 2.5M, got 'fast'"),
        (("--resolution", "1280"), "--resolution: expected width x height, such as 1280x720, got '1280'"),
        (("--duration", "-5"), "--duration: expected seconds, more than 0, at most 86400, got -5.0"),
        (("--preset", "warp"), "--preset: expected one of ultrafast"),
        (("--encoder", "gif"), "--encoder: expected one of libx264"),
        (("--repeat", "0"), "--repeat: expected a whole number, 1 to 500, got 0"),
        (("--baseline", "-1"), "--baseline: expected seconds of idle, 0 to 86400, got -1.0"),
    ],
)
def test_a_wrong_scenario_is_refused_by_the_name_of_its_option(call, arguments: tuple[str, ...], said: str) -> None:  # type: ignore[no-untyped-def]
    result = call("run", *arguments)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("htp://x", "htp://x: not an address; give unix:///path or http://host:port"),
        ("http://[::1", "http://[::1: not an address; give unix:///path or http://host:port"),
        ("unix://", "unix://: not an address; give unix:///path or http://host:port"),
        ("unix://a.sock", "unix://a.sock: not an address; give unix:///path or http://host:port"),
        ("", ": not an address; give unix:///path or http://host:port"),
    ],
)
def test_an_invalid_address_is_one_line_and_status_2(call, url: str, said: str) -> None:  # type: ignore[no-untyped-def]
    refused = call("tui", "--url", url)
    assert (refused.exit_code, refused.output.splitlines()[-1]) == (2, f"Error: {said}")


def test_results_without_a_daemon_are_read_from_their_files(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert "no results yet" in call("results").output
    write_results(tmp_path)
    listed = call("results")
    assert listed.exit_code == 0
    assert "20260101_120000" in listed.output
    shown = call("results", "show")
    assert "quick" in shown.output
    assert "93.00" in shown.output
    assert "no energy" in shown.output, "a figure that cannot be had says why"


def test_a_run_that_does_not_exist_is_status_1(call) -> None:  # type: ignore[no-untyped-def]
    result = call("results", "show", "20250101_000000")
    assert result.exit_code == 1
    assert "no run '20250101_000000'" in result.output


def test_results_are_exported_as_json_and_csv(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_results(tmp_path)
    (exported,) = json.loads(call("results", "export", "--format", "json").stdout)
    assert exported["scenarios"][0]["record"]["vmaf_score"] == 93.0
    (values,) = csv.DictReader(io.StringIO(call("results", "export", "--format", "csv").stdout))
    assert (values["name"], values["vmaf_score"], values["qoe_score"]) == ("quick", "93.0", "4.65")


def test_check_without_a_daemon_names_every_exporter_and_is_status_1(call) -> None:  # type: ignore[no-untyped-def]
    ports = [f"endpoints.{name}.port={40000 + index}" for index, name in enumerate(("rapl", "docker", "node"))]
    off = [f"endpoints.{name}.enabled=false" for name in ("containers", "nginx_rtmp", "results", "qoe", "cost", "gpu")]
    sets = [part for text in [*ports, *off] for part in ("--set", text)]
    result = call("check", "--timeout", "1", "--json", *sets)
    assert result.exit_code == 1
    checked = {one["exporter"]: one for one in json.loads(result.stdout)}
    assert set(checked) == {"rapl-exporter", "docker-stats-exporter", "node-exporter", "exporter-health-checker"}
    assert not checked["rapl-exporter"]["reachable"]


def test_the_doctor_answers_without_a_daemon(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    result = call("doctor", "--json", "--set", f"docker.host=unix://{tmp_path}/none.sock")
    findings = {one["source"]: one for one in json.loads(result.stdout)}
    assert findings["host"]["state"] == "works"
    assert findings["containers"]["state"] == "absent"
    assert findings["containers"]["fix"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(call, shell: str) -> None:  # type: ignore[no-untyped-def]
    result = call("completion", shell)
    assert result.exit_code == 0
    assert "_WATTVIEW_COMPLETE" in result.output


def test_bash_completes_commands_options_and_what_they_take(tmp_path: Path) -> None:
    """In a real bash, with the script that it is given."""
    script = """
        source <(wattview completion bash)
        COMP_WORDS=(wattview $1); COMP_CWORD=$2
        _wattview_completion wattview
        printf "%s\\n" "${COMPREPLY[@]}"
    """
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    environ.pop("XDG_STATE_HOME", None)

    def completed(words: str, number: int) -> list[str]:
        done = subprocess.run(["bash", "-c", script, "bash", words, str(number)], capture_output=True, text=True,
                              check=True, env=environ)  # fmt: skip
        return done.stdout.split()

    assert completed("dae", 1) == ["daemon"]
    assert completed("results exp", 2) == ["export"]
    assert "--baseline" in completed("run --ba", 2)
    assert completed("gate a b --min vm", 5) == ["vmaf="]
    write_results(tmp_path)
    assert completed("results show 2026", 3) == ["20260101_120000"]
    assert completed("tui --replay l", 3) == ["latest"]
    assert completed("run --encoder libs", 3) == ["libsvtav1"]
    assert completed("run --encoder h264_nvenc --preset p", 5) == ["placebo", *(f"p{number}" for number in range(1, 8))]
    assert completed("up --set cost.curr", 3) == ["cost.currency="]
    assert completed("run --encoder = libs", 4) == ["libsvtav1"], "bash takes = for the end of a word"
    assert completed("up --set power.account = m", 5) == ["marginal"]
    assert completed("up --set = power.account = ", 5) == ["marginal", "attributional"]


def test_the_daemon_does_not_load_what_draws_on_a_terminal() -> None:
    script = """
import sys
from wattview.cli import main
main(["daemon", "--help"], standalone_mode=False)
import wattview.daemon.service
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "httpx" in loaded
    assert loaded.isdisjoint({"rich", "pygments", "textual", "plotext"})


def test_every_option_says_what_it_does() -> None:
    def silent(command: click.Command, path: str) -> list[str]:
        found = [f"{path} {option.name}" for option in command.params
                 if isinstance(option, click.Option) and not option.help]  # fmt: skip
        for name, inner in getattr(command, "commands", {}).items():
            found += silent(inner, f"{path} {name}")
        return found

    assert silent(main, "wattview") == []


@pytest.mark.parametrize("command", [("tui",), ("up",), ("tui", "--prometheus", "http://127.0.0.1:9")])
def test_the_dashboard_is_refused_where_there_is_no_terminal(call: Call, command: tuple[str, ...]) -> None:
    done = call(*command)
    assert done.exit_code == 2
    assert "the dashboard needs a terminal" in done.output
    assert "\x1b" not in done.output


def test_the_help_of_a_run_says_the_defaults_that_a_scenario_has() -> None:
    usual = {name: getattr(Scenario(name="-"), name) for name in Scenario.__struct_fields__}
    known = {name: value for name, value in usual.items() if value not in (None, "", ()) and value is not True}
    said = {one.name: one.help or "" for one in main.commands["run"].params if isinstance(one, click.Option)}
    compared = known.keys() & said.keys() - {"name"}
    assert {"encoder", "preset", "bitrate", "duration", "warmup", "fps"} <= compared
    for name in compared:
        text = f"{known[name]:g}" if isinstance(known[name], float) else known[name]
        assert f"[default: {text}]" in said[name], name


def test_every_subcommand_of_results_has_an_example() -> None:
    group = main.commands["results"]
    assert isinstance(group, click.Group)
    for name, command in group.commands.items():
        assert f"wattview results {name}" in (command.help or ""), name
