"""The one table that ``make bench`` prints: what was measured, of ours and of a peer, the aim, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class Row(Struct, frozen=True, kw_only=True):
    """One measurement. ``peer`` is the same of another program, ``peer_name``, in the same run and unit.

    The aim is that ours, or its ratio to the peer's, or each of them, stays below a limit; without one the row has no
    verdict.
    """

    subject: str
    ours: float
    unit: str = ""
    peer: float | None = None
    peer_name: str = ""
    below: float | None = None
    ratio_below: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peer if self.peer else None

    def verdict(self) -> str:
        """``met``, or by how much each aim was missed; "" where nothing is aimed at."""
        aims = []
        if self.below is not None:
            over = self.ours - self.below
            said = f"{_number(over)} {self.unit}".rstrip()
            missed = f"missed by {said}" + (f" ({over / self.below:.0%})" if self.below else "")
            aims.append("met" if over < 0 else missed)
        if self.ratio_below is not None and self.ratio is not None:
            over = self.ratio - self.ratio_below
            aims.append("met" if over < 0 else f"missed by {over:.2f} ({over / self.ratio_below:.0%})")
        return "; ".join(dict.fromkeys(aims))


class Failed(Struct, frozen=True, kw_only=True):
    """A benchmark that could not measure, and why."""

    subject: str
    reason: str


Result = Row | Failed | str
"""What a benchmark yields. A string is a line that stands below the table."""

_WIDTHS = (50, 12, 27, 7, 16)


def print_table(results: Iterable[Result]) -> bool:
    """Prints each row as soon as it is known, the lines below the table last. False where a benchmark failed."""
    good, below = True, []
    print(_line("", "ours", "peer", "ratio", "aim", "verdict"), flush=True)
    for result in results:
        match result:
            case str():
                below.append(result)
            case Failed():
                good = False
                print(_line(result.subject, "", "", "", "", f"not measured: {result.reason}"), flush=True)
            case Row():
                print(_row(result), flush=True)
    if below:
        print()
    for text in below:
        print(text, flush=True)
    return good


def _row(row: Row) -> str:
    peer = "" if row.peer is None else f"{_number(row.peer)} {row.unit} {row.peer_name}".replace("  ", " ")
    limit = "" if row.below is None else f"< {row.below:g} {row.unit}".rstrip()
    aim = "; ".join(part for part in (limit, row.ratio_below and f"ratio < {row.ratio_below:g}") if part)
    ratio = "" if row.ratio is None else _number(row.ratio)
    return _line(row.subject, f"{_number(row.ours)} {row.unit}".rstrip(), peer, ratio, aim, row.verdict())


def _line(subject: str, ours: str, peer: str, ratio: str, aim: str, verdict: str) -> str:
    subject_width, ours_width, peer_width, ratio_width, aim_width = _WIDTHS
    return (
        f"{subject:<{subject_width}} {ours:>{ours_width}} {peer:>{peer_width}} {ratio:>{ratio_width}}"
        f"  {aim:<{aim_width}} {verdict}"
    ).rstrip()


def _number(value: float) -> str:
    """Three digits that count: 0.127, 12.7, 1270."""
    size = abs(value)
    places = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{places}f}"
