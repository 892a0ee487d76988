"""Results that a stage keeps apart, so that what changes for one of them does not make the others anew.

DVC runs a whole stage again when any of its inputs changes. A stage that makes several results (every encoder's
features of every data set, the connectors of all pairs, the answers of several search methods) puts each through
`Kept`: it lies in data/kept/<stage>/ under a fingerprint of all that it depends on, code included, and is taken from
there as long as that stays. A stage that was killed goes on where it was, for the same reason.

Nothing rests on the folder: it may be deleted at any time, and holds no more than each stage's last results. With each
lies a digest of its files, written last: a result that was cut short, or changed where it lies or through an output
that shares its bytes, is made anew. Those that a stage places among its outputs it lists in data/made/<stage>.json, an
output too. What is not in the folder is looked for by that list in DVC's cache: so nothing is made anew in a clone
either, once `dvc pull` was run.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from hyma.common.earlier import Earlier
from hyma.common.files import atomic, read_json, remove, sha256, write_json, write_text

ROOT = Path("data")
DIGITS = 20
"""Of a fingerprint that a folder's name holds."""
DIGEST = ".digest"
"""Beside the files of a result: what `content` says of them."""

log = logging.getLogger(__name__)


class Kept:
    """The results of one stage; used as a context, at whose end those that nobody asked for are deleted."""

    def __init__(self, stage: str, root: Path = ROOT, places: bool = True):
        """Open what is kept in `root`; without `places`, none goes among the stage's outputs, nor any list."""
        self.folder = root / "kept" / stage
        self.list = root / "made" / f"{stage}.json" if places else None
        self.wanted: set[str] = set()
        self.made: list[str] = []
        """Names of the results that were made, not taken."""
        self.placed: dict[str, dict[str, str]] = {}
        """A result's folder → its files by name → where they are among the outputs."""
        self.earlier = Earlier()

    def has(self, name: str, inputs: tuple[str, ...]) -> bool:
        """Say whether there is a result of these inputs."""
        return self._there(self.folder / _own(name, inputs))

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
        new = [name for name, folder in found.items() if not self._there(folder)]
        for name in (name for name in found if name not in new):
            log.info("%s: nothing that it depends on has changed: kept", name)
        if new:
            with ExitStack() as stack:
                into = {name: stack.enter_context(atomic(found[name])) for name in new}
                for folder in into.values():
                    folder.mkdir()
                make(into)
                for folder in into.values():
                    _seal(folder)
            self.made += new
        return found

    def place(self, file: Path, out: Path) -> None:
        """Put a file of a result where the stage's output belongs: a hard link, or a copy where there can be none."""
        place(file, out)
        self.placed.setdefault(file.parent.name, {})[file.name] = out.as_posix()

    def place_all(self, folder: Path, out: Path) -> None:
        """Put all files of a result into a folder of the stage's outputs."""
        for file in sorted(folder.glob("[!.]*")):
            self.place(file, out / file.name)

    def _there(self, folder: Path) -> bool:
        """Whether a result is there as it was made, or was brought from DVC's cache."""
        if folder.is_dir():
            if _whole(folder):
                return True
            log.warning("%s: not as it was made: not used", folder)
        files = self._listed.get(folder.name, {})
        cached = {name: file for name, out in files.items() if (file := self.earlier.file(Path(out)))}
        if not files or len(cached) < len(files):
            return False
        with atomic(folder) as temporary:
            temporary.mkdir()
            for name, file in cached.items():
                shutil.copyfile(file, temporary / name)
            _seal(temporary)
        return True

    @cached_property
    def _listed(self) -> dict[str, dict[str, str]]:
        """What the last run placed."""
        file = self.list and self.earlier.file(self.list)
        return {} if file is None else read_json(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.name not in self.wanted:
                remove(path)
        if self.list is not None:
            write_json(self.list, self.placed)


def _own(name: str, inputs: tuple[str, ...]) -> str:
    return f"{name}.{sha256(*inputs)[:DIGITS]}"


def _seal(folder: Path) -> None:
    """Note what a result is, now that it is whole."""
    write_text(folder / DIGEST, content(folder))


def _whole(folder: Path) -> bool:
    """Whether a result is what was noted of it."""
    mark = folder / DIGEST
    return mark.is_file() and mark.read_bytes() == content(folder).encode()


def place(file: Path, out: Path) -> None:
    """Put a kept file where the stage's output belongs: a hard link, or a copy where there can be none."""
    with atomic(out) as temporary:
        try:
            os.link(file, temporary)
        except OSError:
            shutil.copyfile(file, temporary)


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
