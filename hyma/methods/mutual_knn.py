"""Mutual nearest neighbours: how many neighbours of a sample both encoders agree on (Huh et al. 2024)."""

from torch import Tensor

from hyma.methods.shared import similarity
from hyma.methods.shared.training_free import NeighbourParams, Sample, score_pairs, square_flops
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "mutual k-NN"


class Params(NeighbourParams):
    """Section ``search.mutual_knn``."""


def cost(shapes: Shapes, params: Params) -> Parts:
    """FLOPs of a search, exactly. Comparing neighbours costs no floating-point operations."""
    return {"cosines": square_flops(shapes, params.samples)}


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score pairs by their mutual k-NN overlap.

    Raises:
        HymaError: if k is not below the number of samples.
    """
    sample = Sample(features, params.samples, connector, seed)
    sample.check_neighbours("mutual_knn", params.k)

    def neighbours(feature_ND: Tensor) -> Tensor:
        return similarity.neighbours(feature_ND, params.k)

    scores, failed = score_pairs(sample, neighbours, neighbours, similarity.overlap)
    notes = {"samples": str(sample.count), "k": str(params.k)}
    flops = cost(Shapes.of(features, connector, seed), params)
    return SearchResult(LABEL, scores, flops=flops, failed=failed, notes=notes)
