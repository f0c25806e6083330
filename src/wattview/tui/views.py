"""Which screens there are."""

from __future__ import annotations

from wattview.tui.results.screen import ResultsScreen
from wattview.tui.screens.details import Details
from wattview.tui.screens.exporters import ExportersScreen
from wattview.tui.screens.gpu import GpusScreen
from wattview.tui.screens.log import LogScreen
from wattview.tui.screens.overview import OverviewScreen
from wattview.tui.screens.power import PowerScreen
from wattview.tui.screens.scenarios import ScenariosScreen
from wattview.tui.screens.stream import StreamDetails
from wattview.tui.screens.streams import StreamsScreen
from wattview.tui.view import View
from wattview.tui.workloads.container import ContainerDetails
from wattview.tui.workloads.screen import WorkloadsScreen
from wattview.tui.workloads.workload import WorkloadDetails

VIEWS: tuple[type[View], ...] = (
    OverviewScreen, PowerScreen, WorkloadsScreen, StreamsScreen, GpusScreen, ScenariosScreen, ResultsScreen,
    ExportersScreen, LogScreen,
)  # fmt: skip
"""The list of all screens, in the order of their tabs. To add one, add its file and its class here."""

TABS = tuple(view.ENTRY for view in VIEWS)

DETAILS: dict[str, type[Details]] = {
    "container": ContainerDetails,
    "workload": WorkloadDetails,
    "stream": StreamDetails,
}
"""The screens of one thing, by its kind."""
