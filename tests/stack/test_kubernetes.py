"""The Helm chart, rendered and linted by Helm's own code, and judged by Kubernetes' schemas and least privilege."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import helm_python as helm
import httpx
import kubernetes_validate
import pytest
import yaml

from scripts.kubernetes_manifest import CHART, rendered
from tests.conftest import free_port
from tests.support.stack import COMPOSE, REPOSITORY, eventually, program, running
from wattview.config import Config, load
from wattview.daemon.exporters.discovery import target_groups
from wattview.daemon.exporters.entries import EXPORTERS

OPERATORS = ("monitoring.coreos.com/v1", "operator.victoriametrics.com/v1beta1")
TOKEN_FILE = "/etc/wattview/control/token"
EVERYTHING: dict[str, Any] = {
    "namespace": {"create": True},
    "settings": {"cost.currency": "EUR", "power.budget_watts": 1000000, "node.disable": "rapl,hwmon"},
    "control": {"enabled": True, "tokenSecret": "wattview-control"},
    "webConfigSecret": "wattview-web",
    "nvidia": {"enabled": True},
    "priorityClassName": "system-node-critical",
    "podLabels": {"team": "video"},
    "podAnnotations": {"note": "measures"},
    "image": {"pullSecrets": [{"name": "registry"}]},
    "exporters": {"node": {"enabled": True, "port": 19100}},
    "monitor": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "vmServiceScrape": {"enabled": True},
        "endpoint": {"scheme": "https", "tlsConfig": {"insecureSkipVerify": True}},
    },
    "rules": {"prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}}, "vmRule": {"enabled": True}},
    "store": {"storageClass": "fast", "alertmanagerUrl": "http://alertmanager:9093"},
}
NOTHING: dict[str, Any] = {
    "kubelet": {"enabled": False}, "store": {"enabled": False}, "grafana": {"enabled": False},
    "exporters": {"health": {"enabled": False}},
}  # fmt: skip
VALUES = {"defaults": {}, "everything": EVERYTHING, "nothing": NOTHING}


@pytest.fixture(params=VALUES)
def objects(request: pytest.FixtureRequest) -> list[Any]:
    return loaded(VALUES[request.param])


def loaded(values: dict[str, Any]) -> list[Any]:
    return list(yaml.safe_load_all(rendered(values)))


def one(objects: list[Any], kind: str, name: str = "wattview") -> Any:
    (found,) = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pods(objects: list[Any]) -> dict[str, Any]:
    """The specification of each pod, by the kind of what makes it."""
    return {each["kind"]: each["spec"]["template"]["spec"] for each in objects if "template" in each.get("spec", {})}


def daemon(objects: list[Any]) -> Any:
    (container,) = pods(objects)["DaemonSet"]["containers"]
    return container


def settings(objects: list[Any]) -> Config:
    """The daemon's settings on a node with the address 192.0.2.7, as Kubernetes hands them over."""
    environment = {each["name"]: each.get("value", "") for each in daemon(objects)["env"]}
    of_node = {"NODE_IP": "192.0.2.7", "NODE_NAME": "node-7"}
    for name, value in of_node.items():
        environment = {key: text.replace(f"$({name})", value) for key, text in environment.items()}
    return load(COMPOSE / "wattview/wattview.toml", environ=environment)


def test_the_manifest_is_what_the_chart_renders() -> None:
    script = REPOSITORY / "scripts/kubernetes_manifest.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_helm_lint_accepts_the_chart() -> None:
    for values in VALUES.values():
        report = helm.lint(CHART, values, strict=True, namespace="wattview")
        assert [message for message in report["messages"] if message["severity"] > 1] == []
        assert not report["errors"]


@pytest.mark.parametrize("version", ["1.33", "1.37"])
def test_every_object_is_valid_to_kubernetes(objects: list[Any], version: str) -> None:
    for each in objects:
        if each["apiVersion"] not in OPERATORS:
            kubernetes_validate.validate(each, version, strict=True)


def test_every_example_of_values_in_the_documentation_renders() -> None:
    page = (REPOSITORY / "docs/kubernetes.md").read_text()
    for example in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        values = yaml.safe_load(example)
        assert set(values) <= set(yaml.safe_load((CHART / "values.yaml").read_text()))
        assert settings(loaded({key: value for key, value in values.items() if key != "webConfigSecret"}))


