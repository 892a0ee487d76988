"""One row and one column of the grid are trained; the other pairs are filled in as image effect + text effect.

N + M − 1 pairs are the fewest that tell every encoder's effect. The price of the rest is a guess.
"""

from dataclasses import replace

import numpy as np

from hyma.common.names import PairName
from hyma.stitching import grid
from hyma.stitching.flops import Parts
from hyma.stitching.grid import left_out, train_pairs
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import SearchResult, merge
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "one row and column of the grid"
TRAINS = True


class Params(GridParams):
    """Section ``search.cross``: as grid search's."""


def cost(shapes: Shapes, params: Params) -> Parts:
    """FLOPs of a search, exactly: the lot falls the same way."""
    image, text = _lot(shapes)
    return grid.cost(shapes, params, [pair for pair in shapes.seen if image in pair or text in pair])


def _lot(shapes: Shapes) -> tuple[str, str]:
    """The image encoder and the text encoder whose pairs are trained."""
    draw = np.random.default_rng(shapes.seed)
    return str(draw.choice(list(shapes.images))), str(draw.choice(list(shapes.texts)))


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Train the pairs of one image encoder and of one text encoder, drawn by lot; add their effects for the others.

    It hands over no connectors: most pairs have none.

    Raises:
        HymaError: if a loss is not finite.
    """
    shapes = Shapes.of(features, connector, seed)
    image, text = _lot(shapes)
    pairs = [pair for pair in features.seen if image in pair or text in pair]
    found = merge(train_pairs(features, params, connector, seed, pairs, LABEL))
    return replace(
        found,
        scores=filled({pair: found.scores["-".join(pair)] for pair in pairs}, features.seen),
        stitches={},
        failed=left_out(features),
        flops=cost(shapes, params),
        notes={"trained": f"the pairs of {image} and of {text}, {len(pairs)} of {len(features.pairs)}"},
    )


def filled(known: dict[PairName, float], pairs: list[PairName]) -> dict[str, float]:
    """The known scores, and for the other pairs image effect + text effect, fitted by least squares."""
    images, texts = (list(dict.fromkeys(side)) for side in zip(*pairs, strict=True))

    def row(pair: PairName) -> list[float]:
        return [float(pair[0] == image) for image in images] + [float(pair[1] == text) for text in texts]

    effects, *_ = np.linalg.lstsq(
        np.array([row(pair) for pair in known]), np.array(list(known.values())), rcond=None
    )
    return {"-".join(pair): known.get(pair, float(np.array(row(pair)) @ effects)) for pair in pairs}
