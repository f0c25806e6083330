"""Calls over D-Bus's system bus, for the collectors that ask systemd.

jeepney speaks the protocol (https://dbus.freedesktop.org/doc/dbus-specification.html). Only those who switch such a
collector on import this module.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from jeepney import DBusAddress, HeaderFields, MessageType, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection

_PROPERTIES = "org.freedesktop.DBus.Properties"
_NO_SUCH_SERVICE = ("org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner")
# Of all calls for one scrape: less than the time after which a source is given up.
_TIMEOUT_SECONDS = 4.0
# So many calls are under way at once: neither side's socket buffer fills with them.
_AT_ONCE = 64


class Property(NamedTuple):
    """One property of an object: ``interface`` is its short name (``Unit``, ``Session``)."""

    path: str
    interface: str
    name: str


class BusError(OSError):
    """The bus or the service refused a call, or did not answer in time."""


class ServiceUnknown(BusError):
    """No such service is on the bus."""


class Bus:
    """``with Bus(address, "org.freedesktop.systemd1") as bus``: a connection for one scrape, with one deadline.

    Raises OSError where there is no bus, BusError where it refuses.
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
            # The address is not one, or the bus does not let this user in.
            raise BusError(f"D-Bus at {self._address}: {error}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(self, path: str, interface: str, method: str) -> Any:
        """What a method without arguments returns."""
        address = DBusAddress(path, bus_name=self._service, interface=f"{self._service}.{interface}")
        (answer,) = self._replies([new_method_call(address, method)])
        if answer is None or answer.header.message_type is MessageType.error:
            name = "no answer" if answer is None else answer.header.fields.get(HeaderFields.error_name, "")
            kind = ServiceUnknown if name in _NO_SUCH_SERVICE else BusError
            raise kind(f"{self._service}: {method}: {name}")
        return answer.body[0]

    def properties(self, wanted: Sequence[Property]) -> dict[Property, Any]:
        """The values of those that are there; one that an object has not, or may not be read, is left out."""
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
        """The answer to each call, an error message among them; None where none came in time."""
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
