"""The client of a store: what it makes of answers, of those that are none, and of those that would not end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import authority
from tests.support.prometheus import victoria_metrics
from tests.support.wire import Script, Wire, endlessly, head, slowly
from wattview.exposition import label_text, parse_series
from wattview.fetch import Access
from wattview.promql import AccessRefused, AnswerTooLarge, Store, StoreError, StoreSeries


def vector(*results: tuple[dict[str, str], Any]) -> bytes:
    found = [{"metric": labels, "value": value} for labels, value in results]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": found}}).encode()


def matrix(*results: tuple[dict[str, str], Sequence[Any]]) -> bytes:
    found = [{"metric": labels, "values": values} for labels, values in results]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": found}}).encode()


def saying(body: bytes, status: str = "200 OK") -> Script:
    def script(_: str) -> Iterator[bytes]:
        yield head("Content-Type: application/json", f"Content-Length: {len(body)}", status=status) + body

    return script


async def asked(script: Script, seconds: float = 5.0) -> list[StoreSeries]:
    with Wire(script) as wire:
        store = Store(wire.url, seconds=seconds)
        try:
            return await store.instant("up", 1.0)
        finally:
            await store.close()


async def test_any_label_gives_a_readable_series_name() -> None:
    labels = {"__name__": "up", "service.name": "a", "größe": 'x"y', "host": "h", 'a"b\\': "c", "": "d", "1": "e"}
    [found] = await asked(saying(vector((labels, [1, "5"]))))
    assert found.points == [(1.0, 5.0)]
    name, read = parse_series(found.key)
    assert (name, read) == ("up", {key: value for key, value in labels.items() if key != "__name__"})
    assert label_text({"host": "h", "service.name": "a"}) == '{host="h","service.name"="a"}'


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"isPartial": True}, "storage"),
        ({"warnings": ["No StoreAPIs matched for this query", "PromQL info: x"]}, "StoreAPIs"),
        ({"warnings": ["remote_read: remote server answered 503"]}, "remote_read"),
        ({"isPartial": False, "warnings": None, "infos": ["PromQL info: might not be a counter"]}, ""),
        ({"warnings": ['PromQL warning: encountered a mix of histograms and floats for metric name "up" (1:1)']}, ""),
    ],
)
async def test_a_partial_answer_of_a_store_is_rejected(more: dict[str, Any], said: str) -> None:
    """https://docs.victoriametrics.com/victoriametrics/cluster-victoriametrics/#cluster-availability,
    https://thanos.io/tip/components/query.md/#partial-response, https://prometheus.io/docs/prometheus/latest/querying/api/."""
    body = json.dumps(json.loads(vector(({"__name__": "up"}, [1, "5"]))) | more).encode()
    if not said:
        assert [one.points for one in await asked(saying(body))] == [[(1.0, 5.0)]]
        return
    with pytest.raises(StoreError, match=f"only a part.*{said}"):
        await asked(saying(body))


@pytest.mark.parametrize(
    "result",
    [
        None,
        [{"metric": {"__name__": "up"}, "histogram": [1, {"count": "3", "sum": "7", "buckets": [[0, "1", "2", "3"]]}]}],
        [{"metric": {"__name__": "up"}, "value": [1, "NaN"]}],
    ],
)
async def test_a_value_that_is_not_a_number_is_no_point(result: Any) -> None:
    """A native histogram has no value: https://prometheus.io/docs/prometheus/latest/querying/api/#native-histograms."""
    body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
    assert [one.points for one in await asked(saying(body))] == [[]] * len(result or ())


