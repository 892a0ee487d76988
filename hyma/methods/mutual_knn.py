"""Mutual nearest neighbours: how many neighbours of a sample both encoders agree on (Huh et al. 2024)."""

import time

from torch import Tensor

from hyma.methods.shared import similarity
from hyma.methods.shared.training_free import NeighbourParams, Sample, score_pairs
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures

LABEL = "mutual k-NN"


class Params(NeighbourParams):
    """Section ``search.mutual_knn``."""


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score pairs by their mutual k-NN overlap. Comparing neighbours costs no floating-point operations.

    Raises:
        HymaError: if k is not below the number of samples.
    """
    start = time.perf_counter()
    sample = Sample(features, params.samples, connector, seed)
    sample.check_neighbours("mutual_knn", params.k)
    flops = {"cosines": 0.0}

    def neighbours(feature_ND: Tensor) -> Tensor:
        flops["cosines"] += 2.0 * len(feature_ND) * feature_ND.numel()
        return similarity.neighbours(feature_ND, params.k)

    scores, failed = score_pairs(sample, neighbours, neighbours, similarity.overlap)
    notes = {"samples": str(sample.count), "k": str(params.k)}
    return SearchResult(LABEL, scores, time.perf_counter() - start, flops, failed=failed, notes=notes)
