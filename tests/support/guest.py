"""A machine of its own for tests: Debian 12 in QEMU, with systemd, cgroup v2, Docker, Podman and containerd.

It is built once (``tests/guest/build.sh``) into ``$XDG_CACHE_HOME/wattview-guest`` and booted once a session, from a
disk that nothing is written to. It has no network but the one port of ssh. The processor is emulated: everything takes
some ten times as long as here, so that counters and shares are judged by their truth and never by the clock.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.support.stack import REPOSITORY
from wattview.daemon.children import child_command

BUILD = REPOSITORY / "tests/guest/build.sh"
PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "debootstrap": "debootstrap",
    "mkfs.ext4": "e2fsprogs",
    "ssh": "openssh-client",
}
_BOOT_SECONDS = 600.0
_IMAGES = ("sh", "sleep", "cat", "dd", "true", "echo")


class Guest:
    """The running machine: ``run`` a script in it as root, ``put`` a file into it."""

    def __init__(self, folder: Path, port: int) -> None:
        self._port = port
        self._options = [
            "-i", str(folder / "key"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5", "-o", "ControlMaster=auto",
            "-o", f"ControlPath={folder}/ssh-{port}", "-o", "ControlPersist=600",
        ]  # fmt: skip

    def run(self, script: str, *, seconds: float = 300.0, user: str = "root") -> str:
        """What the script prints, errors too. Fails the test where it ends with another status than 0."""
        done = self.try_to(script, seconds=seconds, user=user)
        if done.returncode:
            pytest.fail(f"in the guest, as {user}: {script}\nended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def try_to(self, script: str, *, seconds: float = 300.0, user: str = "root") -> subprocess.CompletedProcess[str]:
        if user != "root":
            # In the user's own systemd, as a login is: that is what may give a container a cgroup of its own.
            runtime = f"/run/user/$(id -u {user})"
            home = f"XDG_RUNTIME_DIR={runtime} DBUS_SESSION_BUS_ADDRESS=unix:path={runtime}/bus HOME=/home/{user}"
            inside = "systemd-run --user --quiet --pipe --wait --collect --property KillMode=process sh -c"
            script = f"cd /; exec runuser -u {user} -- env {home} {inside} {shlex.quote(script)}"
        command = ["ssh", "-p", str(self._port), *self._options, "root@127.0.0.1", script]
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=seconds,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def put(self, file: Path, where: str) -> None:
        subprocess.run(
            ["scp", "-q", "-P", str(self._port), *self._options, str(file), f"root@127.0.0.1:{where}"],
            check=True, timeout=300, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def number(self, path: str) -> int:
        """A file of one number; the script may hold a pattern."""
        return int(self.run(f"cat {path}"))

    def until(self, script: str, what: str, seconds: float = 180.0) -> str:
        """Runs a script again and again until it ends with status 0."""
        deadline = time.monotonic() + seconds
        while (done := self.try_to(script)).returncode:
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not within {seconds:g} s:\n{done.stdout}")
            time.sleep(0.5)
        return done.stdout

    def close(self) -> None:
        with contextlib.suppress(subprocess.SubprocessError):
            subprocess.run(["ssh", "-O", "exit", *self._options, "root@127.0.0.1"], timeout=20, check=False,
                           capture_output=True)  # fmt: skip


def built() -> Path:
    """The folder of the image, made where there is none yet for this script and these libraries."""
    missing = [package for program, package in PACKAGES.items() if not _found(program)]
    if missing:
        pytest.fail(f"not installed: {' '.join(missing)}; run: sudo scripts/packages.sh test")
    if os.geteuid() != 0:
        pytest.fail("building a guest needs root; run the tests with sudo")
    needed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    key = hashlib.sha256(BUILD.read_bytes() + repr(sorted(needed)).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "wattview-guest")
    folder = cache / key
    folder.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for old in cache.iterdir():
                if old.is_dir() and old != folder:
                    shutil.rmtree(old)
            done = subprocess.run([BUILD, folder, REPOSITORY], capture_output=True, text=True, check=False)
            if done.returncode:
                log = folder / "build.log"
                pytest.fail(
                    f"{BUILD} failed:\n{done.stderr[-3000:]}\n{log.read_text()[-2000:] if log.exists() else ''}"
                )
    return folder


def _found(program: str) -> bool:
    return shutil.which(program) is not None or Path("/usr/sbin", program).exists()


@contextlib.contextmanager
def booted(folder: Path, scratch: Path) -> Iterator[Guest]:
    """The machine from its start to its end; what it writes goes to a file in ``scratch``."""
    overlay, console, port = scratch / "overlay.qcow2", scratch / "console", free_port()
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", folder / "disk.raw", "-F", "raw", overlay], check=True
    )
    command = [
        "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-smp", "2",
        "-m", "3072", "-display", "none", "-nodefaults", "-no-reboot",
        "-kernel", str(folder / "vmlinuz"), "-initrd", str(folder / "initrd"),
        "-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet mitigations=off",
        "-drive", f"file={overlay},if=virtio,format=qcow2,cache=unsafe", "-device", "virtio-rng-pci",
        "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-pci,netdev=net",
        "-serial", f"file:{console}", "-monitor", "none",
    ]  # fmt: skip
    with (scratch / "qemu.log").open("wb") as log:
        process = subprocess.Popen(child_command(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    guest = Guest(folder, port)
    try:
        deadline = time.monotonic() + _BOOT_SECONDS
        while guest.try_to("true").returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                said = (scratch / "qemu.log").read_text() + (
                    console.read_text("utf-8", "replace") if console.exists() else ""
                )
                pytest.fail(f"the guest did not start:\n{said[-3000:]}")
            time.sleep(0.5)
        yield guest
    finally:
        guest.close()
        process.terminate()
        process.wait(30)


def wheel(scratch: Path) -> Path:
    """WattView as it is in this checkout."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--wheel-dir", scratch, REPOSITORY], check=True)
    return next(scratch.glob("wattview-*.whl"))


def add_image(guest: Guest) -> None:
    """One image for every engine, made of Debian's static busybox: no registry is asked."""
    links = " ".join(f"&& ln -sf busybox /image/bin/{name}" for name in _IMAGES)
    guest.run(
        f"mkdir -p /image/bin && cp /bin/busybox /image/bin/ {links} && tar -C /image -c . >/image.tar"
        " && docker import /image.tar box:1 && podman import -q /image.tar box:1"
        " && chmod 644 /image.tar && loginctl enable-linger user"
    )
