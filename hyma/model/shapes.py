"""What the files beside the stitched model ask of it, so that they need not know it.

Letters: N pictures, M texts, D the width of the shared space.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from hyma.model.inputs import Picture
from hyma.model.sides import Side
from hyma.stitching.connectors import Stitch


class Embedder(Protocol):
    """Turns pictures and texts into unit vectors of one space."""

    logit_scale: float

    @property
    def dim(self) -> int:
        """D."""

    @property
    def fingerprint(self) -> str:
        """Equal for equal embeddings of pictures."""

    @property
    def preprocess(self) -> Any:
        """Turns a PIL picture into input [3, H, W]."""

    def encode_image(self, images: Iterable[Picture] | Tensor, batch_size: int = 64) -> Tensor:
        """Return [N, D]."""

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Return [M, D]."""

    def embedded(self, images: Iterable[Picture] | Tensor, batch_size: int = 64) -> Iterator[Tensor]:
        """Yield the vectors of pictures batch by batch."""


class Parts(Protocol):
    """A model as what it is made of, to be written into a folder."""

    stitch: Stitch
    image_side: Side
    text_side: Side
    logit_scale: float
    pair: str
    method: str | None
    protocol: str | None
    folder: Path | None
    """Where the model came from, if from a folder."""
