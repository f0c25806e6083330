"""A child process has none of the rights that the daemon was given for its own reading."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

DAC_READ_SEARCH = 1 << 2

# Spawns `grep Cap /proc/self/status` as the daemon spawns FFmpeg, and prints its own rights before the child's.
CHILD = """
import asyncio
from wattview.daemon import children
async def main():
    child = await children.spawn(["grep", "^Cap", "/proc/self/status"], stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    print(open("/proc/self/status").read().split("CapEff:")[1].split()[0])
    print(out.decode())
asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a capability away")
async def test_a_child_has_none_of_the_daemons_capabilities() -> None:
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
               "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search", "--",
               sys.executable, "-c", CHILD]  # fmt: skip
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    own, *lines = done.stdout.split("\n")
    child = dict(line.split(":\t") for line in lines if line)
    assert int(own, 16) == DAC_READ_SEARCH, "the parent has it"
    assert {int(child[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
