"""Whatever JSON a meter answers: it is a figure, or a fault that says so, and never an error of ours."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import meter_answers as real
from tests.support.meter_server import MeterServer, Told
from wattview.config import Config, MeterSettings, load
from wattview.probes import SourceError
from wattview.probes.meters.answer import MeterAnswer
from wattview.probes.meters.reader import make_meter

pytestmark = pytest.mark.parallel

ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)

PAGES: dict[str, dict[str, Any]] = {
    "shelly": {"/shelly": real.SHELLY_PLUG_S, "/status": real.shelly_gen1_status()},
    "shelly later": {"/shelly": real.SHELLY_PLUS, "/rpc/Shelly.GetStatus": real.shelly_pro_3em_status()},
    "tasmota": {"/cm?cmnd=Status%208": real.tasmota_status([40, 12], 10.5)},
    "redfish": real.redfish_environment(),
    "redfish supplies": real.redfish_supplies(),
    "redfish power": real.redfish_power("Self"),
}


def spoilt(value: Any, place: int, odd: Any) -> Any:
    """The same with one of its inner values replaced, by a number that wraps around them."""
    places = list(_places(value))
    if not places:
        return odd
    return _replaced(value, places[place % len(places)], odd)


def _places(value: Any, before: tuple[Any, ...] = ()) -> Any:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*before, key)
            yield from _places(inner, (*before, key))


def _replaced(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _replaced(value[path[0]], path[1:], odd)
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PAGES))
def test_any_single_odd_value_is_a_figure_or_a_fault(name: str) -> None:
    pages: dict[str, Any] = {}
    with MeterServer(lambda asked: Told(pages.get(asked.path, {}))) as server:
        meter = MeterSettings(kind=name.split()[0], url=server.url)
        config = load(environ={"HOME": "/nonexistent"})

        @settings(max_examples=30)
        @given(st.integers(0, 60), st.integers(0, 200), ODD)
        def check(page: int, place: int, odd: Any) -> None:
            chosen = list(PAGES[name])[page % len(PAGES[name])]
            pages.update(PAGES[name])
            pages[chosen] = spoilt(pages[chosen], place, odd)
            try:
                answer = asyncio.run(read_once(meter, config))
            except SourceError as error:
                assert error.reason
            else:
                assert all(isinstance(value, int | float | None) for value in (answer.watts, answer.joules))

        check()


async def read_once(settings: MeterSettings, config: Config) -> MeterAnswer:
    meter = make_meter(settings, config)
    try:
        return await meter.read()
    finally:
        await meter.close()
