"""Calibrated CKA: what plain CKA has above shuffled samples (Gröger, Wen & Brbić 2026)."""

import time
from contextlib import suppress

from pydantic import Field
from torch import Tensor

from hyma.methods.shared import calibration
from hyma.methods.shared.calibration import PermutationParams
from hyma.methods.shared.similarity import Undefined
from hyma.methods.shared.training_free import Sample, SampleParams, score_pairs, square_flops
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "calibrated CKA"


class Params(SampleParams, PermutationParams):
    """Section ``search.calibrated_cka``."""

    samples: int = Field(
        500,
        ge=20,
        description="training images to compare on, each with one caption; memory grows with their square",
    )


def cost(shapes: Shapes, params: Params, compared: int | None = None) -> Parts:
    """FLOPs of a search, exactly, if `compared` pairs have a score (all, unless given)."""
    count = len(shapes.pairs) if compared is None else compared
    once = 2.0 * shapes.drawn(params.samples) ** 2 * count
    return {
        "Gram matrices": square_flops(shapes, params.samples),
        "alignment": once,
        "shuffled alignment": once * params.permutations,
    }


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score pairs by their calibrated CKA: a Gram matrix an encoder; of a pair an inner product an order."""
    start = time.perf_counter()
    sample = Sample(features, params.samples, connector, seed)
    order_PN = calibration.orders(sample.count, params.permutations, seed)
    gram = calibration.plain_gram

    def shuffled(feature_ND: Tensor) -> Tensor:
        return calibration.shuffled_gram(gram(feature_ND), order_PN)

    def compare(image_PN2: Tensor, text_NN: Tensor) -> float:
        return calibration.calibrated(calibration.alignments(image_PN2, text_NN))

    scores, failed = score_pairs(sample, shuffled, gram, compare)
    seconds, shapes = time.perf_counter() - start, Shapes.of(features, connector, seed)
    notes = {
        "samples": str(sample.count),
        "permutations": str(params.permutations),
        "effective dimensions": effective_dimensions(sample),
    }
    return SearchResult(LABEL, scores, seconds, cost(shapes, params, len(scores)), failed=failed, notes=notes)


def effective_dimensions(sample: Sample) -> str:
    """In how many directions the encoders that have a CKA spread, for a reader: no part of the search."""
    sides = ((sample.features.images, sample.image), (sample.features.texts, sample.text))
    found = []
    for slugs, features_of in sides:
        for slug in slugs:
            with suppress(Undefined):
                gram_NN = calibration.plain_gram(features_of(slug))
                found.append(f"{slug} {calibration.effective_dimension(gram_NN):.1f}")
    return ", ".join(found)
