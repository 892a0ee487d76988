"""CKNNA: centred kernel alignment over mutual nearest neighbours alone (Huh et al. 2024)."""

from torch import Tensor

from hyma.methods.shared import similarity
from hyma.methods.shared.training_free import NeighbourParams, Sample, score_pairs, square_flops
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "CKNNA"


class Params(NeighbourParams):
    """Section ``search.cknna``."""


def cost(shapes: Shapes, params: Params, compared: int | None = None) -> Parts:
    """FLOPs of a search, exactly, if `compared` pairs have a score (all, unless given)."""
    count, square = len(shapes.pairs) if compared is None else compared, square_flops(shapes, params.samples)
    alignment = 2.0 * shapes.drawn(params.samples) ** 2 * count
    return {"cosines": square, "Gram matrices": square, "alignment": alignment}


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score pairs by their CKNNA: cosines and a Gram matrix an encoder, an inner product of two a pair.

    Raises:
        HymaError: if k is not below the number of samples.
    """
    sample = Sample(features, params.samples, connector, seed)
    sample.check_neighbours("cknna", params.k)

    def gram(feature_ND: Tensor) -> Tensor:
        return similarity.local_gram(feature_ND, params.k)

    scores, failed = score_pairs(sample, gram, gram, similarity.alignment)
    notes = {"samples": str(sample.count), "k": str(params.k)}
    flops = cost(Shapes.of(features, connector, seed), params, len(scores))
    return SearchResult(LABEL, scores, flops=flops, failed=failed, notes=notes)
