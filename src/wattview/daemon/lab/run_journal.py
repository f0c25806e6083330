"""The journal of runs: ``<state>/runs/<id>/run.json``, one file per run, written atomically.

It outlives the daemon: a run whose journal says ``running`` when a daemon starts was cut off by the end of another one,
and is marked ``interrupted``. Everything here blocks; call it off the event loop.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import msgspec
from msgspec.structs import replace

from wattview import whole_file
from wattview.daemon import results_files
from wattview.decoding import UNREADABLE, why_unreadable
from wattview.model import Run

log = logging.getLogger("wattview.run")

MAX_JOURNAL_BYTES = 64 * 2**20


def runs_directory(state: Path) -> Path:
    """Directory of the runs in the daemon's state directory, one folder each, named by id."""
    return state / "runs"


def delete_what_is_compared(folder: Path, stem: str = "*") -> None:
    """Deletes what encoders and viewers left in a run's folder for the comparison (copies of streams, packet lists) and
    the logs of unfinished comparisons. ``stem`` is the prefix of one scenario's files."""
    for pattern in ("copy-*.nut", "copy-*.part-*", "source-*.txt", "sent-*.txt", "received-*.txt"):
        for path in folder.glob(f"{stem}-{pattern}"):
            with contextlib.suppress(OSError):
                path.unlink()


class Journal:
    """Runs below one directory. Its methods raise the disk's OSError."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def folder(self, run_id: str) -> Path:
        """The folder of a run: its journal, FFmpeg's logs, per-frame scores."""
        return self.directory / run_id

    def write(self, run: Run) -> None:
        folder = self.folder(run.id)
        folder.mkdir(parents=True, exist_ok=True)
        whole_file.write(folder / "run.json", msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")

    def load(self) -> list[Run]:
        """All runs, oldest first. Unreadable ones are skipped and logged."""
        runs = []
        try:
            folders = sorted(self.directory.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            log.warning("%s: no runs can be read or kept: %s", self.directory, error.strerror)
            return []
        for folder in folders:
            path = folder / "run.json"
            try:
                runs.append(msgspec.json.decode(whole_file.read(path, MAX_JOURNAL_BYTES), type=Run))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, *UNREADABLE) as error:
                log.warning("%s: not a journal of a run: %s", path, why_unreadable(error))
        return runs

    def close_interrupted(self, results: Path) -> list[Run]:
        """``load``, with every run that a dead daemon left running marked as interrupted, on disk too: in its journal,
        and in its results file in the directory ``results``, which is written more often and lists the finished
        scenarios.

        Files that a killed daemon left half-written are removed first: only one daemon writes here.
        """
        results_files.sweep(results)
        for folder in self.directory.glob("*/"):
            whole_file.sweep(folder, "*")
            delete_what_is_compared(folder)
        return [self._interrupted(run, results) if run.state == "running" else run for run in self.load()]

    def _interrupted(self, run: Run, results: Path) -> Run:
        folder = self.folder(run.id)
        run = replace(
            run,
            state="interrupted",
            ended=max(run.started, (folder / "run.json").stat().st_mtime),
            progress=None,
            encoders=[],
            error="the daemon ended during this run; what had been finished is kept",
        )
        with contextlib.suppress(OSError, results_files.ResultsFileError):
            kept = results_files.read(results_files.path_for(results, run.id))
            run = replace(run, finished=kept.scenarios, results_id=run.id)
            path = results_files.write(results, replace(kept, status="interrupted"), run.id)
            results_files.copy(path, folder)
        with contextlib.suppress(OSError):
            self.write(run)
        return run
