"""Linear centred kernel alignment, the unbiased estimator (Kornblith et al. 2019, Song et al. 2012)."""

from hyma.methods.shared import similarity
from hyma.methods.shared.training_free import Sample, SampleParams, score_pairs, square_flops
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "CKA"


class Params(SampleParams):
    """Section ``search.cka``."""


def cost(shapes: Shapes, params: Params, compared: int | None = None) -> Parts:
    """FLOPs of a search, exactly, if `compared` pairs have a score (all, unless given)."""
    count = len(shapes.pairs) if compared is None else compared
    return {
        "Gram matrices": square_flops(shapes, params.samples),
        "alignment": 2.0 * shapes.drawn(params.samples) ** 2 * count,
    }


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score pairs by their CKA: a Gram matrix an encoder, an inner product of two a pair."""
    sample = Sample(features, params.samples, connector, seed)
    gram = similarity.centred_gram
    scores, failed = score_pairs(sample, gram, gram, similarity.alignment)
    notes = {"samples": str(sample.count)}
    flops = cost(Shapes.of(features, connector, seed), params, len(scores))
    return SearchResult(LABEL, scores, flops=flops, failed=failed, notes=notes)
