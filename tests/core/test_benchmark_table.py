"""The table of ``make bench``: what it says of an aim that is met, that is missed, and of a benchmark that fails."""

from __future__ import annotations

import pytest

from benchmarks.table import Failed, Row, print_table


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row(subject="x", ours=0.2, unit="ms", below=0.3), "met"),
        (Row(subject="x", ours=0.45, unit="ms", below=0.3), "missed by 0.150 ms (50%)"),
        (Row(subject="x", ours=4.0, peer=10.0, ratio_below=0.5), "met"),
        (Row(subject="x", ours=6.0, peer=10.0, ratio_below=0.5), "missed by 0.10 (20%)"),
        (Row(subject="x", ours=4.0, peer=10.0), ""),
        (Row(subject="x", ours=1, below=1), "missed by 0 (0%)"),
    ],
)
def test_a_row_says_whether_its_aim_is_met_or_by_how_much_it_is_missed(row: Row, verdict: str) -> None:
    assert row.verdict() == verdict


def test_the_table_has_ours_the_peers_their_ratio_and_the_aim_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    row = Row(subject="a scrape", ours=4.95, unit="ms", peer=9.51, peer_name="node_exporter", ratio_below=0.5)
    assert print_table([row, "what it was measured with"])
    lines = capsys.readouterr().out.splitlines()
    shown = "a scrape 4.95 ms 9.51 ms node_exporter 0.521 ratio < 0.5 missed by 0.02 (4%)"
    assert lines[1].split() == shown.split()
    assert lines[-1] == "what it was measured with"


def test_a_benchmark_that_could_not_measure_is_a_row_and_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert not print_table([Failed(subject="store", reason="no such program"), Row(subject="x", ours=1)])
    assert "not measured: no such program" in capsys.readouterr().out


def test_each_of_two_aims_has_its_verdict() -> None:
    def verdict(ours: float, peer: float) -> str:
        return Row(subject="x", ours=ours, unit="%", peer=peer, below=5.0, ratio_below=1.0).verdict()

    assert verdict(2.4, 1.8) == "met; missed by 0.33 (33%)"
    assert verdict(1.2, 1.8) == "met"
    assert verdict(6.0, 8.0) == "missed by 1 % (20%); met"
