"""Checking images: every one is decoded once, so that a broken one is known before any encoder runs."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from signal import SIG_DFL, SIGINT, signal
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from hyma.common import pictures
from hyma.common.prepared import Skipped

SEVERAL = 256
"""Images a worker takes at once."""
AHEAD = 16
"""How many times as many are handed out before the first are waited for."""


@dataclass
class Checked:
    """What looking at every image told."""

    content: list[str | None] = field(default_factory=list)
    """A digest of each image's pixels; None for one that cannot be read."""
    broken: list[tuple[int, Skipped]] = field(default_factory=list)
    """The rows that cannot be read, and why."""


def check(table: pa.Table) -> Checked:
    """Decode every image of an ``images`` table on all cores, as extraction will; Ctrl-C ends the workers silently."""
    found = Checked()
    with (
        ProcessPoolExecutor(pictures.cores(), initializer=signal, initargs=(SIGINT, SIG_DFL)) as pool,
        tqdm(total=len(table), desc="checking images", unit="image", disable=None) as bar,
    ):
        for results in _results(pool, table):
            for file, content, reason in results:
                if content is None:
                    found.broken.append((len(found.content), Skipped(file, reason)))
                found.content.append(content)
            bar.update(len(results))
    return found


def _results(pool: ProcessPoolExecutor, table: pa.Table) -> Iterator[list[tuple[str, str | None, str]]]:
    """Yield what `_check_some` says of slice after slice; few are in memory at a time."""
    window = SEVERAL * AHEAD * pictures.cores()
    for start in range(0, len(table), window):
        yield from pool.map(_check_some, _slices(table.slice(start, window)))


def _slices(table: pa.Table) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(table), SEVERAL):
        yield table.slice(start, SEVERAL).select(["id", "image"]).to_pylist()


def _check_some(rows: list[dict[str, Any]]) -> list[tuple[str, str | None, str]]:
    """Return file, digest of the pixels, and the reason if it cannot be read, of each row."""
    return [_check_one(row["id"], row["image"]) for row in rows]


def _check_one(name: str, image: dict[str, Any]) -> tuple[str, str | None, str]:
    file = image["path"] or name
    try:
        return file, pictures.digest(pictures.decode(pictures.content(image))), ""
    except pictures.UnreadableError as error:
        return file, None, str(error)
