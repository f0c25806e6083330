"""The BMC's power reading, through the kernel's IPMI device: DCMI's *Get Power Reading*.

DCMI 1.5, section 6.6.1; Documentation/driver-api/ipmi.rst and ``linux/ipmi.h`` for the device. No program is run: one
request is two system calls, and takes the BMC a few to several hundred milliseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import struct
from pathlib import Path

from wattview.config import Config, MeterSettings
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused
from wattview.probes.meters.answer import MeterAnswer

DEVICES = ("dev/ipmi0", "dev/ipmi/0", "dev/ipmidev/0")
SECONDS = 5.0

SYSTEM_INTERFACE, BMC_CHANNEL = 0x0C, 0x0F
GROUP_EXTENSION, GET_POWER_READING = 0x2C, 0x02
DCMI = 0xDC
SYSTEM_POWER = 0x01
ACTIVE = 0x40

DEVICE_FIX = "modprobe ipmi_si ipmi_devintf"


class _Address(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int), ("channel", ctypes.c_short), ("lun", ctypes.c_ubyte))


class _Message(ctypes.Structure):
    _fields_ = (
        ("netfn", ctypes.c_ubyte), ("cmd", ctypes.c_ubyte), ("length", ctypes.c_ushort), ("data", ctypes.c_void_p),
    )  # fmt: skip


class _Request(ctypes.Structure):
    _fields_ = (
        ("address", ctypes.c_void_p), ("address_length", ctypes.c_uint), ("id", ctypes.c_long), ("message", _Message),
    )  # fmt: skip


class _Received(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int), ("address", ctypes.c_void_p), ("address_length", ctypes.c_uint), ("id", ctypes.c_long),
        ("message", _Message),
    )  # fmt: skip


def _ioctl_number(direction: int, number: int, size: int) -> int:
    """``_IOC`` of ``asm-generic/ioctl.h`` with IPMI's letter."""
    return direction << 30 | size << 16 | ord("i") << 8 | number


SEND = _ioctl_number(2, 13, ctypes.sizeof(_Request))
RECEIVE = _ioctl_number(3, 11, ctypes.sizeof(_Received))


class IpmiMeter:
    """The device stays open. Blocks its own loop while the BMC works."""

    def __init__(self, settings: MeterSettings, config: Config) -> None:
        self._root = Path(config.paths.rootfs)
        self._device = -1
        self._id = 0

    async def read(self) -> MeterAnswer:
        if self._device < 0:
            self._device = self._open()
        try:
            answer = self._ask(GROUP_EXTENSION, GET_POWER_READING, bytes((DCMI, SYSTEM_POWER, 0, 0)))
        except OSError as error:
            await self.close()
            raise SourceBroken(f"the BMC does not answer: {error.strerror}") from None
        return power_reading(answer)

    async def close(self) -> None:
        if self._device >= 0:
            with contextlib.suppress(OSError):
                os.close(self._device)
            self._device = -1

    def _open(self) -> int:
        for name in DEVICES:
            path = self._root / name
            try:
                return os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except PermissionError:
                fix = f"let WattView open it: chgrp wattview {path} && chmod g+rw {path}, by a udev rule"
                raise SourceRefused(f"{path} may not be opened", fix) from None
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR):
                    raise SourceBroken(f"{path}: {error.strerror}") from None
        raise SourceAbsent("this machine has no IPMI device", DEVICE_FIX)

    def _ask(self, netfn: int, command: int, data: bytes) -> bytes:
        """The answer's bytes, completion code first. Raises OSError; answers to older requests are skipped."""
        self._id += 1
        address = _Address(SYSTEM_INTERFACE, BMC_CHANNEL, 0)
        sent = ctypes.create_string_buffer(data, len(data))
        message = _Message(netfn, command, len(data), ctypes.addressof(sent))
        request = _Request(ctypes.addressof(address), ctypes.sizeof(address), self._id, message)
        fcntl.ioctl(self._device, SEND, request)
        while True:
            ready, _, _ = select.select([self._device], [], [], SECONDS)
            if not ready:
                raise TimeoutError(errno.ETIMEDOUT, f"nothing within {SECONDS:g} s")
            back = ctypes.create_string_buffer(128)
            whence = ctypes.create_string_buffer(64)
            room = _Message(0, 0, len(back), ctypes.addressof(back))
            received = _Received(0, ctypes.addressof(whence), len(whence), 0, room)
            fcntl.ioctl(self._device, RECEIVE, received)
            if received.id == self._id:
                return back.raw[: received.message.length]


def power_reading(answer: bytes) -> MeterAnswer:
    """Raises SourceError if there is none. Watts are integers; the mean over the BMC's own period changes with them."""
    if answer[:1] in (b"\xc1", b"\xd5"):
        raise SourceAbsent(
            "the BMC does not measure power (it does not know DCMI)", "use its Redfish service, or a plug"
        )
    if answer[:1] == b"\xd4":
        raise SourceRefused("the BMC does not allow power readings over this interface")
    if answer[:1] != b"\x00":
        code = f"0x{answer[0]:02x}" if answer else "nothing"
        raise SourceBroken(f"the BMC answered {code} to the request for its power")
    if len(answer) < 19 or answer[1] != DCMI:
        raise SourceBroken(f"{len(answer)} bytes are not a DCMI power reading")
    now, least, most, mean, _time, period, state = struct.unpack_from("<HHHHIIB", answer, 2)
    if not state & ACTIVE:
        raise SourceBroken("the BMC has switched its power measurement off", "ipmitool dcmi power activate")
    return MeterAnswer(float(now), signs=(least, most, mean, period))
