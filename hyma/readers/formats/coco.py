"""COCO captions: Karpathy's test split of val2014 (standard) and val2017 in five pools (paper)."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from hyma.common.prepared import Prepared, Skipped
from hyma.readers.base.common import (
    Row,
    caption_row,
    captions,
    field,
    image_row,
    list_of,
    records,
    text_of,
    wrong_layout,
)
from hyma.readers.base.params import DataSource


def read(root: Path, source: DataSource) -> Prepared:
    """Read what is there of the two protocols' sets; either may be absent.

    Raises:
        HymaError: if both are.
    """
    karpathy, val2017 = root / "dataset_coco.json", root / "annotations/captions_val2017.json"
    if not karpathy.is_file() and not val2017.is_file():
        raise wrong_layout(root, "dataset_coco.json or annotations/captions_val2017.json")
    images: list[Row] = []
    texts: list[Row] = []
    skipped: list[Skipped] = []
    for file, protocol, add in ((karpathy, "standard", _karpathy), (val2017, "paper", _val2017)):
        if file.is_file():
            skipped += add(root, file, images, texts)
        else:
            skipped.append(Skipped(str(file), f"not there, and with it all of protocol {protocol}", "file"))
    return captions(images, texts, source, "retrieval", skipped)


def _add(images: list[Row], texts: list[Row], path: Path, sentences: list[str], protocol: str) -> None:
    row, name = len(images), f"{path.parent.name}/{path.name}"
    images.append(image_row(name, path, protocol))
    texts += [caption_row(name, text, row, pool, protocol) for pool, text in enumerate(sentences)]


def _karpathy(root: Path, file: Path, images: list[Row], texts: list[Row]) -> list[Skipped]:
    for number, record in enumerate(records(file, "images")):
        place = f"image {number}"

        def value(key: str, record: Any = record, place: str = place) -> Any:
            return field(record, key, file, place)

        if value("split") != "test":
            continue
        sentences = [
            text_of(field(entry, "raw", file, place), file, place)
            for entry in list_of(value("sentences"), file, place, "sentences")
        ]
        folder, name = (text_of(value(key), file, place, key) for key in ("filepath", "filename"))
        _add(images, texts, root / folder / name, sentences, "standard")
    return []


def _val2017(root: Path, file: Path, images: list[Row], texts: list[Row]) -> list[Skipped]:
    """Add what `file` lists; return the captions of images that it does not."""
    sentences = defaultdict(list)
    for number, note in enumerate(records(file, "annotations")):
        place = f"annotation {number}"
        caption = text_of(field(note, "caption", file, place), file, place)
        sentences[field(note, "image_id", file, place)].append(caption)
    for number, record in enumerate(records(file, "images")):
        place = f"image {number}"
        name = text_of(field(record, "file_name", file, place), file, place, "file_name")
        own = sentences.pop(field(record, "id", file, place), [])
        _add(images, texts, root / "val2017" / name, own, "paper")
    strays = [(number, text) for number, own in sentences.items() for text in own]
    return [
        Skipped(f"{file}: image_id {number}", "of an image that is not listed", "text")
        for number, _ in strays
    ]
