"""The disk full, at several levels, while a stage writes, and under ``dvc repro``."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults.mounts import NoMountError, left, small
from benchmarks.faults.table import Row, timed
from benchmarks.faults.tiny import LOCKS, Running, Tiny, last_words, remedy
from hyma.common.files import remove

LEVELS = (0.0, 0.3, 0.6, 0.9)
"""Of what a stage writes, what there is room for."""
WHOLE = (0.02, 0.25, 0.6, 0.95)
"""The same of what `dvc repro` writes."""
ROOM = 2**26
"""Bytes that are free at first."""
PAGE = 4096
"""Bytes that the smallest file takes."""
STAGE, REPRO = "disk full at a stage's writes", "disk full under `dvc repro`"


def disk(tiny: Tiny, only: Sequence[str] = ()) -> Iterator[Row]:
    """Every stage's command at every level, or those of the stages named; then `dvc repro` as a whole."""
    rows = [Row(STAGE), *([] if only else [Row(REPRO)])]
    size = used(tiny.folder("done")) + ROOM
    for row, work in zip(rows, (_stages, _repro), strict=False):
        place = tiny.root / "small"
        try:
            with timed(row), small(place, size if work is _stages else 2 * size):
                work(tiny, place, row, only)
        except NoMountError:
            row.seen["not tried: no tmpfs can be mounted here"] += 1
        place.rmdir()
        yield row


def _stages(tiny: Tiny, place: Path, row: Row, only: Sequence[str]) -> None:
    """Each stage's own command, in a finished experiment without its outputs, or with the former ones."""
    folder = place / "project"
    shutil.copytree(tiny.folder("done"), folder, ignore=shutil.ignore_patterns(".git", ".dvc", "kept"))
    for file in LOCKS:  # nothing is to be had from DVC's cache: all is made
        remove(folder / file)
    for name, entry in tiny.locked().items():
        if only and name not in only:
            continue
        needed = sum(used(folder / out["path"]) for out in entry["outs"])
        for number, level in enumerate(LEVELS):
            _stage(tiny, place, row, name, entry, int(level * needed), former=number % 2 == 1)


def _stage(
    tiny: Tiny, place: Path, row: Row, name: str, entry: dict[str, Any], room: int, *, former: bool
) -> None:
    folder, outs = place / "project", [out["path"] for out in entry["outs"]]
    where = f"{name} with {room} bytes left"
    if not former:
        for out in outs:
            remove(folder / out)
    remove(folder / "data/kept")
    with left(place, room):
        run = Running(folder, "bash", "-c", entry["cmd"], log=tiny.root / "stage.log")
        code, printed = run.end(), run.printed
        wrong = tiny.half_written(folder, outs)
    row.tried += 1
    if wrong:
        row.bad("lost", f"{where}: half-written: {', '.join(wrong[:3])}")
    if code and not plain(printed):
        row.bad("wrong", f"{where}: no plain line: {last_words(printed)}")
    row.seen["ended in one plain line" if code else "had room enough"] += 1
    again = Running(folder, "bash", "-c", entry["cmd"], log=tiny.root / "stage.log")
    if again.end():
        row.bad("wrong", f"{where}: once there was room: {last_words(again.printed)}")
    elif different := tiny.differing(folder, outs):
        row.bad("wrong", f"{where}: once there was room: {', '.join(different[:3])}")


def plain(printed: str) -> bool:
    """Whether what went wrong is said in one line."""
    lines = [line for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return "Traceback" not in printed and len(errors) == 1


def _repro(tiny: Tiny, place: Path, row: Row, _: Sequence[str]) -> None:
    """`dvc repro` from the prepared state, cut short once, then given room."""
    needed = used(tiny.folder("done")) - used(tiny.folder("prepared"))
    for level in WHOLE:
        folder = place / "project"
        shutil.copytree(tiny.folder("prepared"), folder, symlinks=True)
        with left(place, int(level * needed)):
            run = Running(folder, "dvc", "repro", log=tiny.root / "repro.log")
            code, printed = run.end(), run.printed
            if wrong := tiny.half_written(folder):
                row.bad("lost", f"at {level:.0%}: half-written: {', '.join(wrong[:3])}")
        row.tried += 1
        where = run.begun()[-1] if run.begun() else "DVC's beginning"
        row.seen[f"stopped at {where}" if code else "had room enough"] += 1
        if "Traceback" in printed:
            row.bad("wrong", f"at {level:.0%}, {where}: a traceback: {last_words(printed)}")
        finish(tiny, folder, row, f"at {level:.0%}, {where}, once there was room")
        shutil.rmtree(folder)


def finish(tiny: Tiny, folder: Path, row: Row, where: str) -> None:
    """Run it to its end undisturbed, and compare."""
    run = Running(folder, "dvc", "repro", log=tiny.root / "finish.log")
    if run.end() and (done := remedy(folder, run.printed)):
        row.seen[done] += 1
        run = Running(folder, "dvc", "repro", log=tiny.root / "finish.log")
    if code := run.end():
        row.bad("wrong", f"{where}: `dvc repro` ended with {code}: {last_words(run.printed)}")
    elif different := tiny.differing(folder):
        row.bad("wrong", f"{where}: {', '.join(different[:3])}")


def used(path: Path) -> int:
    """Bytes that a file or folder takes in a small file system."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(-(-file.lstat().st_size // PAGE) * PAGE or PAGE for file in files)
