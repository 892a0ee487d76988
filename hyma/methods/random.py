"""A pair drawn by lot: every pair is worth the same to it, and ties are settled by expectation."""

from hyma.common.params import Section
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "random pair"


class Params(Section):
    """Section ``search.random``: nothing to set."""


def cost(shapes: Shapes, params: Params) -> Parts:
    """Nothing."""
    del shapes, params
    return {"drawing": 0.0}


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score all pairs alike."""
    scores = {"-".join(pair): 0.0 for pair in features.pairs}
    return SearchResult(LABEL, scores, flops=cost(Shapes.of(features, connector, seed), params))
