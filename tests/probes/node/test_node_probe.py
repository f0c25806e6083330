"""The runner: what one collector does costs no other, and what was asked for is what is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.node_exporter import Exposition
from wattview.config import NODE_COLLECTORS, Config, ConfigError
from wattview.config.node import NODE_COLLECTOR_LIST, NodeCollector
from wattview.exposition import Family, render
from wattview.probes import node
from wattview.probes.node import NodeProbe, UnknownCollector
from wattview.probes.node.collector import NoSource, SelectedLines


class Good:
    def __init__(self, config: Config) -> None: ...

    def collect(self) -> list[Family]:
        return [Family("node_good", "gauge", "Good.").add(1)]


class Broken(Good):
    def collect(self) -> list[Family]:
        raise RuntimeError("the kernel wrote nonsense")


class Empty(Good):
    def collect(self) -> list[Family]:
        raise NoSource("no such hardware")


class Missing(Good):
    def collect(self) -> list[Family]:
        raise FileNotFoundError(2, "No such file or directory", "/proc/nothing")


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch, make_config: ConfigFactory) -> NodeProbe:
    kinds = {"broken": Broken, "empty": Empty, "good": Good, "missing": Missing, "optional": Good}
    entries = tuple(NodeCollector(name, name, default=name != "optional") for name in kinds)
    monkeypatch.setattr(node, "NODE_COLLECTOR_LIST", entries)
    monkeypatch.setattr(node, "made", lambda _package, place, config: kinds[place](config))
    return NodeProbe(make_config())


def test_a_broken_collector_does_not_affect_the_others(probe: NodeProbe) -> None:
    reading = probe.read()
    assert [(fault.part, "nonsense" in fault.reason) for fault in reading.faults] == [("broken", True)]
    text = Exposition(render(node.families(reading)).decode())
    assert text.value("node_good") == 1
    assert text.collectors() == {"broken": 0, "empty": 0, "good": 1, "missing": 0}
    assert len(text.labels_of("node_scrape_collector_duration_seconds")) == 4


def test_no_data_is_an_unsuccessful_collector_with_a_reason(probe: NodeProbe) -> None:
    by_name = {collected.name: collected for collected in probe.read().collectors}
    assert not by_name["empty"].success
    assert by_name["empty"].reason == "no such hardware"
    assert "/proc/nothing" in by_name["missing"].reason


def test_a_failure_and_its_end_are_logged_once_each(probe: NodeProbe, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="wattview.node")
    probe.read()
    probe.read()
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said.count(("WARNING", "collector broken: RuntimeError: the kernel wrote nonsense")) == 1
    assert [level for level, message in said if "empty" in message] == ["DEBUG"]


def test_collect_runs_only_what_is_named(probe: NodeProbe) -> None:
    assert [collected.name for collected in probe.read(collect={"good", "empty"}).collectors] == ["empty", "good"]


def test_exclude_runs_all_but_what_is_named(probe: NodeProbe) -> None:
    assert [collected.name for collected in probe.read(exclude={"broken"}).collectors] == ["empty", "good", "missing"]


def test_an_unknown_collector_is_named_in_the_refusal(probe: NodeProbe) -> None:
    with pytest.raises(UnknownCollector, match="no collector is named 'goood'"):
        probe.read(collect={"goood"})
    with pytest.raises(UnknownCollector, match="'nope'"):
        probe.read(exclude={"nope"})


def test_a_disabled_collector_is_refused_with_the_setting_that_enables_it(probe: NodeProbe) -> None:
    with pytest.raises(UnknownCollector, match=r"switched off; switch it on with node\.enable"):
        probe.read(collect={"optional"})


def test_settings_switch_collectors_on_and_off(make_config: ConfigFactory) -> None:
    usual = NodeProbe(make_config()).names
    fewer = NodeProbe(make_config("node.disable=arp, uname")).names
    assert set(usual) - set(fewer) == {"arp", "uname"}


def test_a_toml_list_does_the_same(tmp_path: Path) -> None:
    from wattview import config

    (tmp_path / "wattview.toml").write_text('[node]\ndisable = ["arp"]\n')
    assert "arp" not in NodeProbe(config.load(tmp_path / "wattview.toml", environ={"HOME": "/"})).names


def test_a_wrong_collector_in_the_settings_is_one_clear_line(make_config: ConfigFactory) -> None:
    with pytest.raises(ConfigError, match=r"node\.disable: no collector is named 'arpp'"):
        make_config("node.disable=arpp")


def test_a_wrong_filter_in_the_settings_is_one_clear_line(make_config: ConfigFactory) -> None:
    with pytest.raises(ConfigError, match=r"node\.disk_device_exclude: not a regular expression"):
        make_config("node.disk_device_exclude=(")


def test_collector_names_are_unique_and_known_to_the_settings() -> None:
    names = [entry.name for entry in NODE_COLLECTOR_LIST]
    assert names == sorted(set(names))
    assert set(names) == NODE_COLLECTORS


def test_no_family_is_given_twice(make_config: ConfigFactory) -> None:
    names = [family.name for family in node.families(NodeProbe(make_config()).read())]
    assert len(names) == len(set(names))


def test_files_stay_open_between_scrapes(make_config: ConfigFactory) -> None:
    probe = NodeProbe(make_config())
    probe.read()
    first = set(Path("/proc/self/fd").iterdir())
    probe.read()
    assert {path.name for path in Path("/proc/self/fd").iterdir()} <= {path.name for path in first} | {
        str(int(max((path.name for path in first), key=int)) + 1)
    }


def test_cached_lines_are_chosen_again_when_the_keys_change() -> None:
    chosen = SelectedLines(lambda key: ("wanted", "") if key.startswith(b"w") else None)
    assert chosen.of(b"a 1\nw 2\n") == [(("wanted", ""), 2)]
    assert chosen.of(b"a 3\nw 4\n") == [(("wanted", ""), 4)]
    assert chosen.of(b"w 5\na 6\n") == [(("wanted", ""), 5)]
    assert chosen.of(b"w1 7\na 8\nw2 9\n") == [(("wanted", ""), 7), (("wanted", ""), 9)]
    assert chosen.of(b"w 1\na\n") == [(("wanted", ""), 1)]
    with pytest.raises(ValueError, match="a key and a value"):
        chosen.of(b"w\na\n")


def test_the_page_on_exporters_lists_every_collector_in_its_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "exporters.md").read_text()
    by_default, _, rest = page.partition("On by default:")[2].partition("Off by default. A")
    for text, default in ((by_default, True), (rest.partition("Permissions:")[0], False)):
        told = set(re.findall(r"`([a-z_0-9]+)`", text))
        assert {entry.name for entry in NODE_COLLECTOR_LIST if entry.default is default} - told == set()
        assert {entry.name for entry in NODE_COLLECTOR_LIST if entry.default is not default} & told == set()
