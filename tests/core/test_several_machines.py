"""What is said of one suite that ran on several machines."""

from __future__ import annotations

from tests.support.scenario_results import result
from wattview.analysis.sweeps.comparison import Repeats, repeats_of
from wattview.cli.measure.several import names_of, overall, verdicts


def repeats(*watts: float, **fields: object) -> Repeats:
    """One setting, measured so often on one machine."""
    [found] = repeats_of([result(each, **fields) for each in watts])  # type: ignore[arg-type]
    return found


def test_a_clear_winner_is_named_with_its_interval() -> None:
    said = verdicts("1x", [("enc-1", repeats(60.0, 60.2, 59.9)), ("enc-2", repeats(50.0, 50.1, 49.9))])
    power = next(line for line in said if "least mean power" in line)
    assert power.startswith("1x: enc-2 has the least mean power, 10.03 W (17 %) less than enc-1, 95 % interval 9.")
    assert "not significant" not in power


def test_a_difference_within_the_noise_does_not_win() -> None:
    [power] = [
        line
        for line in verdicts("1x", [("a", repeats(50.0, 54.0, 46.0)), ("b", repeats(51.0, 47.0, 55.0))])
        if "least mean power" in line
    ]
    assert power.endswith(", not significant")


def test_one_measurement_each_says_that_its_spread_is_unknown() -> None:
    said = verdicts("1x", [("a", repeats(50.0)), ("b", repeats(55.0))])
    assert said
    assert all(line.endswith("; too few repeats: each side needs at least two") for line in said)


def test_less_power_than_idle_does_not_win() -> None:
    """Its baseline was not idle."""
    found = [("a", repeats(50.0, net=-3.0, preset="fast")), ("a", repeats(50.0, net=2.0)),
             ("b", repeats(50.0, net=1.0, preset="fast")), ("b", repeats(50.0, net=3.0))]  # fmt: skip
    assert not any("above baseline" in line for line in verdicts("fast", found[::2]))
    assert "; a 2.00" in next(line for line in overall(found) if "above baseline" in line)


def test_a_machine_that_falls_behind_or_looks_worse_is_not_compared() -> None:
    slow = repeats(40.0, realtime=False)
    assert verdicts("1x", [("a", repeats(50.0)), ("b", slow)]) == ["1x is done in real time by a"]
    worse = repeats(40.0, vmaf=80.0)
    [line] = verdicts("1x", [("a", repeats(50.0, vmaf=95.0)), ("b", worse)], 93.0)
    assert line == "1x is done in real time with VMAF 93 or more by a"
    assert verdicts("1x", [("a", slow), ("b", slow)]) == ["1x is done in real time by no machine"]


def test_an_estimate_and_a_measurement_are_not_compared() -> None:
    estimate = repeats(40.0, power_source="estimated")
    [line] = verdicts("1x", [("a", repeats(50.0)), ("b", estimate)])
    assert "cannot be compared" in line


def test_over_a_sweep_each_machine_is_judged_by_its_own_best_setting() -> None:
    found = [
        ("a", repeats(50.0, vmaf=95.0, net=4.0, preset="fast")), ("a", repeats(50.0, vmaf=94.0, net=3.0)),
        ("a", repeats(50.0, vmaf=90.0, net=1.0, preset="ultrafast")),
        ("b", repeats(50.0, vmaf=95.0, net=2.5, preset="fast")), ("b", repeats(50.0, vmaf=94.0, net=3.5)),
    ]  # fmt: skip
    [line] = overall(found, 93.0)
    assert line.startswith(
        "a 1280x720 30 fps stream of VMAF 93 or more: b has the least power above baseline per stream"
    )
    assert line.index("2.50") < line.index("fast") < line.index("; a 3.00")
    assert overall(found, 94.5)[0].count("fast)") == 2, "the other settings are not good enough"
    assert overall(found[1:2] + found[4:], 93.0) == [], "one setting has its own verdict"
    assert overall(found[:3], 93.0) == [], "one machine is no comparison"


def test_addresses_are_short() -> None:
    assert names_of(["http://encoder-7:9700", "unix:///run/w.sock"]) == ["encoder-7:9700", "w.sock"]
    assert names_of(["unix:///a/w.sock", "unix:///b/w.sock"]) == ["unix:///a/w.sock", "unix:///b/w.sock"]
