"""Settings against each other: repeats with their intervals, differences, and the advice drawn from them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from wattview.model.results import Difference, Estimate
from wattview.model.scenarios import Output


class Setting(Struct, frozen=True, kw_only=True):
    """What makes two scenarios repeats of each other: everything that was asked of the encoders, and not the name.

    ``bitrate`` lists those of all streams or renditions. ``pushed``: whether an RTMP server took the streams."""

    streams: int | None = None
    resolution: str | None = None
    fps: float | None = None
    bitrate: str | None = None
    outputs: tuple[Output, ...] = ()
    encoder: str | None = None
    preset: str | None = None
    source: str | None = None
    rate_control: str | None = None
    crf: int | None = None
    gop_seconds: float | None = None
    buffer_seconds: float | None = None
    audio: str | None = None
    viewers: int | None = None
    pushed: bool | None = None


class Group(Struct, frozen=True, kw_only=True):
    """Repeats of one setting. ``figures`` are means with intervals by figure, over the repeats that have it;
    ``label`` names the setting for people. A repeat that was not in real time is counted in ``invalid`` only.
    ``remarks`` are those on its repeats."""

    label: str
    setting: Setting
    figures: dict[str, Estimate]
    repeats: int
    invalid: int = 0
    power_source: str | None = None
    machine: str | None = None
    remarks: dict[str, str] = {}


class Comparison(Struct, frozen=True, kw_only=True):
    """Two groups figure by figure: the first less the second."""

    first: str
    second: str
    figures: dict[str, Difference]


class Pair(Struct, frozen=True, kw_only=True):
    """One setting in two runs, or a setting and what stands in its place in the other run. ``differences`` are the
    second less the first; ``remark`` says why the power is not among them."""

    first: Group
    second: Group
    differences: dict[str, Difference]
    remark: str = ""


class RunComparison(Struct, frozen=True, kw_only=True):
    """Two runs, by their ids: what they have in common, and the settings that only one of them has.

    ``baseline_watts`` is the difference of the idle machine's mean power, the second's less the first's: what changed
    beside the settings. None where one of the runs has no baseline, or theirs came from different power sources.
    ``remark`` says that the runs are of two machines, where they are. ``correction`` says how many tests of each family
    (power, quality, cost) the verdicts and intervals are corrected for.
    """

    first: str
    second: str
    pairs: list[Pair]
    only_first: list[str]
    only_second: list[str]
    baseline_watts: Difference | None = None
    remark: str = ""
    correction: str = ""


class Measured(Struct, frozen=True, kw_only=True):
    """One setting as one run has measured it: the numbers of its scenarios there, and what they make together.

    ``on_front``: no other of the same power source has as good a picture for less (``Measurements.figure``).
    """

    run: str
    scenarios: tuple[int, ...]
    group: Group
    on_front: bool = False


class Measurements(Struct, frozen=True, kw_only=True):
    """The settings of some runs. ``figure`` is what VMAF is plotted against, ``title`` its name in words."""

    measured: list[Measured]
    figure: str
    title: str
    unit: str


class SideBySide(Struct, frozen=True, kw_only=True):
    """Two or more columns, each one scenario or the repeats of one setting, against the first of them.

    ``differences`` and ``remarks`` have one entry for each column after the first: by figure, that column less the
    first; and why the power is not among them, "" where it is. ``correction`` is as in a ``RunComparison``.
    """

    columns: list[Group]
    differences: list[dict[str, Difference]]
    remarks: list[str]
    correction: str = ""


class Choice(Struct, frozen=True, kw_only=True):
    """One measured setting in an advice: what it costs in the objective, and by how much it is above the best.
    ``meets`` is what the repeats say of the target: it is met, or missed, where their 95 % intervals lie on that side
    of it, and may be met where they hold it. ``reason`` says why it is not known to meet it. ``remarks`` are those on
    its repeats."""

    label: str
    value: float | None = None
    above_best: float | None = None
    difference: Difference | None = None
    meets: Literal["meets", "may meet", "does not meet"] = "meets"
    reason: str = ""
    remarks: dict[str, str] = {}


class Advice(Struct, frozen=True, kw_only=True):
    """The answer to *which setting is cheapest and still good enough*. ``best`` is None where none meets the target.

    ``choices`` are the settings that meet it, best first; ``undecided`` those that may meet it, the cheapest first;
    ``rejected`` are the others. ``verdict`` is the answer in words. As the best was chosen by the same data, its
    differences from the others are corrected for all pairs of ``choices``.
    ``figure`` names the objective in words, and ``unit`` is that of its values.
    All of them were measured on ``machine``; ``left_out`` says what was measured on others.
    """

    objective: str
    target: str
    best: str | None
    verdict: str
    choices: list[Choice]
    rejected: list[Choice]
    undecided: list[Choice] = []
    figure: str = ""
    unit: str = ""
    machine: str | None = None
    left_out: str = ""


class Bound(Struct, frozen=True, kw_only=True):
    """How far the mean of a figure may lie above (``max``) or below (``min``) the baseline's.

    ``value`` is a difference in the figure's unit, or with ``relative`` a share of the baseline's mean: 0.01 is +1 %.
    ``text`` is the bound in words."""

    figure: str
    side: Literal["max", "min"]
    value: float
    relative: bool
    text: str


GateVerdict = Literal["within", "exceeded", "undecided"]


class BoundCheck(Struct, frozen=True, kw_only=True):
    """One bound tested on one setting. ``difference`` is the candidate less the baseline, and ``low`` to ``high``
    its interval, both as the bound has it: in the figure's unit, or as a share of the baseline's mean.

    ``p_exceeded`` is the p-value of the test that shows the bound to be exceeded, corrected for all tests of the gate,
    and ``p_within`` that of the test that shows it to be kept; each does so at 0.025 or less. None where nothing could
    be tested; ``reason`` then says why. ``repeats_needed`` is how many repeats of either side would tell; None where
    that is not known.
    """

    setting: str
    bound: Bound
    verdict: GateVerdict
    baseline: Estimate | None = None
    candidate: Estimate | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_exceeded: float | None = None
    p_within: float | None = None
    repeats_needed: int | None = None
    reason: str = ""
    currency: str | None = None


class GateReport(Struct, frozen=True, kw_only=True):
    """A candidate run compared with a baseline run. ``tests`` is how many tests the verdicts are corrected for;
    ``repeats_needed`` the most that any of the checks needs. ``only_baseline`` and ``only_candidate`` are settings that
    one of them lacks, and ``remarks`` warnings about how far to trust the verdict."""

    baseline: str
    candidate: str
    verdict: GateVerdict
    checks: list[BoundCheck]
    only_baseline: list[str] = []
    only_candidate: list[str] = []
    tests: int = 0
    repeats_needed: int | None = None
    remarks: list[str] = []
