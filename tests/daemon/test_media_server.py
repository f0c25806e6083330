"""The managed nginx-rtmp: it serves, it stays inside its directory, and it never outlives the daemon."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory, free_port
from tests.support.answers import Answer, Answers
from tests.support.nginx import Nginx, eventually
from tests.support.streams import Publisher
from wattview.daemon.media import nginx_config
from wattview.daemon.media import server as media_server
from wattview.daemon.media.nginx_config import MediaServerError, configuration
from wattview.daemon.media.server import ManagedRtmp, choose_server
from wattview.probes.streams.nginx_rtmp import NginxRtmpProbe


def processes_in(directory: Path) -> list[int]:
    """Every process whose working directory or command line is this directory's."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                inside = os.readlink(entry / "cwd").startswith(str(directory))
                named = str(directory).encode() in (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if (inside or named) and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


@pytest.fixture
def ports() -> tuple[str, str]:
    return (
        f"streams.rtmp_url=rtmp://127.0.0.1:{free_port()}/live",
        f"streams.nginx_rtmp_url=http://127.0.0.1:{free_port()}/stat",
    )


@pytest.fixture
async def managed(
    make_config: ConfigFactory, ports: tuple[str, str], tmp_path: Path
) -> AsyncIterator[Callable[..., ManagedRtmp]]:
    started: list[ManagedRtmp] = []

    def make(*sets: str) -> ManagedRtmp:
        started.append(ManagedRtmp(make_config(*ports, *sets), tmp_path / "server"))
        return started[-1]

    yield make
    for server in started:
        await server.stop()
    assert processes_in(tmp_path / "server") == []


async def until(look: Callable[[], object]) -> None:
    await asyncio.to_thread(eventually, look)


async def test_it_serves_a_stream_and_its_figures(
    managed: Callable[..., ManagedRtmp], ports: tuple[str, str], tmp_path: Path
) -> None:
    server = managed()
    assert server.finding().state == "broken"
    await server.start()
    assert server.finding().state == "works"
    assert server.rtmp_url in server.finding().detail
    assert (server.state, server.reason, server.notes) == ("running", "", ())
    assert (f"streams.rtmp_url={server.rtmp_url}", f"streams.nginx_rtmp_url={server.stat_url}") == ports
    probe = NginxRtmpProbe(server.stat_url)
    with Publisher(f"{server.rtmp_url}/talk"):
        await until(lambda: probe.read().streams)
    reading = await asyncio.to_thread(probe.read)
    assert reading.faults == ()
    probe.close()
    await server.stop()
    assert server.state == "stopped"
    assert processes_in(tmp_path) == []
    assert not (tmp_path / "server" / "nginx.pid").exists()


async def test_everything_it_writes_is_in_its_directory_and_loopback_only(
    managed: Callable[..., ManagedRtmp], tmp_path: Path
) -> None:
    server = managed()
    await server.start()
    pids = processes_in(tmp_path / "server")
    assert len(pids) == 2
    open_files = {os.readlink(f"/proc/{pid}/fd/{fd}") for pid in pids for fd in os.listdir(f"/proc/{pid}/fd")}
    written = {path for path in open_files if path.startswith("/") and not path.startswith(("/dev/", "/proc/"))}
    assert {path for path in written if not path.startswith(str(tmp_path))} <= {"/var/log/nginx/error.log"}
    text = (tmp_path / "server" / "nginx.conf").read_text()
    assert all(line.split()[1].startswith("127.0.0.1:") for line in text.splitlines() if line.split()[:1] == ["listen"])
    assert (tmp_path / "server").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a worker of another account")
async def test_the_worker_of_a_root_daemon_is_not_root(managed: Callable[..., ManagedRtmp], tmp_path: Path) -> None:
    server = managed()
    await server.start()
    (worker,) = [pid for pid in processes_in(tmp_path / "server") if pid != server.pid]
    assert os.stat(f"/proc/{worker}").st_uid != 0


async def test_a_taken_port_is_replaced_and_reported(
    managed: Callable[..., ManagedRtmp], ports: tuple[str, str]
) -> None:
    wanted = int(re.search(r":(\d+)/live", ports[0])[1])  # type: ignore[index]
    with socket.socket() as other:
        other.bind(("127.0.0.1", wanted))
        other.listen()
        server = managed()
        await server.start()
        assert f":{wanted}/" not in server.rtmp_url
        assert f"port {wanted} is taken" in server.notes[0]
        assert NginxRtmpProbe(server.stat_url).read().streams == ()


async def test_a_port_taken_at_the_last_moment_is_replaced_too(
    managed: Callable[..., ManagedRtmp], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the choice of a port and nginx's own bind anybody can take it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        stolen = other.getsockname()[1]
        choices = iter([stolen, free_port(), free_port(), free_port()])
        monkeypatch.setattr(nginx_config, "free_port", lambda *_: next(choices))
        server = managed()
        await server.start()
        assert str(stolen) not in server.rtmp_url
        assert server.state == "running"


@pytest.mark.parametrize("name", ["a b", "live;", "x{", '"', "live$app", "a\\b", "-" * 65, "ü"])
async def test_no_setting_can_break_out_of_the_configuration(
    managed: Callable[..., ManagedRtmp], name: str, tmp_path: Path
) -> None:
    server = managed(f"streams.rtmp_url=rtmp://127.0.0.1:1935/{name}")
    with pytest.raises(MediaServerError) as caught:
        await server.start()
    assert "streams.rtmp_url" in caught.value.fix
    assert (server.state, processes_in(tmp_path)) == ("failed", [])


@pytest.mark.parametrize("path", ["/a;b/ngx_rtmp_module.so", '/a"b;}/m.so', "/a\\"])
def test_a_module_path_stays_one_parameter(path: str) -> None:
    line = configuration("live", 1, 2, Path(path)).splitlines()[1]
    assert line == 'load_module "' + path.replace("\\", "\\\\").replace('"', '\\"') + '";'


def test_a_module_path_that_cannot_be_quoted_is_refused() -> None:
    for path in ("/a\nb", "/a$b"):
        with pytest.raises(MediaServerError):
            configuration("live", 1, 2, Path(path))


async def test_a_directory_with_odd_characters_works(
    make_config: ConfigFactory, ports: tuple[str, str], tmp_path: Path
) -> None:
    server = ManagedRtmp(make_config(*ports), tmp_path / 'my "state"; $dir {x} é')
    await server.start()
    try:
        assert NginxRtmpProbe(server.stat_url).read().streams == ()
    finally:
        await server.stop()


async def test_no_nginx_says_what_to_install(managed: Callable[..., ManagedRtmp], tmp_path: Path) -> None:
    server = managed("streams.nginx=/nowhere/nginx")
    with pytest.raises(MediaServerError, match="not installed") as caught:
        await server.start()
    assert "apt-get install" in caught.value.fix
    assert server.state == "failed"
    finding = server.finding()
    assert (finding.source, finding.state) == ("media server", "broken")
    assert "failed: " in finding.detail
    assert finding.fix == caught.value.fix


async def test_an_nginx_without_the_module_says_what_to_install(
    managed: Callable[..., ManagedRtmp], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "nginx"
    bare.write_text("#!/bin/sh\necho 'configure arguments: --modules-path=/nowhere' >&2\n")
    bare.chmod(0o755)
    monkeypatch.setattr(nginx_config, "MODULE_DIRECTORIES", ())
    with pytest.raises(MediaServerError, match="no RTMP module") as caught:
        await managed(f"streams.nginx={bare}").start()
    assert "libnginx-mod-rtmp" in caught.value.fix


async def test_a_server_that_cannot_start_says_nginx_own_words(
    managed: Callable[..., ManagedRtmp], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = nginx_config.configuration
    monkeypatch.setattr(nginx_config, "configuration", lambda *a: good(*a) + "nonsense;\n")
    server = managed()
    with pytest.raises(MediaServerError, match='unknown directive "nonsense"'):
        await server.start()
    assert server.state == "failed"


async def test_another_server_on_the_port_is_not_mistaken_for_ours(
    managed: Callable[..., ManagedRtmp], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It took the port between our choice and nginx's bind, and has a statistics page of its own."""
    with Nginx(tmp_path / "theirs") as theirs:
        choices = iter([free_port(), theirs.stat_port, free_port(), free_port()])
        monkeypatch.setattr(nginx_config, "free_port", lambda *_: next(choices))
        server = managed()
        await server.start()
        assert server.stat_url != theirs.stat_url
        assert server.pid is not None


async def test_a_start_that_is_given_up_leaves_nothing(
    managed: Callable[..., ManagedRtmp], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def never(*_: object) -> bool:
        return False

    monkeypatch.setattr(media_server, "_answers", never)
    server = managed()
    start = asyncio.create_task(server.start())
    await until(lambda: processes_in(tmp_path / "server"))
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert processes_in(tmp_path / "server") == []
    assert server.state == "stopped"


@pytest.mark.parametrize("victim", ["master", "worker"])
async def test_a_server_that_died_runs_again_on_the_same_ports(
    managed: Callable[..., ManagedRtmp], tmp_path: Path, victim: str
) -> None:
    server = managed()
    await server.start()
    urls, master = (server.rtmp_url, server.stat_url), server.pid
    assert master is not None
    (worker,) = [pid for pid in processes_in(tmp_path / "server") if pid != master]
    probe = NginxRtmpProbe(server.stat_url)
    before = (await asyncio.to_thread(probe.read)).server.pid
    os.kill(master if victim == "master" else worker, signal.SIGKILL)

    def back() -> bool:
        try:
            return probe.read().server.pid != before
        except Exception:
            return False

    await until(back)
    await until(lambda: server.state == "running")
    assert (server.rtmp_url, server.stat_url) == urls
    assert len(processes_in(tmp_path / "server")) == 2
    assert worker not in processes_in(tmp_path / "server")
    probe.close()


async def test_a_server_that_keeps_dying_is_reported_as_restarting(
    managed: Callable[..., ManagedRtmp], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = managed()
    await server.start()
    good = nginx_config.configuration
    monkeypatch.setattr(nginx_config, "configuration", lambda *a: good(*a) + "nonsense;\n")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await until(lambda: "nonsense" in server.reason)
    assert server.state == "restarting"


_DAEMON = """
import asyncio, os, sys
from pathlib import Path
import anyio._backends._asyncio
import concurrent.futures.thread
import httpx
import psutil
from wattview import config
from wattview.daemon.media.server import ManagedRtmp

async def main():
    sets = ["streams.rtmp_url=rtmp://127.0.0.1:0/live", "streams.nginx_rtmp_url=http://127.0.0.1:0/stat"]
    server = ManagedRtmp(config.load(sets=sets, environ={"HOME": sys.argv[1]}), Path(sys.argv[1]) / "server")
    await server.start()
    print(server.rtmp_url, flush=True)
    await asyncio.sleep(3600)

httpx.AsyncClient()
if len(sys.argv) > 2:  # what is imported by now need not be readable any more
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
asyncio.run(main())
"""


@pytest.mark.parametrize("account", ["this", "nobody"])
def test_killing_the_daemon_leaves_neither_master_nor_worker(tmp_path: Path, account: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-c", _DAEMON, str(home)]
    if account == "nobody":
        if os.geteuid() != 0:
            pytest.skip("only root can run the daemon as somebody else")
        nobody = pwd.getpwnam("nobody").pw_uid
        os.chown(home, nobody, nobody)
        for part in (tmp_path, *tmp_path.parents):
            if not part.stat().st_mode & 0o001:
                part.chmod(part.stat().st_mode | 0o011)
        command.append(str(nobody))
    environment = os.environ | {"PYTHONPATH": str(Path(media_server.__file__).parents[3])}
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert daemon.stdout is not None
    url = daemon.stdout.readline().strip()
    assert url.startswith("rtmp://"), "the daemon did not start its server"
    with Publisher(f"{url}/talk"):
        assert len(processes_in(home)) >= 2
        daemon.kill()
        daemon.wait()
        eventually(lambda: not processes_in(home / "server"), timeout_seconds=5)
    daemon.stdout.close()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", int(url.split(":")[2].split("/")[0])))


async def test_never_starts_no_server(make_config: ConfigFactory, tmp_path: Path) -> None:
    assert await choose_server(make_config("streams.managed=never"), tmp_path) is None


async def test_always_starts_a_server_even_beside_another(make_config: ConfigFactory, tmp_path: Path) -> None:
    with Nginx(tmp_path / "theirs") as theirs:
        config = make_config("streams.managed=always", f"streams.nginx_rtmp_url={theirs.stat_url}")
        assert isinstance(await choose_server(config, tmp_path / "ours"), ManagedRtmp)


async def test_auto_uses_the_server_that_answers(make_config: ConfigFactory, tmp_path: Path) -> None:
    with Nginx(tmp_path / "theirs") as theirs:
        config = make_config("streams.managed=auto", f"streams.nginx_rtmp_url={theirs.stat_url}")
        assert await choose_server(config, tmp_path / "ours") is None


async def test_auto_starts_a_server_if_none_answers_or_something_else_does(
    make_config: ConfigFactory, tmp_path: Path
) -> None:
    nobody = make_config("streams.managed=auto", f"streams.nginx_rtmp_url=http://127.0.0.1:{free_port()}/stat")
    assert isinstance(await choose_server(nobody, tmp_path / "ours"), ManagedRtmp)
    for answer in (Answer(b"<html>Welcome</html>"), Answer(b"", status=404)):
        with Answers(lambda _, answer=answer: answer) as other:
            config = make_config("streams.managed=auto", f"streams.nginx_rtmp_url={other.url}/stat")
            assert isinstance(await choose_server(config, tmp_path / "ours"), ManagedRtmp)


async def test_auto_keeps_a_server_that_refuses_us_or_is_remote(make_config: ConfigFactory, tmp_path: Path) -> None:
    with Answers(lambda _: Answer(status=403)) as guarded:
        config = make_config("streams.managed=auto", f"streams.nginx_rtmp_url={guarded.url}/stat")
        assert await choose_server(config, tmp_path / "ours") is None
    elsewhere = make_config("streams.managed=auto", "streams.nginx_rtmp_url=http://media.example.invalid/stat")
    assert await choose_server(elsewhere, tmp_path / "ours") is None
