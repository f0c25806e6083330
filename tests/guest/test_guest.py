"""Every exporter under the unit, on a machine as people have it: Debian 12 with systemd and cgroup v2.

What 9100 and 8080 serve there is what the kernel's files say: of Docker with systemd's driver, of root's Podman and of
a user's, beside containerd.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.support.guest import Guest, add_image, booted, built, wheel
from tests.support.node_exporter import Exposition
from tests.support.stack import REPOSITORY
from wattview.config import EndpointsSettings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WATTVIEW = "/opt/wattview/bin/wattview"
LIMITS = "--memory 64m --cpus 0.2 --pids-limit 50 --network none"
BUSY = "sh -c 'sleep 1000 & sleep 1000 & while :; do :; done'"
TIMEX = 17
PORTS = {name: endpoint.port for name, endpoint in
         ((name, getattr(EndpointsSettings(), name)) for name in EndpointsSettings.__struct_fields__)}  # fmt: skip


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """The machine with WattView installed as docs/systemd.md says, and a container of each engine."""
    scratch = tmp_path_factory.mktemp("guest")
    with booted(built(), scratch) as machine:
        packaging = REPOSITORY / "packaging"
        for file in (wheel(scratch), *(packaging / f"wattview.{kind}" for kind in ("service", "sysusers", "toml"))):
            machine.put(file, "/root/")
        machine.run(
            "/opt/wattview/bin/pip install --quiet --no-index --no-deps /root/wattview-*.whl"
            " && install -D -m 644 /root/wattview.sysusers /usr/lib/sysusers.d/wattview.conf"
            " && install -D -m 644 /root/wattview.toml /etc/wattview/wattview.toml"
            " && install -D -m 644 /root/wattview.service /etc/systemd/system/wattview.service"
            " && systemd-sysusers && usermod --append --groups docker wattview && systemctl daemon-reload"
        )
        machine.until("docker info", "Docker's engine")
        add_image(machine)
        machine.run(f"docker run --detach --name docked --cpu-shares 512 {LIMITS} box:1 {BUSY}")
        machine.run(f"podman run --detach --name podded {LIMITS} box:1 {BUSY}")
        # It is ready within seconds, but for a host that is busy itself.
        machine.run(
            "install -d /etc/systemd/system/wattview.service.d"
            " && printf '[Service]\nTimeoutStartSec=600\n' >/etc/systemd/system/wattview.service.d/patience.conf"
            " && systemctl daemon-reload && systemctl start podman.socket && systemctl start wattview"
        )
        yield machine
        print(machine.try_to("journalctl --unit wattview --lines 60 --no-pager").stdout)


def scrape(guest: Guest, exporter: str) -> Exposition:
    return Exposition(guest.run(f"curl -sS --fail --max-time 60 http://127.0.0.1:{PORTS[exporter]}/metrics"))


def named(found: Exposition, sample: str, name: str, **labels: str) -> float:
    """The value of a container's series, whatever its other labels are."""
    wanted = {"name": name, **labels}
    values = [found.value(sample, **one) for one in found.labels_of(sample) if wanted.items() <= one.items()]
    assert len(values) == 1, f"{sample} of {name}: {values}"
    return values[0]


@pytest.fixture(scope="module")
def measures(guest: Guest) -> Callable[[str], None]:
    """Restarts the service with another engine, and waits until that engine's container is served."""

    def measure(host: str) -> None:
        guest.run(
            "mkdir -p /etc/systemd/system/wattview.service.d && printf '[Service]\nEnvironment=DOCKER_HOST=%s\n' "
            f"'{host}' >/etc/systemd/system/wattview.service.d/engine.conf"
            " && systemctl daemon-reload && systemctl restart wattview"
        )

    return measure


def test_every_exporter_answers_under_the_unit(guest: Guest) -> None:
    for exporter in PORTS:
        found = scrape(guest, exporter)
        assert found.names, exporter
    active = guest.run("systemctl show --value --property ActiveState wattview").strip()
    assert active == "active"


