"""Which captions are right for which pictures: captions of one wording are one, for every picture that has it.

Letters: N images, M captions, W different wordings, B rows of a block.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Captions:
    """The captions of a retrieval benchmark, or some of them."""

    image_M: np.ndarray
    """The row of the image that each was given to."""
    wording_M: np.ndarray
    """A number for its wording: captions that read alike have one."""
    has_NW: Any
    """Sparse: which images have which wordings, by all captions of the benchmark."""

    @classmethod
    def of(cls, image_M: np.ndarray, texts: Sequence[Hashable], images: int) -> "Captions":
        """Bring together captions that read alike, to the letter.

        Args:
            image_M: the row of the image that each caption was given to.
            texts: their wordings.
            images: how many images N there are.
        """
        from scipy.sparse import csr_array  # slow to load

        number: dict[Hashable, int] = {}
        wording_M = np.array([number.setdefault(text, len(number)) for text in texts], dtype=int)
        has_NW = csr_array((np.ones(len(image_M), bool), (image_M, wording_M)), (images, len(number)))
        return cls(np.asarray(image_M), wording_M, has_NW)

    @property
    def wordings(self) -> int:
        """How many different ones these captions are."""
        return len(np.unique(self.wording_M))

    def some(self, chosen_M: np.ndarray) -> "Captions":
        """A part of them, as candidates and as queries; what is right stays as it is by all."""
        return replace(self, image_M=self.image_M[chosen_M], wording_M=self.wording_M[chosen_M])

    def of_images(self, rows: slice) -> np.ndarray:
        """Which of the captions are right for each of these images, bool [B, M]."""
        found: np.ndarray = self.has_NW[rows].toarray()[:, self.wording_M]
        return found

    def of_captions(self, rows: slice) -> np.ndarray:
        """Which images each of these captions is right for, bool [B, N]."""
        found: np.ndarray = self.has_NW[:, self.wording_M[rows]].toarray().T
        return found

    def right_texts(self) -> np.ndarray:
        """How many of the captions are right for each image, int [N]."""
        counts: np.ndarray = self.has_NW.astype(int) @ np.bincount(
            self.wording_M, minlength=self.has_NW.shape[1]
        )
        return counts

    def right_images(self) -> np.ndarray:
        """How many images each caption is right for, int [M]."""
        counts: np.ndarray = np.asarray(self.has_NW.astype(int).sum(0))[self.wording_M]
        return counts
