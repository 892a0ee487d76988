"""Results that a stage keeps apart, so that what changes for one of them does not make the others anew.

DVC runs a whole stage again when any of its inputs changes. A stage that makes several results (an encoder's
features of several data sets, the connectors of several pairs, the answers of several search methods) puts each
through `Kept`: it lies in data/kept/<stage>/ under a fingerprint of all that it depends on, code included, and is
taken from there as long as that stays. A stage that was killed goes on where it was, for the same reason.

Nothing rests on the folder: it may be deleted at any time, and holds no more than each stage's last results.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from hyma.common.files import atomic, remove, sha256

ROOT = Path("data/kept")
DIGITS = 20
"""Of a fingerprint that a folder's name holds."""

log = logging.getLogger(__name__)


class Kept:
    """The results of one stage; used as a context, at whose end those that nobody asked for are deleted."""

    def __init__(self, stage: str, root: Path = ROOT):
        self.folder = root / stage
        self.wanted: set[str] = set()
        self.made: list[str] = []
        """Names of the results that were made, not taken."""

    def has(self, name: str, inputs: tuple[str, ...]) -> bool:
        """Say whether there is a result of these inputs."""
        return (self.folder / _own(name, inputs)).is_dir()

    def result(self, name: str, inputs: tuple[str, ...], make: Callable[[Path], None]) -> Path:
        """Return the folder of a result, which `make` fills if there is none of these `inputs` yet.

        Args:
            name: of the result, within the stage; no slashes.
            inputs: digests and settings that together are all that the result depends on.
            make: is given an empty folder; what it leaves there when it fails is deleted.
        """
        return self.results({name: inputs}, lambda folders: make(folders[name]))[name]

    def results(
        self, wanted: Mapping[str, tuple[str, ...]], make: Callable[[dict[str, Path]], None]
    ) -> dict[str, Path]:
        """Return the folders of several results by name; `make` fills those that there are none of, at once.

        Args:
            wanted: name → inputs, as of `result`.
            make: is given the empty folders of the results to make, by name.
        """
        found = {name: self.folder / _own(name, inputs) for name, inputs in wanted.items()}
        self.wanted.update(folder.name for folder in found.values())
        new = [name for name, folder in found.items() if not folder.is_dir()]
        for name in (name for name in found if name not in new):
            log.info("%s: nothing that it depends on has changed: kept", name)
        if new:
            with ExitStack() as stack:
                into = {name: stack.enter_context(atomic(found[name])) for name in new}
                for folder in into.values():
                    folder.mkdir()
                make(into)
            self.made += new
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.folder.is_dir():
            for path in self.folder.iterdir():
                if path.name not in self.wanted:
                    remove(path)


def _own(name: str, inputs: tuple[str, ...]) -> str:
    return f"{name}.{sha256(*inputs)[:DIGITS]}"


def place(file: Path, out: Path) -> None:
    """Put a kept file where the stage's output belongs: a hard link, or a copy where there can be none."""
    out.parent.mkdir(parents=True, exist_ok=True)
    remove(out)
    try:
        os.link(file, out)
    except OSError:
        shutil.copyfile(file, out)


def content(*paths: Path) -> str:
    """Digest of the bytes of files, and of the files in folders by name, hidden ones left out."""
    files = [
        (each.relative_to(path).as_posix(), each)
        for path in paths
        for each in (sorted(path.rglob("*")) if path.is_dir() else [path])
        if each.is_file() and not each.name.startswith(".")
    ]
    return sha256(*(part for name, file in files for part in (name, _bytes(file))))


def _bytes(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()
