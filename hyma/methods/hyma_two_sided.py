"""HYMA with connectors that map images too: cheaper to train and better, but the image side is not left alone."""

from dataclasses import replace
from typing import Literal

from hyma.search import hyma_search
from hyma.search.params import HymaParams
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "HYMA, two-sided"
TRAINS = True


class Params(HymaParams):
    """Section ``search.hyma_two_sided``: as section ``hyma``; the decoder is the factorised one."""

    decoder: Literal["factorised"] = "factorised"


def cost(shapes: Shapes, params: Params) -> Parts:
    """FLOPs of a search, exactly."""
    return hyma_search.cost(shapes, _clamped(params, len(shapes.seen)), two_sided=True)


def _clamped(params: Params, pairs: int) -> Params:
    return params.model_copy(update={"bm": min(params.bm, pairs)})


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Search as HYMA does, in the shared space alone."""
    own = _clamped(params, len(features.seen))
    return replace(hyma_search.search(features, own, connector, seed, two_sided=True), label=LABEL)
