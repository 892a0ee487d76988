"""What search methods see: the features of all encoders on the training set, aligned by row.

Letters: N images, M texts, D an encoder's width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hyma.common import features, prepared
from hyma.common.errors import HymaError
from hyma.common.features import Side
from hyma.common.files import read_json
from hyma.common.names import PairName
from hyma.stitching.connectors import ConnectorSpec
from hyma.stitching.losses import Alike
from hyma.stitching.params import ConnectorParams
from hyma.stitching.table import Streamed, Table, fits

FEWEST = 6
"""Held-out images below which recall@5 cannot tell pairs apart."""
ENOUGH, MOST = 100, 1000
"""Held-out images that scores should rest on, if there are so many; and the most that are held out."""


@dataclass
class TrainingFeatures:
    """Features of the training set, and which rows train and which are held out.

    Captions are what is drawn: caption m belongs to image ``image_of_text_M[m]``.
    """

    images: Mapping[str, Table]
    """Image encoder's slug → [N, D]."""
    texts: Mapping[str, Table]
    """Text encoder's slug → [M, D]."""
    image_of_text_M: Tensor
    train: Tensor
    """Captions to train on."""
    held_out: Tensor
    """One caption of each held-out image, to score pairs by; never trained on."""
    left_out: frozenset[PairName] = frozenset()
    """Pairs that are scored but never trained on: a method that can must predict them."""
    wording_M: Tensor | None = None
    """A number for each caption's wording, equal for equal ones; None: captions alike are each other's negatives."""

    @property
    def pairs(self) -> list[PairName]:
        """All (image, text) pairs, in the order of params.yaml."""
        return [(image, text) for image in self.images for text in self.texts]

    @property
    def seen(self) -> list[PairName]:
        """The pairs that a method may train on, in the same order."""
        return [pair for pair in self.pairs if pair not in self.left_out]

    def sample(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Draw at most `count` training captions of as many different images, in rows that belong together.

        Returns:
            Rows of the images and rows of the captions, [n] each, n ≤ `count`.
        """
        image_N = self.image_of_text_M[self.train].cpu().numpy()
        first_N = np.unique(image_N, return_index=True)[1]
        chosen = np.sort(np.random.default_rng(seed).permutation(first_N)[:count])
        captions = self.train[torch.from_numpy(chosen).to(self.train.device)]
        return self.image_of_text_M[captions], captions

    def alike(self, rows: Tensor) -> Alike | None:
        """Which captions of a batch are of one picture or of one wording; None if none are, or it does not matter."""
        if self.wording_M is None:
            return None
        image_B, wording_B = self.image_of_text_M[rows], self.wording_M[rows]
        if len(image_B.unique()) == len(wording_B.unique()) == len(rows):
            return None
        return Alike(image_B, wording_B)

    def spec(self, pair: PairName, params: ConnectorParams) -> ConnectorSpec:
        """The shape of a pair's connector."""
        image, text = pair
        d_text, d_image = self.texts[text].shape[1], self.images[image].shape[1]
        return ConnectorSpec(params.kind, d_text, d_image, params.hidden)


def load(
    prepared_folder: Path,
    images: Sequence[str],
    texts: Sequence[str],
    params: ConnectorParams,
    seed: int,
    device: torch.device,
) -> TrainingFeatures:
    """Load the features of the encoders named, check that they belong together, and split the images.

    They are put on the device if they fit there, else they stay in their files and rows are streamed to it. Pictures
    that `features.LEFT_OUT` lists are neither trained on nor held out.

    Raises:
        HymaError: if a file is missing, holds NaN, or disagrees with the data set.
    """
    data = prepared.read(prepared_folder)
    sides: tuple[tuple[Side, Sequence[str], Any], ...]
    sides = (("image", images, data.images), ("text", texts, data.texts))
    files = {
        slug: features.open_aligned(
            features.file_of("training", side, slug, prepared_folder.name), rows["id"], data.meta.data_hash
        )
        for side, slugs, rows in sides
        for slug in slugs
    }
    if data.texts["image"].null_count:
        raise HymaError(
            f"params.yaml: training.{prepared_folder.name}.format: {data.meta.format} has texts that describe no "
            "image; train on a captioned data set"
        )
    chunks = {slug: file.finite_chunks() for slug, file in files.items()}
    return assemble(
        {slug: chunks[slug] for slug in images},
        {slug: chunks[slug] for slug in texts},
        data.texts["image"].to_numpy().astype(np.int64),
        params,
        seed,
        device,
        read_json(features.LEFT_OUT) if features.LEFT_OUT.is_file() else (),
        data.texts["text"].to_pylist(),
    )


def assemble(
    images: Mapping[str, Sequence[np.ndarray]],
    texts: Mapping[str, Sequence[np.ndarray]],
    image_of_text_M: np.ndarray,
    params: ConnectorParams,
    seed: int,
    device: torch.device,
    unused: Sequence[int] = (),
    wordings: Sequence[str] | None = None,
) -> TrainingFeatures:
    """Put features in memory together, and split the images into those that train and those held out.

    They are put on the device if they fit there, else they stay where they are and rows are streamed to it.

    Args:
        images: image encoder's slug → its features [N, D], in float32 chunks [rows, D] that follow each other.
        texts: text encoder's slug → [M, E], likewise.
        image_of_text_M: the image that each caption describes.
        params: section ``connector``; says how many images are held out.
        seed: of the split.
        device: where the search computes.
        unused: images that are neither trained on nor held out.
        wordings: the captions' texts: with them, captions of one wording are known for such.

    Raises:
        HymaError: if there are too few images to hold enough out.
    """
    rows = split(image_of_text_M, params.holdout, seed, unused)
    train, held_out = map(torch.from_numpy, rows)
    mask, numbers = params.duplicates == "mask", dict[str | int, int]()
    named = range(len(image_of_text_M)) if wordings is None else wordings
    wording_M = torch.tensor([numbers.setdefault(wording, len(numbers)) for wording in named])
    chunks = [chunk for table in (*images.values(), *texts.values()) for chunk in table]
    resident = fits(sum(chunk.nbytes for chunk in chunks), device)

    def table(chunks: Sequence[np.ndarray]) -> Table:
        return torch.from_numpy(np.concatenate(chunks)).to(device) if resident else Streamed(chunks, device)

    return TrainingFeatures(
        images={slug: table(chunks) for slug, chunks in images.items()},
        texts={slug: table(chunks) for slug, chunks in texts.items()},
        image_of_text_M=torch.from_numpy(image_of_text_M).to(device),
        train=train.to(device),
        held_out=held_out.to(device),
        wording_M=wording_M.to(device) if mask else None,
    )


def held_out_count(images: int, holdout: float | Literal["auto"]) -> int:
    """How many of so many images are held out: the share `holdout`, `MOST` at most.

    ``auto`` is a twentieth; of fewer than 2,000 images it is more, so that scores rest on 100, up to a quarter.
    """
    share = min(0.25, max(0.05, ENOUGH / max(1, images))) if holdout == "auto" else holdout
    return min(MOST, round(images * share))


def split(
    image_of_text_M: np.ndarray, holdout: float | Literal["auto"], seed: int, unused: Sequence[int] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Split captions by image into those that train and one each of the held-out images; leave out those `unused`.

    Raises:
        HymaError: if there are too few images to hold enough out.
    """
    image_N, first_caption_N = np.unique(image_of_text_M, return_index=True)
    used_N = ~np.isin(image_N, unused)
    image_N, first_caption_N = image_N[used_N], first_caption_N[used_N]
    wanted = held_out_count(len(image_N), holdout)
    if wanted < FEWEST:
        raise HymaError(
            f"params.yaml: connector.holdout: {holdout} of {len(image_N)} images leaves {wanted}, too few to score "
            f"pairs by (recall@5 needs {FEWEST}); raise it or add training data"
        )
    chosen = np.random.default_rng(seed).permutation(len(image_N))[:wanted]
    out_M = np.isin(image_of_text_M, image_N[chosen]) | np.isin(image_of_text_M, unused)
    return np.nonzero(~out_M)[0], np.sort(first_caption_N[chosen])
