"""From a folder in a known format to the prepared form: read, check every image, write."""

import importlib
from pathlib import Path

from hyma.common import prepared
from hyma.common.errors import HymaError, reason
from hyma.common.prepared import Kind, Meta, Prepared, Skipped
from hyma.readers.base import images
from hyma.readers.base.common import BEYOND, for_retrieval
from hyma.readers.base.params import DataSource
from hyma.readers.base.unite import counted, unite

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
KINDS: dict[Kind, str] = {
    "image": "images are unreadable",
    "text": "captions are empty or damaged",
    "question": "questions are empty or damaged",
}
"""What a data set has, and how it is lost."""


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
    draft = read(source)
    if key.startswith("benchmarks.") and draft.meta.task == "pairs":
        draft = for_retrieval(draft)
    lost = {kind: [one for one in draft.meta.skipped if one.kind == kind] for kind in KINDS}
    if not len(draft.images) and not lost["image"]:
        raise HymaError(f"{root}: no images listed; expected {FIRST_FILE[source.format]}")
    draft.meta.read = dict(counted(draft))
    checked = images.check(draft.images)
    lost["image"] += [skipped for _, skipped in checked.broken]
    lost["text"] = [one for one in lost["text"] if one.reason != BEYOND]
    limit = f"{key}.max_unreadable is {source.max_unreadable}"
    for kind, what in KINDS.items():
        _refuse_too_many(lost[kind], draft.meta.read.get(kind, 0), source.max_unreadable, what, limit)
    draft.meta.skipped += [skipped for _, skipped in checked.broken]
    complete = unite(draft, checked.content, source.format == "folders")
    _refuse_nothing(complete, root)
    assert counted(complete) == complete.meta.read, "what was read is neither kept nor left out"
    prepared.write(folder, complete)
    return complete.meta


def read(source: DataSource) -> Prepared:
    """Read a data set by its format's reader; no picture is opened.

    Raises:
        HymaError: if it is not as its format is.
    """
    root = Path(source.path)
    reader = importlib.import_module(f"hyma.readers.formats.{source.format}")
    try:
        found: Prepared = reader.read(root, source)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise HymaError(
            f"{root}: not as {source.format} data are ({reason(error)}); is this the original data set?"
        ) from error
    return found


def _refuse_too_many(found: list[Skipped], total: int, limit: float, what: str, remedy: str) -> None:
    if not found or len(found) <= limit * total:
        return
    raise HymaError(
        f"{found[0].file}: {found[0].reason}; {len(found)} of {total} {what} and {remedy}: "
        "mend the files or raise it"
    )


def _refuse_nothing(complete: Prepared, root: Path) -> None:
    if not len(complete.images):
        first = complete.meta.skipped[0]
        raise HymaError(
            f"{root}: nothing is left of it: {first.file}: {first.reason} "
            f"({len(complete.meta.skipped)} in all); mend the files"
        )
