"""Which data sets a folder holds, told by the names of its files, the heads of its tables, and nothing else of it."""

import csv
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hyma.common.errors import HymaError
from hyma.readers.base.listing import is_hidden, is_picture
from hyma.readers.base.params import DataSource
from hyma.readers.base.tables import TABLES
from hyma.readers.formats.captions import NAMES
from hyma.readers.formats.flickr8k import FOLDERS

MARKS = {
    "llava": ("blip_laion_cc_sbu_558k.json", "chat.json"),
    "imagenet": ("val/n*[0-9]",),
    "cifar100": ("cifar-100-python/test",),
    "coco": ("dataset_coco.json", "annotations/captions_val2017.json"),
    "flickr8k": ("Flickr8k.token.txt", *(f"{folder}/../captions.txt" for folder in FOLDERS)),
    "okvqa": ("OpenEnded_mscoco_val2014_questions.json",),
    "textvqa": ("TextVQA_0.5.1_val.json",),
}
"""What a folder with a published data set has; one of them is enough."""
WEIGHTS = {
    "modules.json": "--text",
    "open_clip_config.json": "--image or --text",
    "model.safetensors": "--image or --text",
    "pytorch_model.bin": "--image or --text",
}
"""Files of an encoder's folder, and the option that takes it."""
LOOKED_AT = 20
"""Tables of a folder that are opened at most; entries of a folder that are looked at to find a picture."""


def sources(folder: Path) -> list[DataSource]:
    """The data sets in a folder itself, not in those below it, as entries of params.yaml."""
    published = [name for name, marks in MARKS.items() if any(_there(folder, mark) for mark in marks)]
    if published:
        return [_source(name, folder) for name in published]
    found = [_source("captions", path) for path in _tables(folder)]
    if any(path.is_file() for path in folder.glob("*.tar")):
        found.append(_source("webdataset", folder))
    if not found and _holds_classes(folder):
        found.append(_source("folders", folder))
    return found


def table(file: Path) -> DataSource:
    """A table of captions that was named itself.

    Raises:
        HymaError: if it is none.
    """
    if file.suffix.lower() not in TABLES:
        raise HymaError(
            f"{file}: neither a folder nor a table ({', '.join(TABLES)}); name the folder it is in"
        )
    return _source("captions", file)


def refuse_weights(folder: Path) -> None:
    """Refuse a folder that holds an encoder instead of data.

    Raises:
        HymaError: if it does.
    """
    for name, option in WEIGHTS.items():
        if (folder / name).is_file():
            raise HymaError(
                f"{folder}: an encoder's weights ({name}), no pictures; give it by {option}, "
                "and name the folder of your pictures and captions here"
            )


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name; hidden ones are none."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path))


def columns(file: Path) -> list[str]:
    """The columns of a table as they are written; none if it cannot be read."""
    with suppress(OSError, ValueError, csv.Error, pa.ArrowInvalid):  # UnicodeDecodeError is a ValueError
        if file.suffix.lower() == ".parquet":
            return list(pq.read_schema(file).names)
        with file.open(encoding="utf-8-sig", newline="") as stream:
            if file.suffix.lower() == ".csv":
                return next(csv.reader(stream), [])
            record = json.loads(next(stream, "null"))
            return list(record) if isinstance(record, dict) else []
    return []


def _source(name: str, path: Path) -> DataSource:
    return DataSource.model_validate({"format": name, "path": str(path)})


def _there(folder: Path, mark: str) -> bool:
    return next(folder.glob(mark), None) is not None if "*" in mark else (folder / mark).is_file()


def _tables(folder: Path) -> Iterator[Path]:
    """The folder itself if it has a table of the usual name, else the tables in it that have the right columns."""
    if any((folder / name).is_file() for name in NAMES):
        yield folder
        return
    others = sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLES and path.is_file())
    for file in others[:LOOKED_AT]:
        named = {column.strip().lower() for column in columns(file)}
        if "image" in named and named & {"caption", "text"}:
            yield file


def _holds_classes(folder: Path) -> bool:
    """Whether most of its folders hold pictures, at least two of them, and none is a data set of its own."""
    inside = subfolders(folder)
    own = [path for path in inside if _holds_picture(path)]
    if len(own) < 2 or 2 * len(own) <= len(inside):
        return False
    return not any(next(_tables(path), None) or next(path.glob("*.tar"), None) for path in inside[:LOOKED_AT])


def _holds_picture(folder: Path) -> bool:
    for number, path in enumerate(folder.iterdir()):
        if is_picture(path):
            return True
        if number > LOOKED_AT:
            break
    return False
