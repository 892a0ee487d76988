"""Gromov–Wasserstein: how far one encoder's distances between samples are from another's, whoever is who.

As a measure of which encoders suit each other: Li et al. 2026, Rethinking Model Selection in VLM Through the Lens of
Gromov-Wasserstein Distance. Letters: N samples, D an encoder's width.
"""

import math
import time
from collections.abc import Sequence

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits
from torch import Tensor

from hyma.methods.shared import similarity
from hyma.methods.shared.training_free import Sample, SampleParams, score_pairs, square_flops
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "Gromov–Wasserstein"
TOLERANCE = 1e-6
"""Relative gain below which the search for a plan ends."""
STARTS = 2
PIVOTS = 10**7
"""Bound on the pivots of a linear program; a hundred samples take some thousands."""


class Params(SampleParams):
    """Section ``search.gw``."""

    samples: int = Field(
        200,
        ge=20,
        description="training images to compare on, each with one caption; cost grows with their cube",
    )
    steps: int = Field(20, ge=1, description="the most steps from each of two starts to a pair's best plan")


def cost(shapes: Shapes, params: Params) -> Parts:
    """The most FLOPs of a search: how many steps a pair takes only the features tell."""
    count, pairs = shapes.drawn(params.samples), len(shapes.pairs)
    return {
        "cosines": square_flops(shapes, params.samples),
        "plans": plan_flops(count, [params.steps] * STARTS) * pairs,
    }


def plan_flops(samples: int, steps: Sequence[int]) -> float:
    """Products of three N × N matrices, 4N³: one a start, two a step, for its gradient and for its length.

    The linear program of a step is additions and comparisons whose number is not known; the seconds have it in them.
    """
    return 4.0 * samples**3 * sum(1 + 2 * taken for taken in steps)


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Score pairs by the distance between their distances, its sign turned: a matrix an encoder, a plan a pair."""
    start = time.perf_counter()
    sample, shapes = Sample(features, params.samples, connector, seed), Shapes.of(features, connector, seed)
    flops = {"cosines": square_flops(shapes, params.samples), "plans": 0.0}

    def compare(image_NN: np.ndarray, text_NN: np.ndarray) -> float:
        found, steps = distance(image_NN, text_NN, params.steps)
        flops["plans"] += plan_flops(sample.count, steps)
        return -found

    with threadpool_limits(
        1
    ):  # matrices this small gain nothing from more, and lose much where cores are taken
        scores, failed = score_pairs(sample, distances, distances, compare)
    notes = {"samples": str(sample.count), "steps at most": str(params.steps)}
    return SearchResult(LABEL, scores, time.perf_counter() - start, flops, failed=failed, notes=notes)


def distances(feature_ND: Tensor) -> np.ndarray:
    """Cosine distances of all rows with all rows, scaled to a mean square of 1, so that widths do not matter: [N, N].

    Raises:
        Undefined: if all rows point the same way, or are not finite.
    """
    found_NN = (1 - similarity.cosines(feature_ND)).fill_diagonal_(0)
    found_NN = (found_NN + found_NN.T) / 2  # a product is symmetric but for rounding
    return (found_NN / found_NN.square().mean().sqrt()).cpu().numpy()


def distance(image_NN: np.ndarray, text_NN: np.ndarray, steps: int) -> tuple[float, list[int]]:
    """The Gromov–Wasserstein distance of two matrices of distances, and how many steps it took from each start.

    A plan says how much of each sample goes to each of the other encoder's, 1/N from and to every one; the distance
    is the root mean square by which distances of one encoder differ from those that the plan lays on them. Plans are
    found by conditional gradients (Vayer et al. 2019), without entropic smoothing, so that a turned or shuffled copy
    is at 0. As the problem is not convex, there are two starts, the plan that knows nothing and the one that takes
    every sample to itself, and the better end counts; a plan still better may exist.
    """
    from ot.gromov import (
        gromov_wasserstein,
    )  # takes seconds to load, and whoever plans a run needs none of it

    ends, taken = [], []
    for start_NN in (None, np.eye(len(image_NN)) / len(image_NN)):
        _, log = gromov_wasserstein(
            image_NN, text_NN, symmetric=True, G0=start_NN, max_iter=steps, tol_rel=TOLERANCE,
            tol_abs=TOLERANCE**2, numItermaxEmd=PIVOTS, log=True,
        )  # fmt: skip
        ends.append(float(log["gw_dist"]))
        taken.append(len(log["loss"]) - 1)
    return math.sqrt(max(0.0, min(ends))), taken
