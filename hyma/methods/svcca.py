"""SVCCA: mean canonical correlation of the encoders' main directions (Raghu et al. 2017)."""

import time

from pydantic import Field
from torch import Tensor

from hyma.methods.shared import similarity
from hyma.methods.shared.training_free import (
    Sample,
    SampleParams,
    score_pairs,
    singular_value_flops,
    svd_flops,
)
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures

LABEL = "SVCCA"


class Params(SampleParams):
    """Section ``search.svcca``."""

    variance: float = Field(0.99, gt=0, le=1, description="share of the variance that is kept")


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score pairs by their SVCCA: a singular value decomposition an encoder, a product and a small one a pair."""
    start = time.perf_counter()
    sample = Sample(features, params.samples, connector, seed)
    flops = {"decomposition": 0.0, "correlation": 0.0}

    def leading(feature_ND: Tensor) -> Tensor:
        flops["decomposition"] += svd_flops(*feature_ND.shape)
        return similarity.leading(feature_ND, params.variance)

    def compare(image_NR: Tensor, text_NS: Tensor) -> float:
        (count, kept), other = image_NR.shape, text_NS.shape[1]
        flops["correlation"] += 2.0 * count * kept * other + singular_value_flops(kept, other)
        return similarity.correlation(image_NR, text_NS)

    scores, failed = score_pairs(sample, leading, leading, compare)
    notes = {"samples": str(sample.count), "variance kept": str(params.variance)}
    return SearchResult(LABEL, scores, time.perf_counter() - start, flops, failed=failed, notes=notes)