def test_no_container_has_more_rights_than_it_needs(objects: list[Any]) -> None:
    for kind, pod in pods(objects).items():
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert not rights.get("privileged")
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"]["drop"] == ["ALL"]
            added = {"DAC_READ_SEARCH", "SETUID", "SETGID", "SETPCAP"} if kind == "DaemonSet" else set()
            assert set(rights["capabilities"].get("add", ())) == added
    if store := pods(objects).get("StatefulSet"):
        assert store["securityContext"]["runAsNonRoot"] is True
        assert not store.get("hostNetwork")
        assert not store.get("hostPID")


def test_the_hosts_paths_are_read_only(objects: list[Any]) -> None:
    for pod in pods(objects).values():
        of_host = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume}
        mounts = [mount for container in pod["containers"] for mount in container["volumeMounts"]]
        assert all(mount["readOnly"] for mount in mounts if mount["name"] in of_host)
        assert {mount["name"] for mount in mounts} == {volume["name"] for volume in pod["volumes"]} | (
            {"data"} if "hostNetwork" not in pod else set()
        )


def test_the_daemon_may_list_the_pods_of_a_kubelet_and_nothing_else() -> None:
    objects = loaded({})
    roles = {(each["kind"], each["metadata"]["name"]): each["rules"] for each in objects if "rules" in each}
    assert roles == {
        ("ClusterRole", "wattview"): [{"apiGroups": [""], "resources": ["nodes/pods"], "verbs": ["get"]}],
        ("Role", "wattview-store"): [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
    }
    without = loaded(NOTHING)
    assert not [each for each in without if "rules" in each]
    assert pods(without)["DaemonSet"]["automountServiceAccountToken"] is False


def test_secrets_are_files_and_never_words_of_a_command_line() -> None:
    objects = loaded(EVERYTHING)
    assert daemon(objects)["args"] == ["daemon"]
    assert not [each for each in objects if each["kind"] == "Secret"]
    secret = {volume["name"]: volume.get("secret") for volume in pods(objects)["DaemonSet"]["volumes"]}
    assert secret["control"] == {"secretName": "wattview-control", "defaultMode": 0o400}
    assert secret["web"] == {"secretName": "wattview-web", "defaultMode": 0o400}


def test_a_control_port_without_a_token_is_refused() -> None:
    with pytest.raises(helm.HelmRenderError, match="tokenSecret"):
        rendered({"control": {"enabled": True}})


def test_the_daemon_takes_the_settings_that_the_chart_gives_it() -> None:
    config = settings(loaded({}))
    assert (config.daemon.listen, config.paths.procfs, config.workloads.engines) == ("192.0.2.7", "/host/proc", "")
    assert config.workloads.kubelet_url == "https://192.0.2.7:10250"
    assert config.history.prometheus_url == "http://wattview-store.wattview.svc:8428"
    assert config.endpoints == Config().endpoints

    values = {key: value for key, value in EVERYTHING.items() if key != "webConfigSecret"}
    more = settings(loaded(values))
    assert (more.cost.currency, more.power.budget_watts, more.node.disable) == ("EUR", 1e6, "rapl,hwmon")
    assert (more.daemon.control_listen, more.daemon.token_file) == ("192.0.2.7:9700", TOKEN_FILE)
    assert more.endpoints.node.port == 19100


def test_operators_call_every_exporter_and_node_as_the_daemon_does() -> None:
    objects = loaded(EVERYTHING)
    service = one(objects, "Service")["spec"]
    ports = {port["name"]: port["port"] for port in service["ports"]}
    assert ports["node"] == 19100
    for kind, relabelling in (("ServiceMonitor", "relabelings"), ("VMServiceScrape", "relabelConfigs")):
        spec = one(objects, kind)["spec"]
        assert spec["selector"]["matchLabels"] == service["selector"]
        found = {}
        for endpoint in spec["endpoints"]:
            rules = {rule.get("targetLabel"): rule for rule in endpoint[relabelling]}
            assert rules["instance"]["replacement"] == f"$1:{ports[endpoint['port']]}"
            assert rules["host"]["sourceLabels"] == ["__meta_kubernetes_pod_node_name"]
            assert endpoint["scheme"] == "https"
            found[endpoint["port"].replace("-", "_")] = rules["job"]["replacement"]
        assert found == {exporter.key: exporter.name for exporter in EXPORTERS}


def test_rules_and_dashboards_are_those_of_the_compose_stack() -> None:
    objects = loaded(EVERYTHING)
    groups = [
        group
        for file in sorted((COMPOSE / "prometheus/rules").glob("*.yml"))
        for group in yaml.safe_load(file.read_text())["groups"]
    ]
    for kind in ("PrometheusRule", "VMRule"):
        assert one(objects, kind)["spec"]["groups"] == groups
    for file in (COMPOSE / "grafana/dashboards").glob("*.json"):
        config_map = one(objects, "ConfigMap", f"wattview-dashboard-{file.stem}")
        assert json.loads(config_map["data"][f"wattview-{file.name}"]) == json.loads(file.read_text())
        assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    source = yaml.safe_load(one(objects, "ConfigMap", "wattview-datasource")["data"]["wattview.yml"])["datasources"][0]
    assert (source["uid"], source["url"]) == ("wattview", "http://wattview-store.wattview.svc:8428")


def test_the_store_takes_its_configuration_and_is_the_compose_stacks(tmp_path: Path) -> None:
    objects = loaded({})
    (tmp_path / "scrape.yml").write_text(one(objects, "ConfigMap", "wattview-store")["data"]["scrape.yml"])
    for name, text in one(objects, "ConfigMap", "wattview-store-rules")["data"].items():
        (tmp_path / name).write_text(text)
    for command in (
        ["victoria-metrics", f"-promscrape.config={tmp_path}/scrape.yml", "-promscrape.config.strictParse", "-dryRun"],
        ["vmalert", f"-rule={tmp_path}/alerts.yml", f"-rule={tmp_path}/recording.yml", "-dryRun"],
    ):
        done = subprocess.run(
            [program(command[0]), *command[1:]], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=30
        )
        assert done.returncode == 0, done.stderr
    compose = (COMPOSE / "docker-compose.yml").read_text()
    for container in pods(objects)["StatefulSet"]["containers"]:
        assert f":-{container['image']}}}" in compose


@contextlib.contextmanager
def api_server(*running_pods: Any) -> Iterator[str]:
    """An API server that knows these pods, and to which nothing happens (a watch that stays open)."""
    listing = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": running_pods}
    ended = threading.Event()

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            if "watch=" in self.path:
                ended.wait(60)
            else:
                self.wfile.write(json.dumps(listing).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            ended.set()
            server.shutdown()
            serving.join()


def running_pod(objects: list[Any], kind: str, node: str, address: str) -> Any:
    """A pod as the API server shows it, which a DaemonSet or a StatefulSet has made on a node."""
    (template,) = [each["spec"]["template"] for each in objects if each["kind"] == kind]
    return {
        "metadata": {"name": f"{kind}-{node}".lower(), "namespace": "wattview", **template["metadata"]},
        "spec": {**template["spec"], "nodeName": node},
        "status": {"phase": "Running", "podIP": address, "hostIP": address},
    }


def test_the_store_discovers_every_exporter_of_every_node(tmp_path: Path) -> None:
    objects = loaded({"control": {"enabled": True, "tokenSecret": "wattview-control"}})
    nodes = {"node-1": "127.0.0.1", "node-2": "127.0.0.2"}
    found = [running_pod(objects, "DaemonSet", *node) for node in nodes.items()]
    found.append(running_pod(objects, "StatefulSet", "node-1", "127.0.0.3"))
    scrape = yaml.safe_load(one(objects, "ConfigMap", "wattview-store")["data"]["scrape.yml"])
    address = f"127.0.0.1:{free_port()}"
    with api_server(*found) as api:
        scrape["scrape_configs"][0]["kubernetes_sd_configs"][0]["api_server"] = api
        file = tmp_path / "scrape.yml"
        file.write_text(yaml.safe_dump(scrape))
        command = [f"-promscrape.config={file}", f"-storageDataPath={tmp_path}/data", f"-httpListenAddr={address}"]
        with running(tmp_path, "victoria-metrics", *command, ready=f"http://{address}/health"):

            def targets() -> list[Any]:
                return httpx.get(f"http://{address}/api/v1/targets").json()["data"]["activeTargets"]

            seen = eventually(targets, "the store's targets")
    exporters = [(each.name, getattr(Config().endpoints, each.key).port) for each in EXPORTERS]
    expected = [group for node, its in nodes.items() for group in target_groups(exporters, its, node)]
    assert {(each["scrapeUrl"], *sorted(each["labels"].items())) for each in seen} == {
        (f"http://{group.targets[0]}/metrics", *sorted(group.labels.items())) for group in expected
    }
