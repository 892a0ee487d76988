"""Looking at a folder: the data sets in it, how much they hold, and what in it is left out. No picture is opened."""

import importlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared
from hyma.readers.base.params import DataSource
from hyma.readers.formats.captions import NAMES
from hyma.readers.hints import why_not
from hyma.readers.recognise import TABLES, columns, is_picture, refuse_weights, sources, subfolders, table

CAPTIONED = ("captions", "webdataset", "llava")
"""Formats that may train: others are benchmarks."""
SHOWN = 3
"""Captions, and names of what is left out, that are told."""
TOO_MANY = 0.2
"""Share of a table's pictures that may be missing: with more, the paths are wrong rather than the pictures gone."""
_STRETCH = re.compile(r"#\d+\+\d+$")


@dataclass(frozen=True)
class LeftOut:
    """Things of one kind that are left out, and why."""

    reason: str
    count: int
    names: tuple[str, ...]
    """The first of them."""


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
        """The captions of every picture that is there, by its row; empty ones are left out."""
        captions: dict[int, list[str]] = defaultdict(list)
        if self.draft.meta.task in ("pairs", "retrieval"):
            texts = self.draft.texts
            for row, text in zip(texts["image"].to_pylist(), texts["text"].to_pylist(), strict=True):
                if text.strip() and self.sizes[row] is not None:
                    captions[row].append(text)
        return captions

    @property
    def said(self) -> list[str]:
        """All these captions."""
        return [text for own in self.captioned.values() for text in own]

    @property
    def lost(self) -> float:
        """The share of pictures, or of captions if that is more, that is left out."""
        skipped, listed = len(self.draft.meta.skipped), len(self.draft.texts)
        of_pictures = (len(self.sizes) - self.pictures + skipped) / max(1, len(self.sizes) + skipped)
        if self.draft.meta.task not in ("pairs", "retrieval"):
            return of_pictures
        empty = sum(not text.strip() for text in self.draft.texts["text"].to_pylist())
        return max(of_pictures, empty / max(1, listed))


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
    reader = importlib.import_module(f"hyma.readers.formats.{source.format}")
    draft: Prepared = reader.read(root, source)
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
    found.left_out.extend(_left_out(found, missing))
    return found


def _size(image: dict[str, Any]) -> int | None:
    if image["bytes"] is not None:
        return len(image["bytes"])
    try:
        return os.stat(_STRETCH.sub("", image["path"])).st_size  # noqa: PTH116 (half a million of them)
    except OSError:
        return None


def _left_out(found: Found, missing: list[str]) -> Iterator[LeftOut]:
    grouped: dict[str, list[str]] = defaultdict(list)
    for skipped in found.draft.meta.skipped:
        grouped[skipped.reason].append(skipped.file)
    grouped["pictures that are not there"] = missing
    if found.draft.meta.task in ("pairs", "retrieval"):
        texts = zip(found.draft.texts["id"].to_pylist(), found.draft.texts["text"].to_pylist(), strict=True)
        grouped["empty captions"] = [
            name.rpartition("#")[0] or name for name, text in texts if not text.strip()
        ]
    grouped |= _unread(found)
    for reason, names in grouped.items():
        if names:
            yield LeftOut(reason, len(names), tuple(names[:SHOWN]))


def _unread(found: Found) -> dict[str, list[str]]:
    """Files in the data set's folder that its reader passes over."""
    root = Path(found.source.path)
    if found.source.format == "captions" and root.is_dir():
        named = set(found.paths)
        files = [path for path in _walk(root) if os.path.abspath(path) not in named]  # noqa: PTH100
        read = next(name for name in NAMES if (root / name).is_file())
        tables = [path for path in files if path.suffix.lower() in TABLES and path != root / read]
        nameless = [path for path in files if is_picture(path)]
        others = [path for path in files if path not in {root / read, *tables} and not is_picture(path)]
        return {
            f"tables, since {read} is read": [_headed(path, root) for path in tables],
            "pictures that no caption names": [_short(path, root) for path in nameless],
            "files of a kind that is not read": [_short(path, root) for path in others],
        }
    if found.source.format in ("webdataset", "folders"):
        depth = 1 if found.source.format == "webdataset" else 2
        kept = (lambda path: path.suffix == ".tar") if depth == 1 else is_picture
        below = [path for path in root.glob("/".join("*" * depth)) if path.is_file() and path.name[0] != "."]
        others = sorted(path for path in below if not kept(path))
        return {"files of a kind that is not read": [_short(path, root) for path in others]}
    return {}


def _walk(root: Path) -> Iterator[Path]:
    """The files in a folder and below it; what is hidden, or a data set of its own, is passed over."""
    with os.scandir(root) as entries:
        own = sorted(
            (entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name
        )
    for entry in own:
        path = root / entry.name
        if not entry.is_dir():
            yield path
        elif not sources(path):
            yield from _walk(path)


def _short(path: Path, root: Path) -> str:
    return str(path.relative_to(root))


def _headed(path: Path, root: Path) -> str:
    return f"{_short(path, root)}: {', '.join(columns(path)) or 'no columns'}"
