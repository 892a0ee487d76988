"""Linear centred kernel alignment, the unbiased estimator (Kornblith et al. 2019, Song et al. 2012)."""

import time

from torch import Tensor

from hyma.methods.shared import similarity
from hyma.methods.shared.training_free import Sample, SampleParams, score_pairs
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures

LABEL = "CKA"


class Params(SampleParams):
    """Section ``search.cka``."""


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score pairs by their CKA: a Gram matrix an encoder, an inner product of two a pair."""
    start = time.perf_counter()
    sample = Sample(features, params.samples, connector, seed)
    flops = {"Gram matrices": 0.0, "alignment": 0.0}

    def gram(feature_ND: Tensor) -> Tensor:
        flops["Gram matrices"] += 2.0 * len(feature_ND) * feature_ND.numel()
        return similarity.centred_gram(feature_ND)

    def compare(image_NN: Tensor, text_NN: Tensor) -> float:
        flops["alignment"] += 2.0 * image_NN.numel()
        return similarity.alignment(image_NN, text_NN)

    scores, failed = score_pairs(sample, gram, gram, compare)
    notes = {"samples": str(sample.count)}
    return SearchResult(LABEL, scores, time.perf_counter() - start, flops, failed=failed, notes=notes)
