"""A power strip's SNMP agent on loopback, with the rows that a test gives it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config, engine
from pysnmp.entity.rfc3413 import cmdrsp, context
from pysnmp.proto.api import v2c
from pysnmp.smi import instrum

ENTERPRISES = (1, 3, 6, 1, 4, 1)


class _Rows(instrum.AbstractMibInstrumController):
    """Values by their OID, in its order."""

    def __init__(self, rows: Mapping[tuple[int, ...], Any]) -> None:
        self.rows = rows

    def read_variables(self, *asked: Any, **more: Any) -> list[Any]:
        return [(oid, self.rows.get(tuple(oid), v2c.NoSuchObject(""))) for oid, _ in asked]

    def read_next_variables(self, *asked: Any, **more: Any) -> list[Any]:
        return [self._after(tuple(oid)) for oid, _ in asked]

    def _after(self, oid: tuple[int, ...]) -> tuple[Any, Any]:
        later = min((one for one in self.rows if one > oid), default=None)
        return (v2c.ObjectIdentifier(oid), v2c.EndOfMibView("")) if later is None else (
            v2c.ObjectIdentifier(later), self.rows[later]
        )  # fmt: skip


@contextlib.contextmanager
def agent(rows: Mapping[str, int], community: str = "public", user: str = "", *passwords: str) -> Iterator[str]:
    """Serves these rows (their OIDs below ``enterprises``) and gives the agent's address."""
    values = {(*ENTERPRISES, *map(int, oid.split("."))): v2c.Gauge32(value) for oid, value in rows.items()}
    ready = threading.Event()
    state: dict[str, Any] = {}

    async def serve() -> None:
        snmp = engine.SnmpEngine()
        transport = udp.UdpAsyncioTransport().open_server_mode(("127.0.0.1", 0))
        config.add_transport(snmp, udp.DOMAIN_NAME, transport)
        await transport._lport
        state["port"] = transport.transport.get_extra_info("sockname")[1]
        if user:
            config.add_v3_user(snmp, user, config.USM_AUTH_HMAC96_SHA, passwords[0])
            config.add_vacm_user(snmp, 3, user, "authNoPriv", (1, 3, 6, 1, 4, 1))
        else:
            config.add_v1_system(snmp, "area", community)
            config.add_vacm_user(snmp, 2, "area", "noAuthNoPriv", (1, 3, 6, 1, 4, 1))
        where = context.SnmpContext(snmp)
        where.unregister_context_name(v2c.OctetString(""))
        where.register_context_name(v2c.OctetString(""), _Rows(values))
        for responder in (cmdrsp.GetCommandResponder, cmdrsp.NextCommandResponder, cmdrsp.BulkCommandResponder):
            responder(snmp, where)
        state["end"] = asyncio.Event()
        state["loop"] = asyncio.get_running_loop()
        ready.set()
        await state["end"].wait()
        snmp.close_dispatcher()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield f"snmp://127.0.0.1:{state['port']}"
    finally:
        state["loop"].call_soon_threadsafe(state["end"].set)
        thread.join(5)
