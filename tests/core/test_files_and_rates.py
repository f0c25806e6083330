"""Kernel files that stay open, and rates from counters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.probes.kernel_files import KernelFile
from wattview.probes.rates import Rate, Rates


def test_a_kernel_file_gives_fresh_content_at_each_read(tmp_path: Path) -> None:
    path = tmp_path / "energy_uj"
    path.write_text("1\n")
    with KernelFile(path) as file:
        assert file.read() == b"1\n"
        with path.open("r+") as writer:
            writer.write("22\n")
        assert file.read() == b"22\n"


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 4095, 4096, 4097, 100_000])
def test_a_kernel_file_of_any_size_is_read_completely(tmp_path: Path, size: int) -> None:
    path = tmp_path / "stat"
    content = bytes(index % 251 for index in range(size))
    path.write_bytes(content)
    with KernelFile(path) as file:
        assert file.read() == content
        assert file.read() == content


def test_a_real_proc_file_is_read_completely() -> None:
    path = Path("/proc/kallsyms")
    with KernelFile(path) as file:
        assert file.read().count(b"\n") == path.read_bytes().count(b"\n") > 1000


def test_a_kernel_file_that_returns_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    with KernelFile(path) as file:
        with pytest.raises(FileNotFoundError):
            file.read()
        path.write_text("back")
        assert file.read() == b"back"


def test_a_rate_is_unknown_until_a_second_has_passed() -> None:
    rate = Rate()
    assert rate.update(10.0, 100) is None
    assert rate.update(10.5, 150) is None
    assert rate.update(11.0, 200) == 100
    assert rate.update(11.5, 300) == pytest.approx(150)


def test_readers_close_together_see_nearly_the_same_rate() -> None:
    rate = Rate()
    for step in range(200):
        value = rate.update(step * 0.05, step * 0.05 * 7)
        assert value is None or value == pytest.approx(7)


def test_a_counter_that_was_reset_starts_a_new_rate() -> None:
    rate = Rate()
    rate.update(0, 1000)
    assert rate.update(2, 5) is None
    assert rate.update(4, 25) == 10


def test_a_rate_over_more_than_a_minute_is_not_given() -> None:
    rate = Rate()
    rate.update(0, 0)
    assert rate.update(61, 100) is None


@given(st.lists(st.tuples(st.floats(0.01, 30), st.integers(0, 1000)), min_size=1, max_size=50))
def test_a_rate_is_never_negative_and_never_above_the_steepest_step(steps: list[tuple[float, int]]) -> None:
    rate, now, value = Rate(), 0.0, 0
    rate.update(now, value)
    steepest = 0.0
    for width, growth in steps:
        now, value = now + width, value + growth
        steepest = max(steepest, growth / width)
        got = rate.update(now, value)
        assert got is None or -1e-9 <= got <= steepest * (1 + 1e-9)


def test_rates_of_ended_keys_are_forgotten() -> None:
    rates = Rates()
    rates.update("a", 0, 0)
    rates.forget(keep=set())
    assert rates.update("a", 2, 10) is None
