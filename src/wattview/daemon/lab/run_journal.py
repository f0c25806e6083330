"""The journal of runs: ``<state>/runs/<id>/run.json``, one file a run, always whole.

It outlives the daemon: a run whose journal still says ``running`` when a daemon starts was cut off by the end of
another one, and is marked ``interrupted``. Everything here blocks; call it off the event loop.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import msgspec
from msgspec.structs import replace

from wattview.daemon import results_files, whole_file
from wattview.decoding import UNREADABLE, why_unreadable
from wattview.model import Run

log = logging.getLogger("wattview.run")

MAX_JOURNAL_BYTES = 64 * 2**20


def runs_directory(state: Path) -> Path:
    """Where the runs lie below the daemon's state directory, a folder each, named by its id."""
    return state / "runs"


def delete_what_is_compared(folder: Path, stem: str = "*") -> None:
    """Deletes what encoders and viewers left in a run's folder for the comparison, the copies of their streams and the
    lists of their packets, and the logs of comparisons that did not come to their end. ``stem`` begins the names of one
    scenario's files."""
    for pattern in ("copy-*.nut", "copy-*.part-*", "source-*.txt", "sent-*.txt", "received-*.txt"):
        for path in folder.glob(f"{stem}-{pattern}"):
            with contextlib.suppress(OSError):
                path.unlink()


class Journal:
    """Runs below one directory. Its methods raise OSError where the disk does not do as told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def folder(self, run_id: str) -> Path:
        """Where everything that belongs to a run lies: its journal, FFmpeg's logs, the scores frame by frame."""
        return self.directory / run_id

    def write(self, run: Run) -> None:
        folder = self.folder(run.id)
        folder.mkdir(parents=True, exist_ok=True)
        whole_file.write(folder / "run.json", msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")

    def load(self) -> list[Run]:
        """All runs, oldest first. What cannot be read is passed over, and the log says so."""
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
        and in its results file in the directory ``results``, which is written more often and knows what was finished.

        What a killed daemon left half-written is removed first: nobody else writes here.
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
            ended=(folder / "run.json").stat().st_mtime,
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
