"""The documentation says what the program does: the reference is current, links resolve, commands and names exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import msgspec
import pytest

from wattview.cli.commands import main
from wattview.config import Config, ConfigError, flatten, load
from wattview.daemon.api.app import CALLS
from wattview.daemon.lab.suite import load_suite

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

METRIC_PREFIXES = (
    "wattview", "rapl", "docker_container", "docker_engine", "nginx_rtmp", "scenario", "qoe", "quality",
    "cost_exporter", "cost_total", "cost_energy", "cost_compute", "exporter", "node", "container", "machine",
    "cadvisor", "DCGM",
)  # fmt: skip
"""What the names of our metrics begin with."""

METRIC = re.compile(rf"^(?:{'|'.join(METRIC_PREFIXES)})_[A-Za-z0-9_]+(?=$|[{{ \[)])")

NO_METRICS = {
    "node_exporter": "another program",
    "cost_energy": "a field of the analysed results",
    "cost_compute": "a field of the analysed results",
    "cost_total": "a field of the analysed results",
    "scenario_check": "a module",
    "docker_engine": "a module",
}


def page_ids(page: Path) -> str:
    return page.name


@cache
def code_spans(page: Path) -> list[str]:
    """Every piece of inline code, and every line of a code block."""
    text = page.read_text()
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    return lines + [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", rest)]


def blocks_of(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("reference", ["configuration", "quantities"])
def test_a_generated_reference_is_current(reference: str) -> None:
    script = ROOT / "scripts" / f"{reference}_reference.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_every_setting_is_in_the_configuration_reference() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    missing = [key for key in flatten(Config()) if f"`{key}`" not in text and not key.startswith("endpoints.")]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=page_ids)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def anchors(file: Path) -> set[str]:
    """The anchors that a page's headings get on GitHub."""
    headings = re.findall(r"^#+ +(.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands() -> Iterator[tuple[Path, str]]:
    """Every ``wattview …`` that a page shows, without what stands before it and what the shell does after it."""
    for page in PAGES:
        for span in code_spans(page):
            match = re.match(r"^(?:\$ |sudo |\S*/bin/|(?:[A-Z_]+=\S+ )+)*wattview( .*)?$", span)
            if match and "→" not in span:
                yield page, re.split(r" [|>;&]|  +#| # ", match[1] or "")[0].strip()


@pytest.mark.parametrize(("page", "command"), list(commands()), ids=lambda value: str(value).rpartition("/")[2])
def test_every_command_parses(page: Path, command: str) -> None:
    words = [word for word in shlex.split(command) if word not in ("…", "...")]
    current: click.Command = main
    context = click.Context(main, info_name="wattview")
    while isinstance(current, click.Group) and words and not words[0].startswith("-"):
        found = current.get_command(context, words[0])
        assert found is not None, f"{page.name}: no subcommand {words[0]!r} in: wattview {command}"
        current, words = found, words[1:]
    if isinstance(current, click.Group) or {"--help", "-h"} & set(words):
        return
    if not words:
        return  # its name alone
    try:
        parsed = current.make_context(current.name, words, parent=context)
        load(None, [one for one in parsed.params.get("sets", ()) if one != "KEY=VALUE"], {"HOME": "/nowhere"})
    except (click.UsageError, ConfigError) as error:
        pytest.fail(f"{page.name}: wattview {command}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=page_ids)
def test_every_setting_named_in_the_docs_is_accepted(page: Path) -> None:
    for span in code_spans(page):
        for key, value in re.findall(r"--set ([a-z_.]+)=([^\s`]+)", span):
            if not re.search(r"[<>…]|^[A-Z_]+$|^\$", value):
                needed = ["daemon.token_file=/t"] if key == "daemon.control_listen" else []
                load(None, [*needed, f"{key}={value.strip(chr(39) + chr(34))}"], {"HOME": "/nowhere"})


@pytest.mark.parametrize("page", PAGES, ids=page_ids)
def test_every_example_in_toml_is_accepted(page: Path, tmp_path: Path) -> None:
    for block in blocks_of(page, "toml"):
        tree = tomllib.loads(block)
        if "scenarios" in tree and isinstance(tree["scenarios"], list):
            assert load_suite(block.encode()).scenarios
        elif tree and set(tree) <= set(Config.__struct_fields__):
            file = tmp_path / "wattview.toml"
            file.write_text(block)
            load(file, ["daemon.token_file=/t"], {"HOME": "/nowhere"})


@cache
def words_of_sources() -> set[str]:
    """Every word of the files in which a metric's name is written out."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "compose" / "prometheus" / "rules").glob("*.yml")]
    return {word for file in files for word in re.findall(r"\w+", file.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=page_ids)
def test_every_metric_exists(page: Path) -> None:
    unknown = set()
    for span in code_spans(page):
        match = METRIC.match(span)
        if match and match[0] not in NO_METRICS and match[0] not in words_of_sources():
            unknown.add(match[0])
    assert not unknown


def test_every_call_of_the_control_api_is_documented() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    missing = [f"{call.method} {call.path}" for call in CALLS if f"`{call.method} {call.path}`" not in text]
    assert not missing


def test_the_scenario_fields_are_documented() -> None:
    from wattview.model import RunRequest, Scenario

    text = (ROOT / "docs" / "scenarios.md").read_text()
    fields = [*msgspec.structs.fields(Scenario), *msgspec.structs.fields(RunRequest)]
    assert not [field.name for field in fields if f"`{field.name}`" not in text]
