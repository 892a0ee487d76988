"""What finished connectors are worth on the training captions held out: one measure for every method's.

A method's own signal may be another: a score that needs no connector, or one that puts rounds before recalls.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from hyma.common import features, prepared
from hyma.common.features import Side
from hyma.common.files import read_json
from hyma.stitching.connectors import Stitch
from hyma.stitching.normalised import recall
from hyma.stitching.params import ConnectorParams
from hyma.stitching.training_set import split


class HeldOut:
    """The held-out rows of the training set: a caption each of as many pictures."""

    def __init__(self, folder: Path, params: ConnectorParams, seed: int):
        """Find the rows.

        Args:
            folder: the prepared training set.
            params: how many are held out.
            seed: of the split.
        """
        self.data, self.name = prepared.read(folder), folder.name
        image_of_text_M = self.data.texts["image"].to_numpy().astype(np.int64)
        unused = read_json(features.LEFT_OUT) if features.LEFT_OUT.is_file() else ()
        rows = split(image_of_text_M, params.holdout, seed, unused)[1]
        self.rows = {"text": rows, "image": image_of_text_M[rows]}
        self._read: dict[tuple[Side, str], torch.Tensor] = {}

    def features(self, side: Side, slug: str) -> torch.Tensor:
        """An encoder's features [B, D] of these rows.

        Raises:
            HymaError: if the file is missing, damaged or of other data.
        """
        if (side, slug) not in self._read:
            ids = (self.data.images if side == "image" else self.data.texts)["id"]
            file = features.file_of("training", side, slug, self.name)
            found = features.open_aligned(file, ids, self.data.meta.data_hash)
            self._read[side, slug] = torch.from_numpy(_taken(list(found.chunks()), self.rows[side]))
        return self._read[side, slug]

    @torch.no_grad()
    def recalls(self, stitches: Mapping[str, Stitch]) -> dict[str, float]:
        """Pair → recall@5 of its connector, as `hyma.stitching.normalised.recall` has it."""
        found = {}
        for pair, stitch in stitches.items():
            image, text = pair.split("-")
            image_BD = stitch.embed_image(self.features("image", image))
            found[pair] = recall(stitch.embed_text(self.features("text", text)), image_BD)
        return found


def _taken(chunks: list[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """These rows of chunks [n, D] that follow each other; no others are read."""
    ends = np.cumsum([len(chunk) for chunk in chunks])
    of_B = np.searchsorted(ends, rows, side="right")
    starts = ends - [len(chunk) for chunk in chunks]
    return np.stack([chunks[own][row - starts[own]] for own, row in zip(of_B, rows, strict=True)])
