"""Power of a Raspberry Pi 5 by its PMIC: the data of ``vcgencmd pmic_read_adc``, read from the firmware directly.

One ioctl of ``/dev/vcio`` carries a message of the property mailbox with the tag that ``vcgencmd`` uses
(https://github.com/raspberrypi/firmware/wiki/Mailbox-property-interface). The answer has amperes and volts of each rail
behind the PMIC; the sum of their products is the board without USB devices, HATs on 5 V and the PMIC's own losses.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import struct
from pathlib import Path

from wattview.config import Config
from wattview.model import PowerSource
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused
from wattview.probes.plausible import HOST_WATTS, implausible
from wattview.probes.power.energy_source import Measurement, Moment, PowerIntegral

COMMAND = b"pmic_read_adc"
GET_GENCMD_RESULT = 0x00030080
TEXT_BYTES = 1024
WORDS = 6
MAILBOX = 3 << 30 | ctypes.sizeof(ctypes.c_void_p) << 16 | 100 << 8
"""``_IOWR(100, 0, char *)``, as the driver (bcm2835 vcio) has it."""

_LINE = re.compile(r"^\s*(\S+)_([AV])\s+(?:current|volt)\(\d+\)=([-+0-9.eE]+)[AV]\s*$", re.MULTILINE)


class Pmic:
    """The board's power: see ``EnergySource``. ``measure`` raises SourceAbsent on other machines."""

    name: PowerSource = "pmic"
    useful_hz = 2.0
    counts = False

    def __init__(self, config: Config) -> None:
        self._path = Path(config.paths.rootfs) / "dev" / "vcio"
        self._device = -1
        self._integral = PowerIntegral()

    def measure(self, now: Moment) -> Measurement:
        if self._device < 0:
            self._device = self._open()
        try:
            text = self._ask()
        except OSError as error:
            self.close()
            raise SourceBroken(f"{self._path}: {error.strerror}") from None
        watts = rails_watts(text)
        if reason := implausible(watts, HOST_WATTS):
            raise SourceBroken(f"the PMIC reports {reason}")
        return Measurement(self._integral.add(now, watts))

    def close(self) -> None:
        if self._device >= 0:
            with contextlib.suppress(OSError):
                os.close(self._device)
            self._device = -1

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError:
            raise SourceRefused(f"{self._path} may not be opened", "usermod -aG video the user of WattView") from None
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR):
                raise SourceAbsent("this machine is not a Raspberry Pi") from None
            raise SourceBroken(f"{self._path}: {error.strerror}") from None

    def _ask(self) -> str:
        size = 4 * (WORDS + 1) + TEXT_BYTES
        head = struct.pack(f"<{WORDS}I", size, 0, GET_GENCMD_RESULT, TEXT_BYTES, 0, 0)
        message = bytearray(head + COMMAND.ljust(TEXT_BYTES, b"\0") + b"\0\0\0\0")
        fcntl.ioctl(self._device, MAILBOX, message, True)
        return bytes(message[4 * WORDS : -4]).partition(b"\0")[0].decode("ascii", "replace")


make = Pmic


def rails_watts(text: str) -> float:
    """Volts times amperes of every rail that has both. Raises SourceAbsent if the firmware does not know the command,
    as on older models; SourceBroken if a rail has no volts."""
    amperes: dict[str, float] = {}
    volts: dict[str, float] = {}
    for rail, unit, value in _LINE.findall(text):
        with contextlib.suppress(ValueError):
            (amperes if unit == "A" else volts)[rail] = float(value)
    if not amperes:
        raise SourceAbsent("this Raspberry Pi has no PMIC that measures (it takes a Raspberry Pi 5)")
    if missing := sorted(amperes.keys() - volts.keys()):
        raise SourceBroken(f"the PMIC reports no voltage of {', '.join(missing)}")
    return sum(current * volts[rail] for rail, current in amperes.items())
