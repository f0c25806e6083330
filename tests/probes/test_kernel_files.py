"""Reading kernel files: whole, and never without end."""

from __future__ import annotations

from pathlib import Path

import pytest

from wattview.probes import kernel_files
from wattview.probes.kernel_files import KernelFile, bytes_of, read_once, text_of


def test_a_file_of_any_usual_size_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "stat"
    with KernelFile(path) as kept:
        for size in (0, 1, 2047, 2048, 4096, 65536, 65537, 1_000_000):
            content = bytes(range(256)) * (size // 256 + 1)
            path.write_bytes(content[:size])
            assert (kept.read(), read_once(str(path)), bytes_of(str(path))) == (content[:size],) * 3
    assert bytes_of(str(path), 5) == content[:5]


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "endless"
    path.symlink_to("/dev/zero")
    with KernelFile(path) as kept:
        for read in (kept.read, lambda: read_once(str(path))):
            with pytest.raises(OSError, match="File too large"):
                read()
    assert (bytes_of(str(path)), text_of(path)) == (b"", "")
    assert kernel_files.MOST_BYTES < 2**26
