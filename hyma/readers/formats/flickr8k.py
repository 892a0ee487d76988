"""Flickr8k's 1,000 test images, in either layout that is in circulation."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared
from hyma.readers.base.common import Row, caption_row, captions, first_of, image_row
from hyma.readers.base.params import DataSource

FOLDERS = ("Images", "Flicker8k_Dataset", "Flickr8k_Dataset")
TEST_IMAGES = 1000


def read(root: Path, source: DataSource) -> Prepared:
    """Read ``captions.txt`` or ``Flickr8k.token.txt`` and the list of test images.

    Without ``Flickr_8k.testImages.txt`` the last 1,000 images in the file's order are the test images.
    """
    by_image = _captions(root)
    listed = root / "Flickr_8k.testImages.txt"
    names = _lines(listed) if listed.is_file() else list(by_image)[-TEST_IMAGES:]
    folder = next((root / name for name in FOLDERS if (root / name).is_dir()), root / FOLDERS[0])
    images: list[Row] = []
    texts: list[Row] = []
    for name in dict.fromkeys(name.strip() for name in names if name.strip()):
        if name not in by_image:
            raise HymaError(
                f"{listed}: {name} has no caption; the list and the captions do not belong together"
            )
        texts += [caption_row(name, text, len(images), pool) for pool, text in enumerate(by_image[name])]
        images.append(image_row(name, folder / name))
    return captions(images, texts, source, "retrieval")


def _lines(file: Path) -> list[str]:
    """The lines of a file; a caption may hold what Python takes for the end of a line, but no file does.

    Raises:
        HymaError: if it is no text in UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise HymaError(f"{file}: not UTF-8; save it again in that encoding") from None


def _captions(root: Path) -> dict[str, list[str]]:
    file = first_of(root, "captions.txt", "Flickr8k.token.txt")
    by_image = defaultdict(list)
    rows = _table(file) if file.name == "captions.txt" else _tokens(file)
    for name, caption in rows:
        by_image[name].append(caption.strip())
    return by_image


def _table(file: Path) -> Iterator[tuple[str, str]]:
    lines = _lines(file)[1:]  # the header: image,caption
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        name, comma, caption = line.rstrip("\r").partition(",")
        if not comma:
            raise HymaError(f"{file}: line {number}: expected image,caption; is this the original file?")
        yield name, _unquoted(caption)


def _unquoted(caption: str) -> str:
    """A caption without the quotes around it; one with commas that nobody quoted, or with a quote of its own, stays."""
    try:
        fields = next(csv.reader([caption], strict=True), [])
    except csv.Error:
        return caption
    return fields[0] if len(fields) == 1 else caption


def _tokens(file: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        name, tab, caption = line.partition("\t")
        if not tab or "#" not in name:
            raise HymaError(f"{file}: line {number}: expected name.jpg#0<TAB>caption")
        yield name.rpartition("#")[0], caption
