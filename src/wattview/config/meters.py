"""Settings of the meters at the wall."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from wattview.config.section import NonNegative, Section, seconds
from wattview.model.power.meters import METER_KINDS, meter_kind


class MeterSettings(Section, frozen=True, kw_only=True):
    """One meter of this machine's power supplies, or of several machines together.

    Wall power is that of the first meter without ``supply``; if there is none, the sum of the meters with it. The
    password is not a setting: it is in the file ``token_file``, or in the environment variable ``token_env``.
    """

    kind: Annotated[str, Meta(examples=METER_KINDS)]
    name: str = ""
    url: str = ""
    outlets: tuple[str, ...] = ()
    query: str = ""
    energy_query: str = ""
    token_file: str = ""
    token_env: str = ""
    ca_file: str = ""
    check_hostname: bool = True
    interval: str = ""
    accuracy_percent: NonNegative | None = None
    machines: Annotated[int, Meta(ge=1)] = 1
    share: Annotated[float, Meta(gt=0, le=1)] | None = None
    supply: bool = False

    @property
    def title(self) -> str:
        """What the meter is called."""
        return self.name or self.kind

    @property
    def interval_seconds(self) -> float:
        """How often it is read. Raises ValueError for an invalid duration."""
        kind = meter_kind(self.kind)
        return seconds(self.interval) if self.interval else kind.seconds if kind is not None else 2.0


LEAST_SECONDS, MOST_SECONDS = 0.5, 300.0


def meter_problem(meters: tuple[MeterSettings, ...]) -> str:
    """What is wrong with these settings, as ``power.meters[0].url: …``, without secrets; "" if nothing is."""
    titles: set[str] = set()
    for index, meter in enumerate(meters):
        problem = _problem(meter)
        if not problem and meter.title in titles:
            problem = f"name: another meter is called {meter.title!r}"
        if problem:
            return f"power.meters[{index}].{problem}"
        titles.add(meter.title)
    return ""


def _problem(meter: MeterSettings) -> str:
    kind = meter_kind(meter.kind)
    if kind is None:
        return f"kind: expected one of {', '.join(METER_KINDS)}, got {meter.kind!r}"
    for needed in kind.needs:
        if not getattr(meter, needed):
            return f"{needed}: needed by a meter of kind {kind.name}"
    for name in ("url", "outlets", "query", "energy_query", "token_file", "token_env", "ca_file"):
        if getattr(meter, name) and name not in (*kind.needs, *kind.takes):
            return f"{name}: a meter of kind {kind.name} has none"
    if "@" in meter.url:
        return "url: user and password do not belong here; put user:password into a file and set token_file"
    try:
        if not LEAST_SECONDS <= meter.interval_seconds <= MOST_SECONDS:
            raise ValueError(f"expected {LEAST_SECONDS:g}s to {MOST_SECONDS:g}s, got {meter.interval!r}")
    except ValueError as error:
        return f"interval: {error}"
    return ""
