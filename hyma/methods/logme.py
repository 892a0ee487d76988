"""LogME: evidence of a Bayesian linear model from the text to the image features (You et al. 2021)."""

from pydantic import Field
from torch import Tensor

from hyma.methods.shared import similarity
from hyma.methods.shared.similarity import Spectrum
from hyma.methods.shared.training_free import Sample, SampleParams, decomposition_flops, score_pairs
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "LogME"


class Params(SampleParams):
    """Section ``search.logme``."""

    components: int = Field(32, ge=1, description="principal components of the image features to predict")


def cost(shapes: Shapes, params: Params) -> Parts:
    """The most FLOPs of a search: those of pairs grow with the features' rank, which only they tell."""
    count = shapes.drawn(params.samples)
    projected = sum(
        2.0 * count * min(d, params.components, count) * min(e, count)
        for d, e in shapes.widths_of(shapes.pairs)
    )
    return {"decomposition": decomposition_flops(shapes, params.samples), "projection": projected}


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score pairs by LogME: a singular value decomposition an encoder, a projection a pair.

    The iteration over precisions is elementwise work, and not counted.
    """
    sample = Sample(features, params.samples, connector, seed)
    flops = {
        "decomposition": decomposition_flops(Shapes.of(features, connector, seed), params.samples),
        "projection": 0.0,
    }

    def targets(image_ND: Tensor) -> Tensor:
        return similarity.targets(image_ND, params.components)

    def spectrum(text_NE: Tensor) -> Spectrum:
        return similarity.spectrum(text_NE)

    def compare(target_NT: Tensor, text: Spectrum) -> float:
        flops["projection"] += 2.0 * target_NT.numel() * len(text.value_R)
        return float(similarity.evidence(text, target_NT).mean())

    scores, failed = score_pairs(sample, targets, spectrum, compare)
    notes = {"samples": str(sample.count), "components": str(params.components)}
    return SearchResult(LABEL, scores, flops=flops, failed=failed, notes=notes)
