"""An index of pictures: their embeddings on disk, and the ones nearest to a query.

Letters: N pictures, D the width of the model's space.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hyma.common import features
from hyma.common.errors import HymaError
from hyma.common.features import FeatureInfo, Features
from hyma.model.files import PictureFiles, Unread
from hyma.model.inputs import Picture
from hyma.model.shapes import Embedder

BATCHES = 16
"""Batches of vectors that are written at once."""


@dataclass(frozen=True)
class Hit:
    """A picture that was found."""

    path: str
    score: float
    """Cosine with the query, -1 to 1."""


@dataclass(frozen=True)
class ImageIndex:
    """Embeddings of pictures; from a file they are memory-mapped, not read.

    `chunks` are float32 unit vectors [n, D] each, together N rows, in the order of `names`.
    """

    names: Sequence[str]
    chunks: Sequence[np.ndarray]
    fingerprint: str
    """Of the model that made them."""

    @classmethod
    def of(cls, model: Embedder, pictures: Iterable[Picture], names: Sequence[str]) -> "ImageIndex":
        """Index pictures in memory, under `names`.

        Raises:
            HymaError: if there are not as many names as pictures, or as `encode_image`.
        """
        image_ND = model.encode_image(pictures).numpy()
        if len(names) != len(image_ND):
            raise HymaError(f"names: {len(names):,} given for {len(image_ND):,} pictures; give one for each")
        return cls(names, [image_ND], model.fingerprint)

    @classmethod
    def open(cls, file: Path) -> "ImageIndex":
        """Open what `write` wrote.

        Raises:
            HymaError: if there is no such file, or it is no index.
        """
        try:
            found = Features(file)
        except HymaError:
            said = "not an index" if file.is_file() else "no such file"
            raise HymaError(f"{file}: {said}; write one with `hyma index FOLDER`") from None
        return cls(found.ids, list(found.chunks()), found.info.encoder)

    def check(self, fingerprint: str) -> None:
        """Refuse a model that did not make this index.

        Raises:
            HymaError: if the fingerprints differ.
        """
        if fingerprint != self.fingerprint:
            raise HymaError(
                "index: made with another model; name that one with --model, or index the folder again"
            )

    def __len__(self) -> int:
        return len(self.names)

    def nearest(self, query_D: Tensor, top: int) -> list[Hit]:
        """Return the `top` pictures with the highest cosine, best first; chunk by chunk, in the memory of one."""
        best: list[tuple[float, int]] = []
        start = 0
        for chunk_nD in self.chunks:
            score_n = chunk_nD @ query_D.numpy()
            kept = np.argsort(-score_n, kind="stable")[:top]
            best = sorted([*best, *((-float(score_n[row]), start + int(row)) for row in kept)])[:top]
            start += len(chunk_nD)
        return [Hit(str(self.names[row]), -score) for score, row in best]


def write(
    file: Path,
    model: Embedder,
    paths: Sequence[Path],
    batch_size: int = 64,
    skip_unreadable: bool = False,
) -> list[Unread]:
    """Encode picture files into an index, chunk by chunk, in the memory of one.

    Args:
        file: where to.
        model: encodes them.
        paths: of the pictures; they are the names in the index.
        batch_size: pictures encoded at once.
        skip_unreadable: leave out pictures that cannot be read instead of stopping.

    Returns:
        What was left out, and why.

    Raises:
        HymaError: if there are no pictures, one cannot be read, or there is a folder at `file`.
    """
    if not paths:
        raise HymaError("no pictures to index; give a folder that holds some")
    if file.is_dir():  # it would be replaced, with all that is in it
        raise HymaError(f"{file}: a folder; name a file for the index")
    pictures = PictureFiles(paths, skip_unreadable, "index")
    info = FeatureInfo(model.fingerprint, "", model.dim, 0.0)
    features.write(file, info, _chunks(model.embedded(pictures, batch_size), pictures.read))
    return pictures.skipped


def _chunks(batches: Iterator[Tensor], read: Sequence[Path]) -> Iterator[tuple[list[str], np.ndarray]]:
    """Join batches of vectors to chunks, under the names of the pictures that were `read` for them."""
    start = 0
    while parts := list(islice(batches, BATCHES)):
        chunk_nD = torch.cat(parts).numpy()
        yield [str(path) for path in read[start : start + len(chunk_nD)]], chunk_nD
        start += len(chunk_nD)
