"""Canonical correlation analysis (Hotelling 1936), regularised: both sides mapped to where they correlate most."""

from collections.abc import Iterator

from torch import Tensor

from hyma.methods.shared.closed_stitching import (
    Candidate,
    Side,
    Stitching,
    WhiteningParams,
    affine,
    canonical,
    cuts,
)
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures

LABEL = "CCA"


class Params(WhiteningParams):
    """Section ``search.cca``."""


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
