"""Power strips that speak SNMP: APC, Raritan, Eaton, Server Technology. Needs pysnmp (the extra ``snmp``).

``MIBS`` is the one list of what is known: the columns of power and energy in the maker's own MIB. Without ``outlets``,
the strip's inlet is read, which covers everything that is plugged in; with them, the named outlets, each by the last
number of its index, as the strip numbers them.

``token_file`` holds a community (version 2c), or ``user:authentication password:privacy password`` (version 3, SHA and
AES-128; without the last, no privacy).
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlsplit

from wattview.config import Config, MeterSettings
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused, broken_if_it_fails
from wattview.probes.meters.answer import JOULES_PER_WATT_HOUR, MeterAnswer, Outlet, together
from wattview.probes.meters.http import access

PORT = 161
SECONDS = 2.0
MAX_ROWS = 512
COUNTER32 = 2.0**32

TENTH_KWH = 100 * JOULES_PER_WATT_HOUR
ENTERPRISES = "1.3.6.1.4.1."


class Columns(NamedTuple):
    """Two columns of a table: power and the ``watts`` that 1 is of it, energy and the ``joules`` that 1 is. ``last`` is
    the last number of their index where the table has several sensors a row. ``digits``: a column that says how many
    decimal digits each row has."""

    power: str
    watts: float
    energy: str
    joules: float
    last_of_power: str = ""
    last_of_energy: str = ""
    digits: str = ""


class PduMib(NamedTuple):
    """One maker's MIB: ``name`` in messages, and what measures the whole strip, and its outlets."""

    name: str
    inlets: Columns
    outlets: Columns


MIBS: tuple[PduMib, ...] = (
    PduMib(
        "APC PowerNet-MIB (rPDU2)",
        Columns("318.1.1.26.4.3.1.5", 10, "318.1.1.26.4.3.1.9", TENTH_KWH),
        Columns("318.1.1.26.9.4.3.1.7", 1, "318.1.1.26.9.4.3.1.11", TENTH_KWH),
    ),
    PduMib(
        "Raritan PDU2-MIB",
        Columns("13742.6.5.2.3.1.4", 1, "13742.6.5.2.3.1.4", JOULES_PER_WATT_HOUR, "5", "8", "13742.6.3.3.4.1.7"),
        Columns("13742.6.5.4.3.1.4", 1, "13742.6.5.4.3.1.4", JOULES_PER_WATT_HOUR, "5", "8", "13742.6.3.5.4.1.7"),
    ),
    PduMib(
        "Eaton EATON-EPDU-MIB",
        Columns("534.6.6.7.3.5.1.4", 1, "534.6.6.7.3.5.1.5", JOULES_PER_WATT_HOUR),
        Columns("534.6.6.7.6.5.1.3", 1, "534.6.6.7.6.5.1.4", JOULES_PER_WATT_HOUR),
    ),
    PduMib(
        "Server Technology Sentry4-MIB",
        Columns("1718.4.1.3.3.1.3", 1, "1718.4.1.3.3.1.10", TENTH_KWH),
        Columns("1718.4.1.8.3.1.7", 1, "1718.4.1.8.3.1.14", JOULES_PER_WATT_HOUR),
    ),
    PduMib(
        "Server Technology Sentry3-MIB",
        Columns("1718.3.2.2.1.12", 1, "1718.3.2.2.1.16", TENTH_KWH),
        Columns("1718.3.2.3.1.14", 1, "1718.3.2.3.1.18", JOULES_PER_WATT_HOUR),
    ),
)  # fmt: skip


