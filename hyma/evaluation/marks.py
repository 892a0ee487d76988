"""What a pair got on every item of a benchmark, and what it scores on some of them.

Letters: N images, Q questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hyma.evaluation import metrics
from hyma.evaluation.metrics import Ranks


class Marks(Protocol):
    """A pair's results, image by image, question by question, or query by query."""

    def score(self, own_N: np.ndarray) -> dict[str, float]:
        """Return ``score``, what ranks, and the metrics of the task, on the items of these images (bool [N])."""

    def items(self, own_N: np.ndarray) -> np.ndarray:
        """Return one value an item of these images, float32; their mean is the score."""


@dataclass(frozen=True)
class Classified:
    """Classification: an item is an image."""

    rank_N: np.ndarray
    """How many classes rank before the image's own."""

    def score(self, own_N: np.ndarray) -> dict[str, float]:
        """Top-1 accuracy ranks."""
        top1, top5 = (metrics.topk_accuracy(self.rank_N[own_N], k) for k in (1, 5))
        return {"score": top1, "top1": top1, "top5": top5}

    def items(self, own_N: np.ndarray) -> np.ndarray:
        """1 for an image that is right, 0 for one that is not."""
        return (self.rank_N[own_N] < 1).astype(np.float32)


@dataclass(frozen=True)
class Retrieved:
    """Retrieval: an item is an image with its captions; all of the benchmark's are candidates, whatever asks."""

    pools: Sequence[dict[str, Ranks]]
    """The queries of each pool, by direction."""

    def score(self, own_N: np.ndarray) -> dict[str, float]:
        """The mean of all recalls ranks; each is the mean over the pools in which anything asks."""
        pools = [metrics.recall_at_k(pool) for pool in self._asking(own_N)]
        recall = {name: float(np.mean([pool[name] for pool in pools])) for name in pools[0]}
        return {"score": float(np.mean(list(recall.values())))} | recall

    def items(self, own_N: np.ndarray) -> np.ndarray:
        """See `metrics.recall_items`."""
        new_row_N = np.cumsum(own_N) - 1
        groups = [
            Ranks(ranks.rank_Q, new_row_N[ranks.image_Q])
            for pool in self._asking(own_N)
            for ranks in pool.values()
        ]
        return metrics.recall_items(groups, int(own_N.sum()))

    def _asking(self, own_N: np.ndarray) -> list[dict[str, Ranks]]:
        found = [
            {way: Ranks(*(column[own_N[ranks.image_Q]] for column in ranks)) for way, ranks in pool.items()}
            for pool in self.pools
        ]
        return [pool for pool in found if all(len(ranks.rank_Q) for ranks in pool.values())]


@dataclass(frozen=True)
class Answered:
    """Visual question answering: an item is a question."""

    image_Q: np.ndarray
    accuracy_Q: np.ndarray
    """What each answer earns."""
    blind_Q: np.ndarray
    """The same with the mean image for every image."""

    def score(self, own_N: np.ndarray) -> dict[str, float]:
        """The mean accuracy ranks."""
        own_Q = own_N[self.image_Q]
        return {
            "score": float(self.accuracy_Q[own_Q].mean()),
            "no_image": float(self.blind_Q[own_Q].mean()),
        }

    def items(self, own_N: np.ndarray) -> np.ndarray:
        """Each question's accuracy."""
        return self.accuracy_Q[own_N[self.image_Q]]
