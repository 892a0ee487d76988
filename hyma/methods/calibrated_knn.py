"""Calibrated mutual nearest neighbours: what their overlap has above shuffled samples (Gröger, Wen & Brbić 2026)."""

import time

from torch import Tensor

from hyma.methods.shared import calibration, similarity
from hyma.methods.shared.calibration import PermutationParams
from hyma.methods.shared.training_free import NeighbourParams, Sample, score_pairs, square_flops
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "calibrated mutual k-NN"


class Params(NeighbourParams, PermutationParams):
    """Section ``search.calibrated_knn``."""


def cost(shapes: Shapes, params: Params) -> Parts:
    """FLOPs of a search, exactly. Comparing neighbours costs none, in whatever order."""
    return {"cosines": square_flops(shapes, params.samples)}


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score pairs by their calibrated overlap: neighbours once an encoder; of a pair, a look-up an order.

    Raises:
        HymaError: if k is not below the number of samples.
    """
    start = time.perf_counter()
    sample = Sample(features, params.samples, connector, seed)
    sample.check_neighbours("calibrated_knn", params.k)
    order_PN = calibration.orders(sample.count, params.permutations, seed)

    def neighbours(feature_ND: Tensor) -> Tensor:
        return similarity.neighbours(feature_ND, params.k)

    def shuffled(feature_ND: Tensor) -> Tensor:
        return calibration.shuffled_neighbours(neighbours(feature_ND), order_PN)

    def compare(place_PM: Tensor, text_NN: Tensor) -> float:
        return calibration.calibrated(calibration.overlaps(place_PM, text_NN))

    scores, failed = score_pairs(sample, shuffled, neighbours, compare)
    notes = {"samples": str(sample.count), "k": str(params.k), "permutations": str(params.permutations)}
    seconds, flops = time.perf_counter() - start, cost(Shapes.of(features, connector, seed), params)
    return SearchResult(LABEL, scores, seconds, flops, failed=failed, notes=notes)
