"""The prepared form: what every data set becomes, whatever format it came in.

A folder with

- ``images.parquet``: ``id`` (string), ``image`` ({bytes, path}; one of the two is set, paths are relative to
  the project's root), ``content`` (digest of its pixels: a picture is its content), ``record`` (its number among all
  that the data set lists, some of which may be left out), ``label`` (class index or null), ``protocol``;
- ``texts.parquet``: ``id``, ``text``, ``record`` (as for images; null for prompts), ``image`` (row of the image it
  describes, or null), ``target`` (index of the class or answer it stands for, or null), ``pool`` (its number among its
  image's captions, or null), ``protocol``;
- ``questions.parquet`` (visual question answering only): ``id``, ``image`` (row), ``prompt`` (number of its
  wording: the answers' texts are rows ``prompt * len(answers)`` onward), ``answers`` (what people answered);
- ``meta.json``: `Meta`.

``protocol`` is ``standard``, ``paper`` or ``both``: which evaluation protocol uses the row.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from hyma.common.earlier import damaged
from hyma.common.errors import HymaError, plain
from hyma.common.files import atomic, read_json, sha256, write_json

Task = Literal["pairs", "classification", "retrieval", "vqa"]
Protocol = Literal["standard", "paper"]

IMAGES = pa.schema(
    {
        "id": pa.string(),
        "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
        "content": pa.string(),
        "record": pa.int32(),
        "label": pa.int32(),
        "protocol": pa.string(),
    }
)
TEXTS = pa.schema(
    {
        "id": pa.string(),
        "text": pa.string(),
        "record": pa.int32(),
        "image": pa.int32(),
        "target": pa.int32(),
        "pool": pa.int32(),
        "protocol": pa.string(),
    }
)
QUESTIONS = pa.schema(
    {"id": pa.string(), "image": pa.int32(), "prompt": pa.int32(), "answers": pa.list_(pa.string())}
)


Kind = Literal["image", "text", "question", "file"]


@dataclass(frozen=True)
class Skipped:
    """What was left out, and why: an image, text or question of the data set, or a file that is none of it."""

    file: str
    reason: str
    kind: Kind = "image"

    def __post_init__(self) -> None:
        for name in ("file", "reason"):  # names in data may be of any length and hold anything
            object.__setattr__(self, name, plain(getattr(self, name), 300))


@dataclass
class Meta:
    """What a prepared data set says of itself."""

    task: Task
    format: str
    classes: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    read: dict[Kind, int] = field(default_factory=dict)
    """How many there were of each kind before any was left out: as many as were kept and skipped."""
    records: dict[Kind, int] = field(default_factory=dict)
    """How many images and captions the data set lists; ``record`` numbers them."""
    images: int = 0
    texts: int = 0
    questions: int = 0
    data_hash: str = ""


@dataclass
class Prepared:
    """A data set in the prepared form, as columns in memory: short strings and numbers, no pictures decoded.

    `images`, `texts` and `questions` are tables of the schemas `IMAGES`, `TEXTS` and `QUESTIONS`.
    """

    meta: Meta
    images: pa.Table
    texts: pa.Table
    questions: pa.Table


def table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Build a table from `rows`; columns that a row lacks are null."""
    return pa.Table.from_pylist(rows, schema=schema)


def write(folder: Path, prepared: Prepared) -> None:
    """Write `prepared` to `folder`, atomically, in place of what is there; fill in counts and data hash of `meta`."""
    meta = prepared.meta
    meta.images, meta.texts = len(prepared.images), len(prepared.texts)
    meta.questions = len(prepared.questions)
    with atomic(folder) as temporary:
        temporary.mkdir()
        tables = {"images": prepared.images, "texts": prepared.texts}
        if meta.task == "vqa":
            tables["questions"] = prepared.questions
        digests = []
        for name, content in tables.items():
            pq.write_table(
                content, temporary / f"{name}.parquet", row_group_size=8192, write_page_checksum=True
            )
            digests.append(_digest(content))
        meta.data_hash = sha256(*digests)
        write_json(temporary / "meta.json", asdict(meta))


def _digest(content: pa.Table) -> str:
    """Digest of a table's values, the same for every version of pyarrow; pictures and their places left out."""
    columns = [
        name for name in content.column_names if not pa.types.is_struct(content.schema.field(name).type)
    ]
    return sha256(*(json.dumps([name, content[name].to_pylist()]) for name in columns))


def read_meta(folder: Path) -> Meta:
    """Read ``meta.json`` of a prepared data set.

    Raises:
        HymaError: if the folder is missing or is no prepared data set.
    """
    if not (folder / "meta.json").is_file():
        raise HymaError(f"{folder}: no prepared data set there; run `dvc repro prepare` first")
    content = read_json(folder / "meta.json")
    content["skipped"] = [Skipped(**entry) for entry in content["skipped"]]
    return Meta(**content)


def read(folder: Path) -> Prepared:
    """Read a prepared data set (memory-mapped).

    Raises:
        HymaError: if it is missing or damaged.
    """
    meta = read_meta(folder)
    return Prepared(
        meta=meta,
        images=read_table(folder / "images.parquet"),
        texts=read_table(folder / "texts.parquet"),
        questions=read_table(folder / "questions.parquet") if meta.task == "vqa" else QUESTIONS.empty_table(),
    )


def read_table(file: Path) -> pa.Table:
    """Read one of its tables (memory-mapped).

    Raises:
        HymaError: if it is missing or damaged.
    """
    try:
        return pq.read_table(file, memory_map=True, page_checksum_verification=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise damaged(file, str(error).splitlines()[0]) from None
