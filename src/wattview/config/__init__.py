"""All settings, paths and ports: typed, checked, and imported from here.

``load()`` merges defaults < TOML file < environment < ``--set KEY=VALUE`` and converts the result once into a frozen
``Config``. A wrong key or value raises ``ConfigError``, whose text is one line that names it.
"""

from wattview.config.loading import ENVIRONMENT, SET_VARIABLE, choices, flatten, load
from wattview.config.meters import MeterSettings
from wattview.config.node import NODE_COLLECTORS, Node
from wattview.config.prices import ClockTime, Cost, GridSettings, Tariff, Weekday
from wattview.config.section import ConfigError, NonNegative, Port, Section, seconds
from wattview.config.tables import (
    Config,
    DaemonSettings,
    Docker,
    Endpoint,
    EndpointsSettings,
    HistorySettings,
    HttpSettings,
    Paths,
    Power,
    Scenarios,
    Streams,
    Tui,
    Workloads,
)
