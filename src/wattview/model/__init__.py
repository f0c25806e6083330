"""The types that all packages share: readings, the snapshot, scenarios, runs and results. One file per subject; import
everything from here.

All types are frozen ``msgspec.Struct``s: immutable values that are also the wire format of the control API and of the
results files. Field names include units. ``None`` means *unknown*; ``0`` is a measurement. Times are Unix seconds
(``time``), with seconds of the monotonic clock beside them (``monotonic``): durations and rates use the latter, stored
and displayed times the former.
"""

from wattview.model.comparisons import (
    Advice,
    Bound,
    BoundCheck,
    Choice,
    Comparison,
    GateReport,
    GateVerdict,
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
    LoadAverage,
    Machine,
    NicCounters,
)
from wattview.model.gpus import Gpu, GpuInstance, GpuProcess, GpuProfile, GpusReading
from wattview.model.host import HostReading, Nic
from wattview.model.power import MachinePower, PowerAccount, PowerReading, PowerSource, PowerUse, TrailPoint, Zone
from wattview.model.power.grid import GridPrices, GridQuantity, GridSeries, GridSpan
from wattview.model.power.meters import MeterReading, WallPower, WallReading, WallSource
from wattview.model.results import (
    EXPORT_FORMATS,
    MEDIA_TYPES,
    Difference,
    Efficiency,
    Estimate,
    ExportFormat,
    PerExecution,
    RunResult,
    ScenarioResult,
)
from wattview.model.runs import (
    REALTIME_SPEED,
    CommandRecord,
    CommandReport,
    ContentComplexity,
    EncoderStatus,
    Phase,
    Playback,
    RecordedPart,
    RenditionRecord,
    ResultsFile,
    Run,
    RunProgress,
    RunState,
    ScenarioRecord,
)
from wattview.model.scenarios import (
    Bitrate,
    EncoderOffer,
    Output,
    Preset,
    RateControl,
    RecordingRequest,
    Rendition,
    Resolution,
    RunPlan,
    RunRequest,
    Scenario,
    ScenarioName,
    ScenarioPreset,
    VideoEncoder,
)
from wattview.model.snapshot import (
    Event,
    EventLevel,
    ExporterHealth,
    ExporterState,
    Finding,
    HistorySeries,
    Recorded,
    Snapshot,
    counted_states,
    exporter_state,
    grouped_reasons,
)
from wattview.model.source import Fault, ProbeState, ProbeStatus, Reading, StoreReading
from wattview.model.streams import EncoderMatch, RtmpServer, Stream, StreamClient, StreamEncoder, StreamsReading
from wattview.model.sweeps import (
    Curve,
    CurveComparison,
    CurveDifference,
    CurvePair,
    CurvePoint,
    Load,
    MeasuredLoad,
    PowerFit,
    PowerPrediction,
    Question,
)
from wattview.model.workloads import (
    WORKLOAD_NAMES,
    Workload,
    WorkloadKind,
    WorkloadLookup,
    WorkloadProcess,
    WorkloadProcesses,
    WorkloadsReading,
    workload_names,
)
