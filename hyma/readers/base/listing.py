"""What lies in a data set's folders: what a reader takes, and all else by reason, so that nothing vanishes unseen."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from hyma.common.errors import HymaError
from hyma.common.names import SUFFIXES
from hyma.common.prepared import Skipped

RESOURCES = {"Thumbs.db", "desktop.ini", "__MACOSX"}
"""What systems leave beside pictures, under names that are not hidden."""
HIDDEN, OTHER = "hidden or a system's own", "of a kind that is not read"
INNER, DEEPER, LOOSE = (
    "a folder within a class",
    "a folder deeper than its class",
    "beside the classes' folders",
)
BROKEN_LINK, NAME = "a link to what is not there", "its name is no UTF-8"


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is nobody's data: hidden, or a system's."""
    return path.name.startswith(".") or path.name in RESOURCES


def is_picture(path: Path) -> bool:
    """Whether a file's name is a picture's."""
    return path.suffix.lower() in SUFFIXES and not is_hidden(path)


def is_text(name: str) -> bool:
    """Whether a name can be written: names of files may hold bytes that are no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def writable(name: str) -> str:
    """A name in which bytes that are no text are spelled out."""
    return name.encode("utf-8", "backslashreplace").decode()


def passed_over(paths: Iterable[Path], reason: str = "") -> list[Skipped]:
    """Files that a reader does not take, each with its reason, or one that its name tells."""
    return [Skipped(writable(str(path)), reason or _reason(path), "file") for path in paths]


def _reason(path: Path) -> str:
    if is_hidden(path):
        return HIDDEN
    if not is_text(path.name):
        return NAME
    return BROKEN_LINK if path.is_symlink() and not path.exists() else OTHER


def entries(folder: Path) -> list[Path]:
    """What is in a folder, by name.

    Raises:
        HymaError: if it may not be read.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise HymaError(f"{folder}: {error.strerror}; correct its permissions") from None


def classes(root: Path) -> tuple[dict[Path, list[Path]], list[Skipped]]:
    """The folders in a folder, each with its pictures, and what is left out.

    Pictures in folders below count as left out of the data set; files that are none do not.
    """
    found: dict[Path, list[Path]] = {}
    lost: list[Skipped] = []
    for folder in entries(root):
        if is_hidden(folder) or not is_text(folder.name):
            lost += passed_over([folder])
        elif not folder.is_dir():
            lost += passed_over([folder], LOOSE if folder.exists() else "")
        else:
            own = entries(folder)
            found[folder] = [path for path in own if is_picture(path) and not path.is_dir()]
            deeper = [path for path in own if path.is_dir() and not is_hidden(path)]
            taken = {*found[folder], *deeper}
            lost += passed_over(path for path in own if path not in taken)
            for path in deeper:
                lost += passed_over([path], INNER)
                lost += [Skipped(writable(str(file)), DEEPER) for file in walk(path) if is_picture(file)]
    return found, lost


def walk(root: Path) -> Iterator[Path]:
    """The files in a folder and all below it, by name; hidden ones too, but not what is in hidden folders."""
    for folder, inner, names in os.walk(root):
        hidden = [name for name in inner if is_hidden(Path(name))]
        inner[:] = sorted(set(inner) - set(hidden))
        yield from (Path(folder, name) for name in sorted([*names, *hidden]))
