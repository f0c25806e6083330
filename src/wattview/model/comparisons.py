"""Comparison of settings: repeats with confidence intervals, differences, advice and the gate."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from wattview.model.results import Difference, Estimate
from wattview.model.scenarios import Output


class Setting(Struct, frozen=True, kw_only=True):
    """The options of the encoders. Scenarios with equal settings are repeats, whatever their names.

    ``bitrate`` lists those of all streams or renditions. ``pushed``: whether the streams went to a server;
    ``protocol``: over which, None for RTMP. ``bit_depth`` is None for 8.
    ``name`` is that of a command or a recording, which has no other setting.
    """

    streams: int | None = None
    resolution: str | None = None
    fps: float | None = None
    bitrate: str | None = None
    outputs: tuple[Output, ...] = ()
    encoder: str | None = None
    encoder_args: str | None = None
    bit_depth: int | None = None
    preset: str | None = None
    source: str | None = None
    rate_control: str | None = None
    crf: int | None = None
    gop_seconds: float | None = None
    buffer_seconds: float | None = None
    audio: str | None = None
    viewers: int | None = None
    pushed: bool | None = None
    protocol: str | None = None
    name: str | None = None


class Group(Struct, frozen=True, kw_only=True):
    """Repeats of one setting. ``figures`` are means with intervals, over the repeats that have the figure; ``label`` is
    the setting as text. Repeats that have not done their work are only counted, in ``invalid``; ``left_out`` says why:
    ``2 not real time``. ``vmaf_model`` is that of their VMAF. ``remarks`` are those on the repeats."""

    label: str
    setting: Setting
    figures: dict[str, Estimate]
    repeats: int
    invalid: int = 0
    left_out: str = ""
    power_source: str | None = None
    machine: str | None = None
    vmaf_model: str | None = None
    remarks: dict[str, str] = {}


class Comparison(Struct, frozen=True, kw_only=True):
    """Two groups, figure by figure: the first less the second."""

    first: str
    second: str
    figures: dict[str, Difference]


class Pair(Struct, frozen=True, kw_only=True):
    """One setting in two runs, or two settings that are compared in its place. ``differences`` are the second less the
    first; ``remark`` says why power is not among them."""

    first: Group
    second: Group
    differences: dict[str, Difference]
    remark: str = ""


class RunComparison(Struct, frozen=True, kw_only=True):
    """Two runs, by their ids: their common settings, and the settings of only one of them.

    ``baseline_watts`` is the difference of the idle machine's mean power, second less first: a change that does not
    come from the settings. None if one of the runs has no baseline, or if their power sources differ. ``remark`` says
    if the runs are from two machines. ``correction`` says how many tests per family (power, quality, cost) the verdicts
    and intervals are corrected for.
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
    """One setting as measured in one run: the indices of its scenarios there, and their combined figures.

    ``on_front``: no other setting with the same power source has a better picture for less (``Measurements.figure``).
    """

    run: str
    scenarios: tuple[int, ...]
    group: Group
    on_front: bool = False


class Measurements(Struct, frozen=True, kw_only=True):
    """The settings of some runs. ``figure`` is the axis against which VMAF is plotted, ``title`` its name as text."""

    measured: list[Measured]
    figure: str
    title: str
    unit: str


class SideBySide(Struct, frozen=True, kw_only=True):
    """Two or more columns, each one scenario or the repeats of one setting, compared with the first column.

    ``differences`` and ``remarks`` have one entry per column after the first: that column less the first, by figure;
    and why power is not among them, or "". ``correction`` is as in a ``RunComparison``.
    """

    columns: list[Group]
    differences: list[dict[str, Difference]]
    remarks: list[str]
    correction: str = ""


class Choice(Struct, frozen=True, kw_only=True):
    """One measured setting in an advice: its value of the objective, and how far that is above the best.

    ``meets``: the setting meets or misses the target if the 95 % intervals of its repeats lie on that side of it, and
    may meet it if they include it. ``reason`` says why it is not known to meet the target. ``remarks`` are those on its
    repeats.
    """

    label: str
    value: float | None = None
    above_best: float | None = None
    difference: Difference | None = None
    meets: Literal["meets", "may meet", "does not meet"] = "meets"
    reason: str = ""
    remarks: dict[str, str] = {}


class Advice(Struct, frozen=True, kw_only=True):
    """Answers *which setting is cheapest and still good enough*. ``best`` is None if none meets the target.

    ``choices`` are the settings that meet it, best first; ``undecided`` those that may meet it, cheapest first;
    ``rejected`` are the others. ``verdict`` is the answer as text. The best was chosen by the same data, so its
    differences from the others are corrected for all pairs of ``choices``. ``figure`` is the objective's name as text,
    and ``unit`` the unit of its values. All settings were measured on ``machine``; ``left_out`` says what was measured
    on others.
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
    """How far the mean of a figure may be above (``max``) or below (``min``) the baseline's.

    ``value`` is a difference in the figure's unit, or with ``relative`` a share of the baseline's mean: 0.01 is +1 %.
    ``text`` is the bound in words.
    """

    figure: str
    side: Literal["max", "min"]
    value: float
    relative: bool
    text: str


GateVerdict = Literal["within", "exceeded", "undecided"]


class BoundCheck(Struct, frozen=True, kw_only=True):
    """One bound tested on one setting. ``difference`` is the candidate less the baseline, and ``low`` to ``high`` its
    interval, both in the form of the bound: in the figure's unit, or as a share of the baseline's mean.

    ``p_exceeded`` is the p-value of the test that the bound is exceeded, corrected for all tests of the gate;
    ``p_within`` that of the test that it is kept. Either is significant at 0.025. None if no test was possible;
    ``reason`` then says why. ``repeats_needed`` is how many repeats of either side would decide; None if unknown.
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
    """A candidate run compared with a baseline run. ``tests`` is the number of tests that the verdicts are corrected
    for; ``repeats_needed`` the largest of all checks. ``only_baseline`` and ``only_candidate`` are settings that the
    other run lacks; ``remarks`` are warnings on how far to trust the verdict."""

    baseline: str
    candidate: str
    verdict: GateVerdict
    checks: list[BoundCheck]
    only_baseline: list[str] = []
    only_candidate: list[str] = []
    tests: int = 0
    repeats_needed: int | None = None
    remarks: list[str] = []
