"""Picture files: finding them in folders, and reading them one after the other."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from hyma.common.errors import HymaError
from hyma.common.names import SUFFIXES
from hyma.common.pictures import UnreadableError, decode


def find(places: Iterable[str | Path]) -> list[Path]:
    """Find picture files.

    Args:
        places: files, taken whatever their endings, and folders, searched to the bottom for files that end as
            pictures do. Hidden files and folders are left out, links to folders are not followed.

    Returns:
        Each file once, in the order of `places`, sorted within each.

    Raises:
        HymaError: if one is not there, a folder may not be read, or there are no pictures in any.
    """
    given = [Path(place) for place in places]
    found = list(dict.fromkeys(path for place in given for path in _within(place)))
    if not found:
        names = ", ".join(map(str, given[:3])) + (" …" if len(given) > 3 else "")
        raise HymaError(f"{names}: no pictures there; they end in {', '.join(sorted(SUFFIXES))}")
    for path in found:
        if not _is_text(path):
            raise HymaError(f"{os.fsencode(path)!r}: the name is no UTF-8; rename the file")
    return found


def _within(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise HymaError(f"{place}: no such file or folder; correct the path")
    found = []
    for folder, inner, names in os.walk(place, onerror=_refuse):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.suffix.lower() in SUFFIXES)


def _refuse(error: OSError) -> None:
    raise HymaError(f"{error.filename}: {error.strerror}; correct its permissions, or leave it out") from None


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class Skipped:
    """A picture that was left out."""

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
        self.skipped: list[Skipped] = []
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
        self.skipped.append(Skipped(str(path), reason))


def opened(path: Path) -> Image.Image:
    """Return the picture in a file, RGB and upright.

    Raises:
        UnreadableError: if it cannot be opened or is no picture.
    """
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise UnreadableError(f"cannot be opened ({error.strerror or error})") from None
