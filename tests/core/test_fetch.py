"""The one fetch: what it is given, what it refuses, and that nothing at the other end costs more than was allowed."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import free_port
from tests.support.certificates import Authority, authority
from tests.support.wire import Script, Wire, endlessly, gzip_bomb, head, slowly
from wattview.fetch import (
    OPEN,
    Access,
    BadAnswer,
    Fetched,
    FetchError,
    NoAnswer,
    Site,
    Unreachable,
    blocking,
    decode_json,
    shown,
)

MIB = 2**20

SECONDS = 30.0
"""In which everything is answered, on a busy machine too."""

DEADLINE_SECONDS = 0.5
"""For what is never answered."""


def fetched(
    url: str, path: str = "", access: Access = OPEN, max_bytes: int = MIB, seconds: float = SECONDS, **options: bool
) -> Fetched:
    async def ask() -> Fetched:
        async with Site(url, access, seconds=seconds, max_bytes=max_bytes, **options) as site:
            return await site.fetch(path)

    return blocking(ask())


def answer(*fields: str, body: bytes = b"", status: str = "200 OK") -> Script:
    def script(_: str) -> Iterator[bytes]:
        yield head(*fields, f"Content-Length: {len(body)}", status=status)
        yield body

    return script


def closing_meanwhile(_: str) -> Iterator[bytes]:
    """It has promised to keep the connection open, and closes it with the next request on its way."""
    yield head("Content-Length: 2") + b"ok"
    time.sleep(0.1)


async def one_and_two(url: str, **how: Any) -> list[bytes]:
    async with Site(url, seconds=2.0) as site:
        return [(await site.fetch(path, **how)).body for path in ("/one", "/two")]


@pytest.mark.parametrize("how", [{}, {"form": {"query": "up"}, "safe": True}], ids=["GET", "a POST that is safe"])
def test_a_stale_connection_loses_no_request(how: dict[str, Any]) -> None:
    with Wire(closing_meanwhile) as wire:
        assert blocking(one_and_two(wire.url, **how)) == [b"ok", b"ok"]
        assert [request.split()[1] for request in wire.requests] == ["/one", "/two"]


def test_a_post_that_may_change_something_is_sent_once() -> None:
    with Wire(closing_meanwhile) as wire:
        with pytest.raises(FetchError):
            blocking(one_and_two(wire.url, json={"on": True}))
        assert [request.split()[1] for request in wire.requests] == ["/one"]


def test_a_response_has_its_own_status_and_body() -> None:
    with Wire(answer(body=b"hello", status="404 Not Here")) as wire:
        assert fetched(wire.url, "/a?b=c") == Fetched(f"{wire.url}/a", 404, "Not Here", b"hello")
        assert wire.requests[0].startswith("GET /a?b=c HTTP/1.1\r\n")


def test_a_path_in_the_address_is_kept_and_a_page_requested_verbatim() -> None:
    with Wire(answer()) as wire:
        fetched(f"{wire.url}/behind/proxy/", "/api/v1/query")
        fetched(f"{wire.url}/stat?level=2#part")
    assert [one.split()[1] for one in wire.requests] == ["/behind/proxy/api/v1/query", "/stat?level=2"]


# Bounds


def trickling_head(_: str) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from slowly(b"X-Header: " + b"a" * 1000)


def trickling_body(_: str) -> Iterator[bytes]:
    yield head("Content-Length: 1000")
    yield from slowly(b"a" * 1000)


def endless_informational(_: str) -> Iterator[bytes]:
    yield from endlessly(b"HTTP/1.1 100 Continue\r\n\r\n")


def silent(_: str) -> Iterator[bytes]:
    time.sleep(5 * DEADLINE_SECONDS)
    yield b""


@pytest.mark.parametrize("script", [trickling_head, trickling_body, endless_informational, silent])
def test_the_deadline_covers_the_whole_exchange(script: Script) -> None:
    with Wire(script) as wire:
        began = time.monotonic()
        with pytest.raises(NoAnswer, match=f"{wire.url} did not answer completely within 0.5 s"):
            fetched(wire.url, seconds=DEADLINE_SECONDS)
        assert time.monotonic() - began < 20 * DEADLINE_SECONDS, "a fifth of what the trickle lasts, and no end has one"


def endless_body(_: str) -> Iterator[bytes]:
    yield head("Connection: close")
    yield from endlessly(b"a" * 65536)


def endless_chunks(_: str) -> Iterator[bytes]:
    yield head("Transfer-Encoding: chunked")
    yield from endlessly(b"10000\r\n" + b"a" * 65536 + b"\r\n")


@pytest.fixture(scope="module", autouse=True)
def _the_bomb_is_made_before_a_clock_runs() -> None:
    gzip_bomb(200)


def gzipped_bomb(_: str) -> Iterator[bytes]:
    yield head("Content-Encoding: gzip", "Connection: close")
    yield gzip_bomb(200)


def many_members(_: str) -> Iterator[bytes]:
    yield head("Content-Encoding: gzip", "Connection: close")
    yield from endlessly(gzip_bomb(10))


def deflate_bomb(_: str) -> Iterator[bytes]:
    yield head("Content-Encoding: deflate", "Connection: close")
    yield zlib.compress(bytes(20 * MIB), 1)


def empty_members(_: str) -> Iterator[bytes]:
    yield head("Content-Encoding: gzip", "Connection: close")
    yield from endlessly(gzip.compress(b"") * 3000)


@pytest.mark.parametrize(
    "script", [endless_body, endless_chunks, gzipped_bomb, many_members, deflate_bomb, empty_members]
)
def test_a_body_is_bounded_as_it_is_sent_and_as_it_is_decompressed(script: Script) -> None:
    with Wire(script) as wire, pytest.raises((BadAnswer, NoAnswer), match=r"more than 1 MiB|within"):
        fetched(wire.url, seconds=DEADLINE_SECONDS)


def endless_head(_: str) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from endlessly(b"X-Header: " + b"a" * 1000 + b"\r\n")


def endless_header(_: str) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nX-Header: "
    yield from endlessly(b"a" * 65536)


def endless_chunk_size(_: str) -> Iterator[bytes]:
    yield head("Transfer-Encoding: chunked")
    yield from endlessly(b"0" * 65536)


@pytest.mark.parametrize("script", [endless_head, endless_header, endless_chunk_size])
def test_headers_are_bounded(script: Script) -> None:
    with Wire(script) as wire, pytest.raises(BadAnswer, match=wire.url):
        fetched(wire.url)


def test_memory_is_given_back_after_an_endless_body() -> None:
    with Wire(gzipped_bomb) as wire:
        for _ in range(2):
            with pytest.raises((BadAnswer, NoAnswer)):
                fetched(wire.url, max_bytes=64 * MIB, seconds=DEADLINE_SECONDS)
        before = resident_bytes()
        for _ in range(3):
            with pytest.raises((BadAnswer, NoAnswer)):
                fetched(wire.url, max_bytes=64 * MIB, seconds=DEADLINE_SECONDS)
    assert resident_bytes() - before < 16 * MIB


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


# Encodings


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("identity", b"x" * 100_000),
        ("gzip", gzip.compress(b"x" * 100_000)),
        ("GZIP", gzip.compress(b"x" * 40_000) + gzip.compress(b"x" * 60_000)),
        ("deflate", zlib.compress(b"x" * 100_000)),
        ("deflate", raw_deflate(b"x" * 100_000)),
    ],
    ids=["none", "gzip", "members", "deflate", "raw deflate"],
)
def test_each_encoding_is_undone(encoding: str, body: bytes) -> None:
    with Wire(answer(f"Content-Encoding: {encoding}", body=body)) as wire:
        assert fetched(wire.url, compressed=True).body == b"x" * 100_000
    assert "Accept-Encoding: gzip, deflate\r\n" in wire.requests[0]


@pytest.mark.parametrize(
    ("encoding", "body", "said"),
    [
        ("gzip", b"not gzip", "damaged gzip"),
        ("gzip", gzip.compress(b"x" * 1000)[:-9], "ends too early"),
        ("br", b"x", "encoding 'br'"),
        ("gzip, gzip", b"x", "encoding 'gzip, gzip'"),
    ],
    ids=["no gzip", "cut off", "unknown", "twice"],
)
def test_an_undecodable_body_is_an_error(encoding: str, body: bytes, said: str) -> None:
    with Wire(answer(f"Content-Encoding: {encoding}", body=body)) as wire, pytest.raises(BadAnswer, match=said):
        fetched(wire.url)


# Redirects


def redirect(location: str, status: str = "302 Found") -> Script:
    def script(request: str) -> Iterator[bytes]:
        if request.split()[1].startswith("/old"):
            yield head(f"Location: {location}", "Content-Length: 0", status=status)
        else:
            yield from answer(body=b"moved")(request)

    return script


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_on_the_same_host_keeps_its_credentials(status: str) -> None:
    with Wire(redirect("/new/", status)) as wire:
        assert fetched(wire.url, "/old", Access(secret="me:word")).body == b"moved"
    assert [one.split()[1] for one in wire.requests] == ["/old", "/new/"]
    assert all("Authorization: Basic bWU6d29yZA==" in one for one in wire.requests)


def test_a_redirect_that_adds_a_slash_keeps_the_query() -> None:
    with Wire(redirect("/old-list/")) as wire, pytest.raises(BadAnswer, match="redirects more than"):
        fetched(wire.url, "/old-list?start=0&count=500")
    assert wire.requests[1].split()[1] == "/old-list/?start=0&count=500"


def test_a_redirect_keeps_the_form_and_the_method() -> None:
    with Wire(redirect("/new", "307 Temporary")) as wire:

        async def ask() -> Fetched:
            async with Site(wire.url, seconds=SECONDS) as site:
                return await site.fetch("/old", {"query": "up"})

        assert blocking(ask()).status == 200
    assert [one.split()[0] for one in wire.requests] == ["POST", "POST"]


def test_no_secret_goes_to_another_host_or_port() -> None:
    with Wire(answer(body=b"caught")) as other:
        for place in (
            other.url,
            other.url.replace("127.0.0.1", "localhost"),
            f"//127.0.0.1:{other.port}/",
            "http://[",
            "ftp://127.0.0.1/",
        ):
            with (
                Wire(redirect(f"{place}?key=hunter2")) as wire,
                pytest.raises(BadAnswer, match="a redirect to") as told,
            ):
                fetched(wire.url, "/old", Access(secret="token"))
            assert "hunter2" not in str(told.value)
    assert other.requests == []


def test_redirects_in_a_circle_end() -> None:
    with Wire(redirect("/old")) as wire, pytest.raises(BadAnswer, match="redirects more than 5 times"):
        fetched(wire.url, "/old")
    assert len(wire.requests) == 6


# Secrets


@pytest.mark.parametrize(
    ("secret", "header"),
    [("token-of-mine", "Bearer token-of-mine"), ("me:pass:word", "Basic bWU6cGFzczp3b3Jk"), ("", None)],
)
def test_a_secret_is_read_again_for_every_fetch(tmp_path: Path, secret: str, header: str | None) -> None:
    file = tmp_path / "secret"
    file.write_text("before\n")

    async def ask(url: str) -> None:
        async with Site(url, Access(secret_file=str(file)), seconds=SECONDS) as site:
            await site.fetch()
            file.write_text(f"{secret}\n")
            await site.fetch()

    with Wire(answer()) as wire:
        blocking(ask(wire.url))
    assert "authorization: bearer before" in wire.requests[0].lower()
    found = [line.split(": ", 1)[1] for line in wire.requests[1].split("\r\n") if line.lower().startswith("authoriz")]
    assert found == ([header] if header else [])


def test_a_user_in_the_address_is_sent_and_never_shown() -> None:
    with Wire(endless_body) as wire:
        with pytest.raises(FetchError) as told:
            fetched(wire.url.replace("://", "://me:hunter%402@"))
        assert "hunter" not in str(told.value)
        assert "Authorization: Basic bWU6aHVudGVyQDI=" in wire.requests[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2/x@host/",
        "http://me:hun@ter2@host:x/",
        "http://me:hunter2@[/",
        "http://me:hunter2@host:99999999/",
        "ftp://me:hunter2@host/",
        "me:hunter2@host",
        "http://me:hunter2@",
        "http://me:hunter2@ho\x00st/",
        "http://me:hunter2@" + "a." * 300,
        "",
    ],
)
def test_an_invalid_address_is_an_error_without_its_secrets(url: str) -> None:
    with pytest.raises(FetchError) as told:
        fetched(url)
    assert "hunter2" not in str(told.value)
    assert "hun" not in str(told.value)
    assert told.value.__cause__ is None


def test_shown_is_an_address_without_secrets() -> None:
    assert shown("http://me:pass@host:1/a?token=b#c") == "http://host:1/a"
    assert shown("http://me:pa/ss@host/x") == "http://host/x"
    assert shown("unix:///run/a.sock") == "unix:///run/a.sock"


def test_a_dead_host_and_a_missing_secret_have_different_reasons(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no connection to"):
        fetched(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(BadAnswer, match="none: No such file or directory"):
        fetched(f"http://127.0.0.1:{free_port()}", access=Access(secret_file=str(tmp_path / "none")))


# Certificates


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("ca"))


def test_a_private_ca_is_trusted_if_a_setting_names_it(own: Authority) -> None:
    with Wire(answer(body=b"safe"), own.server) as wire:
        assert fetched(wire.url, access=Access(ca_file=str(own.ca_file))).body == b"safe"
        with pytest.raises(BadAnswer, match="not trusted") as told:
            fetched(wire.url)
        assert "http.ca_file" in told.value.fix


def test_a_private_ca_is_trusted_if_the_environment_names_it(own: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(own.ca_file))
    with Wire(answer(body=b"safe"), own.server) as wire:
        assert fetched(wire.url).body == b"safe"


def test_the_systems_certificates_are_trusted_beside_ones_own(own: Authority) -> None:
    from wattview.fetch import trusted

    system, both = trusted(), trusted(str(own.ca_file))
    assert system.verify_mode == both.verify_mode == ssl.CERT_REQUIRED
    assert both.check_hostname
    assert both.cert_store_stats()["x509_ca"] == system.cert_store_stats()["x509_ca"] + 1 > 1


@pytest.mark.parametrize("text", [None, "", "no certificate"])
def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadAnswer, match=f"http.ca_file {file}: "):
        fetched(f"https://127.0.0.1:{free_port()}", access=Access(ca_file=str(file)))


def test_an_upgrade_to_https_on_the_same_host_is_followed(own: Authority) -> None:
    with Wire(answer(body=b"safe"), own.server) as safe, Wire(redirect(f"{safe.url}/new")) as wire:
        assert fetched(wire.url, "/old", Access(ca_file=str(own.ca_file))).body == b"safe"
        with Wire(redirect(f"{wire.url}/new"), own.server) as down, pytest.raises(BadAnswer, match="a redirect to"):
            fetched(down.url, "/old", Access(ca_file=str(own.ca_file)))


# JSON


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000_000,
        b'{"a":' * 2_000_000,
        b'{"a": ' + b"9" * 10_000_000 + b"}",
        b'{"a": "' + b"\\" * 10_000_000,
        b'{"a": [' + b"{}," * 3_000_000 + b"{}]}",
        b'{"a": 1e999999999}',
        b"\xff" * 1000,
        b'{"a": "\\ud800"}',
        b"",
    ],
    ids=["nested", "objects", "digits", "backslashes", "many", "exponent", "binary", "surrogate", "empty"],
)
def test_any_json_is_decoded_or_rejected_quickly(body: bytes) -> None:
    began = time.process_time()
    with pytest.raises(BadAnswer, match="http://x: not the API of X"):
        decode_json(Fetched("http://x", 200, "OK", body), dict[str, int], "the API of X")
    assert time.process_time() - began < 1


def test_a_fetch_does_not_block_the_event_loop() -> None:
    """Whatever trickles, bombs or hangs at the other end, a loop that waits for it goes on."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def all_at_once(urls: list[str]) -> None:
        ticking = asyncio.create_task(tick())
        async with asyncio.TaskGroup() as group:
            for url in urls:
                group.create_task(asyncio.wait_for(_failing(url), 10))
        ticking.cancel()

    async def _failing(url: str) -> None:
        async with Site(url, seconds=DEADLINE_SECONDS, max_bytes=4 * MIB) as site:
            with pytest.raises(FetchError):
                await site.fetch()

    with Wire(trickling_head) as a, Wire(gzipped_bomb) as b, Wire(silent) as c, Wire(endless_body) as d:
        before = threading.active_count()
        blocking(all_at_once([a.url, b.url, c.url, d.url]))
        assert threading.active_count() <= before + 4
    assert ticks > 10
