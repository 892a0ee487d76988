"""CKNNA: centred kernel alignment over mutual nearest neighbours alone (Huh et al. 2024)."""

import time

from torch import Tensor

from hyma.methods.shared import similarity
from hyma.methods.shared.training_free import NeighbourParams, Sample, score_pairs
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures

LABEL = "CKNNA"


class Params(NeighbourParams):
    """Section ``search.cknna``."""


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score pairs by their CKNNA: cosines and a Gram matrix an encoder, an inner product of two a pair.

    Raises:
        HymaError: if k is not below the number of samples.
    """
    start = time.perf_counter()
    sample = Sample(features, params.samples, connector, seed)
    sample.check_neighbours("cknna", params.k)
    flops = {"cosines": 0.0, "Gram matrices": 0.0, "alignment": 0.0}

    def gram(feature_ND: Tensor) -> Tensor:
        product = 2.0 * len(feature_ND) * feature_ND.numel()
        flops["cosines"] += product
        flops["Gram matrices"] += product
        return similarity.local_gram(feature_ND, params.k)

    def compare(image_NN: Tensor, text_NN: Tensor) -> float:
        flops["alignment"] += 2.0 * image_NN.numel()
        return similarity.alignment(image_NN, text_NN)

    scores, failed = score_pairs(sample, gram, gram, compare)
    notes = {"samples": str(sample.count), "k": str(params.k)}
    return SearchResult(LABEL, scores, time.perf_counter() - start, flops, failed=failed, notes=notes)
