"""Whitened Procrustes: the text's whitened features, turned onto the image's and given the image's covariance.

The rotation that brings one set of points nearest to another is U Vᵀ of their cross-covariance (Schönemann
1966); between whitened sides it does not depend on how either encoder is scaled.
"""

from collections.abc import Iterator

from torch import Tensor

from hyma.methods.shared.closed_flops import canonical_flops, sample_counts, validation_flops, whitening_flops
from hyma.methods.shared.closed_params import WhiteningParams
from hyma.methods.shared.closed_stitching import Candidate, Side, Stitching, affine, at_most, canonical, cuts
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "whitened Procrustes"


class Params(WhiteningParams):
    """Section ``search.procrustes``."""


def cost(shapes: Shapes, params: Params) -> Parts:
    """The most FLOPs of a search: how many directions carry anything, and what fails, only the search knows."""
    (count, validation), solves, validated = sample_counts(shapes, params), 0.0, 0.0
    for d, e in shapes.widths_of(shapes.seen):
        r, s = min(d, params.components), min(e, params.components)
        tried, cuts = len(params.shrinkage), at_most(min(r, s), params.directions)
        written = 2.0 * (d * r + e * s) * min(r, s) + sum(2.0 * d * e * cut for cut in cuts)
        solves += canonical_flops(count, r, s, tried) + tried * written
        validated += tried * len(cuts) * validation_flops(validation, d * e, d)
    whitened = whitening_flops(shapes, params)
    return {"principal components": whitened, "solves": solves, "validation": validated}


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Whiten the text, rotate it by U Vᵀ within the leading directions, and colour it as the image is.

    The result has the image features' mean and, within these directions, their covariance.
    """
    stitching = Stitching(LABEL, features, params, connector, seed)

    def candidates(image: Side, text: Side) -> Iterator[Candidate]:
        colour_DR = image.principal.basis_DR * image.principal.variance_R.sqrt()
        for shrinkage, image_RK, value_K, text_SK in canonical(stitching, image, text, params.shrinkage):
            white = text.principal.whitening(shrinkage)
            image_DK, text_EK = colour_DR @ image_RK, white.map_DR @ text_SK
            written = colour_DR.numel() + white.map_DR.numel()
            stitching.flops["solves"] += 2.0 * written * len(value_K)
            for count in cuts(value_K, params.directions):
                map_ED = text_EK[:, :count] @ image_DK[:, :count].T
                stitching.flops["solves"] += 2.0 * map_ED.numel() * count
                yield Candidate(
                    {"shrinkage": shrinkage, "directions": count},
                    affine(white.mean_D, map_ED, image.principal.mean_D),
                )

    def side(feature_ND: Tensor) -> Side:
        return stitching.side(feature_ND, params.components)

    stitching.stitch_pairs(side, side, candidates)
    return stitching.finish()
