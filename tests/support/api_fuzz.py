"""Calls of the control API as nobody would make them: seeded, so that what was found is found again.

``calls`` makes them; ``fuzz`` sends them over the control socket and gives the answers that are the daemon's fault.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import msgspec

from wattview.daemon.api.app import CALLS
from wattview.model import RunRequest

NUMBERS = (
    "0", "-0", "-1", "1", "0.1", "1e308", "-1e308", "1e309", "4e18", "-4e18", "9.3e18", "inf", "-inf", "nan", "1e-320",
    "9" * 400, "-" + "9" * 400, "0x10", "1_000", "١٢٣", "253402300799", "253402300800", "-62135596801", "1e12",
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "a", "é", "💥", "\ud7ff", "'", '"', "\\", "../../../etc/passwd", "..", ".", "/", "//", "%", "%00",
    "{}", "{", "}", "x{", "x{a", 'x{a="', 'x{a="b"}', 'x{a="b",a="c"}', 'x{a="\\"}',
    "wattview_host_power_watts", "a" * 5000,
    "[" * 3000, "{a=" * 1000, ":", "::", ":1", "20261124_101500", "20261124_101500:1,2,3", "20261124_101500:", ",",
    "," * 3000, ",,a,,", "true", "null", "json", "csv", "html", "energy", "power", "vmaf", "psnr", "1280x720", "0x0",
    "99999999999x99999999999", "x", "libx264", "-1x-1", "1280x720," * 500, "\r\nX: y", "a\nb", "$(id)", "=1+1",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1e308, 4e18, 10**18, 2**63, 2**64, "", "a", "a" * 5000, "\0", "💥", [], {}, [[]],
    [None], {"a": 1}, [1, 2, 3], ["2500k"], "2500k", "1280x720", "1e308", "nan", "../../etc/passwd",
    "libx264", "testsrc2", 0.5,
)  # fmt: skip
BODIES = (
    b"", b"[", b"[" * 5000, b'{"a":' * 5000, b"[" * 500_000, b"{" * 5000, b"null", b"1e999", b"-", b'"', b'"\\ud800"',
    b"\xff", b"\xef\xbb\xbf{}", b"{}", b"[]", b'{"scenarios":' * 2000, b'{"scenarios": [' * 2000, b"9" * 100_000,
    b'{"a":1,"a":2}', b'{"scenarios": [{"name": "\\ud800"}]}', b"\0" * 100,
    b'{"scenarios": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"scenarios": [' * 400 + b"1" + b"]}" * 400,
)  # fmt: skip

METHODS = ("HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "DELETE")
SLOW = {"/api/v1/doctor", "/api/v1/exporters", "/api/v1/live"}


class Asked(NamedTuple):
    method: str
    target: str
    body: bytes

    def bytes(self) -> bytes:
        head = f"{self.method} {self.target} HTTP/1.1\r\nHost: wattview\r\nContent-Length: {len(self.body)}\r\n\r\n"
        return head.encode() + self.body


def calls(seed: int) -> Iterator[Asked]:
    """Without end; the same for the same seed. None of them starts a run."""
    rng = random.Random(seed)
    known = [call for call in CALLS if call.path not in SLOW]
    while True:
        call = rng.choice(known)
        path = re.sub(r"{\w+}", lambda _: quote_plus(rng.choice(NUMBERS + TEXTS)), call.path)
        names = [name for name in call.query if rng.random() < 0.8] + [rng.choice(TEXTS)] * (rng.random() < 0.1)
        rng.shuffle(names)
        query = "&".join(f"{quote_plus(name)}={_value(rng)}" for name in names * rng.choice((1, 1, 1, 2)))
        body = b""
        if call.takes is not None or rng.random() < 0.02:
            body = _body(rng, call.takes)
        method = call.method if rng.random() < 0.95 else rng.choice(METHODS)
        yield Asked(method, f"{path}?{query}" if query else path, body)


def _value(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.5:
        return quote_plus(rng.choice(NUMBERS))
    if kind < 0.55:
        return quote_plus(repr(time.time() - rng.expovariate(1 / 60)))
    if kind < 0.6:
        return "".join(f"%{rng.randrange(256):02x}" for _ in range(rng.randrange(20)))
    return quote_plus(rng.choice(TEXTS))


def _body(rng: random.Random, takes: Any) -> bytes:
    """What a call takes, with a field or several that are odd, and now and then no longer JSON."""
    if rng.random() < 0.3:
        return rng.choice(BODIES)
    document = _like(rng, msgspec.inspect.type_info(takes if takes is not None else RunRequest), 4)
    if takes is RunRequest and isinstance(document, dict):
        document["fuzz"] = 1  # no such field: it is refused, so that no run starts
    text = bytearray(json.dumps(document if rng.random() < 0.9 else _anything(rng, 4)).encode())
    for _ in range(rng.choice((0, 0, 0, 1, 5))):
        text[rng.randrange(len(text))] = rng.randrange(256)
    if takes is RunRequest and b'"fuzz"' not in text:
        return b"x" + bytes(text)
    return bytes(text)


def _like(rng: random.Random, kind: Any, depth: int) -> Any:
    """A value of a type, mostly: any other in a tenth of all places, and the odd ones of the type itself."""
    if rng.random() < 0.1 or not depth:
        return _anything(rng, 1)
    match kind:
        case msgspec.inspect.StructType():
            asked = [one for one in kind.fields if one.required or rng.random() < 0.3]
            fields = {one.encode_name: _like(rng, one.type, depth - 1) for one in asked if rng.random() < 0.95}
            return fields | {"nonsense": 1} if rng.random() < 0.05 else fields
        case msgspec.inspect.ListType() | msgspec.inspect.VarTupleType():
            return [_like(rng, kind.item_type, depth - 1) for _ in range(rng.choice((0, 1, 1, 2, 5)))]
        case msgspec.inspect.DictType():
            return {rng.choice(TEXTS): _like(rng, kind.value_type, depth - 1) for _ in range(rng.randrange(3))}
        case msgspec.inspect.UnionType():
            return _like(rng, rng.choice(kind.types), depth)
        case msgspec.inspect.LiteralType():
            return rng.choice(kind.values)
        case msgspec.inspect.FloatType() | msgspec.inspect.IntType():
            return rng.choice((0, 1, -1, 0.5, 7, 60, 1e-300, 1e308, 4e18, time.time() - rng.expovariate(1 / 60), 2**64))
        case msgspec.inspect.StrType():
            return rng.choice((rng.choice(TEXTS), "a", "1280x720", "2500k"))
        case msgspec.inspect.BoolType():
            return rng.random() < 0.5
    return _anything(rng, 2)


def _anything(rng: random.Random, depth: int) -> Any:
    kind = rng.random()
    if depth and kind < 0.2:
        return [_anything(rng, depth - 1) for _ in range(rng.randrange(4))]
    if depth and kind < 0.4:
        return {rng.choice(TEXTS): _anything(rng, depth - 1) for _ in range(rng.randrange(4))}
    return rng.choice(VALUES)


class Found(NamedTuple):
    """How many calls were answered how, and those that ended in the daemon's fault or in silence."""

    statuses: Counter[int]
    faults: list[tuple[int, Asked]]


