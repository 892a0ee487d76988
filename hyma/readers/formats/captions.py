"""A user's own captioned images: a table of image and caption, as csv, jsonl or Parquet."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared, Skipped
from hyma.readers.base.common import Row, caption_rows, captions, first_of, image_row
from hyma.readers.base.listing import is_hidden, is_picture, passed_over, walk, writable
from hyma.readers.base.params import DataSource
from hyma.readers.base.tables import TABLES, records

NAMES = ("captions.csv", "captions.jsonl", "captions.parquet")
UNNAMED = "a picture that the table does not name"


def read(root: Path, source: DataSource) -> Prepared:
    """Read the table `root`, or the one of `NAMES` in the folder `root`.

    Paths are relative to the table's folder. Rows of the same image are captions of it. Texts are in the
    table's order, images in that of their first row. Other files in the folder are listed as left out.

    Raises:
        HymaError: naming the row that is not as it should be, or if the folder has two tables.
    """
    file = root if root.is_file() else _table(root)
    images: list[Row] = []
    texts: list[Row] = []
    row_of: dict[Any, int] = {}
    names: Counter[str] = Counter()
    pools: Counter[int] = Counter()
    for place, record in records(file):
        given = _wanted(record, ("image",), file, place)
        key = _picture(given, file, place)
        if key not in row_of:
            row_of[key] = len(images)
            images.append(_image(given, file.parent, names))
        image = row_of[key]
        caption = _wanted(record, ("caption", "text"), file, place)
        rows = caption_rows(caption, image, images[image]["id"], pools[image], file, place)
        pools[image] += len(rows)
        texts += rows
    skipped = [] if root.is_file() else _unread(root, file, images)
    return captions(images, texts, source, "pairs", skipped)


def _table(root: Path) -> Path:
    there = [root / name for name in NAMES if (root / name).exists()]
    if len(there) > 1:
        raise HymaError(
            f"{root}: two tables, {there[0].name} and {there[1].name}; name the one meant as the path, "
            "or move the other away"
        )
    if there and there[0].is_dir() and there[0].suffix == ".parquet":
        return there[0]
    return first_of(root, *NAMES)


def _unread(root: Path, file: Path, images: list[Row]) -> list[Skipped]:
    """The files in the folder and below it that are neither the table nor a picture of it."""
    taken = {os.path.abspath(row["image"]["path"] or file) for row in images}  # noqa: PTH100 (links stay)
    taken.add(os.path.abspath(file))  # noqa: PTH100
    left = [path for path in walk(root) if os.path.abspath(path) not in taken and file not in path.parents]  # noqa: PTH100
    unnamed = [path for path in left if is_picture(path)]
    tables = [path for path in left if path.suffix.lower() in TABLES and not is_hidden(path)]
    others = sorted({*left} - {*unnamed, *tables})
    return (
        passed_over(unnamed, UNNAMED)
        + passed_over(tables, f"a table, and {file.name} is read")
        + passed_over(others)
    )


def _wanted(record: dict[str, Any], columns: tuple[str, ...], file: Path, place: str) -> Any:
    """The value in the first of `columns` that there is."""
    for column in columns:
        if column in record:
            return record[column]
    raise HymaError(
        f"{file}: {place}: no column {' or '.join(columns)}, found {', '.join(map(writable, record)) or 'none'}; "
        "name the columns image and caption"
    )


def _picture(given: Any, file: Path, place: str) -> str | bytes:
    """What tells a picture from others: its bytes if it lies in the table, else its path."""
    inside = given.get("bytes") or given.get("path") if isinstance(given, dict) else given
    key = inside.strip() if isinstance(inside, str) else inside
    if not key or not isinstance(key, str | bytes) or (isinstance(key, str) and "\0" in key):
        raise HymaError(
            f"{file}: {place}: image: should be a path relative to {file.parent}, it is {str(given)[:60]!r}"
        )
    return key


def _image(given: Any, folder: Path, names: Counter[str]) -> Row:
    """The image's row; its id is its path as written, numbered where pictures in a table share a name."""
    if isinstance(given, str):
        return image_row(given.strip(), folder / given.strip())
    inside = given if isinstance(given, dict) else {"bytes": given}
    name = writable(str(inside.get("path") or "picture").strip())
    if not inside.get("bytes"):
        return image_row(name, folder / name)
    names[name] += 1
    own = name if names[name] == 1 else f"{name}#{names[name]}"
    return {"id": own, "image": {"bytes": inside["bytes"], "path": None}, "protocol": "both"}
