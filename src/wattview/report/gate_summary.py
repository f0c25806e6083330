"""A gate's verdict for other programs: JUnit XML for a CI server, Markdown for a pull request.

Names come from files that anybody may have written, so markup, mentions and control characters in them are escaped.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as xml

from wattview.analysis.sweeps.gate_bounds import bound_text
from wattview.foreign_text import one_line
from wattview.model import BoundCheck, Estimate, GateReport
from wattview.model.quantities import QUANTITIES
from wattview.model.scenarios import MOST_REPEATS

HEADER = ("BOUND", "BASELINE", "CANDIDATE", "DIFFERENCE", "INTERVAL", "VERDICT")

UNKNOWN = "—"


def row_of(check: BoundCheck) -> tuple[str, ...]:
    """The cells of one check under ``HEADER``."""
    difference = interval = UNKNOWN
    if check.difference is not None:
        difference = bound_text(check.bound, check.difference, check.currency, signed=True)
    if check.low is not None and check.high is not None:
        low, high = (bound_text(check.bound, end, check.currency, signed=True) for end in (check.low, check.high))
        interval = f"{low.partition(' ')[0]} to {high}"
    means = (_mean(side, check) for side in (check.baseline, check.candidate))
    return (check.bound.text, *means, difference, interval, check.verdict)


def _mean(side: Estimate | None, check: BoundCheck) -> str:
    if side is None:
        return UNKNOWN
    quantity = QUANTITIES[check.bound.figure]
    unit = quantity.unit_in(check.currency)
    return f"{quantity.scaled(side.mean):z.{quantity.decimals}f} {unit}".rstrip() + f" (n = {side.count})"


def headline(report: GateReport) -> str:
    """The verdict in one sentence."""
    count = len(report.checks)
    exceeded = sum(check.verdict == "exceeded" for check in report.checks)
    undecided = sum(check.verdict == "undecided" for check in report.checks)
    if report.verdict == "exceeded":
        return f"exceeded: {exceeded} of {_checks(count)} with 95 % confidence"
    if report.verdict == "within":
        return f"within the bounds: {_checks(count)} with 95 % confidence"
    if not count:
        return "undecided: the runs have no setting in common"
    if not undecided:
        return "undecided: a setting was measured on one side only"
    return f"undecided: the repeats cannot tell in {undecided} of {_checks(count)}"


def _checks(count: int) -> str:
    return "1 check" if count == 1 else f"{count} checks"


def way_out(report: GateReport) -> str:
    """How to decide a gate that lacks repeats; "" otherwise."""
    if report.verdict != "undecided" or report.repeats_needed is None:
        return ""
    if report.repeats_needed > MOST_REPEATS:
        return f"a run has {MOST_REPEATS} repeats at most: measure longer windows, or let the machine do nothing else"
    return f"measure baseline and candidate, in turn if you can, with: --repeat {report.repeats_needed}"


def one_sided(report: GateReport) -> list[tuple[str, str]]:
    """The settings that one run lacks, with a text for each."""
    only = ((report.only_baseline, "baseline"), (report.only_candidate, "candidate"))
    return [(label, f"measured in the {side} only") for labels, side in only for label in labels]


def junit_xml(report: GateReport, allow_missing: bool = False) -> str:
    """One test case per setting and bound: exceeded is a failure, undecided an error. A setting that one run lacks is
    an error too, or skipped if that is allowed."""
    cases = [_case(check) for check in report.checks]
    for label, said in one_sided(report):
        case = xml.Element("testcase", classname=one_line(label), name="setting")
        xml.SubElement(case, "skipped" if allow_missing else "error", message=said)
        cases.append(case)
    if not cases:
        case = xml.Element("testcase", classname="gate", name="settings")
        xml.SubElement(case, "error", message=headline(report))
        cases.append(case)
    counts = {
        kind: str(sum(case.find(tag) is not None for case in cases))
        for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    name = one_line(f"wattview gate: {report.candidate} against {report.baseline}")
    root = xml.Element("testsuites")
    suite = xml.SubElement(root, "testsuite", {"name": name, "tests": str(len(cases)), **counts})
    suite.extend(cases)
    xml.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{xml.tostring(root, encoding="unicode")}\n'


def _case(check: BoundCheck) -> xml.Element:
    bound, baseline, candidate, difference, interval, _ = row_of(check)
    case = xml.Element("testcase", classname=one_line(check.setting), name=bound)
    if check.verdict != "within":
        message = check.reason or f"{difference} ({interval})"
        tag = "failure" if check.verdict == "exceeded" else "error"
        found = xml.SubElement(case, tag, message=one_line(message), type=check.verdict)
        found.text = one_line(
            f"baseline {baseline}, candidate {candidate}, difference {difference}, interval {interval}"
        )  # fmt: skip
    return case


def markdown_summary(report: GateReport) -> str:
    """A heading, a table of all checks, and notes."""
    lines = [f"### WattView gate: {headline(report)}", ""]
    lines += [f"Candidate {_code(report.candidate)} against baseline {_code(report.baseline)}.", ""]
    if report.checks:
        header = ("Setting", *(title.capitalize() for title in HEADER))
        lines += [_row(header), _row(["---", "---", *["---:"] * 4, "---"])]
        lines += [_row([_code(check.setting), *map(_escaped, row_of(check))]) for check in report.checks]
        lines.append("")
    notes = [f"{_code(check.setting)}, {_escaped(f'{check.bound.text}: {check.reason}')}"
             for check in report.checks if check.reason and check.verdict != "within"]  # fmt: skip
    notes += [f"{_code(label)}: {said}" for label, said in one_sided(report)]
    notes += [_code(remark) for remark in report.remarks]
    notes += [_escaped(out)] if (out := way_out(report)) else []
    return "\n".join([*lines, *(f"- {note}" for note in notes)]).rstrip() + "\n"


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Text escaped for Markdown: possible markup becomes character references."""
    return re.sub(r"[^\w\s.,()%+≤≥→·—-]|_", lambda found: f"&#{ord(found[0])};", one_line(text))


def _code(text: str) -> str:
    """The same as inline code, in which a forge links neither mentions nor addresses."""
    return f"<code>{_escaped(text)}</code>"
