"""A clock that jumps between two runs: an hour back, a year on."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.disk import finish
from benchmarks.faults.table import Row, timed
from benchmarks.faults.tiny import Running, Tiny, last_words

JUMPS = {"an hour back": -3600.0, "a year on": 365 * 86400.0}
MIDDLE = "train_hyma"
"""The stage after which it jumps in the middle of the pipeline."""
REAL = ("-m", "dvc", "repro")


def clock(tiny: Tiny) -> Iterator[Row]:
    """Files' times, then the clock itself where libfaketime is there."""
    for jump, seconds in JUMPS.items():
        row = Row(f"files' times {jump}")
        with timed(row):
            _finished(tiny, row, seconds)
            _middle(tiny, row, seconds)
        yield row
    row = Row("the clock an hour back, then a year on (libfaketime)")
    with timed(row):
        if shutil.which("faketime"):
            _faked(tiny, row)
        else:
            row.seen["not tried: libfaketime is not installed"] += 1
    yield row


def _finished(tiny: Tiny, row: Row, seconds: float) -> None:
    """Nothing is made again."""
    with tiny.copy("done") as project:
        shift(project.folder, seconds)
        run = Running(project.folder, "dvc", "repro")
        row.tried += 1
        if run.end() or run.begun():
            row.bad("lost", f"ran again: {', '.join(run.begun()) or last_words(run.printed)}")
        else:
            row.seen["nothing ran again"] += 1
        finish(tiny, project.folder, row, "finished before")


def _middle(tiny: Tiny, row: Row, seconds: float) -> None:
    """What was made is not made again, and the rest is as it would have been."""
    with tiny.copy("prepared") as project:
        before = project.stages("repro", MIDDLE)
        shift(project.folder, seconds)
        after = project.stages("repro")
        row.tried += 1
        if again := set(before) & set(after):
            row.bad("lost", f"ran again: {', '.join(again)}")
        else:
            row.seen["the rest ran"] += 1
        finish(tiny, project.folder, row, f"in the middle, after {MIDDLE}")


def _faked(tiny: Tiny, row: Row) -> None:
    """Half of the pipeline with one clock, the other half with another, in processes of their own."""
    with tiny.copy("prepared") as project:
        for fake, target in (("-1h", (MIDDLE,)), ("+1y", ())):
            run = Running(project.folder, "faketime", "-f", fake, sys.executable, *REAL, *target)
            if run.end():
                row.bad("wrong", f"{fake}: {last_words(run.printed)}")
        row.tried += 1
        row.seen["both halves ran"] += 1
        finish(tiny, project.folder, row, "in the middle")


def shift(folder: Path, seconds: float) -> None:
    """Move the times of all files but DVC's and git's own."""
    for path in folder.rglob("*"):
        if not {".git", ".dvc"} & set(path.relative_to(folder).parts) and path.is_file():
            times = path.stat()
            os.utime(path, (times.st_atime + seconds, times.st_mtime + seconds))
