"""Files are written whole, whoever looks into their directory meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

from wattview import whole_file


def test_the_cleanup_of_leftovers_does_not_disturb_writers(tmp_path: Path) -> None:
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            whole_file.sweep(tmp_path, "results*", older_than=3600.0)

    looking = [threading.Thread(target=look) for _ in range(3)]
    for thread in looking:
        thread.start()
    try:
        for number in range(60):
            whole_file.write(tmp_path / "results.json", b"%d" % number)
            assert whole_file.read(tmp_path / "results.json", 100) == b"%d" % number
    finally:
        ended.set()
        for thread in looking:
            thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
