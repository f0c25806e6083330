"""docker-py, with limits on what an engine's answer may cost: its size, its time, and the length of an event.

docker-py reads every answer whole, and an event up to its end, however long they are; an event stream that is an error,
or is not in chunks, too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import docker

from wattview.fetch import MAX_JSON_PARTS, shown
from wattview.gc_tuning import give_back_memory
from wattview.line_stream import LineSplitter
from wattview.probes import SourceBroken

MAX_BYTES = 32 << 20
"""A list of 1,000 containers is about 5 MB."""

MAX_EVENT_BYTES = 1 << 20
SECONDS = 30.0
_PIECE = 1 << 16


class BoundedDocker(docker.APIClient):  # type: ignore[misc]  # docker-py has no types
    """Raises SourceBroken for an answer that is too large, does not end, or leads elsewhere."""

    def get_redirect_target(self, resp: Any) -> None:
        """None is followed: requests would read the body of each, and send the next request to any host."""

    def send(self, request: Any, **options: Any) -> Any:
        followed = options.get("stream")
        request.headers["Accept-Encoding"] = "identity"
        response = super().send(request, **{**options, "stream": True})
        if response.is_redirect:
            response.close()
            where = shown(response.headers["Location"])
            raise SourceBroken(
                f"the engine answered {response.status_code}, a redirect to {where[:200]}",
                "set docker.host to the address that it leads to",
            )
        if not (followed and response.ok):
            response._content = _whole(response)
            response._content_consumed = True
        return response

    def _stream_helper(self, response: Any, decode: bool = False) -> Iterator[Any]:
        """The engine's events: one JSON object a line."""
        self._raise_for_status(response)
        splitter = LineSplitter()
        for piece in _pieces(response):
            yield from (json.loads(line) for line in splitter.feed(piece) if line.strip())
            if len(splitter.rest) > MAX_EVENT_BYTES:
                raise SourceBroken(f"the engine's event is larger than {MAX_EVENT_BYTES >> 20} MiB")


def _pieces(response: Any) -> Iterator[bytes]:
    """The body as it arrives: ``iter_content`` would wait for a full piece, however slowly that comes."""
    while piece := response.raw.read1(_PIECE, decode_content=False):
        yield piece


def _whole(response: Any) -> bytes:
    end = time.monotonic() + SECONDS
    body = bytearray()
    try:
        for piece in _pieces(response):
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
