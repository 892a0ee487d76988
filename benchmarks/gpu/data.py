"""Features drawn by lot that belong together: both sides see one latent, through noise.

Letters: N rows, L the latent's width, D an encoder's.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from hyma.stitching.params import ConnectorParams
from hyma.stitching.table import Streamed
from hyma.stitching.training_set import TrainingFeatures, assemble

LATENT = 32
SEED = 7

Arrays = Mapping[str, np.ndarray]
"""An encoder's slug → its features [N, D]."""


def draw(rows: int, images: Sequence[int], texts: Sequence[int], noise: float) -> tuple[Arrays, Arrays]:
    """Draw the features of encoders of these widths, on both sides of `rows` images with one caption each.

    `noise` is its spread; the latent's is about 1.
    """
    rng = np.random.default_rng(SEED)
    latent_NL = rng.standard_normal((rows, LATENT), np.float32)

    def encoder(width: int) -> np.ndarray:
        map_LD = rng.standard_normal((LATENT, width), np.float32) / math.sqrt(LATENT)
        noise_ND = rng.standard_normal((rows, width), np.float32)
        return np.tanh(latent_NL @ map_LD + 0.5) + np.float32(noise) * noise_ND

    return (
        {f"i{number}": encoder(width) for number, width in enumerate(images)},
        {f"t{number}": encoder(width) for number, width in enumerate(texts)},
    )


def put(
    arrays: tuple[Arrays, Arrays], connector: ConnectorParams, device: torch.device, streamed: bool = False
) -> TrainingFeatures:
    """Make them training features on the device, or streamed to it."""
    images, texts = ({slug: [array] for slug, array in side.items()} for side in arrays)
    rows = len(next(iter(arrays[0].values())))
    found = assemble(images, texts, np.arange(rows), connector, SEED, device)
    if not streamed:
        return found
    return replace(
        found,
        images={slug: Streamed(chunks, device) for slug, chunks in images.items()},
        texts={slug: Streamed(chunks, device) for slug, chunks in texts.items()},
    )
