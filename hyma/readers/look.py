"""Looking at a folder: the data sets in it, how much they hold, and what in it is left out. No picture is opened."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from hyma.common.errors import HymaError
from hyma.common.left_out import LeftOut, left_out
from hyma.common.prepared import Prepared, Skipped
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import read
from hyma.readers.base.tables import TABLES
from hyma.readers.hints import why_not
from hyma.readers.recognise import columns, refuse_weights, sources, subfolders, table

CAPTIONED = ("captions", "webdataset", "llava")
"""Formats that may train: others are benchmarks."""
TOO_MANY = 0.2
"""Share of a table's pictures that may be missing: with more, the paths are wrong rather than the pictures gone."""
_STRETCH = re.compile(r"#\d+\+\d+$")


@dataclass(frozen=True)
class Found:
    """A data set that is there."""

    source: DataSource
    draft: Prepared = field(repr=False)
    """As the format's reader gives it."""
    sizes: list[int | None] = field(repr=False)
    """Bytes of every picture's file; None where it is not there."""
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def pictures(self) -> int:
        """Pictures whose files are there."""
        return sum(size is not None for size in self.sizes)

    @property
    def trains(self) -> bool:
        """Whether it may be the training set."""
        return self.source.format in CAPTIONED

    @property
    def paths(self) -> list[str | None]:
        """The pictures' paths, made comparable; None where they lie in the table."""
        given = self.draft.images["image"].to_pylist()
        return [image["path"] and os.path.abspath(image["path"]) for image in given]  # noqa: PTH100 (no symlinks)

    @property
    def captioned(self) -> dict[int, list[str]]:
        """The captions of every picture that is there, by its row."""
        captions: dict[int, list[str]] = defaultdict(list)
        if self.draft.meta.task in ("pairs", "retrieval"):
            texts = self.draft.texts
            for row, text in zip(texts["image"].to_pylist(), texts["text"].to_pylist(), strict=True):
                if self.sizes[row] is not None:
                    captions[row].append(text)
        return captions

    @property
    def said(self) -> list[str]:
        """All these captions."""
        return [text for own in self.captioned.values() for text in own]

    @property
    def lost(self) -> float:
        """The share of pictures, or of captions if that is more, that is left out."""
        skipped = self.draft.meta.skipped
        images, texts = (sum(one.kind == kind for one in skipped) for kind in ("image", "text"))
        return max(
            (len(self.sizes) - self.pictures + images) / max(1, len(self.sizes) + images),
            texts / max(1, len(self.draft.texts) + texts),
        )


@dataclass
class Survey:
    """What looking at some folders told."""

    found: list[Found] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Data sets that are there and cannot be used, a line each."""

    def problem(self, place: Path) -> str:
        """The first problem of a place or what is in it; nothing if there is none."""
        return next((line for line in self.problems if holds(place, line.partition(": ")[0])), "")


def look(places: Iterable[Path]) -> Survey:
    """Look at folders, and at those directly in them; a table of captions may be named itself.

    Raises:
        HymaError: if one is not there, holds an encoder, or has captions that cannot be read.
    """
    survey = Survey()
    seen = set()
    for place in places:
        own = list(_sources(place))
        for source in own:
            key = (source.format, Path(source.path).resolve())
            if key not in seen:
                seen.add(key)
                _add(survey, source)
        if not own:
            survey.problems.append(f"{place}: no data set; {why_not([place])}")
    return survey


def holds(place: Path, path: str) -> bool:
    """Whether a path is a place or lies in it."""
    return Path(path).resolve().is_relative_to(place.resolve())


def _sources(place: Path) -> Iterator[DataSource]:
    if place.is_file():
        yield table(place)
        return
    if not place.is_dir():
        raise HymaError(f"{place}: no such folder; name the folder of your pictures and captions")
    own = sources(place)
    if not own:
        refuse_weights(place)
    yield from own
    if not own or {source.format for source in own} <= {"captions", "webdataset"}:
        for folder in subfolders(place):
            yield from sources(folder)


def _add(survey: Survey, source: DataSource) -> None:
    try:
        survey.found.append(describe(source))
    except HymaError as error:
        if source.format in CAPTIONED:
            raise
        survey.problems.append(str(error))


def describe(source: DataSource) -> Found:
    """Read a data set by its format's reader, and see which of its files are there.

    Raises:
        HymaError: if it cannot be read, or too many of its pictures are not there.
    """
    root = Path(source.path)
    draft = read(source)
    images = draft.images["image"].to_pylist()
    sizes = [_size(image) for image in images]
    missing = [image["path"] for image, size in zip(images, sizes, strict=True) if size is None]
    if not images or len(missing) > TOO_MANY * len(images):
        first = f" (the first: {missing[0]})" if missing else ""
        raise HymaError(
            f"{root}: {len(missing):,} of {len(images):,} pictures that it names are not there{first}; "
            "correct the paths, or put the pictures there"
        )
    found = Found(source, draft, sizes)
    return replace(found, left_out=_left_out(found, missing))


def _size(image: dict[str, Any]) -> int | None:
    if image["bytes"] is not None:
        return len(image["bytes"])
    try:
        return os.stat(_STRETCH.sub("", image["path"])).st_size  # noqa: PTH116 (half a million of them)
    except OSError:
        return None


def _left_out(found: Found, missing: list[str]) -> list[LeftOut]:
    root = Path(found.source.path)
    own = [
        replace(one, file=_short(one.file, root))
        for one in found.draft.meta.skipped
        if one.kind != "file" or not _of_another(Path(one.file), root)
    ]
    return left_out(own + [Skipped(name, "a picture that is not there") for name in missing])


def _of_another(file: Path, root: Path) -> bool:
    """Whether a file below a data set's folder lies in another data set's."""
    above = [folder for folder in file.parents if folder != root and folder.is_relative_to(root)]
    return any(map(_is_data_set, above))


@cache
def _is_data_set(folder: Path) -> bool:
    return folder.is_dir() and bool(sources(folder))


def _short(file: str, root: Path) -> str:
    """A file's name from the data set's folder on; the heads of tables, too."""
    path = Path(file)
    name = str(path.relative_to(root)) if path.is_relative_to(root) else file
    headed = path.suffix.lower() in TABLES and path.is_file()
    return f"{name}: {', '.join(columns(path)) or 'no columns'}" if headed else name
