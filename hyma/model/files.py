"""Picture files: finding them in folders, and reading them one after the other."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from hyma.common.errors import HymaError
from hyma.common.left_out import LeftOut, left_out
from hyma.common.names import SUFFIXES
from hyma.common.pictures import UnreadableError, decode
from hyma.common.prepared import Skipped
from hyma.readers.base.listing import BROKEN_LINK, HIDDEN, NAME, OTHER, is_hidden, is_text, writable

LINK, SPECIAL = "a link to a folder, not followed", "no regular file"
SHOWN = 3
"""Places that are named where there is no picture in any."""


@dataclass(frozen=True)
class Found:
    """Picture files, and what else lies in the folders that were searched."""

    paths: list[Path]
    left_out: list[LeftOut]
    """By reason."""


def find(places: Iterable[str | Path]) -> Found:
    """Find picture files.

    Args:
        places: files, taken whatever their endings, and folders, searched to the bottom for files that end as
            pictures do. Hidden files and folders are left out, links to folders are not followed.

    Returns:
        Each file once, however often and by whatever spelling of its path it was met, in the order of `places`,
        sorted within each; and what was left out.

    Raises:
        HymaError: if one is not there, a folder may not be read, or there are no pictures in any.
    """
    given = [Path(place) for place in places]
    paths: dict[Path, Path] = {}
    passed: dict[Path, Skipped] = {}
    parent = cache(Path.resolve)
    for path, reason in (found for place in given for found in _within(place)):
        true = parent(path.parent) / path.name
        if reason:
            passed.setdefault(true, Skipped(writable(str(path)), reason, "file"))
        else:
            paths.setdefault(true, path)
    left = left_out(
        [skipped for true, skipped in passed.items() if true not in paths]
    )  # not what was named itself
    if not paths:
        names = ", ".join(map(str, given[:SHOWN])) + (" …" if len(given) > SHOWN else "")
        passed_by = (
            "; left out: " + ", ".join(f"{each.reason} ({each.count:,})" for each in left) if left else ""
        )
        raise HymaError(f"{names}: no pictures there, which end in .jpg, .png or the like{passed_by}")
    return Found(list(paths.values()), left)


def _within(place: Path) -> Iterator[tuple[Path, str]]:
    """The files of a place, each with the reason to leave it out; pictures have none."""
    if place.is_file():
        if not is_text(str(place)):
            raise HymaError(f"{writable(str(place))}: the name is no UTF-8; rename the file")
        yield place, ""
        return
    if not place.is_dir():
        raise HymaError(f"{place}: no such file or folder; correct the path")
    yield from sorted((path, _reason(path)) for path in _below(place))


def _below(place: Path) -> Iterator[Path]:
    """The files below a folder, and the folders that are not looked into."""
    for folder, inner, names in os.walk(place, onerror=_refuse):
        closed = [name for name in inner if _is_closed(Path(folder, name))]
        inner[:] = [name for name in inner if name not in closed]
        yield from (Path(folder, name) for name in (*names, *closed))


def _is_closed(folder: Path) -> bool:
    return is_hidden(folder) or not is_text(str(folder)) or folder.is_symlink()


def _reason(path: Path) -> str:
    """Why something in a folder is left out; nothing for a picture."""
    if is_hidden(path):
        return HIDDEN
    if not is_text(str(path)):
        return NAME
    if path.is_file():
        return "" if path.suffix.lower() in SUFFIXES else OTHER
    if path.is_symlink():
        return LINK if path.is_dir() else BROKEN_LINK
    return SPECIAL


def _refuse(error: OSError) -> None:
    raise HymaError(f"{error.filename}: {error.strerror}; correct its permissions, or leave it out") from None


@dataclass(frozen=True)
class Unread:
    """A picture that was left out, since it cannot be read."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class PictureFiles:
    """Pictures of files, opened one at a time while they are gone through; remembers what became of each."""

    def __init__(self, paths: Sequence[Path], skip_unreadable: bool = False, desc: str = "images"):
        """Take the files; none is opened yet.

        Args:
            paths: of the pictures.
            skip_unreadable: leave out pictures that cannot be read instead of stopping.
            desc: what the progress bar says.
        """
        self.paths, self.skip_unreadable, self.desc = paths, skip_unreadable, desc
        self.read: list[Path] = []
        """The files opened so far."""
        self.skipped: list[Unread] = []
        """The files left out so far."""

    def __iter__(self) -> Iterator[Image.Image]:
        """Yield the pictures, RGB and upright.

        Raises:
            HymaError: if one cannot be read and nothing is to be left out, or if none can be read.
        """
        for path in tqdm(self.paths, desc=self.desc, unit="image", disable=None):
            try:
                picture = opened(path)
            except UnreadableError as error:
                self._leave_out(path, str(error))
                continue
            self.read.append(path)
            yield picture
        if self.skipped and not self.read:
            raise HymaError(
                f"{self.skipped[0]}; none of {len(self.paths):,} pictures can be read, replace some"
            )

    def _leave_out(self, path: Path, reason: str) -> None:
        if not self.skip_unreadable:
            raise HymaError(
                f"{path}: {reason}; replace it, or leave out such pictures with --skip-unreadable"
            )
        self.skipped.append(Unread(str(path), reason))


def opened(path: Path) -> Image.Image:
    """Return the picture in a file, RGB and upright.

    Raises:
        UnreadableError: if it cannot be opened or is no picture.
    """
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise UnreadableError(f"cannot be opened ({error.strerror or error})") from None
