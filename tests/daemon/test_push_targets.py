"""Targets of pushes: SRT and RTSP, over which what is pushed, and where their secrets do not stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.conftest import ConfigFactory, free_port
from tests.support.bench import SHORT, Bench
from tests.support.ffmpeg import need, own_ffmpegs
from wattview.config import ConfigError
from wattview.daemon.lab.encoding import destination
from wattview.daemon.lab.encoding.destination import Destination
from wattview.daemon.lab.scenario_check import plan_of
from wattview.model import Rendition, RunRequest, Scenario
from wattview.model.run_request import WrongField, run_request

SECRET = "geheim-0123456789"

SHOWN = {
    "srt://h:9000": "srt://h:9000",
    f"srt://h:9000?passphrase={SECRET}&latency=200000": "srt://h:9000",
    f"srt://[2001:db8::1]:9000?streamid=publish:{{stream}}:{SECRET}": "srt://[2001:db8::1]:9000",
    f"rtsp://me:{SECRET}@h:8554/live/cam": "rtsp://h:8554/live/cam",
    f"rtsp://h/live/{{stream}}?jwt={SECRET}": "rtsp://h/live",
    f"rtmp://h/live2/{SECRET}": "rtmp://h/live2/…",
    f"rtmps://h/app/{{stream}}?key={SECRET}": "rtmps://h/app",
    f"rtsp://h/x#{SECRET}": "rtsp://h/x",
}


def test_an_address_is_shown_without_its_secrets_and_logs_are_cleaned_of_them() -> None:
    for url, shown in SHOWN.items():
        found = destination.configured(url)
        assert found.shown == shown
        line = found.address("cam-1")
        for text in found.secrets:
            line = line.replace(text, "…")
        assert SECRET not in line, (url, found.secrets)
    assert destination.configured("srt://h:9000?latency=200000&mode=caller").secrets == ()


def test_a_percent_encoded_secret_is_hidden_in_both_forms() -> None:
    found = destination.configured("rtsp://me:p%40ssword%21@h/x")
    assert {"p%40ssword%21", "p@ssword!"} <= set(found.secrets)


def test_a_scenario_holds_no_secret_and_its_refusal_repeats_none() -> None:
    for url in [*SHOWN][1:]:
        with pytest.raises(WrongField, match="may hold a secret") as refused:
            plan_of(RunRequest(scenarios=[Scenario(name="x", target=url)]), Path("/nowhere"))
        assert SECRET not in str(refused.value)
        assert refused.value.field == "scenarios[0].target"
    with pytest.raises(WrongField) as wrong:
        run_request({"scenarios": [{"name": "x", "target": SECRET * 30}]})
    assert SECRET not in str(wrong.value)


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"target": "udp://h:1"}, "target", "begins with srt://"),
        ({"target": "file:///etc/passwd"}, "target", "begins with srt://"),
        ({"target": "srt://h"}, "target", "HOST:PORT"),
        ({"target": "srt://h:99999"}, "target", "not an address"),
        ({"target": "srt://h:9?mode=listener"}, "target", "mode=caller"),
        ({"target": "rtsp://h/a|[f=mp4]/tmp/x"}, "target", "not an address"),
        ({"target": "rtsp://h/a'b"}, "target", "not an address"),
        ({"target": "rtsp://h/a b"}, "target", "not an address"),
        ({"target": "rtsp:///a"}, "target", "not an address"),
        ({"target": "nobody"}, "target", "the settings have cdn, one"),
        ({"target": "one", "push": False}, "target", "needs push"),
        ({"target": "one", "streams": 2}, "target", "one address for 2 streams; put {stream}"),
        ({"target": "one", "renditions": [Rendition(resolution="320x180")] * 2}, "target", "for 2 streams"),
        ({"target": "srt://h:1", "viewers": 1}, "viewers", "cannot pull from SRT targets"),
    ],
)
def test_a_target_that_cannot_be_pushed_to_is_refused(fields: dict[str, object], field: str, says: str) -> None:
    targets = {"one": f"rtsp://me:{SECRET}@h/x", "cdn": f"rtmp://h/app/{{stream}}?key={SECRET}"}
    with pytest.raises(WrongField) as refused:
        plan_of(RunRequest(scenarios=[Scenario(name="x", **fields)]), Path("/nowhere"), targets)  # type: ignore[arg-type]
    assert refused.value.field == f"scenarios[0].{field}"
    assert says in str(refused.value)
    several = Scenario(name="x", target="cdn", streams=3, viewers=1)
    assert plan_of(RunRequest(scenarios=[several]), Path("/nowhere"), targets)


def test_each_stream_has_its_name_in_the_address() -> None:
    found: Destination = destination.target("cdn", {"cdn": f"srt://h:1?streamid=publish:{{stream}}:{SECRET}"})
    assert found.takes_several
    assert found.address("show-2") == f"srt://h:1?streamid=publish:show-2:{SECRET}"


def test_a_setting_that_is_not_a_target_is_refused_without_showing_its_value(make_config: ConfigFactory) -> None:
    with pytest.raises(ConfigError, match=r"scenarios.targets.x: expected an address") as refused:
        make_config(f"scenarios.targets.x=ftp://me:{SECRET}@h")
    assert SECRET not in str(refused.value)


# with the real FFmpeg as the server


@asynccontextmanager
async def listening(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """An FFmpeg that takes one stream, and counts its frames."""
    process = await asyncio.create_subprocess_exec(
        need("ffmpeg", "ffmpeg"), "-hide_banner", "-nostdin", "-loglevel", "error", "-progress", "pipe:1", *arguments,
        "-map", "0:v", "-c", "copy", "-f", "null", "-",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def frames(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    text = (await asyncio.wait_for(process.stdout.read(), 20)).decode()
    return max((int(line.partition("=")[2]) for line in text.splitlines() if line.startswith("frame=")), default=0)


def leaks(bench: Bench, run: object) -> list[str]:
    """Where the secret stands of what a run leaves: its folder, its results, and what the API says of it."""
    folders = Path(bench.config.paths.state), Path(bench.config.paths.results)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found = [str(path) for path in files if SECRET in path.read_text("utf-8", "replace")]
    return [*found, *(["run"] if SECRET in msgspec.json.encode(run).decode() else [])]


@pytest.mark.slow
async def test_streams_go_over_srt_with_a_passphrase(make_config: ConfigFactory) -> None:
    port = free_port()
    secrets = f"passphrase={SECRET}&pbkeylen=16"
    bench = Bench(make_config(f"scenarios.targets.show=srt://127.0.0.1:{port}?{secrets}&streamid=publish:{SECRET}"))
    async with listening("-i", f"srt://127.0.0.1:{port}?mode=listener&{secrets}") as receiver:
        run = await bench.run(replace(SHORT, target="show", quality=False))
        got = await frames(receiver)
    (record,) = run.finished
    assert (run.state, record.pushed, record.pushed_to) == ("done", True, f"srt://127.0.0.1:{port}"), record.notes
    assert run.pushes_to == f"srt://127.0.0.1:{port}"
    assert got > 60
    assert leaks(bench, run) == []
    assert "passphrase=…" in (bench.folder(run) / "01-encoder-1.log").read_text("utf-8")
    refused = await bench.run(replace(SHORT, target="show", quality=False))
    assert (refused.state, refused.finished[0].pushed) == ("failed", None), "nobody listens any more"
    assert "FFmpeg exited" in (refused.finished[0].notes or [""])[0]
    assert leaks(bench, refused) == []
    assert own_ffmpegs() == set()


@pytest.mark.slow
async def test_streams_go_over_rtsp_with_a_user(make_config: ConfigFactory) -> None:
    """HEVC too, which Debian's FFmpeg has no place for in FLV. AV1 it has none for in RTP either."""
    port = free_port()
    bench = Bench(make_config(f"scenarios.targets.show=rtsp://me:{SECRET}@127.0.0.1:{port}/live/show"))
    place = ["-rtsp_flags", "listen", "-listen_timeout", "20", "-i", f"rtsp://127.0.0.1:{port}/live/show"]
    async with listening(*place) as receiver:
        run = await bench.run(replace(SHORT, target="show", encoder="libx265", quality=False))
        got = await frames(receiver)
    (record,) = run.finished
    assert (run.state, record.pushed) == ("done", True), record.notes
    assert record.pushed_to == f"rtsp://127.0.0.1:{port}/live/show"
    assert got > 60
    assert leaks(bench, run) == []
    refused = await bench.run(replace(SHORT, target="show", encoder="libsvtav1"))
    assert (refused.error or "").startswith("scenarios[0].target: RTSP does not carry libsvtav1 with this FFmpeg: ")
    assert leaks(bench, refused) == []
