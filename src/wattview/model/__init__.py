"""The words that all rooms speak: readings, the snapshot, scenarios, runs and results. One file a subject;
all are imported from here.

Everything here is a frozen ``msgspec.Struct``: a value that is passed on and never changed, and at the same time the
wire format of the control API and of the results files. Units are in the field names. ``None`` means *unknown*;
``0`` is a measurement. Times are Unix seconds (``time``) beside seconds of the monotonic clock (``monotonic``):
durations and rates come from the second, everything that is stored or shown comes from the first.
"""

from wattview.model.comparisons import (
    Advice,
    Choice,
    Comparison,
    Group,
    Measured,
    Measurements,
    Pair,
    RunComparison,
    Setting,
    SideBySide,
)
from wattview.model.containers import (
    CgroupCounters,
    CgroupSpec,
    Container,
    ContainerDetail,
    ContainersReading,
    DiskCounters,
    DiskIo,
    DiskSpace,
    Engine,
    Filesystem,
    Machine,
    NicCounters,
)
from wattview.model.curves import Curve, CurveComparison, CurveDifference, CurvePair, CurvePoint
from wattview.model.events import Event, EventLevel
from wattview.model.gpus import Gpu, GpuInstance, GpuProcess, GpuProfile, GpusReading
from wattview.model.host import HostReading, Nic
from wattview.model.power import PowerReading, PowerSource, PowerUse, Zone
from wattview.model.prediction import Load, PowerFit, PowerPrediction
from wattview.model.results import Difference, Efficiency, Estimate, RunResult, ScenarioResult
from wattview.model.runs import (
    EncoderStatus,
    Phase,
    Playback,
    RenditionRecord,
    ResultsFile,
    Run,
    RunProgress,
    RunState,
    ScenarioRecord,
)
from wattview.model.scenarios import (
    Bitrate,
    Output,
    Preset,
    RateControl,
    Rendition,
    Resolution,
    RunRequest,
    Scenario,
    ScenarioName,
    ScenarioPreset,
    VideoEncoder,
)
from wattview.model.snapshot import ExporterHealth, Finding, HistorySeries, Recorded, Snapshot
from wattview.model.source import Fault, ProbeState, ProbeStatus, Reading
from wattview.model.streams import RtmpServer, Stream, StreamClient, StreamsReading

__all__ = [
    "Advice",
    "Bitrate",
    "CgroupCounters",
    "CgroupSpec",
    "Choice",
    "Comparison",
    "Container",
    "ContainerDetail",
    "ContainersReading",
    "Curve",
    "CurveComparison",
    "CurveDifference",
    "CurvePair",
    "CurvePoint",
    "Difference",
    "DiskCounters",
    "DiskIo",
    "DiskSpace",
    "Efficiency",
    "EncoderStatus",
    "Engine",
    "Estimate",
    "Event",
    "EventLevel",
    "ExporterHealth",
    "Fault",
    "Filesystem",
    "Finding",
    "Gpu",
    "GpuInstance",
    "GpuProcess",
    "GpuProfile",
    "GpusReading",
    "Group",
    "HistorySeries",
    "HostReading",
    "Load",
    "Machine",
    "Measured",
    "Measurements",
    "Nic",
    "NicCounters",
    "Output",
    "Pair",
    "Phase",
    "Playback",
    "PowerFit",
    "PowerPrediction",
    "PowerReading",
    "PowerSource",
    "PowerUse",
    "Preset",
    "ProbeState",
    "ProbeStatus",
    "RateControl",
    "Reading",
    "Recorded",
    "Rendition",
    "RenditionRecord",
    "Resolution",
    "ResultsFile",
    "RtmpServer",
    "Run",
    "RunComparison",
    "RunProgress",
    "RunRequest",
    "RunResult",
    "RunState",
    "Scenario",
    "ScenarioName",
    "ScenarioPreset",
    "ScenarioRecord",
    "ScenarioResult",
    "Setting",
    "SideBySide",
    "Snapshot",
    "Stream",
    "StreamClient",
    "StreamsReading",
    "VideoEncoder",
    "Zone",
]