def test_only_clock_access_is_added_beside_node_exporter(guest: Guest) -> None:
    guest.run("systemd-run --unit real prometheus-node-exporter --web.listen-address=127.0.0.1:9199"
              " --web.disable-exporter-metrics --no-collector.systemd")  # fmt: skip
    fetch = "curl -sS --fail --max-time 60 http://127.0.0.1:9199/metrics"
    theirs = Exposition(guest.until(fetch, "the real node_exporter"))
    guest.run("systemctl stop real")
    ours = scrape(guest, "node")
    assert len({name for name in ours.names if name.startswith("node_timex_")}) == TIMEX
    assert {name for name in theirs.names - ours.names if name.startswith("node_")} == set()
    assert ours.collectors()["timex"] == 1
    for name in ("node_memory_MemTotal_bytes", "node_memory_SwapTotal_bytes", "node_timex_tick_seconds"):
        assert ours.value(name) == theirs.value(name), name


def test_the_node_is_what_the_kernels_files_say(guest: Guest) -> None:
    total = int(guest.run("awk '/^MemTotal/ {print $2}' /proc/meminfo")) * 1024
    before = int(guest.run("awk '/^ctxt/ {print $2}' /proc/stat"))
    found = scrape(guest, "node")
    after = int(guest.run("awk '/^ctxt/ {print $2}' /proc/stat"))
    assert found.value("node_memory_MemTotal_bytes") == total
    assert before <= found.value("node_context_switches_total") <= after
    cpus = {labels["cpu"] for labels in found.labels_of("node_cpu_seconds_total")}
    assert len(cpus) == int(guest.run("nproc"))
    blocks, unit = (int(word) for word in guest.run("stat --file-system --format '%b %S' /").split())
    root = [labels for labels in found.labels_of("node_filesystem_size_bytes") if labels["mountpoint"] == "/"]
    assert [found.value("node_filesystem_size_bytes", **labels) for labels in root] == [blocks * unit]


def holds(guest: Guest, name: str, scope: str, limits: str) -> Exposition:
    """What 8080 serves of one container is what its cgroup says: use of ``scope``, limits of ``limits``."""
    cgroup = f"/sys/fs/cgroup{scope}"
    spent = f"awk '/^usage_usec/ {{print $2}}' {cgroup}/cpu.stat"
    before = int(guest.run(spent))
    found = scrape(guest, "containers")
    after = int(guest.run(spent))
    assert before / 1e6 <= named(found, "container_cpu_usage_seconds_total", name, cpu="total") <= after / 1e6
    inner = f"/sys/fs/cgroup{limits}"
    quota, period = guest.run(f"cat {inner}/cpu.max").split()
    for sample, value in (
        ("container_spec_memory_limit_bytes", guest.number(f"{inner}/memory.max")),
        ("container_spec_cpu_quota", int(quota)),
        ("container_spec_cpu_period", int(period)),
        ("container_threads_max", guest.number(f"{inner}/pids.max")),
        ("container_threads", guest.number(f"{cgroup}/pids.current")),
    ):
        assert named(found, sample, name) == value, sample
    assert int(quota) == 20_000
    assert named(found, "container_cpu_cfs_throttled_periods_total", name) > 0, "it asks for twice what it may have"
    assert 0 < named(found, "container_memory_usage_bytes", name) <= 64 << 20
    return found


def tasks(guest: Guest, name: str, scope: str) -> None:
    """Its tasks by state are those that ps finds in the cgroup and in those inside it."""
    many = f"cat $(find /sys/fs/cgroup{scope} -name cgroup.threads) | wc -l"
    port = PORTS["containers"]
    states = f"curl -sS http://127.0.0.1:{port}/metrics | grep '^container_tasks_state.*name=\"{name}\"'"
    text = guest.until(states, "its tasks, which are looked at every ten seconds")
    found = Exposition(text)
    by_state = {state: named(found, "container_tasks_state", name, state=state) for state in ("running", "sleeping")}
    assert by_state == {"running": 1, "sleeping": int(guest.run(many)) - 1}