class SnmpMeter:
    """Detects the strip by the table that it has, once, and again after a failure."""

    def __init__(self, settings: MeterSettings, config: Config) -> None:
        self._settings = settings
        self._config = config
        self._wanted = settings.outlets
        self._agent: _Agent | None = None
        self._columns: Columns | None = None

    async def read(self) -> MeterAnswer:
        if self._agent is None:
            self._agent = await _Agent.open(self._settings.url, self._secret())
        columns, self._columns = self._columns or await self._recognise(self._agent), None
        power = await self._rows(self._agent, columns.power, columns.last_of_power)
        energy = await self._rows(self._agent, columns.energy, columns.last_of_energy)
        scale = await self._agent.column(columns.digits) if columns.digits else {}
        outlets = [
            Outlet(
                index.rpartition(".")[2],
                _scaled(value, columns.watts, scale, index, columns.last_of_power),
                _scaled(energy.get(index), columns.joules, scale, index, columns.last_of_energy),
            )
            for index, value in sorted(power.items(), key=lambda row: [int(part) for part in row[0].split(".")])
        ]
        answer = together(outlets, self._wanted, columns.joules, COUNTER32 * columns.joules)
        self._columns = columns
        return answer

    async def close(self) -> None:
        if self._agent is not None:
            self._agent.close()
            self._agent = None

    def _secret(self) -> str:
        with broken_if_it_fails():
            return access(self._settings, self._config).read_secret()

    async def _recognise(self, agent: _Agent) -> Columns:
        for mib in MIBS:
            columns = mib.outlets if self._wanted else mib.inlets
            if await self._rows(agent, columns.power, columns.last_of_power):
                return columns
        what = "measures outlets by" if self._wanted else "measures its power by"
        raise SourceBroken(f"it answers, and {what} none of: {', '.join(mib.name for mib in MIBS)}")

    @staticmethod
    async def _rows(agent: _Agent, column: str, last: str) -> dict[str, int]:
        """The values of a column by their index, without the number of the sensor."""
        rows = await agent.column(column)
        if not last:
            return rows
        return {index.rpartition(".")[0]: value for index, value in rows.items() if index.rpartition(".")[2] == last}


def _scaled(value: int | None, unit: float, digits: dict[str, int], index: str, last: str) -> float | None:
    """Strips report -1 for what they cannot measure."""
    if value is None or value < 0:
        return None
    return value * unit / 10.0 ** digits.get(f"{index}.{last}", 0)


class _Agent:
    """The agent of a strip, asked through pysnmp."""

    def __init__(self, library: Any, engine: Any, target: Any, secret: Any, place: str) -> None:
        self._library, self._engine, self._target, self._secret = library, engine, target, secret
        self._place = place

    @classmethod
    async def open(cls, url: str, secret: str) -> _Agent:
        try:
            from pysnmp.hlapi.v3arch import asyncio as library
        except ImportError:
            raise SourceAbsent("pysnmp is not installed", "pip install 'pysnmp>=7.1,<8'") from None
        parts = urlsplit(url)
        place = parts.hostname or ""
        try:
            target = await library.UdpTransportTarget.create((place, parts.port or PORT), timeout=SECONDS, retries=1)
        except Exception as error:  # a name that is unknown is pysnmp's own error
            raise SourceAbsent(f"{place}: {str(error).partition(chr(10))[0]}") from None
        return cls(library, library.SnmpEngine(), target, _credentials(library, secret), place)

    async def column(self, column: str) -> dict[str, int]:
        """The whole numbers of one column, by their index. Raises SourceError."""
        library = self._library
        base = ENTERPRISES + column
        found: dict[str, int] = {}
        walked = 0
        walk = library.bulk_walk_cmd(
            self._engine, self._secret, self._target, library.ContextData(), 0, 20,
            library.ObjectType(library.ObjectIdentity(base)), lookupMib=False, lexicographicMode=False,
        )  # fmt: skip
        async for trouble, status, _, rows in walk:
            if trouble:
                raise self._error(str(trouble))
            if status:
                raise SourceBroken(f"{self._place} answered {status.prettyPrint()}")
            for name, value in rows:
                oid = str(name)
                if oid.startswith(f"{base}.") and hasattr(value, "__int__"):
                    found[oid[len(base) + 1 :]] = int(value)
            walked += len(rows)
            if walked > MAX_ROWS:
                raise SourceBroken(f"{self._place} has more than {MAX_ROWS} rows in {base}, or repeats them")
        return found

    def close(self) -> None:
        self._engine.close_dispatcher()

    def _error(self, trouble: str) -> SourceBroken | SourceRefused:
        said = trouble.lower()
        if any(word in said for word in ("user name", "digest", "decrypt", "security", "authorization")):
            return SourceRefused(f"{self._place}: {trouble}", "see user and passwords in token_file")
        return SourceBroken(
            f"{self._place}: {trouble}", "see url, and the community in token_file: a wrong one is not answered"
        )


def _credentials(library: Any, secret: str) -> Any:
    user, colon, rest = secret.partition(":")
    if not colon:
        return library.CommunityData(secret or "public", mpModel=1)
    authentication, _, privacy = rest.partition(":")
    more = {"privKey": privacy, "privProtocol": library.usmAesCfb128Protocol} if privacy else {}
    return library.UsmUserData(user, authentication, authProtocol=library.usmHMACSHAAuthProtocol, **more)
