"""Fixtures that many tests share: settings that touch nothing of this machine's, and free ports."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from wattview import config as wattview_config
from wattview.config import Config

ConfigFactory = Callable[..., Config]

# How long an example takes is the machine's affair and no property of the code.
settings.register_profile("wattview", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("wattview"), max_examples=200)  # as in .ci/run
settings.load_profile("wattview")

# What a whole suite imports are a million objects; to look through them for garbage again and again is a fifth of what
# the tests would take.
gc.set_threshold(20_000, 10, 10)


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are CPUs: tests wait for children, servers and the clock a good part of their time."""
    return len(os.sched_getaffinity(0)) + 2


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A text of ten megabytes is no name for a test: every worker sends the names of all tests."""
    return f"{argname}-of-{len(val)}" if isinstance(val, (str, bytes)) and len(val) > 200 else None


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def make_config(tmp_path: Path) -> ConfigFactory:
    """``make_config("power.sample_hz=20", …)``: settings with their own state directory and free exporter ports."""

    def make(*sets: str) -> Config:
        ports = [f"endpoints.{name}.port=0" for name in wattview_config.EndpointsSettings.__struct_fields__]
        base = [f"paths.state={tmp_path / 'state'}", f"daemon.control_socket={tmp_path / 'wattview.sock'}", *ports]
        return wattview_config.load(sets=[*base, *sets], environ={"HOME": str(tmp_path)})

    return make
