"""Checking images: every one is decoded once, so that a broken one is known before any encoder runs."""

import hashlib
import io
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image
from tqdm import tqdm

from hyma.files import sha256
from hyma.prepared import Skipped

SEVERAL = 256
"""Images a worker takes at once."""


@dataclass
class Checked:
    """What looking at every image told."""

    digest: str
    """Over the bytes of all images, in order."""
    broken: list[tuple[int, Skipped]]
    """The rows that cannot be read, and why."""


def check(table: pa.Table) -> Checked:
    """Decode every image of an ``images`` table on all cores."""
    digests: list[str] = []
    broken = []
    with (
        ProcessPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(table), desc="checking images", unit="image", disable=None) as bar,
    ):
        for results in pool.map(_check_some, _slices(table)):
            for digest, file, reason in results:
                if reason:
                    broken.append((len(digests), Skipped(file, reason)))
                digests.append(digest)
            bar.update(len(results))
    return Checked(sha256(*digests), broken)


def _slices(table: pa.Table) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(table), SEVERAL):
        yield table.slice(start, SEVERAL).select(["id", "image"]).to_pylist()


def _check_some(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return (digest, file, reason) of each row; an empty reason means that it can be read."""
    return [_check_one(row["id"], row["image"]) for row in rows]


def _check_one(name: str, image: dict[str, Any]) -> tuple[str, str, str]:
    file = image["path"] or name
    try:
        data = image["bytes"] or Path(image["path"]).read_bytes()
    except OSError as error:
        return "missing", file, f"cannot be opened ({error.strerror})"
    digest = hashlib.sha256(data).hexdigest()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as picture:
                picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return digest, file, f"unreadable image ({' '.join(str(error).split()) or type(error).__name__})"
    return digest, file, ""
