"""Ridge regression from text to image features (Hoerl & Kennard 1970): a connector by one small solve a pair."""

from collections.abc import Iterator

from pydantic import Field
from torch import Tensor

from hyma.methods.shared.closed_stitching import (
    Candidate,
    Positive,
    Side,
    Stitching,
    StitchParams,
    affine,
    refuse_constant,
)
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures

LABEL = "ridge regression"


class Params(StitchParams):
    """Section ``search.ridge``."""

    ridge: list[Positive] = Field(
        [0.1, 0.03, 0.01, 0.003],
        min_length=1,
        description="penalties to choose from, in units of the text features' mean variance",
    )


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Predict the image's unit vector from the text, and score the pairs by the predictions.

    W = C_it (C_tt + λ I)⁻¹ with the covariances C of image and text. In the eigenvectors of C_tt the inverse
    is a division: one decomposition a text encoder serves all images and all λ.
    """
    stitching = Stitching(LABEL, features, params, connector, seed)
    flops = stitching.flops

    def centre(image_ND: Tensor) -> tuple[Tensor, Tensor]:
        refuse_constant(image_ND)
        return image_ND.mean(0), image_ND - image_ND.mean(0)

    def candidates(image: tuple[Tensor, Tensor], text: Side) -> Iterator[Candidate]:
        (mean_D, image_ND), principal = image, text.principal
        cross_SD = text.score_NR.T @ image_ND / len(image_ND)
        flops["solves"] += 2.0 * len(image_ND) * cross_SD.numel()
        variance_S = principal.variance_R
        for ridge in params.ridge:
            map_ED = principal.basis_DR @ (cross_SD / (variance_S + ridge * variance_S.mean())[:, None])
            flops["solves"] += 2.0 * len(variance_S) * map_ED.numel()
            yield Candidate({"ridge": ridge}, affine(principal.mean_D, map_ED, mean_D))

    stitching.stitch_pairs(centre, stitching.side, candidates)
    return stitching.finish()
