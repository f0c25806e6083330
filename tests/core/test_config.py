"""Settings: where they come from, in which order, and what is said when one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.nobody import as_nobody, directory_for_all
from wattview.cli import attach
from wattview.config import ENVIRONMENT, Config, ConfigError, flatten, load, seconds

HOME = {"HOME": "/home/someone"}


def test_the_defaults_are_the_contracts() -> None:
    config = load(environ=HOME)
    assert (config.endpoints.rapl.port, config.endpoints.node.port, config.endpoints.health.port) == (9500, 9100, 9600)
    assert config.daemon.listen == "127.0.0.1"
    assert config.power.sample_hz == 10
    assert config.paths.state == "/home/someone/.local/state/wattview"
    assert config.paths.results == "/home/someone/.local/state/wattview/results"
    assert config.scenarios.media_dir == "/home/someone/.local/state/wattview/media"
    assert config.history.interval_seconds == 5
    assert config.history.retention_seconds == 7 * 86400
    assert (config.cost.energy_per_kwh, config.cost.cpu_per_hour, config.cost.currency) == (0.12, 0.50, "USD")


def test_set_overrules_environment_which_overrules_the_file_which_overrules_defaults(tmp_path: Path) -> None:
    file = tmp_path / "wattview.toml"
    file.write_text('[cost]\nenergy_per_kwh = 1.0\ncpu_per_hour = 1.0\ncurrency = "EUR"\npue = 1.5\n')
    environ = {**HOME, "ENERGY_COST_PER_KWH": "2.0", "CPU_COST_PER_HOUR": "2.0"}
    config = load(file, ["cost.energy_per_kwh=3.0"], environ)
    assert config.cost.energy_per_kwh == 3.0
    assert config.cost.cpu_per_hour == 2.0
    assert config.cost.currency == "EUR"
    assert config.cost.gpu_per_hour == 0.0


def test_wattview_variables_override_contract_names_but_not_the_command_line() -> None:
    environ = {**HOME, "CURRENCY": "EUR", "WATTVIEW_SET": "cost.currency='A B' cost.pue=1.5  power.sample_hz=5"}
    config = load(sets=["cost.pue=2"], environ=environ)
    assert (config.cost.currency, config.cost.pue, config.power.sample_hz) == ("A B", 2.0, 5.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cost.pue=0.5", r"cost.pue: .*\(from the environment variable WATTVIEW_SET\)"),
        ("cost.pue", r"the environment variable WATTVIEW_SET cost.pue: expected KEY=VALUE"),
        ("cost.currency='EUR", r"WATTVIEW_SET: No closing quotation"),
    ],
)
def test_a_wrong_setting_of_the_environment_names_the_variable(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load(environ={**HOME, "WATTVIEW_SET": text})
    assert "\n" not in str(caught.value)


def test_an_exporter_that_is_switched_off_keeps_its_port() -> None:
    config = load(sets=["endpoints.node.enabled=false"], environ=HOME)
    assert (config.endpoints.node.enabled, config.endpoints.node.port) == (False, 9100)


def test_every_environment_name_of_the_requirement_means_a_setting_that_exists() -> None:
    known = flatten(Config())
    assert set(ENVIRONMENT.values()) <= set(known)


def test_a_prometheus_url_in_the_environment_selects_the_prometheus_history() -> None:
    config = load(environ={**HOME, "PROMETHEUS_URL": "http://127.0.0.1:8428"})
    assert config.history.backend == "prometheus"
    assert config.history.prometheus_url == "http://127.0.0.1:8428"


def test_the_control_socket_lies_in_the_runtime_directory_where_there_is_one(tmp_path: Path) -> None:
    config = load(environ={**HOME, "XDG_RUNTIME_DIR": str(tmp_path)})
    assert config.daemon.control_socket == str(tmp_path / "wattview.sock")


def test_another_users_runtime_directory_is_left_alone() -> None:
    # runuser and su leave root's in the environment of the user that they change to.
    with directory_for_all() as directory:
        closed = directory / "root"
        closed.mkdir(mode=0o700)
        with as_nobody():
            config = load(environ={"HOME": "/nonexistent", "XDG_RUNTIME_DIR": str(closed)})
            socket = config.daemon.control_socket
            reached = attach.answers(replace(config, daemon=replace(config.daemon, control_socket=f"{closed}/x.sock")))
    assert socket == "/nonexistent/.local/state/wattview/wattview.sock"
    assert not reached


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("endpoints.rapl.prt=1", "endpoints.rapl.prt: no such setting; did you mean endpoints.rapl.port?"),
        ("endpoints.rapl.port=abc", "endpoints.rapl.port: expected int, got 'abc'"),
        ("endpoints.rapl.port=70000", "endpoints.rapl.port: expected int <= 65535, got '70000'"),
        ("power.sample_hz=0", "power.sample_hz: expected float > 0.0, got '0'"),
        ("cost.pue=0.5", "cost.pue: expected float >= 1.0, got '0.5'"),
        ("endpoints.rapl=5", "endpoints.rapl: expected object, got '5'"),
        ("endpoints.rapl.enabled=maybe", "endpoints.rapl.enabled: expected bool, got 'maybe'"),
        ("history.interval=5x", "history.interval: expected a duration such as 5s, 90m or 7d, got '5x'"),
        ("history.interval=0s", "history.interval: expected more than 0 seconds"),
        ("history.backend=influx", "history.backend: expected one of sqlite, prometheus, got 'influx'"),
        ("endpoints.node.port=9500", "endpoints.node.port: 9500 is also the port of endpoints.rapl"),
        ("docker.host=/var/run/docker.sock", "docker.host: expected a URL that begins with unix://"),
        ("daemon.control_listen=127.0.0.1:9700", "daemon.token_file: needed with daemon.control_listen"),
        ("daemon.also_scrape=node-exporter", "daemon.also_scrape: expected JOB:PORT"),
        ("daemon.also_scrape=a:1,b:70000", "daemon.also_scrape: expected JOB:PORT,…, for example node-exporter:9101"),
        ("cost", "--set cost: expected KEY=VALUE"),
        ("=5", "--set =5: expected KEY=VALUE"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(setting: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(sets=[setting], environ=HOME)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("server", ["mediamtx", "srs"])
def test_our_own_nginx_and_another_kind_of_server_contradict_each_other(server: str) -> None:
    with pytest.raises(ConfigError, match=f"streams.managed: always starts an nginx-rtmp, .* says {server}; set"):
        load(sets=["streams.managed=always", f"streams.server={server}"], environ=HOME)
    assert load(sets=["streams.managed=auto", f"streams.server={server}"], environ=HOME).streams.server == server


def test_a_wrong_setting_says_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "wattview.toml"
    file.write_text("[power]\nsample_hz = 'fast'\n")
    with pytest.raises(ConfigError, match=r"power.sample_hz: .*\(in .*wattview\.toml\)"):
        load(file, environ=HOME)
    with pytest.raises(ConfigError, match=r"endpoints.rapl.port: .*RAPL_EXPORTER_PORT"):
        load(environ={**HOME, "RAPL_EXPORTER_PORT": "many"})


@pytest.mark.parametrize("content", [b"[power", b"\xff\xfe", b"power = 5\n"])
def test_a_broken_file_is_one_line_that_names_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(file, environ=HOME)
    assert "broken.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"/nowhere/wattview.toml: No such file"):
        load(Path("/nowhere/wattview.toml"), environ=HOME)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_setting_text_gives_at_most_a_config_error(key: str, value: str) -> None:
    try:
        config = load(sets=[f"{key}={value}"], environ=HOME)
    except ConfigError as error:
        assert str(error)
    else:
        assert isinstance(config, Config)


@pytest.mark.parametrize(
    ("text", "value"), [("5s", 5), ("90m", 5400), ("1h30m", 5400), ("7d", 604800), ("250ms", 0.25), ("10", 10)]
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@given(st.text(max_size=12))
def test_a_duration_is_read_or_refused(text: str) -> None:
    try:
        assert seconds(text) >= 0
    except ValueError as error:
        assert "expected a duration" in str(error)


@pytest.mark.parametrize(
    ("sets", "managed", "rtmp_url"),
    [
        (["streams.managed=auto"], "always", "rtmp://127.0.0.1:1935/live"),
        (["streams.managed=auto", "streams.rtmp_url=rtmp://host/app"], "auto", "rtmp://host/app"),
        (["streams.managed=auto", "streams.nginx_rtmp_url=http://h/stat"], "auto", "rtmp://127.0.0.1:1935/live"),
        (["streams.managed=auto", "streams.server=srs"], "auto", "rtmp://127.0.0.1:1935/live"),
        ([], "never", ""),
        (["streams.rtmp_url=rtmp://127.0.0.1:1935/live"], "never", "rtmp://127.0.0.1:1935/live"),
    ],
)
def test_streams_are_pushed_only_where_configured(sets: list[str], managed: str, rtmp_url: str) -> None:
    """A server that happens to be at the usual address is not pushed into."""
    streams = load(sets=sets, environ={"HOME": "/h"}).streams
    assert (streams.managed, streams.rtmp_url) == (managed, rtmp_url)
