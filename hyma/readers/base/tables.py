"""Tables read row by row, whole or refused with the line: csv, jsonl and Parquet.

What a lenient reader would swallow is refused: rows between two stray quotes, columns of one name, keys given twice.
"""

import ast
import csv
import io
import json
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hyma.common.errors import HymaError, reason
from hyma.common.names import SUFFIXES
from hyma.readers.base.listing import writable

TABLES = (".csv", ".jsonl", ".parquet")
"""Endings of tables."""
Record = tuple[str, dict[str, Any]]
"""Where a row stands, for errors, and its values by column."""


def records(file: Path) -> Iterator[Record]:
    """Yield the rows of a table, values by column name: lower case, no blanks around it.

    A cell of a csv table that holds a list of texts, as programs write lists, becomes that list.

    Raises:
        HymaError: naming the line that is not as it should be.
    """
    kinds: dict[str, Callable[[Path], Iterator[Record]]]
    kinds = dict(zip(TABLES, (_csv, _jsonl, _parquet), strict=True))
    if file.suffix.lower() not in kinds:
        raise HymaError(f"{file}: should end in {', '.join(kinds)}; save it in one of these formats")
    try:
        yield from kinds[file.suffix.lower()](file)
    except UnicodeError:
        raise HymaError(f"{file}: not UTF-8; save it again in that encoding") from None
    except OSError as error:
        raise HymaError(f"{file}: cannot be read ({error.strerror or error})") from None


def _csv(file: Path) -> Iterator[Record]:
    csv.field_size_limit(sys.maxsize)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(stream, strict=True)
        begin = 1
        try:
            columns = next(rows, [])
            named = list(_by_column(((name, "") for name in columns), file, "line 1"))
            image = named.index("image") if "image" in named else None
            begin = rows.line_num + 1
            for row in rows:
                place = f"line {begin}" if begin == rows.line_num else f"lines {begin} to {rows.line_num}"
                if row and len(row) != len(columns):
                    raise HymaError(
                        f"{file}: {place}: {len(row)} fields, the header has {len(columns)}; "
                        'put a caption that holds commas in quotes: "…"'
                    )
                if row:
                    _refuse_swallowed(row, image, file, begin)
                    cells = map(_cell, row, [f"{file}: {place}"] * len(row))
                    yield place, _by_column(zip(columns, cells, strict=True), file, place)
                begin = rows.line_num + 1
        except csv.Error as error:
            raise HymaError(
                f"{file}: line {begin}: not valid csv ({error}); write a quote within quotes twice, and close each"
            ) from None


def _refuse_swallowed(row: list[str], image: int | None, file: Path, begin: int) -> None:
    """Refuse a cell of several lines that has taken in other rows: a stray quote opened it, another closed it."""
    for cell in row:
        for number, line in enumerate(cell.split("\n")[1:] if "\n" in cell else [], start=1):
            fields = line.rstrip("\r").split(",")
            if image is not None and len(fields) >= len(row) and _names_picture(fields[image], file.parent):
                raise HymaError(
                    f"{file}: line {begin}: a quote is opened here and not closed, so that line {begin + number} and "
                    "others would be lost; close it, or write it twice if it belongs to the text"
                )


def _names_picture(field: str, folder: Path) -> bool:
    name = field.strip().strip('"')
    if Path(name).suffix.lower() in SUFFIXES and " " not in name:
        return True
    return 0 < len(name) < 256 and "\0" not in name and (folder / name).is_file()


def _cell(text: str, place: str) -> str | list[str]:
    """A cell's text, or the texts of a list that was written into it: ``["a dog", "an animal"]``."""
    whole = text.strip()
    if not (whole.startswith("[") and whole.endswith("]")):
        return text
    try:
        found = json.loads(whole)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(whole)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return text
        if isinstance(found, list) and _strings(whole) != len(found):
            raise HymaError(f"{place}: a list without commas between its texts; write them") from None
    texts = isinstance(found, list) and found and all(isinstance(each, str) for each in found)
    return found if texts else text


def _strings(source: str) -> int:
    """How many strings stand in Python's source: those side by side would be taken for one."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return sum(token.type == tokenize.STRING for token in tokens)


def _jsonl(file: Path) -> Iterator[Record]:
    with file.open(encoding="utf-8-sig", newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            place = f"line {number}"
            try:
                record = json.loads(line, object_pairs_hook=_Object)
            except (ValueError, RecursionError) as error:
                raise HymaError(f"{file}: {place}: not valid json ({reason(error)}); mend it") from None
            if not isinstance(record, _Object):
                raise HymaError(f'{file}: {place}: should be an object: {{"image": …, "caption": …}}')
            yield place, _by_column(record.pairs, file, place)


class _Object(dict[str, Any]):
    """A json object, with its keys and values as they stand, those that are given twice included."""

    def __init__(self, pairs: list[tuple[str, Any]]):
        super().__init__(pairs)
        self.pairs = pairs


def _parquet(file: Path) -> Iterator[Record]:
    """Rows of a file, or of the files in a folder, as programs write that work side by side."""
    parts = sorted(file.glob("*.parquet")) if file.is_dir() else [file]
    if not parts:
        raise HymaError(f"{file}: a folder without *.parquet; give the table's file")
    for part in parts:
        try:
            with pq.ParquetFile(part) as table:
                named = table.schema_arrow.names
                _by_column(((name, None) for name in named), part, "columns")
                rows = (row for batch in table.iter_batches(1024) for row in batch.to_pylist())
                for number, row in enumerate(rows, start=1):
                    yield f"row {number}", _by_column(row.items(), part, f"row {number}")
        except (OSError, pa.ArrowException) as error:
            raise HymaError(f"{part}: not a whole Parquet file ({reason(error)}); write it again") from None


def _by_column(items: Iterable[tuple[str, Any]], file: Path, place: str) -> dict[str, Any]:
    """Values by column name, however the name is capitalised and whatever blanks surround it."""
    found: dict[str, Any] = {}
    for name, value in items:
        column = str(name).strip().lower()
        if column in found and column in ("image", "caption", "text"):
            raise HymaError(f"{file}: {place}: two columns are named {writable(column)}; rename one")
        found[column] = value
    return found
