"""From a folder in a known format to the prepared form: read, check every image, write."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyma.common import prepared
from hyma.common.errors import HymaError
from hyma.common.prepared import Meta, Prepared, Skipped
from hyma.readers.base import images
from hyma.readers.base.params import DataSource

FIRST_FILE = {
    "llava": "blip_laion_cc_sbu_558k.json",
    "imagenet": "val/<wnid>/*.JPEG",
    "cifar100": "cifar-100-python/test",
    "coco": "annotations/captions_val2017.json",
    "flickr8k": "captions.txt or Flickr8k.token.txt",
    "okvqa": "OpenEnded_mscoco_val2014_questions.json",
    "textvqa": "TextVQA_0.5.1_val.json",
    "captions": "captions.csv, captions.jsonl or captions.parquet",
    "webdataset": "*.tar",
    "folders": "<class name>/*.jpg",
}
CAPTIONS = 5
"""Of an image in a retrieval benchmark: as many as the published ones have."""


def prepare(source: DataSource, folder: Path, key: str = "path") -> Meta:
    """Read a data set, leave out what is broken, and write the prepared form to `folder`.

    Args:
        source: format and place of the data set.
        folder: written atomically.
        key: the place in params.yaml, for errors; captioned images under ``benchmarks`` are for retrieval.

    Raises:
        HymaError: if the data is missing or malformed, or more of it is broken than `max_unreadable` allows.
    """
    root = Path(source.path)
    if not root.is_dir() and not (source.format == "captions" and root.is_file()):
        raise HymaError(
            f"params.yaml: {key}.path: data folder {source.path} not found; put the data set there "
            f"(with {FIRST_FILE[source.format]} in it) or correct the path"
        )
    reader = importlib.import_module(f"hyma.readers.formats.{source.format}")
    draft: Prepared = reader.read(root, source)
    if key.startswith("benchmarks.") and draft.meta.task == "pairs":
        draft = _retrieval(draft)
    if not len(draft.images) and not draft.meta.skipped:
        raise HymaError(f"{root}: no images listed; expected {FIRST_FILE[source.format]}")
    checked = images.check(draft.images)
    limit = f"{key}.max_unreadable is {source.max_unreadable}"
    lost = draft.meta.skipped + [skipped for _, skipped in checked.broken]
    listed = len(draft.images) + len(draft.meta.skipped)
    _refuse_too_many(lost, listed, source.max_unreadable, "images are unreadable", limit)
    empty = _empty_texts(draft, root)
    no_text = [skipped for _, skipped in empty]
    _refuse_too_many(no_text, len(draft.texts), source.max_unreadable, "captions are empty", limit)
    complete = drop(draft, {row for row, _ in checked.broken}, {row for row, _ in empty})
    complete.meta.skipped = lost + no_text
    prepared.write(folder, complete, checked.digest)
    return complete.meta


def _retrieval(draft: Prepared) -> Prepared:
    """Training pairs as a benchmark: the first captions of every image, in pools of one an image."""
    few = draft.texts.filter(pc.less(draft.texts["pool"], CAPTIONS))
    return replace(draft, meta=replace(draft.meta, task="retrieval"), texts=few)


def _empty_texts(draft: Prepared, root: Path) -> list[tuple[int, Skipped]]:
    blank = pc.equal(pc.utf8_trim_whitespace(draft.texts["text"]), "")
    rows = np.nonzero(blank.to_numpy(zero_copy_only=False))[0].tolist()
    ids = draft.texts["id"]
    return [(row, Skipped(f"{root}: {ids[row].as_py()}", "empty caption")) for row in rows]


def _refuse_too_many(found: list[Skipped], total: int, limit: float, what: str, remedy: str) -> None:
    if not found or len(found) <= limit * total:
        return
    raise HymaError(
        f"{found[0].file}: {found[0].reason}; {len(found)} of {total} {what} and {remedy}: "
        "mend the files or raise it"
    )


def drop(draft: Prepared, images_out: set[int], texts_out: set[int]) -> Prepared:
    """Leave out the image and text rows given, with the texts and questions of those images."""
    keep_N = ~np.isin(np.arange(len(draft.images)), list(images_out))
    new_row_N = np.cumsum(keep_N) - 1

    def of_kept_image(table: pa.Table) -> np.ndarray:
        image = table["image"].to_numpy()
        known = ~np.isnan(image.astype(float))
        kept = np.ones(len(image), bool)
        kept[known] = keep_N[image[known].astype(int)]
        return kept

    def renumber(table: pa.Table) -> pa.Table:
        new = [None if row is None else int(new_row_N[row]) for row in table["image"].to_pylist()]
        position = table.schema.get_field_index("image")
        return table.set_column(position, table.schema.field(position), pa.array(new, pa.int32()))

    keep_M = of_kept_image(draft.texts) & ~np.isin(np.arange(len(draft.texts)), list(texts_out))
    keep_Q = of_kept_image(draft.questions)
    return Prepared(
        meta=draft.meta,
        images=draft.images.filter(pa.array(keep_N)),
        texts=renumber(draft.texts.filter(pa.array(keep_M))),
        questions=renumber(draft.questions.filter(pa.array(keep_Q))),
    )
