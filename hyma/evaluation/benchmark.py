"""A prepared benchmark with the features that encoders gave of it, read when they are asked for."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hyma.common import features, prepared
from hyma.common.errors import HymaError
from hyma.common.features import Side
from hyma.common.prepared import Prepared
from hyma.evaluation.evaluator import Evaluator, protocols
from hyma.evaluation.halves import HALVES
from hyma.evaluation.params import EvaluateParams

FOLDER = Path("data/prepared/benchmarks")


class Benchmark:
    """One benchmark of the experiment, by its slug."""

    def __init__(self, slug: str, salt: int = 0):
        """Open it; the salt is that of its halves, see `hyma.evaluation.halves`.

        Raises:
            HymaError: if it was not prepared.
        """
        self.slug, self.salt = slug, salt
        self.data: Prepared = prepared.read(FOLDER / slug)
        self._read: dict[tuple[Side, str], np.ndarray] = {}

    def features(self, side: Side, encoder: str, dim: int | None = None) -> np.ndarray:
        """An encoder's features [rows, D] of its images or texts; `dim` is the width that connectors expect.

        Raises:
            HymaError: if the file is missing, damaged, of other data or of another width.
        """
        if (side, encoder) not in self._read:
            rows: Any = self.data.images if side == "image" else self.data.texts
            file = features.file_of("benchmarks", side, encoder, self.slug)
            found = features.open_aligned(file, rows["id"], self.data.meta.data_hash, dim)
            self._read[side, encoder] = found.to_numpy()
        return self._read[side, encoder]

    @cached_property
    def evaluators(self) -> dict[str, Evaluator]:
        """An evaluator for every protocol that the benchmark has, standard first.

        Raises:
            HymaError: if one of its halves has no items.
        """
        found: dict[str, Evaluator] = {
            protocol: Evaluator(self.data, protocol, self.salt) for protocol in protocols(self.data)
        }
        for protocol, evaluator in found.items():
            if not all(map(evaluator.count, HALVES)):
                raise HymaError(
                    f"params.yaml: benchmarks.{self.slug}: fewer than two pictures are asked about under protocol "
                    f"{protocol}, and one half of them chooses what the other reports; give it two different ones at "
                    "least, or take it out"
                )
        return found

    def ranking(self, params: EvaluateParams) -> str:
        """The protocol whose scores rank: the one asked for, or where the benchmark lacks it, its first."""
        return params.protocol if params.protocol in self.evaluators else next(iter(self.evaluators))
