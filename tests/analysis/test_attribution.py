"""Who used the power: every joule once, in every interval, whatever comes and goes."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from wattview.analysis.attribution import (
    Attribution,
    Ledger,
    Observation,
    Part,
    StreamTraffic,
    Use,
    attribute,
    stream_watts,
)
from wattview.analysis.attribution_metrics import attribution_families
from wattview.analysis.energy import NoData
from wattview.analysis.idle import Idle, IdleModel
from wattview.exposition import render

WEB, DB, ENCODER = Part("container", "web"), Part("container", "db"), Part("encoder", "s1")


def observed(
    at: float, joules: float, busy: float, parts: dict[Part, Use] | None = None, **more: object
) -> Observation:
    return Observation(
        time=1000.0 + at, monotonic=at, host_joules_total=joules, cpu_busy_seconds_total=busy, cpus=4,
        parts=parts or {}, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def conserved(found: Attribution) -> bool:
    parts = sum(found.parts.values()) + (found.idle_joules or 0.0) + found.unattributed_joules
    return math.isclose(parts, found.joules, rel_tol=1e-9, abs_tol=1e-9)


def test_active_energy_is_shared_by_cpu_time_and_idle_is_nobodys() -> None:
    before = observed(0, 1000, 100, {WEB: Use(10.0), DB: Use(20.0), ENCODER: Use(5.0)})
    after = observed(5, 1200, 110, {WEB: Use(12.0), DB: Use(21.0), ENCODER: Use(9.0)})
    found = attribute(before, after, idle_watts=20.0)
    # 200 J, of which 100 J are idle; 10 busy CPU-seconds, of which 2, 1 and 4 are known
    assert found.idle_joules == 100.0
    assert found.parts == {WEB: pytest.approx(20.0), DB: pytest.approx(10.0), ENCODER: pytest.approx(40.0)}
    assert found.unattributed_joules == pytest.approx(30.0)
    assert found.watts(WEB) == pytest.approx(4.0)
    assert found.watts(Part("container", "other")) is None
    assert (found.host_watts, found.utilisation) == (40.0, 0.5)


def test_a_container_that_began_in_the_interval_has_all_its_time_in_it() -> None:
    before = observed(0, 0, 0)
    new, old = Use(1.0, started=1002.0), Use(500.0, started=10.0)
    found = attribute(before, observed(5, 100, 4, {WEB: new, DB: old}), 0.0)
    assert found.parts == {WEB: pytest.approx(25.0), DB: 0.0}
    assert found.unattributed_joules == pytest.approx(75.0)


def test_a_container_that_was_started_again_counts_from_0() -> None:
    found = attribute(observed(0, 0, 0, {WEB: Use(50.0)}), observed(5, 100, 4, {WEB: Use(1.0)}), 0.0)
    assert found.parts[WEB] == pytest.approx(25.0)


def test_a_container_that_ended_leaves_its_last_use_unattributed() -> None:
    found = attribute(observed(0, 0, 0, {WEB: Use(1.0)}), observed(5, 100, 4), 4.0)
    assert found.parts == {}
    assert (found.idle_joules, found.unattributed_joules) == (20.0, 80.0)


def test_encoders_inside_the_daemons_container_are_not_counted_twice() -> None:
    own = Part("container", "wattview")
    before = observed(0, 0, 0, {own: Use(0.0), ENCODER: Use(0.0)})
    after = observed(5, 100, 10, {own: Use(5.0), ENCODER: Use(4.0)}, inside=own)
    found = attribute(before, after, 0.0)
    assert found.parts == {own: pytest.approx(10.0), ENCODER: pytest.approx(40.0)}


def test_idle_power_is_never_more_than_was_drawn() -> None:
    found = attribute(observed(0, 0, 0, {WEB: Use(0.0)}), observed(5, 50, 1, {WEB: Use(1.0)}), idle_watts=20.0)
    assert (found.idle_joules, found.parts[WEB], found.unattributed_joules) == (50.0, 0.0, 0.0)


def test_idle_power_that_is_not_known_yet_is_not_invented() -> None:
    found = attribute(observed(0, 0, 0, {WEB: Use(0.0)}), observed(5, 100, 4, {WEB: Use(1.0)}), None)
    assert (found.idle_joules, found.parts[WEB]) == (None, pytest.approx(25.0))


def test_gpu_energy_goes_to_those_that_the_gpu_names() -> None:
    before = observed(0, 0, 0, {WEB: Use(0.0), DB: Use(0.0)})
    after = observed(
        5, 100, 2, {WEB: Use(1.0), DB: Use(1.0)}, gpu_joules_total=1000.0,
        gpu_shares={WEB: 0.6, Part("container", "x"): 0.3},
    )  # fmt: skip
    found = attribute(before, after, 0.0)
    assert found.parts == {WEB: pytest.approx(650.0), DB: pytest.approx(50.0)}
    assert found.unattributed_joules == pytest.approx(400.0)
    assert (found.joules, found.host_joules) == (1100.0, 100.0)


@pytest.mark.parametrize(("joules", "busy", "seconds"), [(50, 10, 5), (200, 1, 5), (200, 10, 0), (200, 10, -1)])
def test_counters_that_fell_and_time_that_stood_still_are_no_data(joules: float, busy: float, seconds: float) -> None:
    with pytest.raises(NoData):
        attribute(observed(0, 100, 5), observed(seconds, joules, busy), 10.0)


amounts = st.floats(0, 1e6)
names = st.sampled_from([WEB, DB, ENCODER, Part("container", "c"), Part("encoder", "s2")])
uses = st.dictionaries(names, st.builds(Use, amounts, st.none() | st.floats(0, 2000)))


@given(
    before=uses, after=uses, joules=amounts, busy=amounts, idle=st.none() | amounts, seconds=st.floats(1e-3, 1e4),
    gpu=amounts, shares=st.dictionaries(names, st.floats(-1, 2)), inside=st.none() | names,
)  # fmt: skip
def test_every_joule_is_counted_once_whatever_comes_and_goes(
    before: dict[Part, Use], after: dict[Part, Use], joules: float, busy: float, idle: float | None, seconds: float,
    gpu: float, shares: dict[Part, float], inside: Part | None,
) -> None:  # fmt: skip
    found = attribute(
        observed(0, 0, 0, before),
        observed(seconds, joules, busy, after, gpu_joules_total=gpu, gpu_shares=shares, inside=inside),
        idle,
    )
    assert conserved(found)
    assert all(part >= 0 for part in found.parts.values())
    assert found.unattributed_joules >= 0
    assert set(found.parts) == set(after)
    assert 0 <= found.utilisation <= 1


@given(st.lists(st.tuples(uses, amounts, st.floats(0, 100)), min_size=2, max_size=10), st.sets(names))
def test_the_ledger_loses_nothing(steps: list[tuple[dict[Part, Use], float, float]], ended: set[Part]) -> None:
    ledger = Ledger()
    joules = busy = 0.0
    last = observed(0, 0, 0)
    for at, (parts, more, cpu) in enumerate(steps, start=1):
        joules, busy = joules + more, busy + cpu
        now = observed(float(at), joules, busy, parts)
        ledger.add(attribute(last, now, 3.0))
        last = now
    for part in ended:
        ledger.forget(part)
    known = ledger.idle_joules + ledger.unattributed_joules + ledger.ended_joules + sum(ledger.parts.values())
    assert known == pytest.approx(ledger.joules, rel=1e-9, abs=1e-6)
    assert ledger.joules == pytest.approx(joules, rel=1e-9, abs=1e-6)
    assert not ended & set(ledger.parts)


def test_the_families_hold_every_joule_and_name_everyone() -> None:
    before = observed(0, 0, 0, {WEB: Use(0.0), ENCODER: Use(0.0)})
    found = attribute(before, observed(5, 200, 8, {WEB: Use(2.0), ENCODER: Use(4.0)}), 20.0)
    ledger = Ledger()
    ledger.add(found)
    text = render(attribution_families(found, ledger, Idle(20.0, "lowest"), {("live", 'a "b"'): 7.0})).decode()
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert values == {
        ("wattview_container_power_watts", "web"): 5.0,
        ("wattview_container_energy_joules_total", "web"): 25.0,
        ("wattview_encoder_power_watts", "s1"): 10.0,
        ("wattview_stream_power_watts", "live", 'a "b"'): 7.0,
        ("wattview_idle_power_watts",): 20.0,
        ("wattview_idle_power_info", "lowest"): 1.0,
        ("wattview_unattributed_power_watts",): 5.0,
        ("wattview_attributed_energy_joules_total", "idle"): 100.0,
        ("wattview_attributed_energy_joules_total", "parts"): 75.0,
        ("wattview_attributed_energy_joules_total", "unattributed"): 25.0,
    }


def test_energy_of_a_part_that_ended_stays_in_the_sum_of_all_parts() -> None:
    ledger = Ledger()
    ledger.add(attribute(observed(0, 0, 0, {WEB: Use(0.0)}), observed(5, 100, 1, {WEB: Use(1.0)}), 0.0))
    whole = [family for family in attribution_families(None, ledger, None, {}) if "attributed_energy" in family.name]
    ledger.forget(WEB)
    assert [
        family for family in attribution_families(None, ledger, None, {}) if "attributed_energy" in family.name
    ] == whole


def test_before_the_first_interval_there_is_no_power() -> None:
    text = render(attribution_families(None, Ledger(), None, {})).decode()
    assert "_watts" not in text


# streams


def test_a_stream_has_its_part_of_the_server_and_its_encoder() -> None:
    traffic = [StreamTraffic("live", "s1", 3e6), StreamTraffic("live", "s2", 1e6), StreamTraffic("vod", "s3", 0.0)]
    found = stream_watts(traffic, server_watts=8.0, encoder_watts={"s1": 20.0})
    assert found == {("live", "s1"): 26.0, ("live", "s2"): 2.0, ("vod", "s3"): 0.0}


def test_a_stream_of_which_nothing_is_known_has_no_figure() -> None:
    traffic = [StreamTraffic("live", "s1", 3e6), StreamTraffic("live", "s2", 1e6)]
    assert stream_watts(traffic, None, {"s2": 5.0}) == {("live", "s2"): 5.0}
    still = [StreamTraffic("live", "s1", 0.0)]
    assert stream_watts(still, 8.0, {}) == {}
    assert stream_watts([], 8.0, {"s1": 1.0}) == {}


# idle power


def lived(model: IdleModel, law: object, hours: float = 1.0, seed: int = 1, low: float = 0.1) -> IdleModel:
    """A machine that works between ``low`` and full use, measured every 5 s with half a watt of noise."""
    chance = random.Random(seed)
    for at in range(0, int(hours * 3600), 5):
        use = low + (1 - low) * (0.5 + 0.5 * math.sin(at / 600)) * chance.random()
        model = model.add(1e6 + at, use, law(use) + chance.gauss(0, 0.5))  # type: ignore[operator]
    return model


def test_the_intercept_of_a_machine_that_is_never_idle_is_found() -> None:
    found = lived(IdleModel(), lambda use: 30 + 60 * use).idle()
    assert found is not None
    assert found.method == "regression"
    assert found.watts == pytest.approx(30.0, abs=0.5)
    assert found.error_watts is not None
    assert found.error_watts < 0.2


def test_a_curve_that_rises_steeply_first_is_bounded_by_the_lowest_power_seen() -> None:
    found = lived(IdleModel(), lambda use: 30 + 60 * math.sqrt(use), low=0.0).idle()
    assert found is not None
    assert found.method == "lowest"
    assert found.watts == pytest.approx(30.0, abs=3.0)


def test_before_anything_has_varied_the_lowest_power_is_the_answer() -> None:
    model = IdleModel()
    assert model.idle() is None
    for at in range(200):
        model = model.add(1e6 + at, 0.3, 50.0 + at % 3)
    found = model.idle()
    assert found is not None
    assert (found.watts, found.method, found.error_watts) == (50.0, "lowest", None)


def test_a_baseline_window_goes_before_everything_for_a_day() -> None:
    model = lived(IdleModel(), lambda use: 30 + 60 * use)
    model = model.add_baseline(model.time, 0.01, 31.5)
    found = model.idle()
    assert found is not None
    assert (found.watts, found.method) == (31.5, "baseline")
    assert model.add_baseline(model.time, 0.5, 70.0).idle() == found
    later = model.add(model.time + 25 * 3600, 0.5, 60.0).idle()
    assert later is not None
    assert later.method != "baseline"


def test_a_machine_that_was_changed_is_learnt_anew() -> None:
    model = lived(IdleModel(), lambda use: 30 + 60 * use)
    chance = random.Random(3)
    for at in range(0, 30 * 3600, 30):
        use = 0.1 + 0.8 * chance.random()
        model = model.add(1e6 + 3600 + at, use, 45 + 60 * use)
    found = model.idle()
    assert found is not None
    assert found.watts == pytest.approx(45.0, abs=0.5)
