"""Ridge regression from text to image features (Hoerl & Kennard 1970): a connector by one small solve a pair."""

from collections.abc import Iterator

from pydantic import Field
from torch import Tensor

from hyma.methods.shared.closed_flops import principal_flops, sample_counts, validation_flops
from hyma.methods.shared.closed_params import Positive, StitchParams
from hyma.methods.shared.closed_stitching import Candidate, Side, Stitching, affine, refuse_constant
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "ridge regression"


class Params(StitchParams):
    """Section ``search.ridge``."""

    ridge: list[Positive] = Field(
        [0.1, 0.03, 0.01, 0.003],
        min_length=1,
        description="penalties to choose from, in units of the text features' mean variance",
    )


def cost(shapes: Shapes, params: Params) -> Parts:
    """The most FLOPs of a search; an encoder or pair that fails costs less, so that a search counts for itself."""
    (count, validation), pairs = sample_counts(shapes, params), shapes.widths_of(shapes.seen)
    tried = len(params.ridge)
    return {
        "principal components": sum(principal_flops(count, e) for e in shapes.texts.values()),
        "solves": sum(2.0 * count * e * d + tried * 2.0 * e * e * d for d, e in pairs),
        "validation": sum(tried * validation_flops(validation, d * e, d) for d, e in pairs),
    }


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
