"""A disk that is really full: a tiny tmpfs in a mount namespace of its own, seen by one child process only."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_on_small_disk(script: str, mountpoint: Path, kibibytes: int) -> str:
    """Runs a Python text with ``disk`` (a Path) bound to an empty file system of that size; returns its output.

    Needs util-linux's unshare, and root or unprivileged user namespaces.
    """
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    mount = 'mount -t tmpfs -o size="$1"k tmpfs "$2" || exit 77; shift 2; exec "$@"'
    prelude = f"from pathlib import Path\ndisk = Path({str(mountpoint)!r})\n"
    command = [
        *namespace, "sh", "-c", mount, "sh", str(kibibytes), str(mountpoint),
        sys.executable, "-c", prelude + textwrap.dedent(script),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    if done.returncode == 77 or "unshare" in done.stderr:
        raise AssertionError(f"a small disk cannot be made here (needs root or user namespaces): {done.stderr}")
    assert done.returncode == 0, done.stderr
    return done.stdout
