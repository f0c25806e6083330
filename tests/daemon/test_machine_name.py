"""The name by which results of one machine are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.daemon.machine import name_of

FACTS = {"hostname": "encoder-7", "cpu": "AMD EPYC 7302P", "cpus": 16, "governor": "performance", "kernel": "6.1.0"}


def test_a_machine_is_known_by_its_host_its_cpu_and_its_governor() -> None:
    assert name_of(FACTS) == "encoder-7 (16 x AMD EPYC 7302P, performance)"
    assert name_of(FACTS | {"kernel": "6.6.0", "microcode": "0x1"}) == name_of(FACTS), "an update makes no new machine"
    assert name_of(FACTS | {"governor": "powersave"}) != name_of(FACTS)


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({}, None),
        ({"governor": "performance"}, None),
        ({"hostname": "a"}, "a"),
        ({"cpu": "ARMv8"}, "ARMv8"),
        ({"hostname": "a", "cpu": ["x"], "cpus": True}, "a"),
    ],
)
def test_missing_facts_are_left_out_of_the_name(facts: dict[str, object], name: str | None) -> None:
    assert name_of(facts) == name


@given(
    st.dictionaries(st.sampled_from(sorted(FACTS)), st.none() | st.booleans() | st.integers() | st.text() | st.just([]))
)
def test_any_facts_give_a_one_line_name(facts: dict[str, object]) -> None:
    name = name_of(facts)
    assert name is None or (0 < len(name.encode()) < 2000 and "\n" not in name)
