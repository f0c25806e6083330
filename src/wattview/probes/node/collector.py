"""The interface of a collector, and shared parts: no data, filters, directories of small files."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
from collections.abc import Callable
from functools import partial
from typing import ClassVar, NamedTuple, Protocol, TypeVar

from wattview.config import Config
from wattview.exposition import Family
from wattview.probes.kernel_files import KernelFile, kept_below
from wattview.probes.lines import pairs, shown

T = TypeVar("T")


class Collector(Protocol):
    """One of node_exporter's collectors: created once from the settings, called at every scrape.

    ``collect`` raises NoSource if this machine has no such source, OSError or ValueError on a failure; either costs
    only this collector's families. Never called from two threads at once.
    """

    def collect(self) -> list[Family]: ...


class _OfSource(NamedTuple):
    """A collector that is a function of its source."""

    collect: Callable[[], list[Family]]


def of_file(name: str, size: int = 4096) -> Callable[[Callable[[bytes], list[Family]]], Callable[[Config], Collector]]:
    """Makes a collector of a function that gives the families of a file of /proc, by its content. ``size`` is the
    file's usual size."""
    return lambda families: of_files(name, size=size)(lambda file: families(file.read()))


def of_files(*names: str, size: int = 4096) -> Callable[[Callable[..., list[Family]]], Callable[[Config], Collector]]:
    """The same of a function of the files themselves, which decides when to read each."""

    def collector(families: Callable[..., list[Family]], config: Config) -> Collector:
        return _OfSource(partial(families, *(KernelFile(f"{config.paths.procfs}/{name}", size) for name in names)))

    return lambda families: partial(collector, families)


def of_sysfs(
    kind: Callable[..., T], path: str, *pattern: str
) -> Callable[[Callable[[T], list[Family]]], Callable[[Config], Collector]]:
    """The same of a function of a Directory, or of Directories, of /sys."""
    return lambda families: lambda config: _OfSource(partial(families, kind(f"{config.paths.sysfs}/{path}", *pattern)))


def of_machine(families: Callable[[], list[Family]]) -> Callable[[Config], Collector]:
    """The same of a function that asks this machine's kernel itself."""
    return lambda _: _OfSource(families)


class NoSource(Exception):
    """This machine has no such source. A failure that is not logged as a fault, as in node_exporter."""


