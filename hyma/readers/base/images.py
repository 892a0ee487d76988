"""Checking images: every one is decoded once, so that a broken one is known before any encoder runs."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from hyma.common import pictures
from hyma.common.files import sha256
from hyma.common.prepared import Skipped

SEVERAL = 256
"""Images a worker takes at once."""
AHEAD = 16
"""How many times as many are handed out before the first are waited for."""


@dataclass
class Checked:
    """What looking at every image told."""

    digest: str
    """Over the bytes of all images, in order."""
    broken: list[tuple[int, Skipped]]
    """The rows that cannot be read, and why."""


def check(table: pa.Table) -> Checked:
    """Decode every image of an ``images`` table on all cores, as extraction will."""
    digests: list[str] = []
    broken = []
    with (
        ProcessPoolExecutor(pictures.cores()) as pool,
        tqdm(total=len(table), desc="checking images", unit="image", disable=None) as bar,
    ):
        for results in _results(pool, table):
            for digest, file, reason in results:
                if reason:
                    broken.append((len(digests), Skipped(file, reason)))
                digests.append(digest)
            bar.update(len(results))
    return Checked(sha256(*digests), broken)


def _results(pool: ProcessPoolExecutor, table: pa.Table) -> Iterator[list[tuple[str, str, str]]]:
    """Yield what `_check_some` says of slice after slice; few are in memory at a time."""
    window = SEVERAL * AHEAD * pictures.cores()
    for start in range(0, len(table), window):
        yield from pool.map(_check_some, _slices(table.slice(start, window)))


def _slices(table: pa.Table) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(table), SEVERAL):
        yield table.slice(start, SEVERAL).select(["id", "image"]).to_pylist()


def _check_some(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return (digest, file, reason) of each row; an empty reason means that it can be read."""
    return [_check_one(row["id"], row["image"]) for row in rows]


def _check_one(name: str, image: dict[str, Any]) -> tuple[str, str, str]:
    file, digest = image["path"] or name, "missing"
    try:
        data = pictures.content(image)
        digest = hashlib.sha256(data).hexdigest()
        pictures.decode(data)
    except pictures.UnreadableError as error:
        return digest, file, str(error)
    return digest, file, ""