def test_docker_with_systemds_driver(guest: Guest) -> None:
    container = guest.run("docker inspect --format '{{.Id}}' docked").strip()
    scope = f"/system.slice/docker-{container}.scope"
    guest.until(f"curl -sS http://127.0.0.1:{PORTS['containers']}/metrics | grep -q 'name=\"docked\"'", "its series")
    found = holds(guest, "docked", scope, scope)
    assert named(found, "container_spec_cpu_shares", "docked") == 512
    assert named(found, "container_last_seen", "docked", id=scope) > 0
    tasks(guest, "docked", scope)


def test_the_engines_own_processes_are_those_behind_the_socket_that_systemd_made(guest: Guest) -> None:
    ours = "$(systemctl show --value --property MainPID {})"
    resident = f"awk '/^VmRSS/ {{sum += $2}} END {{print sum * 1024}}' /proc/{ours.format('docker')}/status"
    resident += f" /proc/{ours.format('containerd')}/status"
    said, before = scrape(guest, "docker").value("docker_engine_memory_bytes"), int(guest.run(resident))
    assert said == pytest.approx(before, rel=0.1)


def test_podman_of_root_has_its_limits_below_its_scope(guest: Guest) -> None:
    page = (REPOSITORY / "docs/systemd.md").read_text().partition("\n## Podman instead of Docker\n")[2]
    guest.run(page.partition("```sh\n")[2].partition("```")[0].replace("sudo ", ""))
    container = guest.run("podman inspect --format '{{.Id}}' podded").strip()
    scope = f"/machine.slice/libpod-{container}.scope"
    guest.until(f"curl -sS http://127.0.0.1:{PORTS['containers']}/metrics | grep -q 'name=\"podded\"'", "its series")
    found = holds(guest, "podded", scope, f"{scope}/container")
    assert named(found, "container_spec_cpu_shares", "podded") == 1024
    assert named(found, "container_health_state", "podded") == -1
    tasks(guest, "podded", scope)
    engine = scrape(guest, "docker")
    said = [engine.value("docker_engine_memory_bytes")] if "docker_engine_memory_bytes" in engine.names else []
    podman = guest.run("ps -C podman -o rss= | awk '{print $1 * 1024}'").split()
    assert all(any(value == pytest.approx(int(one), rel=0.2) for one in podman) for value in said), "no other engine's"


def test_containerds_own_containers_belong_to_no_other_engine(guest: Guest) -> None:
    guest.run("ctr image import --base-name box /image.tar || true; ctr image ls -q")
    found = scrape(guest, "containers")
    names = {labels.get("name", "") for labels in found.labels_of("container_last_seen")}
    assert names <= {"", "podded", "docked"}
    root = [labels for labels in found.labels_of("container_cpu_usage_seconds_total") if labels["id"] == "/"]
    assert len(root) == 1, "the root cgroup, once"


def test_rootless_podman_is_refused_with_fitting_advice_and_measured_as_its_user(
    guest: Guest, measures: Callable[[str], None]
) -> None:
    guest.until("systemctl is-active user@1000", "the user's own systemd")
    guest.run("podman import -q /image.tar box:1 && systemctl --user start podman.socket", user="user")
    guest.run("podman run --detach --name mine --memory 64m --network none box:1 sleep 1000", user="user")
    socket = "/run/user/1000/podman/podman.sock"
    measures(f"unix://{socket}")
    said = guest.run(f"cd / && runuser -u wattview -- env DOCKER_HOST=unix://{socket}"
                     f" XDG_STATE_HOME=/tmp/x {WATTVIEW} doctor || true")  # fmt: skip
    assert "only user may open it: run WattView as user" in said
    assert "Traceback" not in said
    ports = " ".join(f"--set endpoints.{name}.port=0" for name in PORTS if name not in ("containers", "health"))
    guest.run(
        f"systemd-run --user --unit mine --setenv DOCKER_HOST=unix://{socket} {WATTVIEW} daemon {ports}"
        " --set endpoints.containers.port=18080 --set endpoints.health.port=19600",
        user="user",
    )
    text = guest.until("curl -sS http://127.0.0.1:18080/metrics | grep 'name=\"mine\"'", "its series")
    container = guest.run("podman inspect --format '{{.Id}}' mine", user="user").strip()
    path = guest.run(f"cd /sys/fs/cgroup && find . -type d -name 'libpod-{container}.scope'").strip().lstrip(".")
    found = Exposition(text)
    assert named(found, "container_spec_memory_limit_bytes", "mine") == guest.number(
        f"/sys/fs/cgroup{path}/container/memory.max"
    )
    assert named(found, "container_cpu_usage_seconds_total", "mine", cpu="total") > 0
    guest.run("systemctl --user stop mine; podman rm -f -t 0 mine", user="user")


