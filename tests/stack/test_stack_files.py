"""The stack's files, judged by the programs that read them and by the promises that the stack makes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.stack import COMPOSE, COMPOSE_PROGRAMS, REPOSITORY, program

RULE_TESTS = REPOSITORY / "tests/stack/rules"
PROFILES = [
    ",".join(filter(None, combination))
    for combination in product(
        ("cpu,victoriametrics", "cpu,prometheus", "nvidia", "nvidia,victoriametrics", "gpu,prometheus"),
        ("", "upstream", "upstream-nvidia"),
    )
]
EVERY_PROFILE = "cpu,victoriametrics,prometheus,upstream,upstream-nvidia"
ALWAYS = {"nginx-rtmp", "alertmanager", "grafana"}
OF_PROFILE = {
    "cpu": {"wattview"}, "gpu": {"wattview-nvidia"},
    "nvidia": {"wattview-nvidia", "victoriametrics", "vmalert"}, "victoriametrics": {"victoriametrics", "vmalert"},
    "prometheus": {"prometheus"}, "upstream": {"node-exporter", "cadvisor"},
    "upstream-nvidia": {"node-exporter", "cadvisor", "dcgm-exporter"},
}  # fmt: skip


def said(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> tuple[int, str]:
    done = subprocess.run(
        [program(command[0]), *command[1:]], capture_output=True, text=True, cwd=cwd, check=False, timeout=60,
        env=None if env is None else {"PATH": "/usr/local/bin:/usr/bin:/bin", **env},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def compose(version: str, tmp_path: Path, command: str, **settings: str) -> tuple[int, str]:
    """What one of the two Composes says to a command on docker-compose.yml with these settings."""
    env_file = tmp_path / "env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    file = str(COMPOSE / "docker-compose.yml")
    return said(COMPOSE_PROGRAMS[version], "--env-file", str(env_file), "-f", file, *command.split(), env={})


def compose_config(tmp_path: Path, version: str = "1.29", **settings: str) -> Any:
    """The whole of docker-compose.yml as Compose understands it with these settings."""
    if version == "1.29":
        settings["COMPOSE_PROFILES"] = EVERY_PROFILE  # it shows every service, whatever the profiles
    key = version, tuple(sorted(settings.items()))
    if key not in _configs:
        status, output = compose(version, tmp_path, "config", GRAFANA_ADMIN_PASSWORD="a-password", **settings)
        assert status == 0, output
        _configs[key] = yaml.safe_load(output)
    return _configs[key]


_configs: dict[tuple[str, tuple[tuple[str, str], ...]], Any] = {}


def services(config: Any, profiles: str) -> dict[str, Any]:
    """The services that run with these profiles."""
    wanted = set(profiles.split(","))
    return {
        name: one for name, one in config["services"].items() if not one.get("profiles") or wanted & {*one["profiles"]}
    }


def published(port: Any) -> str:
    """``address:port`` of a published port, in the short form of Compose 1.29 or the long one of v2."""
    if isinstance(port, dict):
        return f"{port['host_ip']}:{port['published']}"
    return str(port).rpartition(":")[0]


def listens_on(name: str, service: Any) -> list[str]:
    """Every address:port of the host that a service takes, out of its published ports and its command line."""
    if name == "nginx-rtmp":
        return [published(port) for port in service["ports"]]
    words = [*map(str, service.get("command") or ()), *map(str, service.get("environment", {}).values())]
    found = [word.partition("=")[2] for word in words if re.search(r"(listen-address|httpListenAddr)=.", word)]
    if name.startswith("wattview"):
        settings = dict(word.split("=", 1) for word in service["environment"]["WATTVIEW_SET"].split())
        host = settings["daemon.listen"]
        ports = [port for key, port in settings.items() if re.fullmatch(r"endpoints\.\w+\.port", key)]
        found = [f"{host}:{port}" for port in (*ports, service["environment"]["HEALTH_CHECK_PORT"])]
    if name == "grafana":
        found = ["{GF_SERVER_HTTP_ADDR}:{GF_SERVER_HTTP_PORT}".format(**service["environment"])]
    if name == "cadvisor":
        found = [":".join(word.partition("=")[2] for word in words if word.startswith(("--listen_ip", "--port")))]
    if name == "dcgm-exporter":
        found = [service["environment"]["DCGM_EXPORTER_LISTEN"]]
    return [address for address in found if address]


def test_missing_docker_is_one_clear_line_with_its_fix(tmp_path: Path) -> None:
    script = str(REPOSITORY / "scripts/stack.sh")
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(program(name))
    done = subprocess.run(["bash", script], capture_output=True, text=True, check=False, env={"PATH": str(tmp_path)})
    assert (done.returncode, done.stderr) == (
        1, "stack: Docker is not installed; run: sudo apt-get install docker.io docker-compose\n",
    )  # fmt: skip
    status, output = said("bash", script, env={"DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"})
    assert status == 1
    assert f"no Docker engine answers you: Cannot connect to the Docker daemon at unix://{tmp_path}" in output
    assert "run: sudo systemctl start docker" in output


both_composes = pytest.mark.parametrize("version", list(COMPOSE_PROGRAMS))


@both_composes
def test_nothing_starts_without_a_password(tmp_path: Path, version: str) -> None:
    status, output = compose(version, tmp_path, "config", COMPOSE_PROFILES="cpu,victoriametrics")
    assert status != 0
    assert "set GRAFANA_ADMIN_PASSWORD" in output


@both_composes
@pytest.mark.parametrize("profiles", PROFILES)
def test_services_use_different_ports_and_none_listens_on_the_network(
    tmp_path: Path, profiles: str, version: str
) -> None:
    own = {"NODE_EXPORTER_ENABLED": "false", "CADVISOR_ENABLED": "false"} if "upstream" in profiles else {}
    taken: dict[str, str] = {}
    started = services(compose_config(tmp_path, version, COMPOSE_PROFILES=profiles, **own), profiles)
    assert set(started) == ALWAYS.union(*(OF_PROFILE[profile] for profile in profiles.split(",")))
    for name, service in started.items():
        addresses = listens_on(name, service)
        assert addresses, f"{name} listens somewhere"
        for address in addresses:
            host, _, port = address.rpartition(":")
            assert host == "127.0.0.1", f"{name} listens on {address}"
            assert port not in taken, f"{name} and {taken[port]} on {port}"
            taken[port] = name
    assert {"9500", "9501", "9100", "8080", "9728", "9502", "9503", "9504", "9400", "9600"} <= {*taken}
    assert {"8428", "9093", "3000", "1935", "8088"} <= {*taken}


def every_service(tmp_path: Path, version: str) -> dict[str, Any]:
    """Twice, because the two daemons never run beside each other: their container has one name."""
    rest = "victoriametrics,prometheus,upstream,upstream-nvidia"
    found: dict[str, Any] = {}
    for daemon in ("cpu", "gpu"):
        found |= compose_config(tmp_path, version, COMPOSE_PROFILES=f"{daemon},{rest}")["services"]
    return found


def test_one_compose_profile_starts_a_whole_stack_with_gpus(tmp_path: Path) -> None:
    """Compose v2 then takes no notice of the profiles in .env."""
    settings = {"GRAFANA_ADMIN_PASSWORD": "a-password", "COMPOSE_PROFILES": "cpu,victoriametrics"}
    status, output = compose("v2", tmp_path, "--profile nvidia config --services", **settings)
    assert status == 0, output
    assert {*output.split()} == {"wattview-nvidia", "victoriametrics", "vmalert", *ALWAYS}


@both_composes
def test_results_and_films_can_be_folders_of_the_host(tmp_path: Path, version: str) -> None:
    env_file = tmp_path / "env"
    env_file.write_text(f"GRAFANA_ADMIN_PASSWORD=x\nCOMPOSE_PROFILES=cpu\nTEST_RESULTS={tmp_path}/results\n")
    files = [part for name in ("docker-compose.yml", "folders.yml") for part in ("-f", str(COMPOSE / name))]
    status, output = said(COMPOSE_PROGRAMS[version], "--env-file", str(env_file), *files, "config", env={})
    assert status == 0, output
    targets = {}
    for mount in yaml.safe_load(output)["services"]["wattview"]["volumes"]:
        if isinstance(mount, dict):
            targets[mount["target"]] = mount["source"], mount.get("read_only", False)
        else:
            source, target, *mode = mount.split(":")
            targets[target] = source, "ro" in ",".join(mode).split(",")
    assert targets["/var/lib/wattview/results"] == (f"{tmp_path}/results", False)
    assert targets["/var/lib/wattview/media"] == (f"{COMPOSE}/media", True)
    assert "/host/proc" in targets, "and all that it had before"


@both_composes
def test_gpus_are_seen_by_those_who_measure_them(tmp_path: Path, version: str) -> None:
    parts = every_service(tmp_path, version)
    assert {name for name, one in parts.items() if one.get("runtime") == "nvidia"} == {
        "wattview-nvidia",
        "dcgm-exporter",
    }
    daemon = parts["wattview-nvidia"]["environment"]
    # "utility" is NVML; a daemon that only reads has no use for CUDA.
    assert (daemon["NVIDIA_VISIBLE_DEVICES"], daemon["NVIDIA_DRIVER_CAPABILITIES"]) == ("all", "utility")
    assert {
        **parts["wattview"]["environment"],
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "utility",
    } == daemon


@both_composes
def test_only_the_real_cadvisor_is_privileged_and_only_wattview_gets_rights(tmp_path: Path, version: str) -> None:
    for name, service in every_service(tmp_path, version).items():
        assert bool(service.get("privileged")) == (name == "cadvisor"), name
        if name in ("cadvisor", "dcgm-exporter"):
            continue
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        rights = ["DAC_READ_SEARCH", "SETUID", "SETGID", "SETPCAP"] if name.startswith("wattview") else []
        assert service.get("cap_add", []) == rights, name


@both_composes
def test_the_host_is_mounted_read_only(tmp_path: Path, version: str) -> None:
    read_only = []
    for mount in compose_config(tmp_path, version, COMPOSE_PROFILES="cpu")["services"]["wattview"]["volumes"]:
        if isinstance(mount, dict):
            if mount["type"] == "bind":
                read_only.append(mount["read_only"])
        elif mount.startswith("/"):
            read_only.append(mount.rpartition(":")[2].split(",")[0] == "ro")
    assert read_only == [True] * 4


def test_every_setting_of_the_example_is_used_and_shows_its_default() -> None:
    text = "".join((COMPOSE / name).read_text() for name in ("docker-compose.yml", "folders.yml"))
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    example = re.findall(r"^#?([A-Z_]+)=(.*)$", (COMPOSE / ".env.example").read_text(), re.MULTILINE)
    for name, value in example:
        if name in ("COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_FILE", "GRAFANA_ADMIN_PASSWORD"):
            continue
        assert name in used, f"{name} is used nowhere"
        if name not in ("ALSO_SCRAPE", "NODE_EXPORTER_ENABLED", "CADVISOR_ENABLED"):
            assert used[name] == value, name
    assert "COMPOSE_PROFILES" in used, "a part knows with which profiles it was started"
    assert set(used) - {"WATTVIEW_IMAGE", "NGINX_RTMP_IMAGE", "NODE_EXPORTER_IMAGE", "CADVISOR_IMAGE",
                        "DCGM_EXPORTER_IMAGE"} <= {name for name, _ in example}  # fmt: skip


def test_the_rules_are_valid_and_do_what_their_tests_say() -> None:
    rules = sorted(map(str, (COMPOSE / "prometheus/rules").glob("*.yml")))
    status, output = said("promtool", "check", "rules", *rules)
    assert status == 0, output
    status, output = said("promtool", "test", "rules", *map(str, sorted(RULE_TESTS.glob("*.test.yml"))))
    assert status == 0, output


def test_every_alert_and_recording_rule_has_a_test() -> None:
    rules = "".join(path.read_text() for path in (COMPOSE / "prometheus/rules").glob("*.yml"))
    tests = "".join(path.read_text() for path in RULE_TESTS.glob("*.test.yml"))
    for alert in re.findall(r"- alert: (\w+)", rules):
        assert len(re.findall(rf"alertname: {alert}\n\s+exp_alerts:", tests)) > 0, f"{alert} never fires in a test"
        if alert not in ("GpuPowerHigh", "GpuPowerCritical", "ExporterUnhealthy", "ExporterWithoutData", "DiskFilling",
                         "DiskNearlyFull"):  # fmt: skip
            assert re.search(rf"alertname: {alert}\}}", tests), f"{alert} is never silent in a test"
    for record in re.findall(r"- record: (\S+)", rules):
        assert record in tests, f"{record} is in no test"


@pytest.mark.parametrize("name", ["prometheus.yml", "many-hosts.yml"])
def test_prometheus_takes_its_configuration(tmp_path: Path, name: str) -> None:
    text = (COMPOSE / "prometheus" / name).read_text().replace("/etc/wattview/rules", str(COMPOSE / "prometheus/rules"))
    (tmp_path / name).write_text(text)
    status, output = said("promtool", "check", "config", str(tmp_path / name))
    assert status == 0, output


def test_prometheus_and_victoriametrics_scrape_the_same() -> None:
    ours = yaml.safe_load((COMPOSE / "prometheus/scrape.yml").read_text().replace("%{DISCOVERY_PORT}", "9600"))
    theirs = yaml.safe_load((COMPOSE / "prometheus/prometheus.yml").read_text())
    for job in theirs["scrape_configs"]:
        for sd in job.get("http_sd_configs", []):
            sd.pop("refresh_interval")
    assert ours["scrape_configs"] == theirs["scrape_configs"]
    assert ours["global"] == {key: theirs["global"][key] for key in ("scrape_interval", "scrape_timeout")}


@pytest.mark.parametrize("program_and_file", [("victoria-metrics", "scrape.yml"), ("vmagent", "vmagent.yml")])
def test_victoriametrics_takes_its_configuration(program_and_file: tuple[str, str]) -> None:
    name, file = program_and_file
    arguments = ["-remoteWrite.url=http://127.0.0.1:1/"] if name == "vmagent" else []
    status, output = said(name, f"-promscrape.config={COMPOSE / 'prometheus' / file}", "-dryRun", *arguments,
                          env={"DISCOVERY_PORT": "9600"})  # fmt: skip
    assert status == 0, output


def test_alertmanager_takes_its_configuration_and_silences_what_a_critical_alert_says_better() -> None:
    path = COMPOSE / "alertmanager/alertmanager.yml"
    status, output = said("amtool", "check-config", str(path))
    assert status == 0, output
    rules = yaml.safe_load((COMPOSE / "prometheus/rules/alerts.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    criticals = {rule["labels"]["about"] for rule in alerts if rule["labels"]["severity"] == "critical"}
    warnings = {rule["labels"]["about"] for rule in alerts if rule["labels"]["severity"] == "warning"}
    assert {"package-power", "gpu-power", "disk", "exporter"} <= criticals & warnings
    assert "about" in yaml.safe_load(path.read_text())["inhibit_rules"][0]["equal"]


def panels(board: Any) -> Iterable[Any]:
    return (panel for panel in board["panels"] if panel["type"] != "row")


def test_the_committed_dashboards_are_those_of_the_code(tmp_path: Path) -> None:
    copy = tmp_path / "dashboards.py"
    copy.write_text((COMPOSE / "grafana/dashboards.py").read_text())
    subprocess.run([sys.executable, str(copy)], check=True, stdout=subprocess.DEVNULL)
    made = {path.name: path.read_text() for path in (tmp_path / "dashboards").iterdir()}
    committed = {path.name: path.read_text() for path in (COMPOSE / "grafana/dashboards").glob("*.json")}
    assert made == committed, "run: python compose/grafana/dashboards.py"


def test_grafana_finds_the_store_and_the_dashboards() -> None:
    sources = yaml.safe_load((COMPOSE / "grafana/provisioning/datasources/wattview.yml").read_text())["datasources"]
    providers = yaml.safe_load((COMPOSE / "grafana/provisioning/dashboards/wattview.yml").read_text())["providers"]
    assert providers[0]["options"]["path"] == "/etc/wattview/dashboards"
    uids = set()
    for path in (COMPOSE / "grafana/dashboards").glob("*.json"):
        board = json.loads(path.read_text())
        uids.add(board["uid"])
        for panel in panels(board):
            for target in panel["targets"]:
                assert target["datasource"] == {"type": "prometheus", "uid": sources[0]["uid"]}
        used = set(re.findall(r"\$(\w+)", json.dumps([one["targets"] for one in panels(board)])))
        known = {variable["name"] for variable in board["templating"]["list"]}
        assert used - {"__range", "__rate_interval"} == known, f"{path.name}: a variable that nothing uses, or none has"
    assert len(uids) == 5
