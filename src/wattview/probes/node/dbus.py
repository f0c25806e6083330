"""Calls over D-Bus's system bus, for the collectors that query systemd.

jeepney implements the protocol (https://dbus.freedesktop.org/doc/dbus-specification.html). Imported only if such a
collector is enabled.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from jeepney import DBusAddress, HeaderFields, MessageType, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection

_PROPERTIES = "org.freedesktop.DBus.Properties"
_NO_SUCH_SERVICE = ("org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner")
# For all calls of one scrape: less than the time-out of a source.
_TIMEOUT_SECONDS = 4.0
# Limits calls in flight, so that neither side's socket buffer fills up.
_AT_ONCE = 64


class Property(NamedTuple):
    """One property of an object: ``interface`` is its short name (``Unit``, ``Session``)."""

    path: str
    interface: str
    name: str


class BusError(OSError):
    """The bus or the service refused a call, or timed out."""


class ServiceUnknown(BusError):
    """No such service is on the bus."""


class Bus:
    """``with Bus(address, "org.freedesktop.systemd1") as bus``: a connection for one scrape, with one deadline.

    Raises OSError if there is no bus, BusError if it refuses.
    """

    def __init__(self, address: str, service: str) -> None:
        self._service = service
        self._deadline = time.monotonic() + _TIMEOUT_SECONDS
        self._address = address
        self._connection: DBusConnection

    def __enter__(self) -> Self:
        try:
            self._connection = open_dbus_connection(self._address)
        except (ValueError, RuntimeError) as error:
            # The address is invalid, or the bus rejects this user.
            raise BusError(f"D-Bus at {self._address}: {error}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(self, path: str, interface: str, method: str) -> Any:
        """The result of a method without arguments."""
        address = DBusAddress(path, bus_name=self._service, interface=f"{self._service}.{interface}")
        (answer,) = self._replies([new_method_call(address, method)])
        if answer is None or answer.header.message_type is MessageType.error:
            name = "no answer" if answer is None else answer.header.fields.get(HeaderFields.error_name, "")
            kind = ServiceUnknown if name in _NO_SUCH_SERVICE else BusError
            raise kind(f"{self._service}: {method}: {name}")
        return answer.body[0]

    def properties(self, wanted: Sequence[Property]) -> dict[Property, Any]:
        """The existing values; a property that an object lacks, or that may not be read, is left out."""
        found: dict[Property, Any] = {}
        for at in range(0, len(wanted), _AT_ONCE):
            part = wanted[at : at + _AT_ONCE]
            answers = self._replies(
                [
                    new_method_call(
                        DBusAddress(one.path, bus_name=self._service, interface=_PROPERTIES),
                        "Get",
                        "ss",
                        (f"{self._service}.{one.interface}", one.name),
                    )
                    for one in part
                ]
            )
            for one, answer in zip(part, answers, strict=True):
                if answer is not None and answer.header.message_type is MessageType.method_return:
                    _, found[one] = answer.body[0]
        return found

    def _replies(self, messages: Sequence[Any]) -> list[Any]:
        """The reply to each call, errors included; None on a time-out."""
        serials = []
        for message in messages:
            serials.append(next(self._connection.outgoing_serial))
            self._connection.send(message, serial=serials[-1])
        waiting = set(serials)
        answers: dict[int, Any] = {}
        while waiting:
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            try:
                answer = self._connection.receive(timeout=left)
            except TimeoutError:
                break
            serial = answer.header.fields.get(HeaderFields.reply_serial)
            if serial in waiting:
                waiting.discard(serial)
                answers[serial] = answer
        return [answers.get(serial) for serial in serials]
