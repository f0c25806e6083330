"""The kernel's IPMI device with a BMC behind it: what its two ioctls do, played at that boundary."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path
from typing import Any

SEND_NUMBER, RECEIVE_NUMBER = 13, 11


class PlayedBmc:
    """Stands in for ``fcntl.ioctl``. ``answer`` is what the BMC says; ``asked`` what it was asked. ``late`` puts the
    answer to an older question before each."""

    def __init__(self, answer: bytes, *, late: bool = False) -> None:
        self.answer = answer
        self.asked: list[tuple[int, int, bytes]] = []
        self._waiting: list[tuple[int, bytes]] = []
        self._late = late

    def ioctl(self, device: int, number: int, structure: Any) -> int:
        assert number >> 8 & 0xFF == ord("i")
        assert number >> 16 & 0x3FFF == ctypes.sizeof(structure)
        if number & 0xFF == SEND_NUMBER:
            message = structure.message
            data = ctypes.string_at(message.data, message.length)
            self.asked.append((message.netfn, message.cmd, data))
            if self._late:
                self._waiting.append((structure.id - 1, b"\xc3"))
            self._waiting.append((structure.id, self.answer))
        else:
            assert number & 0xFF == RECEIVE_NUMBER
            structure.id, body = self._waiting.pop(0)
            ctypes.memmove(structure.message.data, body, len(body))
            structure.message.length = len(body)
        return 0


def device(root: Path) -> None:
    """A file that is ready to be read, where the device is."""
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev" / "ipmi0").write_bytes(b" ")


def power_reading(watts: int, *, active: bool = True) -> bytes:
    """DCMI 1.5, table 6-16."""
    return b"\x00\xdc" + struct.pack("<HHHHIIB", watts, 2, 468, watts - 3, 1_714_914_404, 1000, 0x40 if active else 0)