async def fuzz(socket: Path, seed: int, count: int, connections: int = 4) -> Found:
    made = calls(seed)
    left = count
    found = Found(Counter(), [])

    async def one() -> None:
        nonlocal left
        reader, writer = await asyncio.open_unix_connection(str(socket))
        while left > 0:
            left -= 1
            asked = next(made)
            writer.write(asked.bytes())
            try:
                status, closes = await asyncio.wait_for(_answer(reader, asked.method == "HEAD"), 30)
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
                status, closes = 0, True
            found.statuses[status] += 1
            if status >= 500 or not status:
                found.faults.append((status, asked))
            if closes:
                writer.close()
                reader, writer = await asyncio.open_unix_connection(str(socket))
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return found


async def _answer(reader: asyncio.StreamReader, bodiless: bool) -> tuple[int, bool]:
    """Its status, and whether the connection ends with it."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = re.search(rb"\r\ncontent-length: *([0-9]+)", head)
    if not bodiless and length is not None:
        await reader.readexactly(int(length[1]))
    return int(head.split()[1]), b"\r\nconnection: close" in head


def with_results(directory: Path) -> None:
    """Puts a run into a daemon's directory under the id that some of the calls name."""
    scenario = {
        "bitrate": "2500k", "resolution": "1280x720", "fps": 30, "duration": 10, "start_time": 1795515300,
        "end_time": 1795515310, "vmaf_score": 90.5,
    }  # fmt: skip
    scenarios = [scenario | {"name": f"one {number}"} for number in range(4)]
    results = directory / "state" / "results"
    results.mkdir(parents=True)
    text = json.dumps({"test_date": "2026-11-24T10:15:00", "scenarios": scenarios})
    (results / "test_results_20261124_101500.json").write_text(text)
