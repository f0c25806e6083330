"""Names from an engine that speaks Docker's API: one list of its running containers.

``GET /containers/json`` of https://docs.docker.com/reference/api/engine/; Podman's service answers it too.
"""

from __future__ import annotations

from msgspec import Struct

from wattview.fetch import Site, blocking, decode_json
from wattview.probes import broken_if_it_fails
from wattview.probes.containers.engine_socket import peer
from wattview.probes.workloads.naming import Named, kubernetes_name

SECONDS = 10.0


class _Listed(Struct, rename="pascal"):
    id: str
    names: list[str] | None = None
    image: str = ""
    labels: dict[str, str] | None = None


class DockerNames:
    """The engine at the socket ``where``. ``engine`` is its name in labels."""

    def __init__(self, engine: str, where: str) -> None:
        self.engine = engine
        self.where = where

    def ask(self) -> list[Named]:
        """Raises SourceAbsent, SourceRefused or SourceBroken."""
        # The first says who may open the socket, and how that is changed.
        peer(f"unix://{self.where}", SECONDS)
        with broken_if_it_fails():
            listed = blocking(self._list())
        return [
            kubernetes_name(
                one.id, (one.names or [one.id[:12]])[0].lstrip("/"), self.engine, one.image, one.labels or {}
            )
            for one in listed
        ]

    async def _list(self) -> list[_Listed]:
        async with Site(f"unix://{self.where}", seconds=SECONDS) as site:
            answer = await site.fetch("/containers/json")
            return decode_json(answer, list[_Listed], "a list of containers")