def test_the_doctor_of_another_user_with_roots_runtime_directory_examines_the_machine(guest: Guest) -> None:
    done = guest.try_to(f"cd / && XDG_RUNTIME_DIR=/run/user/0 runuser -u user -- {WATTVIEW} doctor")
    assert "Traceback" not in done.stdout
    assert "docker" in done.stdout


NAMES = {"docked": "docker", "podded": "podman", "mine": "podman of user"}
CPU_SECONDS = "wattview_workload_cpu_seconds_total"


def workloads(guest: Guest) -> tuple[Exposition, float, float]:
    """What 9500 tells of all that runs there, and the CPU seconds of all control groups before and after it was read.

    A reading takes long in an emulated machine, and an answer may be of the one before: it is asked for twice, so that
    what the second answer says was read after the first number.
    """
    groups = "cat /sys/fs/cgroup/*/cpu.stat | awk '/^usage_usec/ {sum += $2} END {printf \"%.2f\\n\", sum / 1e6}'"
    ask = f"curl -sS --fail --max-time 60 http://127.0.0.1:{PORTS['rapl']}/metrics >/root/said"
    script = f"{groups} >/root/before && {ask} && sleep 8 && {ask} && {groups} >/root/after"
    script += f" && grep -q '^{CPU_SECONDS}.*name=\"mine\"' /root/said"
    script += " && cat /root/before /root/after /root/said"
    before, after, said = guest.until(script, "the user's container by its name").split("\n", 2)
    return Exposition(said), float(before), float(after)


def test_named_workloads_cover_nearly_all_cpu_time(guest: Guest) -> None:
    spin = "sh -c 'while :; do :; done'"
    guest.run(
        "mkdir -p /etc/systemd/system/wattview.service.d"
        " && printf '[Service]\nUser=root\nGroup=root\nCapabilityBoundingSet=CAP_DAC_OVERRIDE\nProtectHome=no\n' "
        ">/etc/systemd/system/wattview.service.d/engine.conf"
        " && systemctl daemon-reload && systemctl restart wattview"
    )
    guest.until("systemctl is-active user@1000", "the user's own systemd")
    guest.run("podman import -q /image.tar box:1; systemctl --user start podman.socket", user="user")
    guest.run("podman run --replace --detach --name mine --network none box:1 sleep 1000", user="user")
    guest.run(f"systemd-run --user --unit encode {spin}", user="user")
    guest.run(f"systemd-run --unit transcode {spin}")
    guest.run(
        "mkdir -p /bare && tar -C /bare -xf /image.tar"
        " && ctr run --detach --null-io --rootfs /bare bare /bin/sleep 1000"
    )
    first, earliest, early = workloads(guest)
    guest.run("sleep 15")
    second, late, latest = workloads(guest)
    shown = second.labels_of(CPU_SECONDS)
    names = {(one["kind"], one["name"], one.get("engine", "")) for one in shown}
    assert {
        ("container", "docked", "docker"),
        ("container", "podded", "podman"),
        ("container", "mine", "podman"),
        ("container", "bare", "containerd"),
        ("unit", "transcode.service", ""),
        ("unit", "encode.service", ""),
        ("unit", "wattview.service", ""),
        ("unit", "docker.service", ""),
        ("kernel", "kernel threads", ""),
    } <= names
    assert [one["unit"] for one in shown if one["name"] == "encode.service"] == ["user@1000.service/encode.service"]

    def grown(kinds: Iterable[str]) -> float:
        known = first.labels_of(CPU_SECONDS)
        was = sum(first.value(CPU_SECONDS, **one) for one in known if one["kind"] in kinds and one in shown)
        return sum(second.value(CPU_SECONDS, **one) for one in shown if one["kind"] in kinds) - was

    owned = grown(("container", "pod", "unit", "session", "process"))
    assert owned >= 0.95 * (owned + grown(("kernel",)))
    assert 0.95 * (late - early) <= owned <= 1.05 * (latest - earliest), "each CPU second is one workload's"
    guest.run("systemctl stop transcode; ctr task kill --signal 9 bare; systemctl --user -M user@ stop encode || true")


