"""``wattview results predict``: the predicted power of an unmeasured setting, and its error."""

from __future__ import annotations

from collections.abc import Iterable

from wattview.analysis.sweeps.prediction import predict
from wattview.cli import terminal as term
from wattview.model import PowerPrediction, Question, RunResult
from wattview.model.quantities import POWER


def print_prediction(runs: Iterable[RunResult], question: Question, as_json: bool) -> None:
    """Prints the prediction, from all scenarios of these runs. Raises NoData if there is none."""
    found = predict([scenario for run in runs for scenario in run.scenarios], question)
    term.say(term.json_text(found) if as_json else _text(found, question))


def _text(found: PowerPrediction, question: Question) -> str:
    asked = " ".join([
        f"{question.streams} x {', '.join(question.resolutions)} {question.fps:g} fps",
        *([", ".join(question.bitrates)] if question.bitrates else []),
    ])  # fmt: skip
    mark = "EXTRAPOLATED: " if found.extrapolated else ""
    said = [
        term.strong(f"{mark}{asked} {found.of}: {POWER.text(found.watts)} ±{POWER.text(found.error_watts)}"),
        term.wrap(f"power of the host ({found.power_source}) = {found.formula}"),
        term.wrap(
            f"from {found.fit.settings} different loads in {found.scenarios} scenarios"
            f"{f' on {found.machine}' if found.machine else ''}; ± is the root mean square error of the"
            f" leave-one-out check{found.fit.by_load}"
        ),
        term.wrap(f"measured range: {found.spans}"),
        *([term.wrap(found.left_out)] if found.left_out else []),
        *(term.wrap(remark) for remark in found.remarks),
    ]
    return "\n".join(said)
