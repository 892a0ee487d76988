"""What a killed extraction leaves to the next: its finished chunks, outside of what DVC deletes before a stage.

A folder holds one feature file a chunk, ``000000.arrow`` onward, and ``fingerprint``: all that they depend on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hyma.common import features
from hyma.common.errors import HymaError
from hyma.common.features import FeatureInfo, Features
from hyma.common.files import remove, write_text


class Unfinished:
    """The chunks of one feature file, in order. Each is written at once or not at all."""

    def __init__(self, folder: Path, info: FeatureInfo, fingerprint: str):
        """Take over the chunks in `folder` if they were made under the same `fingerprint`, else delete them."""
        self.folder, self.info = folder, info
        self.chunks = self.rows = self.cut = 0
        """How many there are, and how many of the rows are texts that were cut."""
        mark = folder / "fingerprint"
        if not mark.is_file() or mark.read_bytes() != fingerprint.encode():
            remove(folder)
            write_text(mark, fingerprint)
        while (chunk := self._finished(self.chunks)) is not None:
            self._count(len(chunk), chunk.info.cut)

    def add(self, ids: Sequence[str], feature_ND: np.ndarray, cut: int = 0) -> None:
        """Keep the next chunk, `cut` rows of which are texts that were cut."""
        features.write(self._file(self.chunks), replace(self.info, cut=cut), [(ids, feature_ND)])
        self._count(len(ids), cut)

    def _count(self, rows: int, cut: int) -> None:
        self.chunks, self.rows, self.cut = self.chunks + 1, self.rows + rows, self.cut + cut

    def __iter__(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield (ids, features [rows, D]) of every chunk; one is in memory at a time."""
        for number in range(self.chunks):
            chunk = Features(self._file(number))
            yield from ((chunk.ids.to_pylist(), feature_ND) for feature_ND in chunk.chunks())

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06d}.arrow"

    def _finished(self, number: int) -> Features | None:
        """A chunk; None if it is not there, or damaged, as after a power failure."""
        if not self._file(number).is_file():
            return None
        try:
            chunk = Features(self._file(number))
            chunk.check()
            return chunk
        except HymaError:
            return None
