"""A pair drawn by lot: every pair is worth the same to it, and ties are settled by expectation."""

import time

from hyma.params import Section
from hyma.search.data import TrainingFeatures
from hyma.search.params import ConnectorParams
from hyma.search.result import SearchResult

LABEL = "random pair"


class Params(Section):
    """Section ``search.random``: nothing to set."""


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score all pairs alike."""
    del params, connector, seed
    start = time.perf_counter()
    scores = {"-".join(pair): 0.0 for pair in features.pairs}
    return SearchResult(LABEL, scores, time.perf_counter() - start, {"drawing": 0.0})
