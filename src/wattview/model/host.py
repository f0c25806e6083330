"""The machine at a glance."""

from __future__ import annotations

from msgspec import Struct

from wattview.model.source import Reading


class Nic(Struct, frozen=True, kw_only=True):
    """A network interface. Rates are None until two readings are a second apart; in the past a total may be unknown."""

    device: str
    receive_bytes_total: int | None = None
    transmit_bytes_total: int | None = None
    receive_bytes_per_second: float | None = None
    transmit_bytes_per_second: float | None = None


class HostReading(Reading, frozen=True, kw_only=True):
    """Host figures for the dashboard, the history and the analyses.

    ``cpu_busy_seconds_total`` is user + nice + system + irq + softirq over all CPUs; guest time is part of user; idle
    and iowait are excluded. ``cpu_percent`` is of the whole machine (0 to 100). Apart from CPU time, a value that the
    kernel does not provide is None. ``core_percents`` is the use of each online CPU by number (0 to 100; None until two
    readings are a second apart); empty where it is not known, as in the past.
    """

    hostname: str
    cpus: int
    cpu_busy_seconds_total: float
    cpu_percent: float | None
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None
    load1: float | None
    load5: float | None
    load15: float | None
    boot_time: float | None
    nics: tuple[Nic, ...] = ()
    core_percents: tuple[float | None, ...] = ()

    @property
    def memory_used_bytes(self) -> int | None:
        total, available = self.memory_total_bytes, self.memory_available_bytes
        return None if total is None or available is None else total - available
