"""docker-py, with limits on what an engine's answer may cost: its size, its time, and the length of an event.

docker-py reads every answer whole, and an event up to its end, however long they are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import docker

from wattview.fetch import MAX_JSON_PARTS
from wattview.gc_tuning import give_back_memory
from wattview.probes import SourceBroken

MAX_BYTES = 32 << 20
"""A list of 1,000 containers is about 5 MB."""

MAX_EVENT_BYTES = 1 << 20
SECONDS = 30.0
_PIECE = 1 << 16


class BoundedDocker(docker.APIClient):  # type: ignore[misc]  # docker-py has no types
    """Raises SourceBroken for an answer that is too large or does not end."""

    def send(self, request: Any, **options: Any) -> Any:
        followed = options.get("stream")
        response = super().send(request, **{**options, "stream": True})
        if not followed:
            response._content = _whole(response)
            response._content_consumed = True
        return response

    def _stream_helper(self, response: Any, decode: bool = False) -> Iterator[Any]:
        """The engine's events: one JSON object a line."""
        if not (decode and response.raw._fp.chunked):
            yield from super()._stream_helper(response, decode)
            return
        rest = b""
        for piece in response.iter_content(_PIECE):
            *lines, rest = (rest + piece).split(b"\n")
            yield from (json.loads(line) for line in lines if line.strip())
            if len(rest) > MAX_EVENT_BYTES:
                raise SourceBroken(f"the engine's event is larger than {MAX_EVENT_BYTES >> 20} MiB")


def _whole(response: Any) -> bytes:
    end = time.monotonic() + SECONDS
    body = bytearray()
    try:
        for piece in response.iter_content(_PIECE):
            body += piece
            if len(body) > MAX_BYTES:
                raise SourceBroken(f"the engine's answer is larger than {MAX_BYTES >> 20} MiB")
            if time.monotonic() > end:
                raise SourceBroken(f"the engine's answer does not end within {SECONDS:g} s")
        if body.count(b"{") + body.count(b"[") > MAX_JSON_PARTS:
            raise SourceBroken(f"the engine's answer has more than {MAX_JSON_PARTS:,} objects and lists")
    except SourceBroken:
        response.close()
        del body[:]
        give_back_memory()
        raise
    return bytes(body)
