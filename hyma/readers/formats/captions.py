"""A user's own captioned images: a table of image and caption, as csv, jsonl or Parquet."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared
from hyma.readers.base.common import Row, caption_rows, captions, first_of, image_row
from hyma.readers.base.params import DataSource

NAMES = ("captions.csv", "captions.jsonl", "captions.parquet")
Record = tuple[str, dict[str, Any]]
"""Where a row stands, for errors, and its values by column."""


def read(root: Path, source: DataSource) -> Prepared:
    """Read the table `root`, or the one of `NAMES` in the folder `root`.

    Paths are relative to the table's folder. Rows of the same image are captions of it. Texts are in the
    table's order, images in that of their first row.

    Raises:
        HymaError: naming the row that is not as it should be.
    """
    file = root if root.is_file() else first_of(root, *NAMES)
    images: list[Row] = []
    texts: list[Row] = []
    row_of: dict[Any, int] = {}
    names: Counter[str] = Counter()
    pools: Counter[int] = Counter()
    for place, record in _records(file):
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
    return captions(images, texts, source, "pairs")


def _records(file: Path) -> Iterator[Record]:
    kinds = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    if file.suffix.lower() not in kinds:
        raise HymaError(f"{file}: should end in {', '.join(kinds)}; save it in one of these formats")
    try:
        yield from kinds[file.suffix.lower()](file)
    except UnicodeDecodeError:
        raise HymaError(f"{file}: not UTF-8; save it again in that encoding") from None


def _csv(file: Path) -> Iterator[Record]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(stream, strict=True)
        try:
            columns = next(rows, [])
            for row in rows:
                if row and len(row) != len(columns):
                    raise HymaError(
                        f"{file}: line {rows.line_num}: {len(row)} fields, the header has {len(columns)}; "
                        'put a caption that holds commas in quotes: "…"'
                    )
                if row:
                    yield f"line {rows.line_num}", _by_column(zip(columns, row, strict=True))
        except csv.Error as error:
            raise HymaError(
                f"{file}: line {rows.line_num}: not valid csv ({error}); write a quote within quotes twice"
            ) from None


def _jsonl(file: Path) -> Iterator[Record]:
    with file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise HymaError(f"{file}: line {number}: not valid json ({error.msg}); mend it") from None
            if not isinstance(record, dict):
                raise HymaError(f'{file}: line {number}: should be an object: {{"image": …, "caption": …}}')
            yield f"line {number}", _by_column(record.items())


def _parquet(file: Path) -> Iterator[Record]:
    try:
        with pq.ParquetFile(file) as table:
            records = (record for batch in table.iter_batches(1024) for record in batch.to_pylist())
            for number, record in enumerate(records, start=1):
                yield f"row {number}", _by_column(record.items())
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0]
        raise HymaError(f"{file}: not a whole Parquet file ({reason}); write it again") from None


def _by_column(items: Any) -> dict[str, Any]:
    """Values by column name, however the name is capitalised and whatever blanks surround it."""
    return {str(name).strip().lower(): value for name, value in items}


def _wanted(record: dict[str, Any], columns: tuple[str, ...], file: Path, place: str) -> Any:
    """The value in the first of `columns` that there is."""
    for column in columns:
        if column in record:
            return record[column]
    raise HymaError(
        f"{file}: {place}: no column {' or '.join(columns)}, found {', '.join(record) or 'none'}; "
        "name the columns image and caption"
    )


def _picture(given: Any, file: Path, place: str) -> str | bytes:
    """What tells a picture from others: its bytes if it lies in the table, else its path."""
    inside = given.get("bytes") or given.get("path") if isinstance(given, dict) else given
    key = inside.strip() if isinstance(inside, str) else inside
    if not key or not isinstance(key, str | bytes):
        raise HymaError(
            f"{file}: {place}: image: should be a path relative to {file.parent}, it is {str(given)[:60]!r}"
        )
    return key


def _image(given: Any, folder: Path, names: Counter[str]) -> Row:
    """The image's row; its id is its path as written, numbered where pictures in a table share a name."""
    if isinstance(given, str):
        return image_row(given.strip(), folder / given.strip())
    inside = given if isinstance(given, dict) else {"bytes": given}
    name = str(inside.get("path") or "picture").strip()
    if not inside.get("bytes"):
        return image_row(name, folder / name)
    names[name] += 1
    own = name if names[name] == 1 else f"{name}#{names[name]}"
    return {"id": own, "image": {"bytes": inside["bytes"], "path": None}, "protocol": "both"}