def test_containers_of_docker_and_of_every_podman_are_served_at_once_until_they_end(guest: Guest) -> None:
    """As the test before this one has left them: all engines run, and the unit may ask each of them."""
    ask = f"curl -sS --fail --max-time 60 http://127.0.0.1:{PORTS['containers']}/metrics"
    all_three = "".join(f" && grep -q '^container_last_seen.*name=\"{name}\"' /root/all" for name in NAMES)
    found = Exposition(guest.until(f"{ask} >/root/all{all_three} && cat /root/all", "containers of all engines"))
    for name in NAMES:
        assert named(found, "container_cpu_usage_seconds_total", name, cpu="total") > 0
    engines = scrape(guest, "docker").labels_of("docker_container_info")
    assert {one["name"]: one["engine"] for one in engines} == NAMES
    guest.run("podman rename podded renamed; podman run --rm --name brief --network none box:1 true")
    guest.run("podman rm --force --time 0 mine", user="user")
    gone = f"curl -sS http://127.0.0.1:{PORTS['docker']}/metrics | grep '^docker_container_info' >/root/left"
    guest.until(f"{gone}; grep -q renamed /root/left && test $(wc -l </root/left) = 2", "what has ended is gone")


PLUG = '{"meters": [{"power": 42.5, "is_valid": true, "total": 100, "timestamp": 1}]}'


def test_meter_grid_and_stored_files_work_under_the_systemd_unit(guest: Guest) -> None:
    """Nothing that the unit closes is needed: another machine's meter, a file of prices, and the state directory."""
    guest.run(
        'mkdir -p /srv/plug && cd /srv/plug && echo \'{"mac": "A8032A", "type": "SHPLG-S"}\' >shelly'
        f" && echo '{PLUG}' >status"
        " && systemd-run --unit plug python3 -m http.server --bind 127.0.0.1 8099 --directory /srv/plug"
        " && printf 'time,price_per_kwh\\n1700000000,0.3\\n' >/etc/wattview/prices.csv"
        ' && printf \'\\n[[power.meters]]\\nkind = "shelly"\\nurl = "http://127.0.0.1:8099"\\n'
        '[[cost.grid]]\\nkind = "csv"\\nfile = "/etc/wattview/prices.csv"\\n\' >>/etc/wattview/wattview.toml'
        " && systemctl restart wattview"
    )
    call = "curl -sS --fail --max-time 60 --unix-socket /run/wattview/wattview.sock http://wattview/api/v1"
    guest.until(f"{call}/snapshot | grep -q '\"watts\":42.5'", "the meter's power")
    findings = json.loads(guest.run(f"{call}/doctor"))
    states = {one["source"]: one["state"] for one in findings}
    assert states["grid csv"] == "works", findings
    assert "wall" in states, findings
    now = float(guest.run("date +%s"))
    body = json.dumps({"name": "window", "start": now - 30, "end": now - 1})
    made = json.loads(guest.run(f"{call}/recordings --json '{body}'"))
    kept = guest.run("cd /var/lib/wattview && find . -type f -printf '%P %m %u\\n'").splitlines()
    names = {line.split()[0]: line.split()[1:] for line in kept}
    wanted = {f"runs/{made['id']}/run.json", f"results/test_results_{made['id']}.json", "grid/csv-price.csv"}
    assert wanted <= names.keys(), kept
    user = guest.run("ps -o user= -p $(systemctl show --property MainPID --value wattview)").strip()
    assert {owner for _, owner in names.values()} == {user}, "a test before this one may have changed the unit's user"
    assert not [name for name, (mode, _) in names.items() if int(mode, 8) & 0o077], "nobody else may read it"