class Filter:
    """Which names to leave out: those that match ``exclude``, or, if ``include`` is given, those that do not match it.

    Regular expressions that match anywhere in the name; an empty one matches nothing.
    """

    def __init__(self, exclude: str = "", include: str = "") -> None:
        self._exclude = re.compile(exclude) if exclude else None
        self._include = re.compile(include) if include else None
        self._known: dict[str, bool] = {}

    @property
    def includes(self) -> bool:
        """Whether there is an ``include``."""
        return self._include is not None

    def ignores(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            if len(self._known) > 10000:
                self._known.clear()
            known = self._known[name] = self._decide(name)
        return known

    def _decide(self, name: str) -> bool:
        if self._include is not None:
            return self._include.search(name) is None
        return self._exclude is not None and self._exclude.search(name) is not None


class SelectedLines:
    """Selected lines of a long ``key value`` file whose keys rarely change while a kernel runs.

    ``choose`` maps a key to a name, None for one that is not wanted; it is called again when the keys change.
    """

    def __init__(self, choose: Callable[[bytes], tuple[str, str] | None]) -> None:
        self._choose = choose
        self._keys: list[bytes] = []
        self._chosen: list[tuple[int, tuple[str, str]]] = []

    def of(self, data: bytes) -> list[tuple[tuple[str, str], int]]:
        """(name, value) of each selected line. Raises ValueError if there is none."""
        words = data.split()
        if words[::2] == self._keys and len(words) == 2 * len(self._keys):
            with contextlib.suppress(ValueError):
                return [(name, int(words[2 * place + 1])) for place, name in self._chosen]
        found = pairs(data)
        if not found:
            raise ValueError(f"has no line of a key and a value: {shown(data)}")
        self._keys = [key for key, _ in found]
        named = [(place, self._choose(key)) for place, key in enumerate(self._keys)]
        self._chosen = [(place, name) for place, name in named if name is not None]
        return [(name, int(found[place][1])) for place, name in self._chosen]


def integer_or_none(data: bytes) -> int | None:
    """The number in a file of /sys, decimal or with 0x; None if it holds something else."""
    try:
        return int(data, 0 if data.startswith((b"0x", b"-0x")) else 10)
    except ValueError:
        return None


def float_or_none(text: str) -> float | None:
    """A number with a point; None if it is something else."""
    try:
        return float(text)
    except ValueError:
        return None


class Directory:
    """A directory of small files under /sys, which are read by name.

    Files stay open, up to a limit over all directories (a machine can have thousands of them): a ``pread`` costs a
    quarter of opening, reading and closing. If the directory has been removed, the next read reopens its path.
    """

    __slots__ = ("_fd", "_files", "path")
    max_files: ClassVar[int] = min(1024, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
    open_files: ClassVar[int] = 0

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._files: dict[str, int] = {}

    def read(self, name: str) -> bytes:
        """A file's content without the trailing newline. Raises OSError as ``open`` and ``read`` do."""
        file = self._files.get(name)
        if file is not None:
            try:
                return os.pread(file, 4096, 0).rstrip(b"\n")
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
                # Its device is gone; there may be another of that name.
                self.close()
        try:
            return self._read_anew(name)
        except FileNotFoundError:
            # Either this file is missing, or the directory was removed and possibly recreated at the same path.
            if self._fd < 0 or self._is_current():
                raise
        self.close()
        return self._read_anew(name)

    def _read_anew(self, name: str) -> bytes:
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self._fd)
        if self._fd >= kept_below():
            os.close(self._fd)
            self._fd = -1
        if Directory.open_files < Directory.max_files and file < kept_below():
            Directory.open_files += 1
            self._files[name] = file
            return os.pread(file, 4096, 0).rstrip(b"\n")
        try:
            return os.pread(file, 4096, 0).rstrip(b"\n")
        finally:
            os.close(file)

    def read_once(self, name: str) -> bytes:
        """Like ``read``, for a file that is seldom asked for: it does not stay open."""
        file = os.open(f"{self.path}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return os.pread(file, 4096, 0).rstrip(b"\n")
        finally:
            os.close(file)

    def text(self, name: str) -> str | None:
        """A file as text; None if it is missing or unreadable (drivers refuse many attributes)."""
        try:
            return self.read(name).decode("utf-8", "replace")
        except OSError:
            return None

    def number(self, name: str) -> int | None:
        """A file as an integer, decimal or with 0x; None if it is missing, refused, or not an integer."""
        try:
            return integer_or_none(self.read(name))
        except OSError:
            return None

    def names(self, inside: str = "") -> list[str]:
        """Sorted names in the directory, or in a subdirectory; empty if it does not exist."""
        try:
            return sorted(os.listdir(f"{self.path}/{inside}" if inside else self.path))
        except OSError:
            return []

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self.path))
        except OSError:
            return False

    def close(self) -> None:
        for file in self._files.values():
            os.close(file)
        Directory.open_files -= len(self._files)
        self._files.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()


class Directories:
    """The subdirectories of a directory (``/sys/class/net``), each kept open while it exists."""

    def __init__(self, root: str, pattern: str = "") -> None:
        self.root = root
        self._pattern = re.compile(pattern) if pattern else None
        self._inodes: dict[str, int] = {}
        self._known: dict[str, Directory] = {}

    def found(self) -> dict[str, Directory]:
        """The current subdirectories, sorted by name. Raises FileNotFoundError if ``root`` does not exist."""
        with os.scandir(self.root) as entries:
            # A name may move to another device (eth0 and eth1 swapped), but its inode moves along.
            inodes = {
                entry.name: entry.inode()
                for entry in entries
                if entry.inode() == self._inodes.get(entry.name) or self._wanted(entry)
            }
        if inodes != self._inodes:
            self._known = {
                name: self._known[name] if inodes[name] == self._inodes.get(name) else Directory(f"{self.root}/{name}")
                for name in sorted(inodes)
            }
            self._inodes = inodes
        return self._known

    def found_or_none(self) -> dict[str, Directory]:
        """Like ``found``, but empty if ``root`` does not exist."""
        try:
            return self.found()
        except FileNotFoundError:
            return {}

    def _wanted(self, entry: os.DirEntry[str]) -> bool:
        if self._pattern is not None and self._pattern.fullmatch(entry.name) is None:
            return False
        # In /sys/class every directory is a link; plain files beside them (bonding_masters) are something else.
        return entry.is_dir()
