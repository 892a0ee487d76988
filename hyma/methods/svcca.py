"""SVCCA: mean canonical correlation of the encoders' main directions (Raghu et al. 2017)."""

from pydantic import Field
from torch import Tensor

from hyma.methods.shared import similarity
from hyma.methods.shared.training_free import (
    Sample,
    SampleParams,
    decomposition_flops,
    score_pairs,
    singular_value_flops,
)
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "SVCCA"


class Params(SampleParams):
    """Section ``search.svcca``."""

    variance: float = Field(0.99, gt=0, le=1, description="share of the variance that is kept")


def cost(shapes: Shapes, params: Params) -> Parts:
    """The most FLOPs of a search: those of pairs grow with the directions kept, which only the features tell."""
    count = shapes.drawn(params.samples)
    compared = [_comparison(count, min(d, count), min(e, count)) for d, e in shapes.widths_of(shapes.pairs)]
    return {"decomposition": decomposition_flops(shapes, params.samples), "correlation": sum(compared)}


def _comparison(count: int, kept: int, other: int) -> float:
    return 2.0 * count * kept * other + singular_value_flops(kept, other)


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score pairs by their SVCCA: a singular value decomposition an encoder, a product and a small one a pair."""
    sample = Sample(features, params.samples, connector, seed)
    flops = {
        "decomposition": decomposition_flops(Shapes.of(features, connector, seed), params.samples),
        "correlation": 0.0,
    }

    def leading(feature_ND: Tensor) -> Tensor:
        return similarity.leading(feature_ND, params.variance)

    def compare(image_NR: Tensor, text_NS: Tensor) -> float:
        flops["correlation"] += _comparison(len(image_NR), image_NR.shape[1], text_NS.shape[1])
        return similarity.correlation(image_NR, text_NS)

    scores, failed = score_pairs(sample, leading, leading, compare)
    notes = {"samples": str(sample.count), "variance kept": str(params.variance)}
    return SearchResult(LABEL, scores, flops=flops, failed=failed, notes=notes)
