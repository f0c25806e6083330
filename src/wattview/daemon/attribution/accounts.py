"""The two accounts of power: marginal, what each consumer added to the idle machine; and attributional, its share of
the whole.

*Marginal*: idle power belongs to nobody, and the power above it is divided; known once idle power is. *Attributional*:
idle power is divided too, by CPU time, and a GPU's by its use; always known. Until idle power is known, the
attributional account is shown in place of the marginal one, marked as including idle.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from wattview.analysis.attribution.idle import Idle
from wattview.analysis.attribution.shares import Attribution, Interval, Ledger, attribute
from wattview.analysis.attribution.streams import StreamKey
from wattview.daemon.attribution.stream_power import StreamPower
from wattview.model import PowerAccount


class Book:
    """One account: its last interval, the totals, and the streams' power."""

    def __init__(self) -> None:
        self.last: Attribution | None = None
        self.ledger = Ledger()
        self.streams: dict[StreamKey, StreamPower] = {}


class ShownAccount(Struct, frozen=True):
    """The displayed account. ``includes_idle``: the figures of the last interval contain idle power."""

    account: PowerAccount
    book: Book
    includes_idle: bool


class Accounts:
    """Both accounts."""

    def __init__(self) -> None:
        self.marginal = Book()
        self.attributional = Book()
        self.idle: Idle | None = None

    def enter(self, interval: Interval, idle: Idle | None, gpu_idle: Mapping[str, float]) -> None:
        """Divides an interval by both accounts; by the marginal one only if idle power is known."""
        self.idle = idle
        shared = attribute(interval, 0.0, {gpu.uuid: 0.0 for gpu in interval.gpus})
        self.attributional.last = shared
        self.attributional.ledger.add(shared)
        if idle is None:
            self.marginal.last = None
            self.marginal.ledger.add_unknown(interval.joules)
        else:
            self.marginal.last = attribute(interval, idle.watts, gpu_idle)
            self.marginal.ledger.add(self.marginal.last)

    def page(self, account: PowerAccount) -> ShownAccount:
        """What to show for a requested account."""
        marginal = account == "marginal" and self.marginal.last is not None
        return ShownAccount(account, self.marginal if marginal else self.attributional, not marginal)
