"""A program in a pseudo-terminal of its own; what it writes is read, as a terminal does, and the last of it kept."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from typing import Any, Self

KEPT_BYTES = 1_000_000


class Terminal:
    """Runs for the time of the block and is killed at its end."""

    def __init__(self, command: list[str], size: tuple[int, int]) -> None:
        self.text = b""
        self.received = 0
        self.arrived = 0.0
        """When the last of it came, on ``time.perf_counter``."""
        self._more = threading.Condition()
        self._master, slave = pty.openpty()
        columns, lines = size
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True, cwd="/"
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._master, 65536)
            except OSError:
                piece = b""
            with self._more:
                self.received += len(piece)
                self.text = (self.text + piece)[-KEPT_BYTES:]
                self.arrived = time.perf_counter() if piece else self.arrived
                self._more.notify_all()
            if not piece:
                return

    def forget(self) -> None:
        """What comes from now on is the text."""
        with self._more:
            self.text = b""

    def wait_for(self, wanted: bytes, seconds: float = 60.0) -> None:
        with self._more:
            if not self._more.wait_for(lambda: wanted in self.text, seconds):
                raise RuntimeError(f"{wanted!r} did not appear")

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._master)
