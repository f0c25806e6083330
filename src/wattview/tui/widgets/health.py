"""Two lines of health: the exporters, and the sources with problems."""

from __future__ import annotations

from wattview.model import ExporterHealth, Gpu, ProbeStatus, counted_states, grouped_reasons
from wattview.tui.text import gib, number
from wattview.tui.view import Picture, why_empty
from wattview.tui.widgets.pane import Pane, Parts


class HealthPane(Pane):
    """GPUs, exporters and sources: a line each."""

    DEFAULT_CSS = """
    HealthPane { height: 2; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    HealthPane.box { text-wrap: wrap; }
    """

    def show(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        if snapshot is None:
            self.put("")
            return
        lines: Parts = [("GPU        ", "$muted"), *gpu_parts(picture)]
        lines += ["\n", ("Exporters  ", "$muted"), *exporter_parts(snapshot.exporters, snapshot.recorded is not None)]
        lines += source_parts(snapshot.probes)
        self.put(*lines)


def gpu_parts(picture: Picture) -> Parts:
    gpus = picture.snapshot.gpus if picture.snapshot is not None else ()
    if not gpus:
        return [(why_empty(picture, "gpu", "none"), "$muted")]
    return [" · ".join(_gpu(gpu) for gpu in gpus)]


def _gpu(gpu: Gpu) -> str:
    memory = f"{gib(gpu.memory_used_bytes)} GiB"
    figures = f"{number(gpu.power_watts)} W, {number(gpu.utilization_percent, 0)} %, {memory}"
    return f"{gpu.index} {gpu.name} {figures}, {number(gpu.temperature_celsius, 0)} °C"


def exporter_parts(exporters: tuple[ExporterHealth, ...], past: bool = False) -> Parts:
    """``✓ 8 healthy, 2 no source``, or how many are neither, which, and why."""
    if not exporters:
        return [("not recorded at this moment" if past else "not checked yet", "$muted")]
    ill = [one for one in exporters if not one.healthy]
    said = counted_states([one for one in exporters if one.healthy])
    if not ill:
        return [("✓ ", "$text-success"), said]
    reasons = "; ".join(f"{names}: {reason}" for names, reason in grouped_reasons(ill))
    return [f"{said}, " if said else "", (f"✗ {len(ill)} unhealthy", "bold $text-error"), f": {reasons}"]


def source_parts(probes: tuple[ProbeStatus, ...]) -> Parts:
    """Refused, broken or degraded sources; a source that this machine does not have is no problem."""
    troubled = [one for one in probes if one.state in ("refused", "broken", "degraded")]
    if not troubled:
        return []
    text = "; ".join(f"{one.probe} {one.state}: {one.reason}" for one in troubled)
    return [("   Sources  ", "$muted"), (f"! {text}", "$text-warning")]
