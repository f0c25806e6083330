"""The architecture: which package may import which, no import cycles, and limits on names and sizes."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"

MOST_LINES = 400
MOST_MODULES = 16
"""In a folder, including ``__init__``. ``probes/node`` is exempt: each of its files is named for its kernel subject."""

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "axis": (),
    "decoding": ("foreign_text",),
    "exposition": ("foreign_text", "gc_tuning"),
    "foreign_text": (),
    "frame_rate": (),
    "gc_tuning": (),
    "times": (),
    "whole_file": (),
    "model": ("decoding", "frame_rate"),
    "config": ("decoding", "model"),
    "kept_connections": (),
    "fetch": ("config", "decoding", "gc_tuning", "kept_connections", "model"),
    "line_stream": ("fetch",),
    "promql": ("config", "exposition", "fetch", "gc_tuning", "model"),
    "probes": (
        "config", "decoding", "exposition", "fetch", "foreign_text", "gc_tuning", "line_stream", "model", "promql",
        "whole_file",
    ),
    "analysis": ("config", "decoding", "exposition", "model"),
    "report": ("analysis", "axis", "foreign_text", "model"),
    "client": ("decoding", "fetch", "foreign_text", "kept_connections", "line_stream", "model"),
    "fleet": ("config", "exposition", "fetch", "model", "promql"),
    "tui": (
        "axis", "client", "config", "decoding", "fleet", "foreign_text", "frame_rate", "gc_tuning", "model", "times",
    ),
    "daemon": (
        "analysis", "client", "config", "decoding", "exposition", "fetch", "foreign_text", "frame_rate", "gc_tuning",
        "model", "probes", "promql", "report", "whole_file",
    ),
}  # fmt: skip
"""What each package or module below ``wattview`` may import besides itself; ``cli`` may import everything."""


@cache
def modules() -> dict[str, Path]:
    names = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


@cache
def imports() -> dict[str, set[str]]:
    """The modules of ours that each module imports, including imports inside functions and for type checking."""
    known = modules()
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        reached = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                reached |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    reached.add(full if full in known else node.module)
        found[name] = {module for module in reached if module in known} - {name}
    return found


def package_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_a_package_imports_only_from_those_below_it() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in imports().items()
        if (package := package_of(module)) in PACKAGES
        for other in others
        if package_of(other) not in ("", package, *PACKAGES[package])
    ]
    assert wrong == []


def test_every_package_has_its_imports_listed() -> None:
    assert {package_of(module) for module in modules()} - {"", "__main__", "cli"} == PACKAGES.keys()


def test_there_are_no_import_cycles() -> None:
    assert [sorted(cycle) for cycle in cycles(imports())] == []


def cycles(graph: Mapping[str, set[str]]) -> Iterator[set[str]]:
    """What remains of the import graph after repeatedly removing modules that import no remaining module, or that no
    remaining module imports: cycles, and modules between two of them."""
    left = {name: set(others) for name, others in graph.items()}
    for towards in (left, _reversed(left)):
        while free := [name for name, others in towards.items() if not others & left.keys()]:
            for name in free:
                left.pop(name, None)
                towards.pop(name, None)
    if left:
        yield set(left)


def _reversed(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    inverse: dict[str, set[str]] = {name: set() for name in graph}
    for name, others in graph.items():
        for other in others & graph.keys():
            inverse[other].add(name)
    return inverse


def test_class_names_are_unique() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module, path in modules().items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_file_is_long() -> None:
    lengths = {str(path.relative_to(SOURCE)): len(path.read_text().splitlines()) for path in modules().values()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_folder_is_crowded() -> None:
    counts = Counter(str(path.parent.relative_to(SOURCE)) for path in modules().values())
    del counts["wattview/probes/node"]
    assert {folder: files for folder, files in counts.items() if files > MOST_MODULES} == {}


METRIC = re.compile(r"(wattview|rapl|docker|container|nginx_rtmp|scenario|node|exporter|DCGM_FI|machine)_[a-zA-Z_]+"
                    r"_(watts|total|percent|bytes|seconds|joules|ratio|info|USAGE|UTIL|TEMP|USED)")  # fmt: skip


def test_the_dashboard_contains_no_metric_name() -> None:
    """It requests past values from the control API by subject and quantity."""
    found = {
        f"{module}: {node.value}"
        for module, path in modules().items()
        if module.startswith("wattview.tui")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and METRIC.fullmatch(node.value)
    }
    assert found == set()
