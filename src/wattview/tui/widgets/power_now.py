"""Current power: a large figure, its source, and its cost."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Digits

from wattview.model import MachinePower, PowerReading, PowerUse, Snapshot, WallPower
from wattview.model.power.meters import WALL_WORDS
from wattview.model.power_sources import is_estimate
from wattview.tui.sources import source_words
from wattview.tui.text import UNKNOWN, money, number, within
from wattview.tui.view import Picture, why_empty
from wattview.tui.widgets.pane import Pane, Parts, entitle


class PowerNow(Vertical):
    DEFAULT_CSS = """
    PowerNow {
        & > Digits { width: 1fr; height: 3; color: $primary; }
    }
    """

    def compose(self) -> ComposeResult:
        yield Digits(UNKNOWN)
        yield Pane(id="source")
        yield Pane(id="price")
        yield Pane(id="price_parts")
        yield Pane(id="zones")

    def on_mount(self) -> None:
        self.border_title = "Power now"

    def show(self, picture: Picture, of: str = "") -> None:
        """``of``: the host's name, if there are several."""
        snapshot = picture.snapshot
        power = snapshot.power if snapshot is not None else None
        machine = snapshot.machine_power if snapshot is not None else None
        watts = machine.watts if machine is not None else None
        bounded = machine is not None and watts is not None and not is_estimate(machine.source)
        error = f"  {within(machine.error_watts)} W" if machine is not None and bounded else ""
        entitle(
            self,
            (f"Power of {of}" if of else "Power now" if picture.live or snapshot is None else "Power then") + error,
        )
        digits = "-" if watts is None else f"{number(watts, 1):>5} W"
        if self.query_one(Digits).value != digits:
            self.query_one(Digits).update(digits)
        self.query_one("#source", Pane).put(*_source(picture, machine, power))
        self.query_one("#price", Pane).put(_price(snapshot))
        self.query_one("#price_parts", Pane).put(_price_parts(snapshot))
        use = snapshot.power_use if snapshot is not None else None
        wall = snapshot.wall if snapshot is not None else None
        self.query_one("#zones", Pane).put(_wall(wall) + _zones(power, machine) + _use(use))


def _source(picture: Picture, machine: MachinePower | None, power: PowerReading | None) -> Parts:
    if machine is None:
        return [(why_empty(picture, "power", "no power reading yet"), "$text-warning")]
    if machine.reason:
        return [(machine.reason, "$text-warning")]
    words = source_words(machine.source)
    if is_estimate(machine.source):
        return [(" ESTIMATE ", "bold reverse $warning"), f" {words}"]
    # The sampler sees the host's short peaks, but not the GPUs'.
    peak = power.host_peak_watts if power is not None and machine.source == power.source else None
    return [words + (f", peak {number(peak)} W" if peak is not None else "")]


def _price(snapshot: Snapshot | None) -> str:
    if snapshot is None:
        return ""
    carbon = number(snapshot.carbon_grams_per_hour)
    return f"{money(snapshot.cost_per_hour)} {snapshot.currency}/h   {carbon} g CO₂/h"


def _price_parts(snapshot: Snapshot | None) -> str:
    if snapshot is None:
        return ""
    parts = [f"energy {money(snapshot.energy_cost_per_hour)} + compute {money(snapshot.compute_cost_per_hour)}"]
    if snapshot.wall is not None and snapshot.wall.watts is not None:
        parts.append(f"of the wall, {WALL_WORDS[snapshot.wall.source]}")
    if snapshot.embodied_grams_per_hour is not None:
        parts.append(f"embodied {number(snapshot.embodied_grams_per_hour)} g CO₂/h")
    if snapshot.prices_stale:
        parts.append("by the grid's last known values")
    return "\n".join(f"  {part}" for part in parts)


def _use(use: PowerUse | None) -> str:
    """Idle power, its error and its origin; or why it is unknown."""
    if use is None:
        return ""
    if use.includes_idle:
        return f"all W below include idle power{'; ' + use.reason if use.reason else ', divided by use'}"
    if use.idle_watts is None:
        return f"who used it: {use.reason}" if use.reason else ""
    error = f" ±{number(use.idle_error_watts)}" if use.idle_error_watts is not None else ""
    return f"idle {number(use.idle_watts)}{error} W, by {use.idle_method}"


def _wall(wall: WallPower | None) -> str:
    """Power from the wall, which costs and carbon are based on; or why it is unknown."""
    if wall is None:
        return ""
    if wall.watts is None:
        return f"{'at the wall':<14}{UNKNOWN:>7}  {wall.reason}\n"
    error = f" {within(wall.error_watts)} W" if wall.error_watts is not None else ""
    outside = f"  {wall.reason}\n" if wall.reason else ""
    return f"{'at the wall':<14}{number(wall.watts):>7} W{error}\n{outside}"


def _zones(power: PowerReading | None, machine: MachinePower | None) -> str:
    """Zones in the kernel's order, marked if the host's figure does not include them; the GPUs in a line."""
    if power is None:
        return ""
    lines = []
    for zone in power.zones:
        name = zone.zone if zone.zone == zone.package else f"  {zone.zone}"
        watts = f"{number(zone.watts):>7} W"
        lines.append(f"{name:<14}{watts}" if zone.counted else f"{name:<14}{watts} (not added)")
    if machine is not None and machine.source != power.source:
        known = machine.watts is not None and power.host_watts is not None
        beside = machine.watts - power.host_watts if known else None  # type: ignore[operator]
        lines.append(f"{'GPUs':<14}{number(beside):>7} W")
    return "".join(f"{line}\n" for line in lines)
