"""``wattview run`` in a real terminal, beside a real daemon that encodes with FFmpeg."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

import pytest

from tests.support.daemon import DaemonProcess, running_daemon

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def in_terminal(home: Path, *arguments: str, columns: int = 100) -> tuple[int, str]:
    """The exit status of ``wattview …``, and all that it wrote to a terminal of that width, without colours."""
    child, terminal = pty.fork()
    if child == 0:
        environ = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        os.execve(sys.executable, [sys.executable, "-m", "wattview", *arguments], environ)
    written = b""
    try:
        while data := os.read(terminal, 65536):
            written += data
    except OSError:
        pass  # the other end is closed
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, ESCAPES.sub("", written.decode()).replace("\r\n", "\n").replace("\r", "\n")


def of_daemon(daemon: DaemonProcess) -> list[str]:
    return ["--set", f"daemon.control_socket={daemon.socket}", "--set", f"paths.state={daemon.state}"]


@pytest.mark.slow
def test_a_run_shows_power_and_speed_and_ends_with_its_headline(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        status, said = in_terminal(
            tmp_path, "run", "--name", "tiny", "--duration", "5", "--warmup", "1", "--cooldown", "0", "--baseline", "0",
            "--resolution", "320x180", "--bitrate", "300k", "--no-quality", *of_daemon(daemon),
        )  # fmt: skip
        assert status == 0, said
        assert re.search(r"tiny · measuring .*% +~?[0-9.]+ W  (! )?[0-9.]+x  [0-9]+ fps", said), said
        end = " ".join(said.partition("tiny: ")[2].split())
        assert re.search(r"[0-9.]+( ±[0-9.]+)? W, .* a stream-hour", said.rpartition("\ntiny: ")[2]), said
        assert "next: " in end
        _, listed = in_terminal(tmp_path, "results", *of_daemon(daemon))
        assert all(len(line) <= 100 for line in listed.splitlines())
        assert "tiny" in listed
        shown, _ = in_terminal(tmp_path, "results", "show", "latest", *of_daemon(daemon))
        assert shown == 0
        refused, words = in_terminal(tmp_path, "tui", "--replay", "1999", "--url", f"unix://{daemon.socket}")
        assert (refused, words.splitlines()[-1]) == (2, "Error: --replay: no run '1999'; see: wattview results")
