"""Holding pictures out of a captioned data set: two tables of captions, while the pictures stay where they are."""

import csv
import hashlib
import io
import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hyma.common import pictures
from hyma.common.errors import HymaError
from hyma.common.files import atomic, write_text
from hyma.readers.look import Found

SHARE, FEWEST, MOST = 0.1, 50, 1000
"""Of the pictures that are held out."""
TRAINING = 120
"""Captioned pictures that training takes, at least: a twentieth of them is kept to score pairs by."""
TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class _Row:
    """A picture that is there, and its captions that are not empty."""

    name: str
    image: dict[str, Any]
    size: int
    captions: list[str]

    @property
    def key(self) -> str:
        """What decides whether it is held out: the same in every run."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    def content(self) -> str:
        """A digest of the picture's file."""
        try:
            return hashlib.sha256(pictures.content(self.image)).hexdigest()
        except pictures.UnreadableError:
            return self.name  # like no other; preparing says what is wrong with it


def held_out(pictures_there: int) -> int:
    """How many of so many pictures are held out."""
    return min(MOST, max(FEWEST, round(SHARE * pictures_there)))


def split(found: Found, folder: Path) -> tuple[int, int]:
    """Write ``train/`` and ``test/`` into `folder`, each a table of captions; return how many pictures each has.

    A picture is on one side with all its captions. What occurs twice, by the content of its file, trains. Which ones
    are held out depends on nothing but the pictures' names.

    Raises:
        HymaError: if there are too few.
    """
    rows = _rows(found)
    wanted = held_out(len(rows))
    if len(rows) - wanted < TRAINING:
        raise HymaError(
            f"{found.source.path}: {len(rows):,} captioned pictures, and nothing else to rank pairs by: "
            f"{TRAINING + FEWEST} are needed, {TRAINING} to train on and {FEWEST} to hold out; add some, "
            "or give captions that are held out already by --benchmark"
        )
    test = _chosen(rows, wanted)
    if len(test) < FEWEST:
        raise HymaError(
            f"{found.source.path}: only {len(test):,} of {len(rows):,} pictures differ from all others; "
            "delete copies, or give captions that are held out already by --benchmark"
        )
    sides = {
        TRAIN: [row for row in rows if row.name not in test],
        TEST: [row for row in rows if row.name in test],
    }
    with atomic(folder) as temporary:
        for side, own in sides.items():
            (temporary / side).mkdir(parents=True)
            _write(temporary / side, folder / side, own)
    return len(sides[TRAIN]), len(sides[TEST])


def _rows(found: Found) -> list[_Row]:
    names, images = (found.draft.images[column].to_pylist() for column in ("id", "image"))
    return [
        _Row(names[row], images[row], found.sizes[row] or 0, captions)
        for row, captions in sorted(found.captioned.items())
    ]


def _chosen(rows: list[_Row], wanted: int) -> set[str]:
    """The names of the pictures that are held out. Only files of equal size are read, to tell copies."""
    alike = defaultdict(list)
    for row in rows:
        alike[row.size].append(row)
    digests: dict[str, str] = {}
    often: Counter[str] = Counter()
    chosen: set[str] = set()
    for row in sorted(rows, key=lambda row: row.key):
        if len(chosen) == wanted:
            break
        same = alike[row.size]
        if len(same) > 1 and row.name not in digests:
            read = {other.name: other.content() for other in same}
            digests |= read
            often.update(read.values())
        if len(same) == 1 or often[digests[row.name]] == 1:
            chosen.add(row.name)
    return chosen


def _write(temporary: Path, folder: Path, rows: list[_Row]) -> None:
    """Write a table that is read in `folder`: Parquet where pictures lie in the table, else csv."""
    if any(row.image["bytes"] is not None for row in rows):
        images = [{"bytes": row.image["bytes"], "path": row.image["path"] or row.name} for row in rows]
        table = pa.table({"image": images, "caption": [row.captions for row in rows]})
        pq.write_table(table, temporary / "captions.parquet")
        return
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    # The sizes are there so that the table differs, and DVC notices, when a picture was replaced.
    lines.writerow(["image", "caption", "bytes"])
    for row in rows:
        path = _from(folder, row.image["path"])
        lines.writerows((path, caption, row.size) for caption in row.captions)
    write_text(temporary / "captions.csv", stream.getvalue())


def _from(folder: Path, path: str) -> str:
    """A path as a table in `folder` names it: relative if both lie in the current folder, else absolute."""
    here, absolute, place = Path.cwd(), Path(path).absolute(), folder.resolve()
    if absolute.is_relative_to(here) and place.is_relative_to(here):
        return os.path.relpath(absolute, place)
    return str(absolute)
