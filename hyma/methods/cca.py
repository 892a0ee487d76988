"""Canonical correlation analysis (Hotelling 1936), regularised: both sides mapped to where they correlate most."""

from collections.abc import Iterator

from torch import Tensor

from hyma.methods.shared.closed_flops import canonical_flops, sample_counts, two_sided_flops, whitening_flops
from hyma.methods.shared.closed_params import WhiteningParams
from hyma.methods.shared.closed_stitching import Candidate, Side, Stitching, affine, at_most, canonical, cuts
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "CCA"


class Params(WhiteningParams):
    """Section ``search.cca``."""


def cost(shapes: Shapes, params: Params) -> Parts:
    """The most FLOPs of a search: how many directions carry anything, and what fails, only the search knows."""
    (count, validation), solves, validated = sample_counts(shapes, params), 0.0, 0.0
    for d, e in shapes.widths_of(shapes.seen):
        r, s = min(d, params.components), min(e, params.components)
        tried, cuts = len(params.shrinkage), at_most(min(r, s), params.directions)
        solves += canonical_flops(count, r, s, tried) + tried * 2.0 * (d * r + e * s) * min(r, s)
        validated += tried * two_sided_flops(validation, cuts, d, e)
    whitened = whitening_flops(shapes, params)
    return {"principal components": whitened, "solves": solves, "validation": validated}


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Map both sides of each pair to its leading canonical directions, each times its correlation.

    Cosines then weigh a direction by the square of its correlation: those that the sides hardly share, which
    are most of them, would drown the others otherwise.
    """
    stitching = Stitching(LABEL, features, params, connector, seed)

    def candidates(image: Side, text: Side) -> Iterator[Candidate]:
        for shrinkage, image_RK, value_K, text_SK in canonical(stitching, image, text, params.shrinkage):
            image_white, text_white = (
                image.principal.whitening(shrinkage),
                text.principal.whitening(shrinkage),
            )
            image_DK = image_white.map_DR @ (image_RK * value_K)
            text_EK = text_white.map_DR @ (text_SK * value_K)
            written = image_white.map_DR.numel() + text_white.map_DR.numel()
            stitching.flops["solves"] += 2.0 * written * len(value_K)
            for count in cuts(value_K, params.directions):
                yield Candidate(
                    {"shrinkage": shrinkage, "directions": count},
                    affine(text_white.mean_D, text_EK[:, :count]),
                    affine(image_white.mean_D, image_DK[:, :count]),
                )

    def side(feature_ND: Tensor) -> Side:
        return stitching.side(feature_ND, params.components)

    stitching.stitch_pairs(side, side, candidates)
    return stitching.finish()