@pytest.mark.parametrize("label", ["prometheus_replica", "replica", "__replica__"])
async def test_the_series_of_two_replicas_are_one(label: str) -> None:
    body = matrix(
        ({"__name__": "up", "host": "a", label: "0"}, [[1, "1"], [2, "NaN"]]),
        ({"__name__": "up", "host": "a", label: "1"}, [[1, "1"], [2, "2"], [3, "+Inf"]]),
        ({"__name__": "up", "host": "b", label: "1"}, [[1, "7"]]),
    )
    found = await asked(saying(body))
    assert {one.key: one.points for one in found} == {
        'up{host="a"}': [(1.0, 1.0), (2.0, 2.0)], 'up{host="b"}': [(1.0, 7.0)],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"status":"error","errorType":"bad_data","error":"parse error: x"}', "400 Bad", "answered 400: parse error"),
        (b"<html>Welcome</html>", "200 OK", r"answered 200: <html>Welcome</html>; is this a Prometheus\?"),
        (b"", "200 OK", "answered 200: OK; is this"),
        (b'{"status":"success"}', "200 OK", "answered 200"),
        (b'{"status":"success","data":{"result":[{"metric":{},"value":[1,"x"]}]}}', "200 OK", "is not a number"),
        (b'{"status":"success","data":{"result":[1,2]}}', "200 OK", "is this a Prometheus"),
        (b'{"status":"success","data":{"result":' + b"[" * 1_000_000, "200 OK", "is this a Prometheus"),
        (b'{"a":' * 1_000_000, "200 OK", "is this a Prometheus"),
        (vector(*[({}, [1, "1"])] * 100_001), "200 OK", "more than 100,000 series"),
        (b"\xff\xfe\x00", "502 Bad Gateway", "answered 502"),
    ],
    ids=["refused", "html", "empty", "no data", "no number", "numbers", "nested", "objects", "series", "binary"],
)
async def test_a_malformed_answer_is_reported_in_a_line(body: bytes, status: str, said: str) -> None:
    began = time.process_time()
    with pytest.raises(StoreError, match=said) as told:
        await asked(saying(body, status))
    assert len(str(told.value)) < 500
    assert time.process_time() - began < 2


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_a_store_that_wants_a_secret_says_how_to_give_it(status: str) -> None:
    with pytest.raises(AccessRefused, match="user and password, or a token"):
        await asked(saying(b"no", status))


def endless(_: str) -> Iterator[bytes]:
    yield head("Content-Type: application/json") + b'{"status":"success","data":{"result":['
    yield from endlessly(b'{"metric":{"a":"b"},"value":[1,"1"]},' * 1000)


def hundred_megabytes(_: str) -> Iterator[bytes]:
    yield head(f"Content-Length: {100 * 2**20}")
    for _ in range(100):
        yield b" " * 2**20


def trickling(_: str) -> Iterator[bytes]:
    yield head()
    yield from slowly(b" " * 1000, 0.02)


async def test_no_answer_is_larger_or_takes_longer_than_allowed() -> None:
    for script in (endless, hundred_megabytes):
        with pytest.raises(AnswerTooLarge, match="more than 16 MiB"):
            await asked(script)
    began = time.monotonic()
    with pytest.raises(StoreError, match="did not answer in time"):
        await asked(trickling, seconds=0.3)
    assert time.monotonic() - began < 2


async def test_a_long_range_is_queried_in_parts() -> None:
    def counting(request: str) -> Iterator[bytes]:
        yield from saying(matrix(({"__name__": "up"}, [[len(wire.requests), "1"]])))(request)

    with Wire(counting) as wire:
        store = Store(wire.url)
        [found] = await store.range("up", 0, 20_000, 1)
        await store.close()
    assert found.points == [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]


async def test_a_real_store_with_a_ca_and_a_password_of_its_own(tmp_path: Path) -> None:
    own = authority(tmp_path)
    tls = (tmp_path / "server.pem", tmp_path / "server.key")
    (tmp_path / "token").write_text("me:word\n")
    async with victoria_metrics(tmp_path, [], user="me", password="word", tls=tls) as url:
        for access in (Access(str(own.ca_file), str(tmp_path / "token")), Access(str(own.ca_file), secret="me:word")):
            store = Store(url, access)
            assert [one.points[0][1] for one in await store.instant("vector(7)")] == [7.0]
            await store.close()
        for access, error in ((Access(str(own.ca_file)), AccessRefused), (Access(secret="me:word"), StoreError)):
            store = Store(url, access)
            with pytest.raises(error, match=r"user and password|certificate .* is not trusted"):
                await store.instant("vector(7)")
            await store.close()
